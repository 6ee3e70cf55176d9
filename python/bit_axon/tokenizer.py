"""Tokenizers: text to token ids and back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import bit_axon._engine as engine
from bit_axon._arrays import Array, as_ids
from bit_axon._errors import InvalidArgument, IoError, NotFound, Unsupported

__all__ = ["QwenTokenizerWrapper"]

Messages = Sequence[Mapping[str, Any]]


class QwenTokenizerWrapper:
    """A tokenizer of a model: tokenizer.json (BPE) or tokenizer.model (SentencePiece).

    Args:
        path_or_name: A tokenizer file, a model folder, or the id of a model in the local Hugging
            Face cache, such as "Qwen/Qwen3-0.6B".

    Raises:
        NotFound: (a FileNotFoundError) if there is no such file, folder or cached model.
        FormatError: if the file is damaged.
        Unsupported: for a kind of tokenizer that the engine does not know.
    """

    def __init__(self, path_or_name: str | os.PathLike[str]) -> None:
        self._name = os.fsdecode(path_or_name)
        try:
            self._engine, self._folder = engine.load_tokenizer(self._name)
        except IoError as error:
            if not os.path.exists(self._name):
                raise NotFound(str(error)) from None
            raise
        self._chat: engine.ChatTemplate | None = None

    @classmethod
    def bytes(cls) -> QwenTokenizerWrapper:
        """The byte tokenizer: one token per byte, with ids 0 to 255."""
        made = cls.__new__(cls)
        made._name = "bytes"
        made._engine, made._folder = engine.byte_tokenizer(), ""
        made._chat = None
        return made

    def __repr__(self) -> str:
        return f"QwenTokenizerWrapper({self._name!r})"

    def encode(self, text: str) -> list[int]:
        """The ids of a text, with the tokens that the tokenizer puts around a text."""
        return list(self._engine.encode(_text(text), True))

    def decode(self, token_ids: Sequence[int] | Array, skip_special_tokens: bool = True) -> str:
        """The text of ids. Takes a list, one id, or an array of any library.

        Ids that the tokenizer does not have add no text. Bytes that are no UTF-8 become U+FFFD.
        """
        ids = as_ids(token_ids, name="token_ids").reshape(-1).tolist()
        return str(self._engine.decode(ids, skip_special_tokens))

    @property
    def chat_template(self) -> engine.ChatTemplate:
        """The chat template of the model, else ChatML."""
        if self._chat is None:
            try:
                self._chat = engine.find_chat_template(self._folder, self._engine)
            except Unsupported:
                self._chat = engine.chatml()
        return self._chat

    def render_chat(
        self,
        messages: Messages,
        add_generation_prompt: bool = False,
        tools: Sequence[Any] | None = None,
        **variables: Any,
    ) -> tuple[str, list[tuple[int, int]]]:
        """A conversation as text, and the ranges of its UTF-8 bytes that users wrote.

        Special tokens in these ranges stay plain text when the text is encoded.
        """
        try:
            text = json.dumps(list(messages))
            listed = json.dumps(list(tools)) if tools is not None else ""
            values = [(name, json.dumps(value)) for name, value in variables.items()]
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f"messages: expected values of JSON: {error}") from None
        rendered, ranges = self.chat_template.render(text, listed, add_generation_prompt, values)
        return str(rendered), list(ranges)

    def apply_chat_template(
        self,
        messages: Messages,
        add_generation_prompt: bool = False,
        tools: Sequence[Any] | None = None,
        **variables: Any,
    ) -> list[int]:
        """The ids of a conversation, in the model's own chat template.

        Args:
            messages: [{"role": "system" | "user" | "assistant", "content": "..."}, ...]
            add_generation_prompt: Whether the text ends with the beginning of an answer.
            tools: Descriptions of tools that the template offers to the model.
            variables: More names for the template, for example enable_thinking=False.

        Raises:
            InvalidArgument: if there are no messages, or the template refuses them.
        """
        text, ranges = self.render_chat(messages, add_generation_prompt, tools, **variables)
        return list(self._engine.encode(text, False, ranges))

    def token_id(self, token: str) -> int | None:
        """The id of the token whose text is exactly `token`, or None."""
        return self._engine.token_id(token)

    @property
    def pad_token_id(self) -> int:
        """The id of <|endoftext|>, else the first token that ends a text, else 0."""
        found = self.token_id("<|endoftext|>")
        if found is not None:
            return found
        return self.eos_token_ids[0] if self.eos_token_ids else 0

    @property
    def eos_token_id(self) -> int | None:
        """The id of the first token that ends a text. None if there is none."""
        return self.eos_token_ids[0] if self.eos_token_ids else None

    @property
    def eos_token_ids(self) -> list[int]:
        """The ids of all tokens that end a text."""
        return list(self._engine.ends)

    @property
    def vocab_size(self) -> int:
        """One more than the largest id."""
        return int(self._engine.vocab_size)

    @property
    def path(self) -> Path:
        """The folder of the tokenizer."""
        return Path(self._folder)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        if not self._folder:
            return (type(self).bytes, ())
        return (type(self), (self._name,))


def _text(text: object) -> str:
    if not isinstance(text, str):
        raise InvalidArgument(f"text: expected a str, got {type(text).__name__}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"text: expected valid Unicode, got {error.reason}") from None
    return text


def ends_of(tokenizer: object) -> list[int]:
    """The ids that end a text, of any object with an `eos_token_id`."""
    ends: Any = getattr(tokenizer, "eos_token_id", None)
    if ends is None:
        return []
    if isinstance(ends, Iterable):
        return [int(end) for end in ends]
    return [int(ends)]
