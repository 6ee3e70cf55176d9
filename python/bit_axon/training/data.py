"""Data sets for training: examples of chats and of preferences, as tokens with their targets."""

from __future__ import annotations

import json
import os
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import bit_axon._engine as engine
from bit_axon._errors import FormatError, InvalidArgument, NotFound
from bit_axon.tokenizer import QwenTokenizerWrapper

__all__ = ["AlpacaDataset", "CacheDataset", "ORPODataset", "SFTDataset", "stream_jsonl"]

StrPath = str | os.PathLike[str]


def stream_jsonl(path: StrPath) -> Iterator[dict[str, Any]]:
    """The objects of a JSONL file, one after another. Empty lines are left out."""
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


class _FileDataset:
    """Examples that the engine reads, checks and encodes.

    Attributes:
        path: Their file.
        is_in_memory: Whether they came from a list, so that the file is a temporary one.
    """

    _objective = "sft"

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]] | StrPath,
        tokenizer: QwenTokenizerWrapper,
        max_seq_len: int,
        vocab_mapping: Mapping[int, int] | None,
        options: dict[str, Any],
    ) -> None:
        if not isinstance(tokenizer, QwenTokenizerWrapper):
            raise InvalidArgument(
                f"tokenizer: expected a QwenTokenizerWrapper, got {type(tokenizer).__name__}"
            )
        self.tokenizer = tokenizer
        self.max_seq_len = max_seq_len
        self.vocab_mapping = None if vocab_mapping is None else dict(vocab_mapping)
        self._options = {**options, "objective": self._objective}
        self.is_in_memory = not isinstance(data, (str, os.PathLike))
        if isinstance(data, (str, os.PathLike)):
            self.path = Path(data)
            if not self.path.exists():
                raise NotFound(f"{self.path}: expected a file of examples, found none")
        else:
            if not len(data):
                raise FormatError("data: expected at least one example, got none")
            folder = tempfile.TemporaryDirectory(prefix="bit-axon-")
            weakref.finalize(self, folder.cleanup)
            self.path = Path(folder.name) / "examples.jsonl"
            self.path.write_text(_lines_of(data), encoding="utf-8")
        mapping = "" if vocab_mapping is None else engine.vocab_mapping_json(dict(vocab_mapping))
        self._opened = engine.open_examples(
            [os.path.abspath(self.path)],
            tokenizer._engine,
            tokenizer.chat_template,
            mapping,
            {**self._options, "max_seq_len": max_seq_len},
        )

    def __len__(self) -> int:
        return len(self._opened)

    def _encoded(self, idx: int) -> tuple[list[int], list[int], list[int], list[int]]:
        n = len(self)
        if not -n <= idx < n:
            raise IndexError(f"expected an index below {n}, got {idx}")
        place = idx % n
        ids, mask, rejected, rejected_mask, unmapped = self._opened.encode(place)
        if unmapped:
            raise FormatError(
                f"{self._opened.place_of(place)}: expected tokens of the vocab_mapping, got token "
                f"{unmapped[0]}"
            )
        return list(ids), list(mask), list(rejected), list(rejected_mask)


def _lines_of(rows: Sequence[Mapping[str, Any]]) -> str:
    try:
        return "".join(json.dumps(dict(row)) + "\n" for row in rows)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"data: expected a path or a list of objects: {error}") from None


class SFTDataset(_FileDataset):
    """Examples to learn answers from.

    An example is a conversation, in one of the forms of docs/training-data.md: "messages" with role
    and content, "conversations" with from and value, instruction and output, or a plain "text".
    The examples stay in their file, and are read and encoded again whenever they are used. All are
    checked at once.

    Args:
        data: A JSONL file, or a list of objects.
        tokenizer: The tokenizer, whose chat template writes the conversations.
        max_seq_len: Longer examples are cut from the right.
        mask_prompt: Whether only what the assistant says is learned. If not, every token is.
        vocab_mapping: The model's ids by ids of the tokenizer. None: the tokenizer's ids; a
            Trainer takes the mapping of its model.
        mask: "content": what the assistant says, and the token that ends it, are learned.
            "like-original": its whole turn with the header, as the original Bit-Axon does.
        train_on_last: Only the last answer of a conversation is learned.
        unmapped: "error" or "skip", for examples with tokens that the model does not have.

    Raises:
        NotFound, FormatError: that name file and line.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]] | StrPath,
        tokenizer: QwenTokenizerWrapper,
        max_seq_len: int = 2048,
        mask_prompt: bool = True,
        vocab_mapping: Mapping[int, int] | None = None,
        *,
        mask: str = "content",
        train_on_last: bool = False,
        unmapped: str = "error",
    ) -> None:
        train_on = "all" if not mask_prompt else "last" if train_on_last else "assistant"
        options = {"train_on": train_on, "mask": mask, "unmapped": unmapped}
        super().__init__(data, tokenizer, max_seq_len, vocab_mapping, options)

    def __getitem__(self, idx: int) -> tuple[list[int], list[int]]:
        """The token ids of an example, and 1 for each token that is learned, else 0."""
        return self._encoded(idx)[:2]

    def __iter__(self) -> Iterator[tuple[list[int], list[int]]]:
        return (self[idx] for idx in range(len(self)))


class AlpacaDataset(SFTDataset):
    """Examples with instruction, input (may be missing) and output, as an SFTDataset."""


class ORPODataset(_FileDataset):
    """Pairs of answers to learn a preference from: prompt, chosen and rejected, each a list of
    messages or a text.

    Args:
        data, tokenizer, max_seq_len, vocab_mapping, mask, unmapped: As for SFTDataset.
    """

    _objective = "orpo"

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]] | StrPath,
        tokenizer: QwenTokenizerWrapper,
        max_seq_len: int = 2048,
        vocab_mapping: Mapping[int, int] | None = None,
        *,
        mask: str = "content",
        unmapped: str = "error",
    ) -> None:
        options = {"train_on": "assistant", "mask": mask, "unmapped": unmapped}
        super().__init__(data, tokenizer, max_seq_len, vocab_mapping, options)

    def __getitem__(self, idx: int) -> tuple[list[int], list[int], list[int], list[int]]:
        """(chosen_ids, chosen_mask, rejected_ids, rejected_mask) of a pair."""
        return self._encoded(idx)

    def __iter__(self) -> Iterator[tuple[list[int], list[int], list[int], list[int]]]:
        return (self[idx] for idx in range(len(self)))


class CacheDataset:
    """A data set that encodes each example once, when it is first used.

    Args:
        dataset: The data set.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self._kept: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, idx: int) -> Any:
        if idx not in self._kept:
            self._kept[idx] = self.dataset[idx]
        return self._kept[idx]

    def __iter__(self) -> Iterator[Any]:
        return (self[idx] for idx in range(len(self)))

    def itemlen(self, idx: int) -> int:
        """The number of tokens of an example."""
        return len(self[idx][0])
