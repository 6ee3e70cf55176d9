"""Generation: the program's text, streams, batches, stop texts, Python between the tokens."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import bit_axon
import numpy as np
import pytest
from bit_axon import BitAxonModel, QwenTokenizerWrapper
from bit_axon.inference import (
    GenerateConfig,
    GenerateResult,
    batch_generate,
    generate,
    load_model,
    stream_generate,
)
from conftest import BUNDLED
from hypothesis import given, settings
from hypothesis import strategies as st

CONFIG = GenerateConfig(max_tokens=40, seed=1)


class Letters:
    """A tokenizer with one token per character, as a user may write it."""

    eos_token_id = 10

    def encode(self, text: str) -> list[int]:
        return [ord(c) % 1024 for c in text]

    def decode(self, ids: list[int], skip_special_tokens: bool = True) -> str:
        return "".join(chr(33 + i % 90) for i in ids)

    def apply_chat_template(
        self, messages: list[dict[str, str]], add_generation_prompt: bool = False
    ) -> list[int]:
        return self.encode("".join(f"<{m['role']}>{m['content']}" for m in messages) + ">")


@pytest.fixture(scope="module")
def expected(shakespeare: BitAxonModel, tokenizer: QwenTokenizerWrapper) -> GenerateResult:
    return generate(shakespeare, tokenizer, "ROMEO:", CONFIG)


def test_defaults_are_those_of_the_documentation() -> None:
    config = GenerateConfig()
    assert (config.max_tokens, config.temperature, config.top_k) == (512, 0.6, 50)
    assert (config.top_p, config.repetition_penalty, config.seed) == (0.95, 1.0, None)


def test_the_result(expected: GenerateResult, tokenizer: QwenTokenizerWrapper) -> None:
    assert expected.text == tokenizer.decode(expected.token_ids)
    assert expected.completion_tokens == len(expected.token_ids) == 40
    assert expected.prompt_tokens == len(tokenizer.encode("ROMEO:"))
    assert expected.tokens_per_sec > 0
    assert expected.time_to_first_token_ms is not None
    assert expected.time_to_first_token_ms > 0
    assert expected.finish_reason == "length"


def test_a_seed_gives_the_same_text(
    shakespeare: BitAxonModel, tokenizer: QwenTokenizerWrapper, expected: GenerateResult
) -> None:
    assert generate(shakespeare, tokenizer, "ROMEO:", CONFIG).text == expected.text
    texts = {generate(shakespeare, tokenizer, "ROMEO:", max_tokens=30).text for _ in range(4)}
    assert len(texts) > 1
    free = generate(shakespeare, tokenizer, "ROMEO:", max_tokens=30)
    again = generate(shakespeare, tokenizer, "ROMEO:", max_tokens=30, seed=free.seed)
    assert again.text == free.text


def test_a_stream_has_the_text_and_the_result(
    shakespeare: BitAxonModel, tokenizer: QwenTokenizerWrapper, expected: GenerateResult
) -> None:
    stream = generate(shakespeare, tokenizer, "ROMEO:", CONFIG, stream=True)
    assert stream.return_value is None
    pieces = []
    while True:
        try:
            pieces.append(next(stream))
        except StopIteration as stop:
            assert stop.value is stream.return_value is stream.result
            break
    assert "".join(pieces) == expected.text
    assert stream.return_value is not None
    assert stream.return_value.token_ids == expected.token_ids
    assert list(stream) == []


def test_a_closed_stream_computes_no_more(
    shakespeare: BitAxonModel, tokenizer: QwenTokenizerWrapper, expected: GenerateResult
) -> None:
    cache = shakespeare.new_cache()
    with generate(shakespeare, tokenizer, "ROMEO:", CONFIG, stream=True, cache=cache) as stream:
        first = next(stream)
    result = stream.return_value
    assert result is not None
    assert expected.text.startswith(first)
    assert result.finish_reason == "interrupted"
    assert cache.position == result.prompt_tokens + result.completion_tokens


def test_streams_and_calls_take_turns(
    shakespeare: BitAxonModel, tokenizer: QwenTokenizerWrapper, expected: GenerateResult
) -> None:
    streams = [generate(shakespeare, tokenizer, "ROMEO:", CONFIG, stream=True) for _ in range(3)]
    texts = [""] * 3
    for turn in range(200):
        index = turn % 3
        texts[index] += next(streams[index], "")
        if turn % 10 == 0:
            shakespeare(np.array([[turn, 2, 3]]))
    assert texts == [expected.text] * 3


def test_more_streams_than_slots(tokenizer: QwenTokenizerWrapper, expected: GenerateResult) -> None:
    with load_model(BUNDLED, precision="exact", parallel=2) as model:
        caches = [model.new_cache() for _ in range(7)]
        streams = [generate(model, tokenizer, "ROMEO:", CONFIG, True, cache=c) for c in caches]
        texts = [""] * 7
        for turn in range(7 * 45):
            texts[turn * 3 % 7] += next(streams[turn * 3 % 7], "")
        assert texts == [expected.text] * 7
        assert [cache.position for cache in caches] == [42] * 7


def test_a_cache_belongs_to_its_stream(
    shakespeare: BitAxonModel, tokenizer: QwenTokenizerWrapper
) -> None:
    cache = shakespeare.new_cache()
    stream = generate(shakespeare, tokenizer, "ROMEO:", CONFIG, stream=True, cache=cache)
    next(stream)
    for call in (
        lambda: shakespeare(np.array([[1]]), cache=cache),
        lambda: generate(shakespeare, tokenizer, "a", CONFIG, cache=cache),
        cache.fork,
        cache.reset,
    ):
        with pytest.raises(bit_axon.InvalidArgument, match="close the stream"):
            call()
    stream.close()
    shakespeare(np.array([[1]]), cache=cache)


def test_async_iteration(
    shakespeare: BitAxonModel, tokenizer: QwenTokenizerWrapper, expected: GenerateResult
) -> None:
    async def read() -> str:
        pieces = []
        async for piece in generate(shakespeare, tokenizer, "ROMEO:", CONFIG, stream=True):
            pieces.append(piece)
        return "".join(pieces)

    async def both() -> list[str]:
        return list(await asyncio.gather(read(), read()))

    assert asyncio.run(both()) == [expected.text] * 2


def test_tokens_one_by_one(
    shakespeare: BitAxonModel, tokenizer: QwenTokenizerWrapper, expected: GenerateResult
) -> None:
    for options in ({}, {"logprobs": 2}):
        responses = list(stream_generate(shakespeare, tokenizer, "ROMEO:", CONFIG, **options))
        assert [r.token for r in responses] == expected.token_ids
        assert "".join(r.text for r in responses) == expected.text
        assert [r.finish_reason for r in responses][-2:] == [None, "length"]
        assert responses[-1].generation_tokens == 40
        assert responses[0].peak_memory > 0


def test_batches_equal_single_answers(
    shakespeare: BitAxonModel, tokenizer: QwenTokenizerWrapper
) -> None:
    prompts = ["ROMEO:", "JULIET: O", "x", "First Citizen:\n" * 30, "ROMEO:"] * 3
    together = batch_generate(shakespeare, tokenizer, prompts, CONFIG)
    assert len(together) == len(prompts)
    for index, result in enumerate(together):
        alone = generate(shakespeare, tokenizer, prompts[index], CONFIG, seed=1 + index)
        assert result.text == alone.text
        assert result.token_ids == alone.token_ids
        assert result.finish_reason == alone.finish_reason
    assert batch_generate(shakespeare, tokenizer, []) == []


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), stop=st.sampled_from(["king", "\n", "the", "e", " I"]))
def test_stop_texts(
    shakespeare: BitAxonModel, tokenizer: QwenTokenizerWrapper, seed: int, stop: str
) -> None:
    whole = generate(shakespeare, tokenizer, "ROMEO:", max_tokens=40, seed=seed).text
    fast = generate(shakespeare, tokenizer, "ROMEO:", max_tokens=40, seed=seed, stop=[stop])
    slow = generate(
        shakespeare, tokenizer, "ROMEO:", max_tokens=40, seed=seed, stop=stop, logprobs=0
    )
    (batch,) = batch_generate(
        shakespeare, tokenizer, ["ROMEO:"], max_tokens=40, seed=seed, stop=[stop]
    )
    assert fast.text == slow.text == batch.text == whole.split(stop)[0]
    assert (fast.finish_reason == "stop") == (stop in whole)
    assert fast.finish_reason == slow.finish_reason == batch.finish_reason


def test_any_object_is_a_tokenizer(shakespeare: BitAxonModel) -> None:
    letters = Letters()
    whole = generate(shakespeare, letters, "hello", CONFIG)
    assert whole.text == letters.decode(whole.token_ids)
    assert whole.prompt_tokens == 5
    assert "".join(generate(shakespeare, letters, "hello", CONFIG, stream=True)) == whole.text
    stop = whole.text[5:7]
    stopped = generate(shakespeare, letters, "hello", CONFIG, stop=[stop])
    assert stopped.text == whole.text[: whole.text.index(stop)]
    assert stopped.finish_reason == "stop"
    chat = generate(shakespeare, letters, "hello", CONFIG, chat=True)
    assert chat.prompt_tokens == len(letters.encode("<user>hello>"))
    (batch,) = batch_generate(shakespeare, letters, ["hello"], CONFIG)
    assert batch.text == whole.text
    with pytest.raises(bit_axon.InvalidArgument, match="encode"):
        generate(shakespeare, object(), "hello")


def test_any_token_may_end_the_answer(
    shakespeare: BitAxonModel, tokenizer: QwenTokenizerWrapper, expected: GenerateResult
) -> None:
    end = expected.token_ids[7]
    at = expected.token_ids.index(end)
    for extra in ({}, {"logprobs": 1}):
        result = generate(shakespeare, tokenizer, "ROMEO:", CONFIG, eos_token_id=end, **extra)
        assert result.token_ids == expected.token_ids[:at]
        assert result.finish_reason == "stop"


def test_a_cache_continues_the_conversation(
    shakespeare: BitAxonModel, tokenizer: QwenTokenizerWrapper
) -> None:
    cache = shakespeare.new_cache()
    first = generate(shakespeare, tokenizer, "ROMEO:", CONFIG, cache=cache)
    second = generate(shakespeare, tokenizer, "JULIET:", CONFIG, cache=cache)
    ids = [*tokenizer.encode("ROMEO:"), *first.token_ids, *tokenizer.encode("JULIET:")]
    assert generate(shakespeare, tokenizer, ids, CONFIG).text == second.text
    assert cache.position == len(ids) + second.completion_tokens


@pytest.mark.parametrize("options", [{}, {"logprobs": 0}])
def test_a_cache_holds_the_answer(
    shakespeare: BitAxonModel, tokenizer: QwenTokenizerWrapper, options: dict[str, Any]
) -> None:
    cache = shakespeare.new_cache()
    config = GenerateConfig(max_tokens=20, seed=3, repetition_penalty=1.4)
    first = generate(shakespeare, tokenizer, "ROMEO:", config, cache=cache, **options)
    assert cache.position == first.prompt_tokens + 20
    twin = cache.fork()
    slow = generate(shakespeare, tokenizer, "\n", config, cache=cache, logprobs=0)
    fast = generate(shakespeare, tokenizer, "\n", config, cache=twin)
    assert slow.text == fast.text
    assert cache.to_bytes() == twin.to_bytes()
    stream = generate(shakespeare, tokenizer, "\n", config, stream=True, cache=cache, **options)
    next(stream)
    stream.close()
    assert stream.result is not None
    assert cache.position == twin.position + 1 + stream.result.completion_tokens


def test_processors_and_criteria(
    shakespeare: BitAxonModel, tokenizer: QwenTokenizerWrapper, expected: GenerateResult
) -> None:
    calls: list[tuple[int, tuple[int, ...]]] = []

    def look(ids: Any, logits: Any) -> Any:
        calls.append((len(ids), logits.shape))
        return logits

    same = generate(shakespeare, tokenizer, "ROMEO:", CONFIG, logits_processors=[look])
    assert same.text == expected.text
    assert calls[:2] == [(2, (1024,)), (3, (1024,))]

    banned = expected.token_ids[0]

    def ban(ids: Any, logits: Any) -> Any:
        logits[banned] = -np.inf
        return logits

    other = generate(shakespeare, tokenizer, "ROMEO:", CONFIG, logits_processors=[ban])
    assert banned not in other.token_ids
    short = generate(
        shakespeare,
        tokenizer,
        "ROMEO:",
        CONFIG,
        stopping_criteria=[lambda ids, text: len(ids) >= 5],
    )
    assert short.token_ids == expected.token_ids[:5]
    assert short.finish_reason == "stop"
    with pytest.raises(bit_axon.InvalidArgument, match="1024 logits"):
        generate(
            shakespeare, tokenizer, "a", CONFIG, logits_processors=[lambda ids, logits: logits[:5]]
        )
    with pytest.raises(bit_axon.InvalidArgument, match="finite"):
        generate(
            shakespeare,
            tokenizer,
            "a",
            CONFIG,
            logits_processors=[lambda ids, logits: logits * np.nan],
        )


def test_logprobs_are_those_of_the_logits(
    shakespeare: BitAxonModel, tokenizer: QwenTokenizerWrapper
) -> None:
    result = generate(shakespeare, tokenizer, "ROMEO:", CONFIG, logprobs=5)
    assert result.logprobs is not None
    logits, _ = shakespeare(np.array([[*tokenizer.encode("ROMEO:"), *result.token_ids]]))
    rows = logits[0, 1:-1].astype(np.float64)
    rows -= np.log(
        np.exp(rows - rows.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True)
    ) + rows.max(axis=1, keepdims=True)
    for row, entry in zip(rows, result.logprobs):
        assert entry.logprob == pytest.approx(row[entry.token_id], abs=1e-4)
        assert [pair[0] for pair in entry.top] == np.argsort(-row, kind="stable")[:5].tolist()


def test_a_repetition_penalty_counts_alike_in_both_loops(
    shakespeare: BitAxonModel, tokenizer: QwenTokenizerWrapper
) -> None:
    options: dict[str, Any] = {"max_tokens": 30, "seed": 5, "repeat_penalty": 1.3}
    fast = generate(shakespeare, tokenizer, "ROMEO: ROMEO:", **options)
    slow = generate(shakespeare, tokenizer, "ROMEO: ROMEO:", logprobs=0, **options)
    assert fast.text == slow.text


def test_names_of_other_libraries(
    shakespeare: BitAxonModel, tokenizer: QwenTokenizerWrapper
) -> None:
    greedy = generate(shakespeare, tokenizer, "ROMEO:", max_tokens=8, temperature=0)
    for options in ({"max_new_tokens": 8, "do_sample": False}, {"max_tokens": 8, "temp": 0.0}):
        assert generate(shakespeare, tokenizer, "ROMEO:", **options).text == greedy.text
    for options in ({"do_sample": False, "temp": 1.5}, {"temp": 1.5, "do_sample": 0}):
        result = generate(shakespeare, tokenizer, "ROMEO:", max_tokens=8, **options)
        assert result.text == greedy.text
    with pytest.raises(TypeError, match="stream_generate"):
        stream_generate(shakespeare, tokenizer, "ROMEO:", max_token=8)
    with pytest.raises(TypeError, match="max_token"):
        generate(shakespeare, tokenizer, "ROMEO:", max_token=8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 1.5}, "top-p"),
        ({"top_k": -1}, "top_k"),
        ({"min_p": 2}, "min-p"),
        ({"repetition_penalty": 0}, "penalty"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"stop": [""]}, "stop"),
        ({"stop": [""], "logprobs": 0}, "stop"),
        ({"max_tokens": -1, "logprobs": 0}, "max_tokens"),
        ({"temperature": -1, "logprobs": 0}, "temperature"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"num_return_sequences": 2}, "batch_generate"),
        ({"top_k": 2.5}, "top_k"),
        ({"max_tokens": 2**70}, "max_tokens"),
        ({"config": 5}, "GenerateConfig"),
        ({"logprobs": -1}, "logprobs"),
        ({"logprobs": "x"}, "logprobs"),
        ({"stop": 5}, "stop"),
    ],
)
def test_bad_options(
    shakespeare: BitAxonModel,
    tokenizer: QwenTokenizerWrapper,
    options: dict[str, Any],
    message: str,
) -> None:
    for stream in (False, True):
        with pytest.raises(bit_axon.InvalidArgument, match=message):
            made = generate(shakespeare, tokenizer, "ROMEO:", stream=stream, **options)
            next(made)  # options that only the draw checks


def test_bad_prompts(shakespeare: BitAxonModel, tokenizer: QwenTokenizerWrapper) -> None:
    for prompt, message in (
        ("", "at least one token"),
        ([], "at least one token"),
        ([5000], "tokenizer of this model"),
        ([1] * 4097, "4096|fit"),
        ("\ud800", "Unicode"),
        (np.array([[1, 2], [3, 4]]), "one sequence"),
        (None, "array of numbers"),
    ):
        with pytest.raises(bit_axon.InvalidArgument, match=message):
            generate(shakespeare, tokenizer, prompt)  # type: ignore[call-overload]
    with pytest.raises(bit_axon.InvalidArgument, match="load_model"):
        generate("model", tokenizer, "a")  # type: ignore[call-overload]


def test_the_context_ends_the_answer(tokenizer: QwenTokenizerWrapper) -> None:
    with load_model(BUNDLED, context=20) as model:
        fast = generate(model, tokenizer, "ROMEO:", seed=1)
        slow = generate(model, tokenizer, "ROMEO:", seed=1, logprobs=0)
        (batch,) = batch_generate(model, tokenizer, ["ROMEO:"], seed=1)
    assert fast.finish_reason == "length"
    assert fast.token_ids == slow.token_ids == batch.token_ids
    assert fast.prompt_tokens + fast.completion_tokens == 21


def test_threads_share_a_model(
    shakespeare: BitAxonModel, tokenizer: QwenTokenizerWrapper, expected: GenerateResult
) -> None:
    texts: list[str] = []

    def work(index: int) -> None:
        if index % 2:
            texts.append(generate(shakespeare, tokenizer, "ROMEO:", CONFIG).text)
        else:
            stream = generate(shakespeare, tokenizer, "ROMEO:", CONFIG, stream=True)
            texts.append("".join(stream))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == [expected.text] * 8


def test_defaults_of_the_model_are_used(tmp_path: Path, tokenizer: QwenTokenizerWrapper) -> None:
    for file in BUNDLED.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "generation_config.json").write_text('{"do_sample": false, "top_k": 7}')
    with load_model(tmp_path) as model:
        assert model.generation_defaults() == {"temperature": 0.0, "top_k": 7}
        greedy = generate(model, tokenizer, "ROMEO:", temperature=0, max_tokens=9)
        assert generate(model, tokenizer, "ROMEO:", max_tokens=9).text == greedy.text
