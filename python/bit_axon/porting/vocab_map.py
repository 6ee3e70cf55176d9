"""The tokens of Qwen2.5 that a Bit-Axon model keeps."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import bit_axon._engine as engine
from bit_axon._errors import InvalidArgument
from bit_axon.tokenizer import QwenTokenizerWrapper

__all__ = ["Encoding", "TruncatedTokenizer", "build_vocab_mapping", "load_truncated_tokenizer"]

StrPath = str | os.PathLike[str]


def build_vocab_mapping(
    tokenizer_name: StrPath = "Qwen/Qwen2.5-3B",
    target_size: int = 32000,
    corpus_text: str | None = None,
) -> dict[int, int]:
    """Chooses the tokens of a model.

    The choice always holds the tokens of single bytes, and the tokens that a chosen token is merged
    from. The last ids are those of <|endoftext|>, <|im_start|> and <|im_end|>.

    Args:
        tokenizer_name: A tokenizer.json, its folder, or a hub id in the local hub cache.
        target_size: The number of tokens.
        corpus_text: A text whose most frequent tokens are taken. None: the tokenizer's first ones.

    Returns:
        The new ids by ids of the tokenizer.

    Raises:
        NotFound: if there is no such tokenizer.
        InvalidArgument: for a size that is too small, or larger than the tokenizer.
    """
    return dict(engine.build_vocab_mapping(tokenizer_name, target_size, corpus_text))


@dataclass(frozen=True)
class Encoding:
    """A text as tokens.

    Attributes:
        ids: The ids.
        tokens: The text of each.
    """

    ids: list[int]
    tokens: list[str]

    def __len__(self) -> int:
        return len(self.ids)


class TruncatedTokenizer:
    """A tokenizer that has only the tokens of a mapping, with the ids of the model."""

    def __init__(self, text: str) -> None:
        """Of the text of a tokenizer.json."""
        self._text = text
        with tempfile.TemporaryDirectory(prefix="bit-axon-") as folder:
            file = Path(folder) / "tokenizer.json"
            file.write_text(text, encoding="utf-8")
            self._tokenizer = QwenTokenizerWrapper(file)

    def encode(self, text: str) -> Encoding:
        """The tokens of a text. Every text has some, because every byte has."""
        ids = self._tokenizer.encode(text)
        return Encoding(ids, [self._tokenizer.decode([i], False) for i in ids])

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        """The text of ids."""
        return self._tokenizer.decode(ids, skip_special_tokens)

    def get_vocab_size(self) -> int:
        """One more than the largest id."""
        return self._tokenizer.vocab_size

    def token_to_id(self, token: str) -> int | None:
        """The id of the token whose text is exactly `token`, or None."""
        return self._tokenizer.token_id(token)

    def to_str(self) -> str:
        """The text of its tokenizer.json."""
        return self._text

    def save(self, path: StrPath) -> None:
        """Writes its tokenizer.json."""
        Path(path).write_text(self._text, encoding="utf-8")


def load_truncated_tokenizer(
    tokenizer_name: StrPath, vocab_mapping: Mapping[int, int]
) -> TruncatedTokenizer:
    """A tokenizer with only the tokens of a mapping, and the merges among them.

    Args:
        tokenizer_name: As for build_vocab_mapping().
        vocab_mapping: What build_vocab_mapping() returns.
    """
    if not vocab_mapping:
        raise InvalidArgument("vocab_mapping: expected at least one token, got none")
    return TruncatedTokenizer(engine.truncated_tokenizer(tokenizer_name, dict(vocab_mapping)))
