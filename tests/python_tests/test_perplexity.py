"""Perplexity of models of other libraries."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from bit_axon import InvalidArgument
from bit_axon.evaluation import compute_perplexity, evaluate_ppl
from bit_axon.evaluation._scores import choice_logprobs, token_losses
from hypothesis import given, settings
from hypothesis import strategies as st

N_IDS = 11


class TableModel:
    """The logits of the next id depend on the latest id alone."""

    def __init__(self, seed: int = 0) -> None:
        self.table = np.random.default_rng(seed).normal(size=(N_IDS, N_IDS)).astype(np.float32)
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, ids: Any, cache: Any = None) -> tuple[Any, Any]:
        self.shapes.append(tuple(ids.shape))
        return self.table[np.asarray(ids)], None

    def loss(self, first: int, second: int) -> float:
        row = self.table[first].astype(np.float64)
        return float(np.log(np.exp(row).sum()) - row[second])


def expected(model: TableModel, rows: list[list[int]]) -> tuple[float, float]:
    losses = [model.loss(a, b) for row in rows for a, b in itertools.pairwise(row)]
    perplexity = math.exp(sum(losses) / len(losses))
    if len(losses) < 2:
        return perplexity, math.nan
    return perplexity, perplexity * float(np.std(losses, ddof=1)) / math.sqrt(len(losses))


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_perplexity_is_the_exponential_of_the_mean_loss(data: st.DataObject) -> None:
    length = data.draw(st.integers(2, 9))
    row = st.lists(st.integers(0, N_IDS - 1), min_size=length, max_size=length)
    rows = data.draw(st.lists(row, min_size=1, max_size=4))
    dtype = data.draw(st.sampled_from([np.int32, np.int64, np.uint32, np.uint8]))
    model = TableModel()
    want = pytest.approx(expected(model, rows), rel=1e-6, abs=1e-5, nan_ok=True)
    assert compute_perplexity(model, np.array(rows, dtype)) == want
    assert compute_perplexity(model, rows) == want  # nested lists
    batch_size = data.draw(st.integers(1, 5))
    assert evaluate_ppl(model, np.array(rows, dtype), batch_size) == want


def test_long_text_is_cut_into_sequences() -> None:
    model = TableModel()
    ids = np.arange(23) % N_IDS
    rows = [ids[i : i + 5].tolist() for i in (0, 5, 10, 15)]
    got = evaluate_ppl(model, ids, batch_size=3, seq_length=5)
    assert got == pytest.approx(expected(model, rows), rel=1e-6)
    assert model.shapes == [(3, 4), (1, 4)]


def test_half_precision_logits_are_summed_in_float64() -> None:
    model = TableModel()
    model.table = model.table.astype(np.float16)
    ids = np.arange(9)[None]
    want = expected(model, ids.tolist())
    assert compute_perplexity(model, ids) == pytest.approx(want, rel=1e-9)


def test_perplexity_can_overflow_and_be_one() -> None:
    model = TableModel()
    model.table = np.full((N_IDS, N_IDS), -3000, np.float32)
    model.table[:, 0] = 0
    assert compute_perplexity(model, [[1, 1, 1]])[0] == math.inf
    assert compute_perplexity(model, [[1, 0, 0]]) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([1, 2, 3], r"expected shape \(batch, seq_len\).*got \(3,\)"),
        ([[1], [2]], r"at least 2 tokens in a sequence, got \(2, 1\)"),
        (np.zeros((0, 5), np.int32), r"got \(0, 5\)"),
        ([[1, N_IDS]], f"expected ids in 0..{N_IDS - 1}, got {N_IDS}"),
        ([[1, -1]], "got -1"),
    ],
)
def test_bad_ids_are_refused(ids: Any, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        compute_perplexity(TableModel(), ids)


def test_bad_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Not enough tokens \(3\) for seq_length=4"):
        evaluate_ppl(TableModel(), np.arange(3), seq_length=4)
    with pytest.raises(InvalidArgument, match="batch_size: expected at least 1, got 0"):
        evaluate_ppl(TableModel(), np.arange(9), batch_size=0)
    with pytest.raises(InvalidArgument, match="seq_length: expected at least 2, got 1"):
        evaluate_ppl(TableModel(), np.arange(9), seq_length=1)


def test_nan_never_passes() -> None:
    logits = np.zeros((1, 3, 4), np.float32)
    logits[0, 1, 2] = np.nan
    with pytest.raises(InvalidArgument, match="logits of token 1: expected finite"):
        token_losses(logits, [[0, 0, 0]])
    with pytest.raises(InvalidArgument, match="expected a row for each of 2 tokens"):
        token_losses(logits, [[0, 0]])


def test_masked_logits_are_allowed() -> None:
    logits = np.array([[0, -np.inf, 0]], np.float32)
    assert token_losses(logits, [0]) == pytest.approx([math.log(2)])
    assert token_losses(logits, [1]) == [math.inf]


def test_answers_are_scored_from_the_state_after_the_prompt() -> None:
    model = TableModel()
    scores = choice_logprobs(model, [1, 2], [[3], [3, 4], []])
    assert scores[0] == pytest.approx(-model.loss(2, 3))
    assert scores[1] == pytest.approx(-model.loss(2, 3) - model.loss(3, 4))
    assert scores[2] == -math.inf


def test_models_of_other_libraries_get_their_own_arrays() -> None:
    import mlx.core as mx
    from mlx import nn

    table = TableModel()

    class MlxModel(nn.Module):  # type: ignore[misc]
        def __call__(self, ids: Any) -> tuple[Any, Any]:
            assert isinstance(ids, mx.array)
            return mx.array(table.table)[ids].astype(mx.bfloat16), []

    rows = [[1, 2, 3, 4]]
    want = pytest.approx(expected(table, rows), rel=0.05)
    assert compute_perplexity(MlxModel(), mx.array(rows)) == want
    scores = choice_logprobs(MlxModel(), [1], [[2]])
    assert scores == [pytest.approx(-table.loss(1, 2), abs=0.05)]
