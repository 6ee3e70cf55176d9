"""The text of a generation: prompts to ids, and ids to text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bit_axon._engine as engine
from bit_axon._arrays import as_ids
from bit_axon._errors import InvalidArgument
from bit_axon.model import LanguageModel
from bit_axon.tokenizer import Messages, QwenTokenizerWrapper, _text, ends_of

__all__ = ["DuckText", "EngineText", "TokenText"]


class TokenText:
    """How one generation reads its prompt and makes its text.

    Attributes:
        is_engine: Whether the engine has the tokenizer, so that it makes the text itself.
        handle: The engine's tokenizer, or None.
        text: The text so far, without what may be the beginning of a stop text.
        stopped: Whether a stop text was found.
    """

    is_engine = False
    handle: engine.Tokenizer | None = None

    def __init__(self) -> None:
        self.text = ""
        self.stopped = False
        self._ids: list[int] = []
        self._all = ""  # the text of all ids that is certain
        self._stops: Sequence[str] = ()

    def prompt_ids(
        self, prompt: str | Sequence[int], chat: bool, messages: Messages | None
    ) -> list[int]:
        """The ids of a prompt."""
        if messages is not None:
            return self._chat_ids(messages)
        if not isinstance(prompt, str):
            return [int(i) for i in as_ids(prompt, name="prompt").reshape(-1)]
        if chat:
            return self._chat_ids([{"role": "user", "content": prompt}])
        return self._text_ids(_text(prompt))

    def _chat_ids(self, messages: Messages) -> list[int]:
        raise NotImplementedError

    def _text_ids(self, text: str) -> list[int]:
        raise NotImplementedError

    def _decoded(self) -> str:
        """The text of all ids."""
        raise NotImplementedError

    def extra_ends(self) -> list[int]:
        """Ids that end a text and that the engine does not know of."""
        return []

    def all_ends(self, model: LanguageModel) -> list[int]:
        """All ids that end a text."""
        return [*self.extra_ends(), *model.info["ends"]]

    def with_beginning(self, ids: list[int], model: LanguageModel, position: int) -> list[int]:
        """The prompt with the token that the model wants in front of every text."""
        first = model.info["beginning"]
        if first is None or position > 0 or (ids and ids[0] == first):
            return ids
        return [first, *ids]

    def push(self, ids: Sequence[int], stops: Sequence[str]) -> str:
        """Adds ids. Returns the text that they complete."""
        self._ids.extend(ids)
        self._stops = [stops] if isinstance(stops, str) else stops
        whole = self._decoded()
        # Bytes of an unfinished character decode to U+FFFD.
        certain = whole.rstrip("�")
        if not certain.startswith(self._all):
            certain = self._all
        self._all = certain
        return self._released(_held_back(certain, self._stops))

    def finish(self) -> str:
        """Returns the rest of the text."""
        if self.stopped:
            return ""
        self._all = self._decoded() if self._ids else ""
        return self._released(0)

    def _released(self, n_held: int) -> str:
        found = [at for at in (self._all.find(stop) for stop in self._stops) if at >= 0]
        end = len(self._all) - n_held
        if found:
            self.stopped = True
            end = min(found)
        piece = self._all[len(self.text) : end]
        self.text += piece
        return piece

    def push_all(self, ids: list[int], stops: Sequence[str]) -> list[int]:
        """Makes the text of a whole answer. Returns the ids up to a stop text."""
        for n, token in enumerate(ids):
            self.push([token], stops)
            if self.stopped:
                return ids[: n + 1]
        self.finish()
        return ids


def _held_back(text: str, stops: Sequence[str]) -> int:
    """How many characters at the end of the text may begin a stop text."""
    longest = max((len(stop) for stop in stops), default=1) - 1
    for n in range(min(longest, len(text)), 0, -1):
        if any(stop.startswith(text[-n:]) for stop in stops):
            return n
    return 0


class EngineText(TokenText):
    """With a tokenizer of the engine."""

    is_engine = True

    def __init__(self, model: engine.LoadedModel, tokenizer: QwenTokenizerWrapper) -> None:
        super().__init__()
        self._model = model
        self._tokenizer = tokenizer
        self._engine = self.handle = tokenizer._engine

    def _chat_ids(self, messages: Messages) -> list[int]:
        text, ranges = self._tokenizer.render_chat(messages, add_generation_prompt=True)
        return list(engine.encode_for(self._model, self._engine, text, False, ranges))

    def _text_ids(self, text: str) -> list[int]:
        return list(engine.encode_for(self._model, self._engine, text, True, []))

    def _decoded(self) -> str:
        return str(engine.decode_for(self._model, self._engine, self._ids))

    def all_ends(self, model: LanguageModel) -> list[int]:
        return [*engine.ends_for(self._model, self._engine), *model.info["ends"]]


class DuckText(TokenText):
    """With any object that has encode(), decode() and eos_token_id."""

    def __init__(self, tokenizer: Any) -> None:
        super().__init__()
        for name in ("encode", "decode"):
            if not callable(getattr(tokenizer, name, None)):
                raise InvalidArgument(
                    f"tokenizer: expected an object with {name}(), got {type(tokenizer).__name__}"
                )
        self._tokenizer = tokenizer

    def _chat_ids(self, messages: Messages) -> list[int]:
        made = self._tokenizer.apply_chat_template(list(messages), add_generation_prompt=True)
        return [int(i) for i in as_ids(made, name="tokenizer").reshape(-1)]

    def _text_ids(self, text: str) -> list[int]:
        return [int(i) for i in as_ids(self._tokenizer.encode(text), name="tokenizer").reshape(-1)]

    def _decoded(self) -> str:
        return str(self._tokenizer.decode(self._ids, skip_special_tokens=True))

    def extra_ends(self) -> list[int]:
        return ends_of(self._tokenizer)
