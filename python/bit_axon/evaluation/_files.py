"""Data sets that are on this machine: local files, and the caches of the Hugging Face tools.

Nothing here uses the network. The folders are found as the tools find them: ``HF_HUB_CACHE`` (or
``HUGGINGFACE_HUB_CACHE``) and ``HF_DATASETS_CACHE``, else ``HF_HOME``, else ``XDG_CACHE_HOME``,
else ``~/.cache``.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bit_axon._errors import FormatError, NotFound, Unsupported

__all__ = [
    "LocalDatasets",
    "MissingPackage",
    "Row",
    "datasets_cache",
    "hub_cache",
    "read_rows",
    "read_text",
    "split_files",
]

Row = dict[str, Any]

# The names that a split has in file names, and the configs that need no folder of their own.
_SPLIT_NAMES = {"validation": ("validation", "valid", "val")}
_PLAIN_CONFIGS = (None, "main", "default")
_SHARD = re.compile(r"-(\d+)-of-(\d+)$")


class MissingPackage(Unsupported, ImportError):
    """A Python package that reads this kind of file is not installed."""


def _folder_of(variables: Iterable[str], below: str) -> Path:
    """The folder that the first variable with a value names, else the tools' own folder."""
    for variable in variables:
        if os.environ.get(variable):
            return _expanded(os.environ[variable])
    if os.environ.get("HF_HOME"):
        return _expanded(os.environ["HF_HOME"]) / below
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return _expanded(cache) / "huggingface" / below


def _expanded(path: str) -> Path:
    return Path(os.path.expanduser(os.path.expandvars(path)))


def hub_cache() -> Path:
    """The folder where the hub's tools keep the files of repositories."""
    return _folder_of(("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"), "hub")


def datasets_cache() -> Path:
    """The folder where the package ``datasets`` keeps the tables that it has prepared."""
    return _folder_of(("HF_DATASETS_CACHE",), "datasets")


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if entry.is_dir())
    except OSError:
        return []


def _named(folder: Path, names: Iterable[str]) -> list[Path]:
    """The folders in `folder` with one of the names, in the order of the names.

    Letters may be upper or lower case, because the tools changed how they write owners.
    """
    by_name = {entry.name.lower(): entry for entry in _subfolders(folder)}
    return [by_name[name.lower()] for name in names if name.lower() in by_name]


def _snapshots(repository: Path) -> list[Path]:
    """The snapshot of the branch main, then the other snapshots, newest first."""
    found = _subfolders(repository / "snapshots")
    found.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
    try:
        main = (repository / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return found
    found.sort(key=lambda folder: folder.name != main)
    return found


def _is_of_config(parts: tuple[str, ...], stem: str, config: str | None) -> bool:
    if config is None or config in parts or re.match(re.escape(config) + "[-_.]", stem):
        return True
    return config in _PLAIN_CONFIGS and parts in ((), ("data",))


def _is_of_split(parts: tuple[str, ...], stem: str, split: str) -> bool:
    names = _SPLIT_NAMES.get(split, (split,))
    if any(name in parts for name in names):
        return True
    return re.search(rf"(^|[-_.])({'|'.join(map(re.escape, names))})([-_.]|$)", stem) is not None


def split_files(folder: Path, config: str | None, split: str) -> list[Path]:
    """The files with the rows of a split below `folder`, in order. Empty if there are none.

    The name of a file has the name of the split, as ``test.jsonl`` and
    ``test-00000-of-00002.parquet`` do, or the file is in a folder of that name. The config is a
    folder above, or the beginning of the file's name. Where several folders or formats have the
    split, the newest folder and the first format of ``_READERS`` count, so that no row counts
    twice.
    """
    groups: dict[tuple[Path, str], list[Path]] = {}
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts[:-1]
        stem = path.name[: -len(path.suffix)] if path.suffix else path.name
        if path.suffix not in _READERS or not path.is_file():
            continue
        if _is_of_config(parts, stem, config) and _is_of_split(parts, stem, split):
            groups.setdefault((path.parent, path.suffix), []).append(path)
    if not groups:
        return []
    formats = list(_READERS)
    newest = max(
        groups,
        key=lambda key: (max(path.stat().st_mtime for path in groups[key]), str(key[0])),
    )[0]
    ending = min((key[1] for key in groups if key[0] == newest), key=formats.index)
    files = sorted(groups[newest, ending])
    _check_shards(files)
    return files


def _check_shards(files: list[Path]) -> None:
    """Raises NotFound if one of the numbered parts of a split is missing."""
    shard = _SHARD.search(files[0].stem)
    if shard and len(files) != int(shard[2]):
        raise NotFound(
            f"{files[0].parent}: expected {int(shard[2])} parts of a split, as the names of the "
            f"files say, got {len(files)}. Download the data set again."
        )


def read_rows(file: Path) -> list[Row]:
    """The rows of one file: parquet, arrow, jsonl, json or txt (a row for each line).

    Raises NotFound, FormatError for contents that are no table, and MissingPackage where pyarrow
    is needed and not installed.
    """
    try:
        reader = _READERS[file.suffix]
    except KeyError:
        expected = ", ".join(_READERS)
        raise FormatError(f"{file}: expected a file that ends in {expected}") from None
    try:
        return reader(file)
    except FileNotFoundError as error:
        if isinstance(error, NotFound):
            raise
        raise NotFound(f"{file}: expected a file with a data set, got no file") from None


def read_text(file: Path) -> str:
    """The text of a file in UTF-8. Raises NotFound, and FormatError that names the first bad byte."""
    try:
        return file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"{file}: at byte {error.start}: expected UTF-8 text") from None
    except FileNotFoundError:
        raise NotFound(f"{file}: expected a text file, got no file") from None


def _json_row(value: Any, place: str) -> Row:
    if not isinstance(value, dict):
        raise FormatError(f"{place}: expected an object, got {type(value).__name__}")
    return value


def _parse_json(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise FormatError(f"{place}: expected JSON: {error}") from None


def _read_jsonl(file: Path) -> list[Row]:
    lines = read_text(file).split("\n")
    return [
        _json_row(_parse_json(line, f"{file}: line {number}"), f"{file}: line {number}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]


def _read_json(file: Path) -> list[Row]:
    value = _parse_json(read_text(file), str(file))
    if isinstance(value, dict):  # the rows have a name of their own in some files
        value = next((value[key] for key in ("data", "rows") if key in value), value)
    if not isinstance(value, list):
        raise FormatError(f"{file}: expected a list of objects, got {type(value).__name__}")
    return [_json_row(row, f"{file}: entry {index}") for index, row in enumerate(value)]


def _read_txt(file: Path) -> list[Row]:
    return [{"text": line} for line in read_text(file).splitlines()]


def _pyarrow(file: Path, module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise MissingPackage(
            f"{file}: needs the package pyarrow, which is not installed: pip install pyarrow"
        ) from None


def _rows_of_table(file: Path, read: Callable[[], Any]) -> list[Row]:
    pa = _pyarrow(file, "pyarrow")
    try:
        rows: list[Row] = read().to_pylist()
    except pa.ArrowException as error:
        raise FormatError(f"{file}: {str(error).splitlines()[0]}") from None
    return rows


def _read_parquet(file: Path) -> list[Row]:
    parquet = _pyarrow(file, "pyarrow.parquet")
    return _rows_of_table(file, lambda: parquet.read_table(file))


def _read_arrow(file: Path) -> list[Row]:
    pa = _pyarrow(file, "pyarrow")

    def read() -> Any:
        with pa.memory_map(str(file)) as source:
            return pa.ipc.open_stream(source).read_all()

    return _rows_of_table(file, read)


_READERS: dict[str, Callable[[Path], list[Row]]] = {
    ".parquet": _read_parquet,
    ".arrow": _read_arrow,
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".txt": _read_txt,
}


class LocalDatasets:
    """Reads data sets by their hub names from files on this machine.

    With `data_dir`, the data set ``owner/name`` is the folder ``data_dir/owner/name`` or
    ``data_dir/name``. Without it, the caches of the hub's tools are searched.
    """

    def __init__(self, data_dir: str | os.PathLike[str] | None = None) -> None:
        self._data_dir = None if data_dir is None else _expanded(os.fspath(data_dir))

    def find(
        self, path: str, config: str | None = None, *, split: str, argument: str = "data_dir"
    ) -> list[Path]:
        """The files of a split.

        Args:
            path: the data set's name on the hub, ``"cais/mmlu"``.
            config: the name of one of its parts, or None if it has only one.
            split: ``"train"``, ``"validation"``, ``"dev"`` or ``"test"``.
            argument: what the message calls the argument that names a folder.

        Raises:
            NotFound: the split is not on this machine. The message says where it was looked for.
        """
        searched: list[Path] = []
        for folder in self._folders(path, searched):
            files = split_files(folder, config, split)
            if files:
                return files
        name = path if config is None else f"{path} ({config})"
        places = " and ".join(str(place) for place in searched)
        raise NotFound(
            f"data set {name}: found no files of the split {split!r} in {places}. Download them "
            f"with the hub's tools (hf download {path} --repo-type dataset), or name a folder "
            f"that has {self._example(path, config, split)} as {argument}."
        )

    def load_dataset(self, path: str, config: str | None = None, *, split: str) -> list[Row]:
        """The rows of a split, each a dict of its columns. Arguments and errors as in find()."""
        rows: list[Row] = []
        for file in self.find(path, config, split=split):
            rows.extend(read_rows(file))
        return rows

    def _folders(self, path: str, searched: list[Path]) -> Iterable[Path]:
        """The folders that may have the data set. Adds to `searched` where they were looked for."""
        owner, _, name = path.rpartition("/")
        if self._data_dir is not None:
            searched.append(self._data_dir)
            own = _named(self._data_dir, [owner]) if owner else []
            yield from (folder for parent in own for folder in _named(parent, [name]))
            yield from _named(self._data_dir, [name])
            return
        searched += [hub_cache(), datasets_cache()]
        long_names = [path, name] if owner else [path]
        repositories = [f"datasets--{one.replace('/', '--')}" for one in long_names]
        for repository in _named(hub_cache(), repositories):
            yield from _snapshots(repository)
        yield from _named(datasets_cache(), [one.replace("/", "___") for one in long_names])

    @staticmethod
    def _example(path: str, config: str | None, split: str) -> str:
        parts = [path.rpartition("/")[2], config, f"{split}.jsonl"]
        return "/".join(part for part in parts if part)
