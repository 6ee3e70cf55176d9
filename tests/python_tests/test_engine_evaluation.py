"""Evaluation of the engine's own models."""

from __future__ import annotations

import math
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bit_axon import BitAxonConfig, BitAxonModel, InvalidArgument, load
from bit_axon.evaluation import WikiTextDataset, compute_perplexity, evaluate_ppl, perplexity
from bit_axon.evaluation._scores import choice_logprobs
from bit_axon.inference import generate
from bit_axon.tokenizer import QwenTokenizerWrapper

MODEL = Path(__file__).parents[2] / "models" / "tiny-shakespeare"


class Stranger:
    """The same model as a callable that the engine does not know."""

    def __init__(self, model: BitAxonModel) -> None:
        self.model = model

    def __call__(self, ids: Any) -> tuple[Any, Any]:
        return self.model(ids)


@pytest.fixture(scope="module")
def model() -> BitAxonModel:
    return BitAxonModel(BitAxonConfig.small(), seed=1, device="cpu", threads=1)


def random_ids(*shape: int) -> Any:
    return np.random.default_rng(2).integers(0, 1024, shape)


@pytest.mark.parametrize("shape", [(1, 16), (3, 9), (10, 5), (2, 2)])
def test_perplexity_is_that_of_the_logits(model: BitAxonModel, shape: tuple[int, int]) -> None:
    ids = random_ids(*shape)
    want = compute_perplexity(Stranger(model), ids)
    assert compute_perplexity(model, ids) == pytest.approx(want, rel=1e-6)
    for batch_size in (1, 2, 7):
        assert evaluate_ppl(model, ids, batch_size) == pytest.approx(want, rel=1e-6)


def test_no_batch_changes_a_bit(model: BitAxonModel) -> None:
    ids = random_ids(11 * 7 + 3)
    found = {evaluate_ppl(model, ids, batch_size, seq_length=7) for batch_size in (1, 2, 4, 11)}
    assert len(found) == 1
    import mlx.core as mx

    assert evaluate_ppl(model, mx.array(ids), seq_length=7) in found


def test_one_token_has_no_standard_error(model: BitAxonModel) -> None:
    value, error = compute_perplexity(model, [[1, 2]])
    assert value > 1
    assert math.isnan(error)


def test_long_sequences_are_computed_in_turn() -> None:
    small = load(MODEL, device="cpu", threads=1, context=64)
    ids = random_ids(5, 65)  # five sequences of 64 tokens do not fit into one context together
    assert compute_perplexity(small, ids)[0] > 1
    with pytest.raises(InvalidArgument, match="expected at most 64 tokens.*got 65"):
        compute_perplexity(small, random_ids(1, 66))


def test_ids_outside_the_vocabulary_are_named(model: BitAxonModel) -> None:
    with pytest.raises(InvalidArgument, match="1024"):
        compute_perplexity(model, [[1, 1024]])
    with pytest.raises(InvalidArgument, match="-1"):
        choice_logprobs(model, [-1], [[1]])


def test_answers_are_scored_as_the_logits_say(model: BitAxonModel) -> None:
    answers = [[3], [3, 4, 5], [], [7]]
    want = choice_logprobs(Stranger(model), [1, 2], answers)
    assert choice_logprobs(model, [1, 2], answers) == pytest.approx(want, rel=1e-6)


def test_states_of_others_stay_as_they_are(model: BitAxonModel) -> None:
    first = random_ids(1, 6)
    want, _ = model(random_ids(1, 9))
    _, cache = model(first)
    compute_perplexity(model, random_ids(4, 12))
    choice_logprobs(model, [1, 2], [[3, 4]])
    got, _ = model(random_ids(1, 9)[:, 6:], cache=cache)
    np.testing.assert_array_equal(first, random_ids(1, 9)[:, :6])
    np.testing.assert_allclose(got, want[:, 6:], rtol=1e-5, atol=1e-5)


def test_interrupt_ends_an_evaluation_and_the_model_goes_on(
    model: BitAxonModel,
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    want = compute_perplexity(model, random_ids(2, 9))
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            evaluate_ppl(model, random_ids(2_000_000), seq_length=100)  # would take minutes
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert compute_perplexity(model, random_ids(2, 9)) == want


def test_threads_may_evaluate_and_generate_at_a_time() -> None:
    model, tokenizer = load(MODEL, device="cpu", threads=1), QwenTokenizerWrapper(MODEL)
    ids = random_ids(3, 40)
    want = (
        compute_perplexity(model, ids),
        generate(model, tokenizer, "ROMEO:", seed=1, max_tokens=40).text,
    )
    got: list[Any] = []

    def work() -> None:
        text = generate(model, tokenizer, "ROMEO:", seed=1, max_tokens=40).text
        got.append((compute_perplexity(model, ids), text))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [want] * 4


def test_model_reads_its_own_language_best() -> None:
    model, tokenizer = load(MODEL, device="cpu", threads=1), QwenTokenizerWrapper(MODEL)
    text = MODEL.parent / "texts" / "king-james.txt"
    data = WikiTextDataset(seq_length=64, max_tokens=256, tokenizer=tokenizer, path=text)
    known = perplexity.evaluate_ppl(model, np.stack(data.chunks))[0]
    noise = evaluate_ppl(model, random_ids(4, 64))[0]
    assert 1 < known < noise / 10
