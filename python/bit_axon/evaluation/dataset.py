"""The WikiText data set, cut into sequences of token ids."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bit_axon._errors import FormatError, InvalidArgument, NotFound
from bit_axon.evaluation._files import LocalDatasets, read_rows, read_text, split_files

__all__ = ["WikiTextDataset"]

_REPOSITORIES = ("Salesforce/wikitext", "wikitext")
_CONFIG = "wikitext-103-raw-v1"
_TABLES = (".parquet", ".arrow", ".jsonl", ".json")
# A token of a text is rarely longer than this, so a text is cut before it is encoded.
_MOST_CHARACTERS = 64

_SAMPLE_TEXT = (
    "A river begins as a spring in the hills and grows with every stream that joins it. "
    "Farmers along its banks watch the water in spring, when the snow melts. "
    "The old mill stands where the valley narrows, and its wheel still turns on market days. "
    "Travellers cross the bridge of stone that three masons built in one dry summer. "
    "In autumn the fog lies over the meadows until noon, and the bells sound far away. "
    "Children count the boats that carry timber to the town by the sea. "
    "At the mouth of the river the harbour keeps a light for ships that come home late. "
)


class WikiTextDataset:
    """Sequences of token ids from WikiText-103 (raw), for measuring perplexity.

    The text comes from `path` if it is given, else from the data set on this machine: the cache of
    the hub (``Salesforce/wikitext``), or the cache of the package ``datasets``. With `fallback`,
    a short built-in text stands in for it, with a warning; its perplexity is no benchmark.

    Args:
        split: ``"test"``, ``"validation"`` or ``"train"``.
        seq_length: tokens of a sequence.
        max_tokens: tokens that are read at most; None for all.
        tokenizer: any object with ``encode(text) -> list of ids``. Without one, each character is
            an id, its code modulo 256.
        path: a file (text in UTF-8, or a table with a column ``text``), or a folder with files of
            the split.
        fallback: whether the built-in text may stand in for a missing data set (the original package
            does that without a word).

    Attributes:
        chunks: list of int32 arrays of shape (seq_length,). A rest that is shorter is dropped,
            unless it is all there is.
        source: where the text came from.

    Raises:
        NotFound: `path` is missing, or the data set is missing and `fallback` is false.
        FormatError: a file cannot be read as text.
    """

    def __init__(
        self,
        split: str = "test",
        seq_length: int = 2048,
        max_tokens: int | None = 100_000,
        tokenizer: Any = None,
        *,
        path: str | os.PathLike[str] | None = None,
        fallback: bool = False,
    ) -> None:
        if seq_length < 1:
            raise InvalidArgument(f"seq_length: expected at least 1, got {seq_length}")
        if max_tokens is not None and max_tokens < 1:
            raise InvalidArgument(f"max_tokens: expected at least 1, got {max_tokens}")
        self.seq_length = seq_length
        self._tokenizer = tokenizer
        text, self.source = _text_at(Path(path), split) if path is not None else _text(split)
        if not text:
            if not fallback:
                raise NotFound(self.source)
            warnings.warn(
                f"{self.source} A built-in text is used instead; its perplexity is no benchmark.",
                RuntimeWarning,
                stacklevel=2,
            )
            text, self.source = _SAMPLE_TEXT * 100, "built-in text"
        self.chunks: list[npt.NDArray[np.int32]] = _chunks(
            self._ids_of(text, max_tokens), seq_length
        )

    def _ids_of(self, text: str, max_tokens: int | None) -> list[int]:
        if self._tokenizer is None:
            return [ord(letter) % 256 for letter in text[:max_tokens]]
        if max_tokens is not None and len(text) > max_tokens * _MOST_CHARACTERS:
            ids = list(self._tokenizer.encode(text[: max_tokens * _MOST_CHARACTERS]))
            if len(ids) >= max_tokens:
                return ids[:max_tokens]
        return list(self._tokenizer.encode(text))[:max_tokens]

    def __len__(self) -> int:
        return len(self.chunks)

    def __getitem__(self, index: int) -> npt.NDArray[np.int32]:
        """One sequence: an int32 array of shape (seq_length,)."""
        return self.chunks[index]

    def __iter__(self) -> Iterator[npt.NDArray[np.int32]]:
        return iter(self.chunks)


def _chunks(ids: list[int], seq_length: int) -> list[npt.NDArray[np.int32]]:
    array = np.asarray(ids, dtype=np.int32)
    n_chunks = len(array) // seq_length
    if n_chunks == 0:
        return [array]
    return list(array[: n_chunks * seq_length].reshape(n_chunks, seq_length))


def _text(split: str) -> tuple[str, str]:
    """The text of the data set and where it is. An empty text and the reason if it is missing."""
    reason = ""
    for repository in _REPOSITORIES:
        try:
            files = LocalDatasets().find(repository, _CONFIG, split=split, argument="path")
        except NotFound as error:
            reason = reason or str(error)
            continue
        return _joined(files), str(files[0].parent)
    return "", reason


def _text_at(path: Path, split: str) -> tuple[str, str]:
    if path.is_dir():
        files = split_files(path, None, split)
        if not files:
            raise NotFound(f"{path}: expected files of the split {split!r}, got none")
        text = _joined(files)
    else:
        text = _joined([path]) if path.suffix in _TABLES else read_text(path)
    if not text:
        raise FormatError(f"{path}: expected a text, got none")
    return text, str(path)


def _joined(files: list[Path]) -> str:
    """The column ``text`` of all rows, joined by line ends."""
    texts = []
    for file in files:
        for row in read_rows(file):
            if not isinstance(row.get("text"), str):
                raise FormatError(f'{file}: expected a column "text", got {", ".join(row)}')
            texts.append(row["text"])
    return "\n".join(texts)
