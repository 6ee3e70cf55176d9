"""Generates text."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, overload

import bit_axon._engine as engine
from bit_axon._arrays import Array
from bit_axon._errors import InvalidArgument
from bit_axon.inference.config import (
    GenerateConfig,
    GenerateResult,
    GenerationResponse,
    TokenLogprobs,
    count_of,
    engine_options,
)
from bit_axon.inference.slow import LogitsProcessor, SlowStream, StoppingCriterion
from bit_axon.inference.stream import GenerationStream, Part, Request, settings_of, text_side
from bit_axon.model import LanguageModel
from bit_axon.tokenizer import Messages

__all__ = [
    "GenerateConfig",
    "GenerateResult",
    "GenerationResponse",
    "GenerationStream",
    "TokenLogprobs",
    "batch_generate",
    "generate",
    "stream_generate",
]

Prompt = str | Sequence[int] | Array


@overload
def generate(
    model: LanguageModel,
    tokenizer: Any,
    prompt: Prompt,
    config: GenerateConfig | None = None,
    stream: Literal[False] = False,
    chat: bool = False,
    messages: Messages | None = None,
    **options: Any,
) -> GenerateResult: ...


@overload
def generate(
    model: LanguageModel,
    tokenizer: Any,
    prompt: Prompt,
    config: GenerateConfig | None,
    stream: Literal[True],
    chat: bool = False,
    messages: Messages | None = None,
    **options: Any,
) -> GenerationStream: ...


@overload
def generate(
    model: LanguageModel,
    tokenizer: Any,
    prompt: Prompt,
    config: GenerateConfig | None = None,
    *,
    stream: Literal[True],
    chat: bool = False,
    messages: Messages | None = None,
    **options: Any,
) -> GenerationStream: ...


@overload
def generate(
    model: LanguageModel,
    tokenizer: Any,
    prompt: Prompt,
    config: GenerateConfig | None = None,
    stream: bool = False,
    chat: bool = False,
    messages: Messages | None = None,
    **options: Any,
) -> GenerateResult | GenerationStream: ...


def generate(
    model: LanguageModel,
    tokenizer: Any,
    prompt: Prompt,
    config: GenerateConfig | None = None,
    stream: bool = False,
    chat: bool = False,
    messages: Messages | None = None,
    *,
    cache: list[Any] | None = None,
    logits_processors: Sequence[LogitsProcessor] = (),
    stopping_criteria: Sequence[StoppingCriterion] = (),
    logprobs: int | bool | None = None,
    on_text: Callable[[str], object] | None = None,
    **options: Any,
) -> GenerateResult | GenerationStream:
    """Generates an answer to a prompt.

    Args:
        model: A model of bit_axon.load() or load_model().
        tokenizer: A QwenTokenizerWrapper, or any object with encode(), decode(), eos_token_id and,
            for chats, apply_chat_template().
        prompt: A text, or token ids.
        config: How tokens are chosen. None: the defaults of GenerateConfig, and what the model's
            generation_config.json says.
        stream: Whether to return a GenerationStream. Then the prompt is fed before the return.
        chat: Whether the prompt is a message of a user, for the model's chat template.
        messages: A conversation in place of the prompt: [{"role": ..., "content": ...}, ...].
        cache: Caches of one sequence, which the answer continues. Afterwards they hold the prompt
            and the answer.
        logits_processors: Functions (ids, logits) -> logits that change the logits before a token
            is drawn. ids int32 [tokens of prompt and answer], logits float32 [vocab_size]. With
            them, steps are not submitted ahead, so generation is slower.
        stopping_criteria: Functions (ids of the answer, text) -> bool that end the answer. Slower
            as well.
        logprobs: The number of likeliest tokens to report with each token. Slower as well.
        on_text: Called with each piece of the text.
        options: Fields of GenerateConfig by their names, or by those of transformers
            (max_new_tokens, do_sample, eos_token_id, stop_strings), mlx-lm (temp) and
            llama-cpp-python (repeat_penalty).

    Returns:
        A GenerateResult, or with `stream` a GenerationStream.

    Raises:
        InvalidArgument: for parameters out of range, an empty prompt, ids outside the vocabulary,
            and a prompt that the context cannot hold.
        DeviceError: if logits are not finite.
    """
    n_answers = options.pop("num_return_sequences", 1)
    if n_answers != 1:
        raise InvalidArgument(
            f"num_return_sequences: expected 1, got {n_answers}; batch_generate() takes equal "
            "prompts with different seeds"
        )
    settings = settings_of(model, config, options)
    request = Request(model, tokenizer, prompt, settings, chat, messages, cache)
    made = _stream_of(request, logits_processors, stopping_criteria, logprobs)
    if stream:
        return made
    try:
        if on_text is None and type(made) is GenerationStream and request.side.is_engine:
            made._engine.run()
            made._state = replace(made._state, is_done=True)
            return made._finish()
        for piece in made:
            if on_text is not None:
                on_text(piece)
        return made._finish()
    except BaseException:
        made._abandon()
        raise


def _stream_of(
    request: Request,
    processors: Sequence[LogitsProcessor],
    criteria: Sequence[StoppingCriterion],
    logprobs: int | bool | None,
) -> GenerationStream:
    for name, functions in (("logits_processors", processors), ("stopping_criteria", criteria)):
        if not isinstance(functions, (list, tuple)) or not all(callable(f) for f in functions):
            raise InvalidArgument(f"{name}: expected a list of functions, got {functions!r}")
    n_logprobs = None if logprobs is None or logprobs is False else count_of("logprobs", logprobs)
    if processors or criteria or n_logprobs is not None:
        return SlowStream(request, processors, criteria, n_logprobs)
    return GenerationStream(request)


def stream_generate(
    model: LanguageModel,
    tokenizer: Any,
    prompt: Prompt,
    config: GenerateConfig | None = None,
    *,
    chat: bool = False,
    messages: Messages | None = None,
    cache: list[Any] | None = None,
    logits_processors: Sequence[LogitsProcessor] = (),
    stopping_criteria: Sequence[StoppingCriterion] = (),
    logprobs: int | bool | None = None,
    **options: Any,
) -> Iterator[GenerationResponse]:
    """Generates token by token. The arguments are those of generate().

    Yields:
        A GenerationResponse for each token.
    """
    settings = settings_of(model, config, options, "stream_generate")
    request = Request(model, tokenizer, prompt, settings, chat, messages, cache)
    start = time.perf_counter()
    made = _stream_of(request, logits_processors, stopping_criteria, logprobs)
    return _Responses(made, request, start)


class _Responses(Iterator[GenerationResponse]):
    """The tokens of a stream. The latest one is held until it is known whether it is the last."""

    def __init__(self, stream: GenerationStream, request: Request, start: float) -> None:
        self._stream, self._request, self._start = stream, request, start
        facts = request.model.info
        n_bytes = facts["weight_bytes"] + facts["state_bytes"] + facts["activation_bytes"]
        self._gigabytes = n_bytes / 1e9
        self._first: float | None = None
        self._count = 0
        self._held: GenerationResponse | None = None
        self._ready: list[GenerationResponse] = []

    def __next__(self) -> GenerationResponse:
        while not self._ready:
            if self._stream._state.is_done:
                raise StopIteration
            part = self._stream._peek(True)
            ready, held, count = self._of(part)
            # No call comes between these lines, so no signal does.
            self._stream._state = part.state
            self._ready, self._held, self._count = ready, held, count
        first = self._ready[0]
        self._ready = self._ready[1:]
        return first

    def _of(self, part: Part) -> tuple[list[GenerationResponse], GenerationResponse | None, int]:
        now = time.perf_counter()
        if self._first is None:
            self._first = now
        made: list[GenerationResponse] = []
        if self._held is not None:
            rest = "" if part.ids else part.text
            made.append(replace(self._held, text=self._held.text + rest))
        count = self._count
        for index, token in enumerate(part.ids):
            count += 1
            made.append(self._response(part, index, token, count, now - self._first))
        if not part.state.is_done:
            return made[:-1], made[-1] if made else None, count
        if made:
            made[-1] = replace(made[-1], finish_reason=self._reason(part))
        return made, None, count

    def _response(
        self, part: Part, index: int, token: int, count: int, seconds: float
    ) -> GenerationResponse:
        logprobs = getattr(part.state, "logprobs", ())
        prompt_seconds = max((self._first or 0.0) - self._start, 1e-9)
        return GenerationResponse(
            text=part.text if index == len(part.ids) - 1 else "",
            token=token,
            logprobs=logprobs[-1] if logprobs else None,
            prompt_tokens=len(self._request.ids),
            prompt_tps=len(self._request.ids) / prompt_seconds,
            generation_tokens=count,
            generation_tps=(count - 1) / seconds if seconds > 0 else 0.0,
            peak_memory=self._gigabytes,
        )

    def _reason(self, part: Part) -> str:
        found = getattr(part.state, "finish_reason", None)
        if found is None:
            facts = self._stream._engine.result()
            found = str(facts["finish_reason"]) if facts is not None else "length"
        return "stop" if part.state.so_far.stopped else str(found)


def batch_generate(
    model: LanguageModel,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    config: GenerateConfig | None = None,
    *,
    chat: bool = False,
    messages: Sequence[Messages] | None = None,
    seeds: Sequence[int] | None = None,
    **options: Any,
) -> list[GenerateResult]:
    """Generates the answers of many prompts, several of them in each step.

    Args:
        prompts: Texts or token ids.
        messages: Conversations in place of the prompts.
        seeds: A seed for each prompt. Without them, prompt i has the seed `config.seed` + i.
        config, chat, options: As for generate().

    Returns:
        The answers, in the order of the prompts. Each is the answer that generate() gives with the
        same seed. The times are those of the whole batch.
    """
    settings = settings_of(model, config, options, "batch_generate")
    inputs: Sequence[Any] = prompts if messages is None else messages
    if seeds is not None and len(seeds) != len(inputs):
        raise InvalidArgument(f"seeds: expected {len(inputs)}, one per prompt, got {len(seeds)}")
    sides, prompt_ids, each = [], [], []
    for index, one in enumerate(inputs):
        side = text_side(model, tokenizer)
        ids = side.prompt_ids(
            "" if messages is not None else one, chat, one if messages is not None else None
        )
        seed = (settings.seed or 0) + index if seeds is None else count_of("seeds", seeds[index])
        own = replace(settings, seed=seed)
        sides.append(side)
        prompt_ids.append(ids)
        each.append(engine_options(own, [] if own.ignore_eos else side.extra_ends()))
        if not side.is_engine:
            each[-1]["stop"] = []
    start = time.perf_counter()
    handle = sides[0].handle if sides else None
    answers = engine.generate_batch(model._ready(), handle, prompt_ids, each)
    seconds = max(time.perf_counter() - start, 1e-9)
    total = sum(len(answer["token_ids"]) for answer in answers)
    results = []
    for answer, side, options_of_one in zip(answers, sides, each, strict=True):
        ids = list(answer["token_ids"])
        reason = str(answer["finish_reason"])
        text = str(answer["text"])
        if not side.is_engine:
            so_far = side.of_answer(ids, settings.stop)
            ids, text = list(so_far.ids), so_far.text
            reason = "stop" if so_far.stopped else reason
        results.append(
            GenerateResult(
                text=text,
                token_ids=ids,
                prompt_tokens=int(answer["prompt_tokens"]),
                completion_tokens=len(ids),
                tokens_per_sec=total / seconds,
                finish_reason=reason,
                seed=int(options_of_one["seed"]),
            )
        )
    return results
