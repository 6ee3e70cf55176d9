"""Generates text."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, overload

import bit_axon._engine as engine
from bit_axon._errors import InvalidArgument
from bit_axon.inference.config import (
    GenerateConfig,
    GenerateResult,
    GenerationResponse,
    TokenLogprobs,
    engine_options,
)
from bit_axon.inference.slow import LogitsProcessor, SlowLoop, SlowStream, StoppingCriterion
from bit_axon.inference.stream import GenerationStream, Request, settings_of, text_side
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


@overload
def generate(
    model: LanguageModel,
    tokenizer: Any,
    prompt: str | Sequence[int],
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
    prompt: str | Sequence[int],
    config: GenerateConfig | None = None,
    *,
    stream: Literal[True],
    chat: bool = False,
    messages: Messages | None = None,
    **options: Any,
) -> GenerationStream: ...


def generate(
    model: LanguageModel,
    tokenizer: Any,
    prompt: str | Sequence[int],
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
    n_logprobs = None if logprobs is None or logprobs is False else int(logprobs)
    made: GenerationStream
    if logits_processors or stopping_criteria or n_logprobs is not None:
        made = SlowStream(SlowLoop(request, logits_processors, stopping_criteria, n_logprobs))
    else:
        made = GenerationStream(request)
    if stream:
        return made
    if on_text is None and type(made) is GenerationStream and request.side.is_engine:
        made._engine.run()
        made._done = True
        return made._finish()
    for piece in made:
        if on_text is not None:
            on_text(piece)
    return made._finish()


def stream_generate(
    model: LanguageModel,
    tokenizer: Any,
    prompt: str | Sequence[int],
    config: GenerateConfig | None = None,
    *,
    chat: bool = False,
    messages: Messages | None = None,
    cache: list[Any] | None = None,
    logits_processors: Sequence[LogitsProcessor] = (),
    logprobs: int | bool | None = None,
    **options: Any,
) -> Iterator[GenerationResponse]:
    """Generates token by token. The arguments are those of generate().

    Yields:
        A GenerationResponse for each token.
    """
    settings = settings_of(model, config, options)
    request = Request(model, tokenizer, prompt, settings, chat, messages, cache)
    start = time.perf_counter()
    n_logprobs = None if logprobs is None or logprobs is False else int(logprobs)
    loop: SlowLoop | None = None
    if logits_processors or n_logprobs is not None:
        loop = SlowLoop(request, logits_processors, (), n_logprobs)
        made: GenerationStream = SlowStream(loop)
    else:
        made = GenerationStream(request)
    return _responses(made, request, loop, start)


def _responses(
    made: GenerationStream, request: Request, loop: SlowLoop | None, start: float
) -> Iterator[GenerationResponse]:
    facts = request.model.info
    memory = (facts["weight_bytes"] + facts["state_bytes"] + facts["activation_bytes"]) / 1e9
    held: GenerationResponse | None = None
    first, count = 0.0, 0
    while not made._done:
        ids, text, last = made._pieces(True)
        now = time.perf_counter()
        if held is not None and not ids:
            held.text += text
        for index, token in enumerate(ids):
            if held is not None:
                yield held
            first = first or now
            count += 1
            rate = (count - 1) / (now - first) if now > first else 0.0
            held = GenerationResponse(
                text=text if index == len(ids) - 1 else "",
                token=token,
                logprobs=loop.logprobs[-1] if loop is not None and loop.logprobs else None,
                prompt_tokens=len(request.ids),
                prompt_tps=len(request.ids) / max(first - start, 1e-9),
                generation_tokens=count,
                generation_tps=rate,
                peak_memory=memory,
            )
        if last and held is not None:
            held.finish_reason = made._finish().finish_reason
    if held is not None:
        yield held


def batch_generate(
    model: LanguageModel,
    tokenizer: Any,
    prompts: Sequence[str | Sequence[int]],
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
    settings = settings_of(model, config, options)
    inputs: Sequence[Any] = prompts if messages is None else messages
    if seeds is not None and len(seeds) != len(inputs):
        raise InvalidArgument(f"seeds: expected {len(inputs)}, one per prompt, got {len(seeds)}")
    sides, prompt_ids, each = [], [], []
    for index, one in enumerate(inputs):
        side = text_side(model, tokenizer)
        ids = side.prompt_ids(
            "" if messages is not None else one, chat, one if messages is not None else None
        )
        seed = (settings.seed or 0) + index if seeds is None else int(seeds[index])
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
            ids = side.push_all(ids, settings.stop)
            text = side.text
            reason = "stop" if side.stopped else reason
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
