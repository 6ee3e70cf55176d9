"""What a generation is asked for, and what it returns."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bit_axon._errors import InvalidArgument

__all__ = [
    "GenerateConfig",
    "GenerateResult",
    "GenerationResponse",
    "TokenLogprobs",
    "config_with",
    "count_of",
    "engine_options",
    "sampler_options",
]


@dataclass
class GenerateConfig:
    """How tokens are chosen, and where the answer ends.

    Attributes:
        max_tokens: The most tokens of the answer.
        temperature: 0 takes the likeliest token each time.
        top_k: Keeps the likeliest tokens. 0 keeps all.
        top_p: Keeps the likeliest tokens whose probabilities add up to this number. 1 keeps all.
        repetition_penalty: Makes tokens that the context has less likely. 1 is off.
        seed: Equal seeds give equal texts. None takes another one each time.
        min_p: Drops tokens below this share of the likeliest one's probability. 0 is off.
        stop: Texts that end the answer. The answer does not include them.
        stop_ids: More tokens that end the answer.
        ignore_eos: Whether the answer goes on after a token that ends a text.
    """

    max_tokens: int = 512
    temperature: float = 0.6
    top_k: int = 50
    top_p: float = 0.95
    repetition_penalty: float = 1.0
    seed: int | None = None
    min_p: float = 0.0
    stop: Sequence[str] = ()
    stop_ids: Sequence[int] = ()
    ignore_eos: bool = False


@dataclass
class TokenLogprobs:
    """How likely a token was.

    Attributes:
        token_id: The token.
        logprob: The logarithm of its probability, before temperature and filters.
        top: The likeliest tokens with their logarithms, likeliest first.
    """

    token_id: int
    logprob: float
    top: list[tuple[int, float]] = field(default_factory=list)


@dataclass
class GenerateResult:
    """An answer.

    Attributes:
        text: The text.
        token_ids: Its tokens, without the prompt and without the token that ended the text.
        prompt_tokens: Tokens of the prompt.
        completion_tokens: Tokens of the answer.
        tokens_per_sec: Tokens per second after the first token.
        time_to_first_token_ms: The time from the start until the first token.
        finish_reason: "stop", "length" or "interrupted".
        prompt_tokens_per_sec: Tokens of the prompt per second.
        logprobs: An entry for each token, if they were asked for.
        seed: The seed that gives this text again.
    """

    text: str
    token_ids: list[int]
    prompt_tokens: int
    completion_tokens: int
    tokens_per_sec: float
    time_to_first_token_ms: float | None = None
    finish_reason: str = "length"
    prompt_tokens_per_sec: float = 0.0
    logprobs: list[TokenLogprobs] | None = None
    seed: int | None = None


@dataclass
class GenerationResponse:
    """A token of stream_generate(), with the figures so far.

    Attributes:
        text: The text that the token completes, which may be empty.
        token: The token.
        logprobs: How likely it was, if that was asked for.
        prompt_tokens: Tokens of the prompt.
        prompt_tps: Tokens of the prompt per second.
        generation_tokens: Tokens generated so far.
        generation_tps: Tokens per second after the first token.
        peak_memory: The memory of the model in gigabytes (10^9 bytes).
        finish_reason: "stop" or "length" for the last token, else None.
    """

    text: str
    token: int
    logprobs: TokenLogprobs | None
    prompt_tokens: int
    prompt_tps: float
    generation_tokens: int
    generation_tps: float
    peak_memory: float
    finish_reason: str | None = None


# Names of transformers, mlx-lm and llama-cpp-python for the fields of GenerateConfig.
_OTHER_NAMES = {
    "max_new_tokens": "max_tokens",
    "temp": "temperature",
    "repeat_penalty": "repetition_penalty",
    "stop_strings": "stop",
    "eos_token_id": "stop_ids",
    "random_seed": "seed",
}


def config_with(
    config: GenerateConfig, options: Mapping[str, Any], function: str
) -> GenerateConfig:
    """`config` with keyword arguments of a function."""
    changes: dict[str, Any] = {}
    for name, value in options.items():
        if name == "do_sample":
            continue
        known = _OTHER_NAMES.get(name, name)
        if known not in GenerateConfig.__dataclass_fields__:
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}")
        if known in changes:
            raise InvalidArgument(f"{name}: expected one name of {known}, got two")
        if value is None and known != "seed":
            continue
        if known == "stop" and isinstance(value, str):
            value = [value]
        if known == "stop_ids" and isinstance(value, int):
            value = [value]
        changes[known] = value
    samples = options.get("do_sample")
    if samples is not None and not samples:
        changes["temperature"] = 0.0
    return replace(config, **changes)


def _checked(name: str, convert: Callable[[Any], Any], expected: str, value: Any) -> Any:
    try:
        return convert(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidArgument(f"{name}: expected {expected}, got {value!r}") from None


def count_of(name: str, value: Any) -> int:
    """A whole number that is not negative."""
    found = _checked(name, operator.index, "a whole number >= 0", value)
    if found < 0:
        raise InvalidArgument(f"{name}: expected a whole number >= 0, got {value!r}")
    return int(found)


def sampler_options(**values: Any) -> dict[str, Any]:
    """The parameters of a sampler as the engine takes them."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name == "top_k":
            found[name] = count_of(name, value)
        elif name == "seed":
            number = _checked(name, operator.index, "a whole number", value)
            found[name] = number & (2**64 - 1)
        else:
            found[name] = _checked(name, float, "a number", value)
    return found


def engine_options(config: GenerateConfig, extra_ends: Sequence[int]) -> dict[str, Any]:
    """A configuration as the engine takes it."""
    texts = [config.stop] if isinstance(config.stop, str) else config.stop
    stop = _checked("stop", list, "texts", texts)
    if not all(isinstance(text, str) and text for text in stop):
        raise InvalidArgument(f"stop: expected texts that are not empty, got {stop!r}")
    ids = _checked("stop_ids", list, "token ids", config.stop_ids)
    return {
        **sampler_options(
            temperature=config.temperature,
            top_k=config.top_k,
            top_p=config.top_p,
            min_p=config.min_p,
            repetition_penalty=config.repetition_penalty,
            seed=config.seed or 0,
        ),
        "max_tokens": count_of("max_tokens", config.max_tokens),
        "stop": stop,
        "stop_ids": [count_of("stop_ids", i) for i in (*ids, *extra_ends)],
        "ignore_eos": bool(config.ignore_eos),
    }
