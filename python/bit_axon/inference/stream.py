"""One generation: its request, its pieces and its result."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import bit_axon._engine as engine
from bit_axon._errors import Error, InvalidArgument
from bit_axon.inference.config import (
    GenerateConfig,
    GenerateResult,
    config_with,
    engine_options,
)
from bit_axon.inference.text import DuckText, EngineText, TextSoFar, TokenText
from bit_axon.model import LanguageModel
from bit_axon.tokenizer import Messages, QwenTokenizerWrapper

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["GenerationStream", "Part", "Request", "StreamState", "settings_of", "text_side"]


def settings_of(
    model: LanguageModel,
    config: GenerateConfig | None,
    options: Mapping[str, Any],
    function: str = "generate",
) -> GenerateConfig:
    if not isinstance(model, LanguageModel):
        raise InvalidArgument(
            f"model: expected a model of bit_axon.load() or load_model(), got {type(model).__name__}"
        )
    if config is None:
        config = GenerateConfig(**model.generation_defaults())
    if not isinstance(config, GenerateConfig):
        raise InvalidArgument(f"config: expected a GenerateConfig, got {type(config).__name__}")
    made = config_with(config, options, function)
    if made.seed is None:
        made = replace(made, seed=secrets.randbits(32))
    return made


def text_side(model: LanguageModel, tokenizer: Any) -> TokenText:
    if isinstance(tokenizer, QwenTokenizerWrapper):
        return EngineText(model._ready(), tokenizer)
    return DuckText(tokenizer)


class Request:
    """What generate() is asked for, checked."""

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Any,
        prompt: str | Sequence[int],
        config: GenerateConfig,
        chat: bool,
        messages: Messages | None,
        cache: list[Any] | None,
    ) -> None:
        self.model = model
        self.config = config
        self.side = text_side(model, tokenizer)
        self.ids = self.side.prompt_ids(prompt, chat, messages)
        ends = [] if config.ignore_eos else self.side.extra_ends()
        self.options = engine_options(config, ends)
        if not self.side.is_engine:
            self.options["stop"] = []  # found in Python
        self.keeps_cache = cache is not None
        self.cache = model.new_cache() if cache is None else model._cache_of(cache)
        self.sequences = self.cache.sequences(1)
        if len(self.sequences) != 1:
            raise InvalidArgument(
                f"cache: expected one sequence to generate for, got {len(self.sequences)}"
            )

    def prefill_failure(self, error: Error) -> Error:
        """The error of a prompt that the model refuses, with what the user may have mixed up."""
        largest = max(self.ids, default=0)
        if error.kind == "invalid_argument" and largest >= self.model.vocab_size:
            return InvalidArgument(
                f"{error}; the prompt has {len(self.ids)} tokens with ids up to {largest}, and the "
                f"model has {self.model.vocab_size}: is it the tokenizer of this model?"
            )
        return error


@dataclass(frozen=True)
class StreamState:
    """How far a stream is. A new state replaces the old one in a single step, so that
    KeyboardInterrupt neither loses nor repeats a part."""

    n_taken: int = 0
    so_far: TextSoFar = field(default_factory=TextSoFar)
    is_done: bool = False


@dataclass(frozen=True)
class Part:
    """New ids and their text, and the state of the stream after them."""

    ids: list[int]
    text: str
    state: StreamState


class GenerationStream(Generator[str, None, GenerateResult]):
    """The pieces of an answer, as they are generated.

    The prompt is fed when the stream is made. After the last piece, `return_value` and `result` are
    the GenerateResult, which also is the value of StopIteration. `close()` ends the answer: then
    nothing more is computed. `async for` works too. After KeyboardInterrupt, the stream may go on.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._engine = engine.Stream(request.sequences, request.side.handle, request.options)
        self._state = StreamState()
        self._result: GenerateResult | None = None
        try:
            self._engine.begin(request.ids)
        except Error as error:
            raise request.prefill_failure(error) from None
        except BaseException:
            self._engine.abandon()
            raise

    def _finish(self) -> GenerateResult:
        if self._result is None:
            facts = self._engine.result()
            assert facts is not None
            self._result = _result_of(facts, self._request, self._state.so_far)
        return self._result

    def _peek(self, single: bool) -> Part:
        """The next part. Until the caller sets the state of the part, the same one comes again."""
        state, side = self._state, self._request.side
        ids, text, last = self._engine.next(single, state.n_taken)
        so_far = state.so_far
        if not side.is_engine:
            so_far = side.after(so_far, ids, self._request.config.stop, last)
            text = so_far.text[len(state.so_far.text) :]
            if so_far.stopped and not last:
                self._engine.close()
                last = True
        return Part(list(ids), str(text), StreamState(state.n_taken + 1, so_far, last))

    def __next__(self) -> str:
        while not self._state.is_done:
            part = self._peek(False)
            # No call comes between these lines and the return, so no signal does.
            text = part.text
            self._state = part.state
            if text:
                return text
        raise StopIteration(self._finish())

    def __iter__(self) -> GenerationStream:
        return self

    def send(self, value: None) -> str:
        return next(self)

    def throw(self, typ: Any, val: Any = None, tb: Any = None) -> str:
        """Ends the answer and raises the exception."""
        self.close()
        raise typ if val is None else val

    def close(self) -> None:
        """Ends the answer. What was generated so far is in `result`."""
        if not self._state.is_done:
            self._engine.close()
            self._state = replace(self._state, is_done=True)
        self._finish()

    def _abandon(self) -> None:
        """Ends the answer without waiting."""
        self._engine.abandon()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aiter__(self) -> AsyncIterator[str]:
        while True:
            piece = await asyncio.to_thread(next, self, None)
            if piece is None:
                return
            yield piece

    @property
    def result(self) -> GenerateResult | None:
        """The result, or None while the answer goes on."""
        return self._finish() if self._state.is_done else None

    @property
    def return_value(self) -> GenerateResult | None:
        """The same as `result`."""
        return self.result


def _result_of(facts: Mapping[str, Any], request: Request, so_far: TextSoFar) -> GenerateResult:
    ids = list(facts["token_ids"])
    side = request.side
    text = str(facts["text"]) if side.is_engine else so_far.text
    reason = str(facts["finish_reason"])
    return GenerateResult(
        text=text,
        token_ids=ids,
        prompt_tokens=int(facts["prompt_tokens"]),
        completion_tokens=len(ids),
        tokens_per_sec=float(facts["decode_tokens_per_sec"]),
        time_to_first_token_ms=float(facts["time_to_first_token_ms"]),
        finish_reason="stop" if so_far.stopped else reason,
        prompt_tokens_per_sec=float(facts["prefill_tokens_per_sec"]),
        seed=request.config.seed,
    )
