"""Functions over batches of rows: columns, seeds, and what a row depends on."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from bit_axon import InvalidArgument, batch
from bit_axon.inference.generate import GenerateConfig
from hypothesis import given
from hypothesis import strategies as st

MODEL = str(Path(__file__).parents[2] / "models" / "tiny-shakespeare")
OPTIONS = {"device": "cpu", "threads": 1}
CONFIG = GenerateConfig(max_tokens=6, seed=3)
GENERATE = batch.Generate(MODEL, config=CONFIG, load_options=OPTIONS)
PERPLEXITY = batch.Perplexity(MODEL, text_column="prompt", load_options=OPTIONS)
ROWS: dict[str, list[Any]] = {
    "id": [4, 7, 2, 9],
    "prompt": ["ROMEO:", "To be, or not to be", "My lord, ", ""],
}

Kind = Callable[[dict[str, list[Any]]], Any]


def as_dict(rows: dict[str, list[Any]]) -> dict[str, Any]:
    return {name: np.array(values) for name, values in rows.items()}


KINDS: list[Kind] = [as_dict, pd.DataFrame, pa.table]


def columns_of(rows: Any) -> dict[str, list[Any]]:
    if isinstance(rows, pa.Table):
        return dict(rows.to_pydict())
    return {name: list(rows[name]) for name in rows}


@pytest.mark.parametrize("function", [GENERATE, PERPLEXITY], ids=["generate", "perplexity"])
@pytest.mark.parametrize("kind", KINDS, ids=["dict", "pandas", "pyarrow"])
def test_result_is_of_the_kind_of_the_batch(kind: Kind, function: Any) -> None:
    rows = {name: values[:3] for name, values in ROWS.items()}
    given, want = kind(rows), columns_of(function(as_dict(rows)))
    got = function(given)
    assert type(got) is type(given)
    assert columns_of(got) == want
    assert columns_of(given) == columns_of(kind(rows))  # the batch itself is as it was


def test_generated_rows_say_how_they_came_about() -> None:
    got = columns_of(GENERATE(as_dict({name: values[:3] for name, values in ROWS.items()})))
    assert got["id"] == ROWS["id"][:3]
    assert all(isinstance(text, str) and text for text in got["generated_text"])
    assert set(got["finish_reason"]) <= {"stop", "length"}
    assert got["n_prompt_tokens"][0] == len(
        batch.Generate(MODEL)._load().tokenizer.encode("ROMEO:")
    )
    assert all(0 < n <= 6 for n in got["n_generated_tokens"])


def test_row_depends_on_itself_alone() -> None:
    rows = pd.DataFrame({name: values[:3] for name, values in ROWS.items()})
    want = GENERATE(rows).set_index("id")
    for order in ([2, 1, 0], [0], [1, 2]):
        got = GENERATE(rows.iloc[order]).set_index("id")
        for row_id in got.index:
            assert got.loc[row_id].tolist() == want.loc[row_id].tolist()


def test_equal_prompts_get_different_answers_by_their_ids() -> None:
    rows = pd.DataFrame({"id": range(8), "prompt": ["ROMEO:"] * 8})
    assert len(set(GENERATE(rows)["generated_text"])) > 1
    by_prompt = batch.Generate(MODEL, id_column=None, config=CONFIG, load_options=OPTIONS)
    assert len(set(by_prompt(rows)["generated_text"])) == 1


def test_perplexity_of_rows_and_of_all_together() -> None:
    got = columns_of(PERPLEXITY(as_dict(ROWS)))
    assert got["n_tokens"][3] == 0
    assert math.isnan(got["perplexity"][3])
    assert got["perplexity"][1] == pytest.approx(math.exp(got["nll_sum"][1] / got["n_tokens"][1]))
    total = batch.corpus_perplexity(got)
    assert total[0] == pytest.approx(math.exp(sum(got["nll_sum"]) / sum(got["n_tokens"])))
    rows = [dict(zip(got, values, strict=True)) for values in zip(*got.values(), strict=True)]
    for same in (rows, iter(rows), pd.DataFrame(rows), pa.Table.from_pylist(rows)):
        assert batch.corpus_perplexity(same) == total
    assert all(map(math.isnan, batch.corpus_perplexity([])))


def test_long_text_is_cut_into_windows() -> None:
    text = "To be, or not to be, that is the question. " * 20
    rows = {"prompt": [text]}
    short = batch.Perplexity(MODEL, text_column="prompt", seq_length=16, load_options=OPTIONS)
    whole, cut = PERPLEXITY(as_dict(rows)), short(as_dict(rows))
    assert cut["n_tokens"] == whole["n_tokens"]
    assert cut["nll_sum"] > whole["nll_sum"]  # a window does not see the one before


@pytest.mark.parametrize("function", [GENERATE, PERPLEXITY], ids=["generate", "perplexity"])
def test_no_rows_need_no_model(function: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "_open", None)
    monkeypatch.setattr(batch, "_loaded", {})
    frame = pd.DataFrame({"id": pd.Series([], dtype="int64"), "prompt": pd.Series([], dtype=str)})
    for kind in (frame, pa.Table.from_pandas(frame), {name: frame[name] for name in frame}):
        assert len(columns_of(function(kind))["id"]) == 0
    dtypes = function.meta(frame).dtypes
    assert dtypes["n_tokens" if function is PERPLEXITY else "n_prompt_tokens"] == np.int64


def test_model_is_loaded_once_for_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[tuple[Any, ...]] = []

    def open_model(*arguments: Any) -> batch._Loaded:
        opened.append(arguments)
        return batch._Loaded(None, None)

    monkeypatch.setattr(batch, "_open", open_model)
    monkeypatch.setattr(batch, "_loaded", {})
    first = batch.Generate(MODEL, load_options=OPTIONS)
    copies = [
        first,
        pickle.loads(pickle.dumps(first)),
        batch.Perplexity(MODEL, load_options=OPTIONS),
    ]
    assert len({id(copy._load()) for copy in copies}) == 1
    batch.Generate(MODEL)._load()
    assert opened == [(MODEL, None, OPTIONS), (MODEL, None, {})]
    monkeypatch.setattr("os.getpid", lambda: -1)  # a child of this process loads its own
    first._load()
    assert len(opened) == 3


@pytest.mark.parametrize("function", [GENERATE, PERPLEXITY], ids=["generate", "perplexity"])
def test_only_arguments_are_sent_to_workers(function: Any) -> None:
    function(as_dict({name: values[:1] for name, values in ROWS.items()}))
    sent = pickle.dumps(function)
    assert len(sent) < 1000
    assert pickle.loads(sent) == function


@given(st.integers(), st.integers(0, 2**64 - 1))
def test_seed_of_a_number_is_that_of_its_digits(row_id: int, seed: int) -> None:
    found = batch.row_seed(row_id, seed)
    assert 0 <= found < 2**63
    assert found == batch.row_seed(str(row_id), seed) == batch.row_seed(str(row_id).encode(), seed)


@given(st.text(st.characters(codec=None)))
def test_every_text_has_a_seed(row_id: str) -> None:
    assert batch.row_seed(row_id) == batch.row_seed(row_id) != batch.row_seed(row_id + "x")


def test_seeds_stay_as_they_are() -> None:
    # Others can compute the hash that the documentation describes.
    assert batch.row_seed(0) == 5857645148978988075
    assert batch.row_seed("a", 7) == 920808826489737948
    assert batch.row_seed(np.int64(5)) == batch.row_seed(5)
    for bad in (1.0, None, True, math.nan):
        with pytest.raises(InvalidArgument, match="row id: expected an integer or a text"):
            batch.row_seed(bad)


def test_bad_batches_are_refused() -> None:
    cases: list[tuple[Any, Any, str]] = [
        (GENERATE, [1], "batch: expected a dict of arrays, a pandas DataFrame or a pyarrow Table"),
        (GENERATE, {"text": ["a"]}, "expected a column 'prompt', got text"),
        (GENERATE, {"prompt": ["a"]}, "expected a column 'id', got prompt"),
        (GENERATE, {"prompt": ["a", None], "id": [1, 2]}, "row 1.*expected a text, got NoneType"),
        (GENERATE, {"prompt": ["a"], "id": [1.5]}, "row id: expected.*got float 1.5"),
        (PERPLEXITY, {"prompt": ["a"], "nll_sum": [1]}, "has a column 'nll_sum' already"),
    ]
    for function, rows, message in cases:
        with pytest.raises(InvalidArgument, match=message):
            function(rows)


def test_row_that_cannot_be_answered_is_named() -> None:
    rows = {"id": ["a", "b"], "prompt": ["ROMEO:", "and " * 5000]}
    with pytest.raises(InvalidArgument, match="row 'b': prompt: expected at most 4096 tokens"):
        GENERATE(rows)
    with pytest.raises(InvalidArgument, match="row 1: text: expected valid Unicode"):
        PERPLEXITY({"prompt": ["My lord", "\ud800"]})


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="model: expected a path or a hub id, got object"):
        batch.Generate(object())  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="tokenizer: expected a path"):
        batch.Perplexity(MODEL, tokenizer=3)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="seq_length: expected at least 1, got 0"):
        batch.Perplexity(MODEL, seq_length=0)
