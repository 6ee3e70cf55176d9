"""The text of a generation: prompts to ids, and ids to text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import bit_axon._engine as engine
from bit_axon._arrays import as_ids
from bit_axon._errors import InvalidArgument
from bit_axon.model import LanguageModel
from bit_axon.tokenizer import Messages, QwenTokenizerWrapper, _text, ends_of

__all__ = ["DuckText", "EngineText", "TextSoFar", "TokenText"]


@dataclass(frozen=True)
class TextSoFar:
    """The text of an answer that goes on.

    Attributes:
        ids: The tokens.
        certain: Their text, without the bytes of an unfinished character.
        text: The text that was given out: what may begin a stop text is held back.
        stopped: Whether a stop text was found.
    """

    ids: tuple[int, ...] = ()
    certain: str = ""
    text: str = ""
    stopped: bool = False


class TokenText:
    """How one generation reads its prompt and makes its text.

    Attributes:
        is_engine: Whether the engine has the tokenizer, so that it makes the text itself.
        handle: The engine's tokenizer, or None.
    """

    is_engine = False
    handle: engine.Tokenizer | None = None

    def prompt_ids(
        self, prompt: str | Sequence[int], chat: bool, messages: Messages | None
    ) -> list[int]:
        """The ids of a prompt."""
        if messages is not None:
            return self._chat_ids(messages)
        if not isinstance(prompt, str):
            ids = as_ids(prompt, name="prompt")
            if ids.ndim not in (1, 2) or (ids.ndim == 2 and len(ids) != 1):
                raise InvalidArgument(
                    f"prompt: expected ids of one sequence, got the shape {list(ids.shape)}"
                )
            return [int(i) for i in ids.reshape(-1)]
        if chat:
            return self._chat_ids([{"role": "user", "content": prompt}])
        return self._text_ids(_text(prompt))

    def _chat_ids(self, messages: Messages) -> list[int]:
        raise NotImplementedError

    def _text_ids(self, text: str) -> list[int]:
        raise NotImplementedError

    def _decoded(self, ids: Sequence[int]) -> str:
        """The text of ids."""
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

    def after(
        self, so_far: TextSoFar, ids: Sequence[int], stops: Sequence[str], is_last: bool = False
    ) -> TextSoFar:
        """The text after more ids. After the last ones, nothing is held back."""
        if so_far.stopped:
            return so_far
        stops = [stops] if isinstance(stops, str) else stops
        every = (*so_far.ids, *ids)
        certain = self._decoded(every) if every else ""
        if not is_last:
            # Bytes of an unfinished character decode to U+FFFD.
            certain = certain.rstrip("�")
            if not certain.startswith(so_far.certain):
                certain = so_far.certain
        found = [at for at in (certain.find(stop) for stop in stops) if at >= 0]
        end = min(found) if found else len(certain) - (0 if is_last else _held_back(certain, stops))
        text = certain[: max(end, len(so_far.text))]
        return TextSoFar(every, certain, text, bool(found))

    def of_answer(self, ids: Sequence[int], stops: Sequence[str]) -> TextSoFar:
        """The text of a whole answer, whose ids end where a stop text is complete."""
        so_far = TextSoFar()
        for token in ids:
            so_far = self.after(so_far, [token], stops)
            if so_far.stopped:
                return so_far
        return self.after(so_far, [], stops, is_last=True)


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
        self._model = model
        self._tokenizer = tokenizer
        self._engine = self.handle = tokenizer._engine

    def _chat_ids(self, messages: Messages) -> list[int]:
        text, ranges = self._tokenizer.render_chat(messages, add_generation_prompt=True)
        return list(engine.encode_for(self._model, self._engine, text, False, ranges))

    def _text_ids(self, text: str) -> list[int]:
        return list(engine.encode_for(self._model, self._engine, text, True, []))

    def _decoded(self, ids: Sequence[int]) -> str:
        return str(engine.decode_for(self._model, self._engine, list(ids)))

    def all_ends(self, model: LanguageModel) -> list[int]:
        return [*engine.ends_for(self._model, self._engine), *model.info["ends"]]


class DuckText(TokenText):
    """With any object that has encode(), decode() and eos_token_id."""

    def __init__(self, tokenizer: Any) -> None:
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

    def _decoded(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def extra_ends(self) -> list[int]:
        return ends_of(self._tokenizer)
