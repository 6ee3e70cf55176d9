"""`bit-axon prepare` for Parquet, which the program itself does not read."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["needs_rows", "prepare"]

_WITH_VALUE = (
    *("--format", "-f", "--to", "--from", "--output", "-o", "--split", "--limit", "--val-split"),
    *("--seed", "--tokenizer", "-t", "--max-seq-len"),
)
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def _split_of(arguments: list[str]) -> str:
    for argument, value in zip(arguments, [*arguments[1:], ""]):
        if argument == "--split":
            return value
        if argument.startswith("--split="):
            return argument.partition("=")[2]
    return "train"


def _tables(argument: str, split: str) -> list[Path]:
    """The Parquet and Arrow files that an input names. Empty for an input of another kind."""
    from bit_axon._errors import NotFound
    from bit_axon.evaluation._files import LocalDatasets

    path = Path(argument)
    if not path.exists() and _REPOSITORY.fullmatch(argument):
        try:
            files = LocalDatasets().find(argument, split=split)
        except NotFound:
            return []  # the program says what is missing
    else:
        files = [path]
    return files if all(file.suffix in (".parquet", ".arrow") for file in files) else []


def _inputs(arguments: list[str]) -> list[int]:
    """The indices of the inputs among the arguments."""
    return [
        index
        for index, argument in enumerate(arguments)
        if not argument.startswith("-") and (index == 0 or arguments[index - 1] not in _WITH_VALUE)
    ]


def needs_rows(arguments: list[str]) -> bool:
    """Whether an input of `prepare` has to be read here."""
    split = _split_of(arguments)
    return any(_tables(arguments[index], split) for index in _inputs(arguments))


def _write_rows(files: list[Path], target: Path) -> None:
    from bit_axon.evaluation._files import read_rows

    with target.open("w", encoding="utf-8") as out:
        for file in files:
            for row in read_rows(file):
                out.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")


def prepare(program: str, arguments: list[str]) -> int:
    """Runs `prepare` with JSONL files in place of Parquet files. Returns the exit status."""
    split = _split_of(arguments)
    replaced = list(arguments)
    with tempfile.TemporaryDirectory() as folder:
        for index in _inputs(arguments):
            tables = _tables(arguments[index], split)
            if not tables:
                continue
            name = Path(arguments[index])
            stem = name.stem if name.exists() else arguments[index].replace("/", "_")
            target = Path(folder) / str(index) / f"{stem}.jsonl"
            target.parent.mkdir()
            try:
                _write_rows(tables, target)
            except (ImportError, OSError, ValueError) as error:
                print(f"bit-axon: {error}", file=sys.stderr)
                return 1
            replaced[index] = str(target)
        process = subprocess.Popen([program, "prepare", *replaced])
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the program handles it
        return process.wait()
