"""Generates text."""

from __future__ import annotations

import asyncio
import operator
import secrets
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import numpy.typing as npt

import bit_axon._engine as engine
from bit_axon._errors import Error, InvalidArgument
from bit_axon.inference.text import DuckText, EngineText, TokenText
from bit_axon.model import LanguageModel
from bit_axon.tokenizer import Messages, QwenTokenizerWrapper

if TYPE_CHECKING:
    from typing_extensions import Self

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

LogitsProcessor = Callable[[npt.NDArray[np.int32], npt.NDArray[np.float32]], Any]
StoppingCriterion = Callable[[list[int], str], bool]


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


def _config_with(config: GenerateConfig, options: Mapping[str, Any]) -> GenerateConfig:
    """`config` with keyword arguments of generate()."""
    changes: dict[str, Any] = {}
    for name, value in options.items():
        if name == "do_sample":
            if value is False:
                changes["temperature"] = 0.0
            continue
        known = _OTHER_NAMES.get(name, name)
        if known not in GenerateConfig.__dataclass_fields__:
            raise TypeError(f"generate() got an unexpected keyword argument {name!r}")
        if known in changes and name != "temperature":
            raise InvalidArgument(f"{name}: expected one name of {known}, got two")
        if value is None and known != "seed":
            continue
        if known == "stop" and isinstance(value, str):
            value = [value]
        if known == "stop_ids" and isinstance(value, int):
            value = [value]
        changes[known] = value
    return replace(config, **changes)


def _settings(
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
    made = _config_with(config, options)
    if made.seed is None:
        made = replace(made, seed=secrets.randbits(32))
    return made


def _engine_options(config: GenerateConfig, extra_ends: Sequence[int]) -> dict[str, Any]:
    try:
        stop = (
            [config.stop] if isinstance(config.stop, str) else [str(text) for text in config.stop]
        )
        return {
            "max_tokens": operator.index(config.max_tokens),
            "temperature": float(config.temperature),
            "top_k": operator.index(config.top_k),
            "top_p": float(config.top_p),
            "min_p": float(config.min_p),
            "repetition_penalty": float(config.repetition_penalty),
            "seed": operator.index(config.seed or 0) & (2**64 - 1),
            "stop": stop,
            "stop_ids": [int(i) for i in (*config.stop_ids, *extra_ends)],
            "ignore_eos": bool(config.ignore_eos),
        }
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"config: expected numbers and texts: {error}") from None


def _text_side(model: LanguageModel, tokenizer: Any) -> TokenText:
    if isinstance(tokenizer, QwenTokenizerWrapper):
        return EngineText(model._ready(), tokenizer)
    return DuckText(tokenizer)


class _Request:
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
        self.side = _text_side(model, tokenizer)
        self.ids = self.side.prompt_ids(prompt, chat, messages)
        ends = [] if config.ignore_eos else self.side.extra_ends()
        self.options = _engine_options(config, ends)
        if not self.side.is_engine:
            self.options["stop"] = []  # found in Python
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

    def __init__(self, request: _Request) -> None:
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


def _result_of(facts: Mapping[str, Any], request: _Request) -> GenerateResult:
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


class _SlowLoop:
    """Generation with functions of Python between the tokens: one step at a time."""

    def __init__(
        self,
        request: _Request,
        processors: Sequence[LogitsProcessor],
        criteria: Sequence[StoppingCriterion],
        logprobs: int | None,
    ) -> None:
        self.request, self.processors, self.criteria = request, processors, criteria
        self.n_logprobs = logprobs
        self.ids: list[int] = []
        self.logprobs: list[TokenLogprobs] = []
        self.finish_reason = "length"
        self.start = time.perf_counter()
        self.first: float | None = None
        self.side = request.side
        ends = [*request.options["stop_ids"]]
        if not request.config.ignore_eos:
            ends += self.side.all_ends(request.model)
        self.ends = frozenset(ends)

    def _logits(self, ids: Sequence[int]) -> npt.NDArray[np.float32]:
        array = np.asarray([ids], dtype=np.int32)
        row: npt.NDArray[np.float32] = self.request.sequences.forward(array, False)[0, 0]
        return row

    def _draw(self, logits: npt.NDArray[np.float32], seen: list[int], position: int) -> int:
        context = np.asarray(seen, dtype=np.int32)
        changed: Any = logits
        for processor in self.processors:
            changed = processor(context, changed)
        row = np.ascontiguousarray(np.asarray(changed), dtype=np.float32).reshape(-1)
        if row.shape != logits.shape:
            raise InvalidArgument(
                f"logits_processors: expected {logits.size} logits back, got {row.size}"
            )
        return int(engine.sample(row[None], self.request.options, seen, position)[0])

    def _note(self, logits: npt.NDArray[np.float32], token: int) -> None:
        if self.n_logprobs is None:
            return
        wide = logits.astype(np.float64)
        largest = float(wide.max())
        log_sum = largest + float(np.log(np.exp(wide - largest).sum()))
        best = np.argsort(-wide, kind="stable")[: self.n_logprobs]
        top = [(int(i), float(wide[i]) - log_sum) for i in best]
        self.logprobs.append(TokenLogprobs(token, float(wide[token]) - log_sum, top))

    def tokens(self) -> Iterator[tuple[int, str]]:
        """Each token with the text that it completes."""
        request = self.request
        prompt = self.side.with_beginning(request.ids, request.model, request.sequences.position)
        room = request.model.context - request.sequences.position - len(prompt)
        fed, seen = list(prompt), list(prompt)
        for _ in range(min(request.config.max_tokens, room + 1)):
            try:
                logits = self._logits(fed)
            except Error as error:
                raise request.prefill_failure(error) from None
            token = self._draw(logits, seen, request.sequences.position)
            if self.first is None:
                self.first = time.perf_counter()
            if token in self.ends:
                self.finish_reason = "stop"
                break
            self.ids.append(token)
            self._note(logits, token)
            seen.append(token)
            fed = [token]
            yield token, self.side.push([token], request.config.stop)
            stops = any(stop(self.ids, self.side.text) for stop in self.criteria)
            if self.side.stopped or stops:
                self.finish_reason = "stop"
                break
        rest = self.side.finish()
        if rest:
            yield -1, rest

    def result(self) -> GenerateResult:
        end = time.perf_counter()
        first = self.first if self.first is not None else end
        n = len(self.ids)
        rate = (n - 1) / (end - first) if n > 1 and end > first else 0.0
        prompt = max(first - self.start, 1e-9)
        return GenerateResult(
            text=self.side.text,
            token_ids=self.ids,
            prompt_tokens=len(self.request.ids),
            completion_tokens=n,
            tokens_per_sec=rate,
            time_to_first_token_ms=(first - self.start) * 1000,
            finish_reason=self.finish_reason,
            prompt_tokens_per_sec=len(self.request.ids) / prompt,
            logprobs=self.logprobs if self.n_logprobs is not None else None,
            seed=self.request.config.seed,
        )

    def stream(self) -> Generator[str, None, GenerateResult]:
        for _, text in self.tokens():
            if text:
                yield text
        return self.result()


class _SlowStream(GenerationStream):
    """GenerationStream over a _SlowLoop."""

    def __init__(self, loop: _SlowLoop) -> None:
        self._loop = loop
        self._source = loop.tokens()
        self._done = False
        self._result = None

    def _finish(self) -> GenerateResult:
        if self._result is None:
            self._result = self._loop.result()
        return self._result

    def _pieces(self, single: bool) -> tuple[list[int], str, bool]:
        for token, text in self._source:
            if text or single:
                return ([] if token < 0 else [token]), text, False
        self._done = True
        return [], "", True

    def close(self) -> None:
        self._source.close()  # type: ignore[attr-defined]
        self._done = True
        self._finish()


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
    settings = _settings(model, config, options)
    request = _Request(model, tokenizer, prompt, settings, chat, messages, cache)
    n_logprobs = None if logprobs is None or logprobs is False else int(logprobs)
    made: GenerationStream
    if logits_processors or stopping_criteria or n_logprobs is not None:
        made = _SlowStream(_SlowLoop(request, logits_processors, stopping_criteria, n_logprobs))
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
    settings = _settings(model, config, options)
    request = _Request(model, tokenizer, prompt, settings, chat, messages, cache)
    start = time.perf_counter()
    n_logprobs = None if logprobs is None or logprobs is False else int(logprobs)
    loop: _SlowLoop | None = None
    if logits_processors or n_logprobs is not None:
        loop = _SlowLoop(request, logits_processors, (), n_logprobs)
        made: GenerationStream = _SlowStream(loop)
    else:
        made = GenerationStream(request)
    return _responses(made, request, loop, start)


def _responses(
    made: GenerationStream, request: _Request, loop: _SlowLoop | None, start: float
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
    settings = _settings(model, config, options)
    inputs: Sequence[Any] = prompts if messages is None else messages
    if seeds is not None and len(seeds) != len(inputs):
        raise InvalidArgument(f"seeds: expected {len(inputs)}, one per prompt, got {len(seeds)}")
    sides, prompt_ids, each = [], [], []
    for index, one in enumerate(inputs):
        side = _text_side(model, tokenizer)
        ids = side.prompt_ids(
            "" if messages is not None else one, chat, one if messages is not None else None
        )
        seed = (settings.seed or 0) + index if seeds is None else int(seeds[index])
        own = replace(settings, seed=seed)
        sides.append(side)
        prompt_ids.append(ids)
        each.append(_engine_options(own, [] if own.ignore_eos else side.extra_ends()))
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
