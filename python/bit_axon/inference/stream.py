"""One generation: its request, its pieces and its result."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import bit_axon._engine as engine
from bit_axon._errors import Error, InvalidArgument
from bit_axon.inference.config import (
    GenerateConfig,
    GenerateResult,
    config_with,
    engine_options,
)
from bit_axon.inference.text import DuckText, EngineText, TokenText
from bit_axon.model import LanguageModel
from bit_axon.tokenizer import Messages, QwenTokenizerWrapper

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["GenerationStream", "Request", "settings_of", "text_side"]


def settings_of(
    model: LanguageModel, config: GenerateConfig | None, options: Mapping[str, Any]
) -> GenerateConfig:
    if not isinstance(model, LanguageModel):
        raise InvalidArgument(
            f"model: expected a model of bit_axon.load() or load_model(), got {type(model).__name__}"
        )
    if config is None:
        config = GenerateConfig(**model.generation_defaults())
    if not isinstance(config, GenerateConfig):
        raise InvalidArgument(f"config: expected a GenerateConfig, got {type(config).__name__}")
    made = config_with(config, options)
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


class GenerationStream(Generator[str, None, GenerateResult]):
    """The pieces of an answer, as they are generated.

    The prompt is fed when the stream is made. After the last piece, `return_value` and `result` are
    the GenerateResult, which also is the value of StopIteration. `close()` ends the answer: then
    nothing more is computed. `async for` works too.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._engine = engine.Stream(request.sequences, request.side.handle, request.options)
        self._done = False
        self._result: GenerateResult | None = None
        try:
            self._engine.begin(request.ids)
        except Error as error:
            raise request.prefill_failure(error) from None

    def _finish(self) -> GenerateResult:
        if self._result is None:
            facts = self._engine.result()
            assert facts is not None
            self._result = _result_of(facts, self._request)
        return self._result

    def _pieces(self, single: bool) -> tuple[list[int], str, bool]:
        """New ids, their text, and whether they are the last ones."""
        ids, text, last = self._engine.next(single)
        side = self._request.side
        if not side.is_engine:
            text = side.push(ids, self._request.config.stop)
            if side.stopped and not last:
                self._engine.close()
                last = True
            if last:
                text += side.finish()
        self._done = last
        return list(ids), str(text), last

    def __next__(self) -> str:
        while not self._done:
            _, text, _ = self._pieces(False)
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
        if not self._done:
            self._engine.close()
            self._done = True
        self._finish()

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
        return self._finish() if self._done else None

    @property
    def return_value(self) -> GenerateResult | None:
        """The same as `result`."""
        return self.result


def _result_of(facts: Mapping[str, Any], request: Request) -> GenerateResult:
    ids = list(facts["token_ids"])
    side = request.side
    text = str(facts["text"]) if side.is_engine else side.text
    reason = str(facts["finish_reason"])
    return GenerateResult(
        text=text,
        token_ids=ids,
        prompt_tokens=int(facts["prompt_tokens"]),
        completion_tokens=len(ids),
        tokens_per_sec=float(facts["decode_tokens_per_sec"]),
        time_to_first_token_ms=float(facts["time_to_first_token_ms"]),
        finish_reason="stop" if side.stopped else reason,
        prompt_tokens_per_sec=float(facts["prefill_tokens_per_sec"]),
        seed=request.config.seed,
    )
