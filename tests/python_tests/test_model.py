"""Models: recorded logits, caches, batches, arrays of other libraries, bad input."""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path
from typing import Any

import bit_axon
import numpy as np
import pytest
from bit_axon import BitAxonConfig, BitAxonModel
from bit_axon._weights import WeightSource
from bit_axon.inference import load_model
from bit_axon.utils import KVCache
from conftest import BUNDLED, GOLDEN
from hypothesis import given, settings
from hypothesis import strategies as st

PROMPT = np.array([[5, 6, 7, 300, 20, 900, 7]])
RECORDED = ["tiny_window", "tiny_long", "tiny_mixed", "tiny_nf4", "tiny_q4_linear_only"]


@pytest.mark.parametrize("device", ["cpu", "reference"])
@pytest.mark.parametrize("case", RECORDED)
def test_logits_equal_the_recorded_ones(case: str, device: str) -> None:
    recorded = WeightSource.of_files(GOLDEN / case / "io.safetensors")
    with load_model(GOLDEN / case / "model.safetensors", precision="exact", device=device) as model:
        logits, caches = model(recorded["input_ids"][None])
        np.testing.assert_allclose(logits[0], recorded["prefill_logits"], atol=2e-4, rtol=2e-4)
        for token, expected in zip(recorded["greedy_ids"], recorded["decode_logits"][1:]):
            row, caches = model(np.array([[token]]), cache=caches)
            np.testing.assert_allclose(row[0, 0], expected, atol=2e-4, rtol=2e-4)


def test_the_documented_loop_gives_the_logits_of_one_call(shakespeare: BitAxonModel) -> None:
    whole, _ = shakespeare(PROMPT)
    logits, caches = shakespeare(PROMPT[:, :3])
    parts = [logits]
    for i in range(3, PROMPT.shape[1]):
        logits, caches = shakespeare(PROMPT[:, i : i + 1], cache=caches)
        parts.append(logits)
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


def test_caches_have_an_entry_for_each_layer(shakespeare: BitAxonModel) -> None:
    _, caches = shakespeare(PROMPT)
    assert len(caches) == shakespeare.config.num_layers
    kinds = [shakespeare._get_layer_type(i, len(caches)) == "swa_moe" for i in range(len(caches))]
    assert [isinstance(cache, KVCache) for cache in caches] == kinds
    assert all(cache is None for cache, kv in zip(caches, kinds) if not kv)
    entry = caches[kinds.index(True)]
    assert entry.k.shape == entry.v.shape == (1, 4, 7, 32)
    assert entry.offset == 7
    with pytest.raises(bit_axon.InvalidArgument, match="a model fills"):
        entry.update_and_fetch(entry.k, entry.v)


def test_keys_beyond_the_window_are_dropped(shakespeare: BitAxonModel) -> None:
    _, caches = shakespeare(np.arange(300)[None])
    assert caches[2].k.shape == (1, 4, 128, 32)
    assert caches[2].offset == 300


def test_empty_caches_are_filled_in_place(shakespeare: BitAxonModel) -> None:
    caches = shakespeare._create_caches()
    first, same = shakespeare(PROMPT[:, :4], cache=caches)
    assert same is caches
    second, _ = shakespeare(PROMPT[:, 4:], cache=list(caches))
    whole, _ = shakespeare(PROMPT)
    np.testing.assert_array_equal(np.concatenate([first, second], axis=1), whole)


def test_a_fork_continues_alone(shakespeare: BitAxonModel) -> None:
    _, caches = shakespeare(PROMPT)
    twin = copy.deepcopy(caches)
    a, _ = shakespeare(np.array([[1]]), cache=caches)
    shakespeare(np.array([[2, 3]]), cache=caches)
    b, _ = shakespeare(np.array([[1]]), cache=twin)
    np.testing.assert_array_equal(a, b)
    assert twin.position == 8


@settings(max_examples=15, deadline=None)
@given(batch=st.integers(1, 12), tokens=st.integers(1, 40), data=st.data())
def test_a_batch_equals_its_sequences(
    shakespeare: BitAxonModel, batch: int, tokens: int, data: Any
) -> None:
    seed = data.draw(st.integers(0, 1000))
    ids = np.random.default_rng(seed).integers(0, 1024, (batch, tokens))
    together, _ = shakespeare(ids)
    assert together.shape == (batch, tokens, 1024)
    alone, _ = shakespeare(ids[-1:])
    np.testing.assert_array_equal(together[-1], alone[0])


def test_more_sequences_than_slots_wait_in_host_memory() -> None:
    with load_model(BUNDLED, precision="exact", parallel=2) as model:
        held = [model(np.array([[i, i + 1]]))[1] for i in range(7)]
        together, caches = model(np.arange(5)[:, None])
        for _ in range(2):
            for i, cache in enumerate(held):
                row, _ = model(np.array([[i + 2]]), cache=cache)
        expected, _ = model(np.array([[6, 7, 8, 8]]))
        np.testing.assert_array_equal(row[0, -1], expected[0, -1])
        again, _ = model(np.arange(5)[:, None] + 9, cache=caches)
        expected, _ = model(np.array([[4, 13]]))
        np.testing.assert_array_equal(again[4, 0], expected[0, 1])
        assert together.shape == (5, 1, 1024)


def test_only_the_last_logits(shakespeare: BitAxonModel) -> None:
    whole, _ = shakespeare(PROMPT)
    last, _ = shakespeare(PROMPT, logits="last")
    np.testing.assert_array_equal(last[:, 0], whole[:, -1])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32", "int64", "uint64"])
def test_ids_of_any_whole_type(shakespeare: BitAxonModel, dtype: str) -> None:
    ids = np.array([[1, 2, 3]])
    expected, _ = shakespeare(ids)
    logits, _ = shakespeare(ids.astype(dtype)[:, ::1])
    np.testing.assert_array_equal(logits, expected)
    assert logits.dtype == np.float32


def test_arrays_of_mlx_come_back_as_arrays_of_mlx(shakespeare: BitAxonModel) -> None:
    mx = pytest.importorskip("mlx.core")
    logits, caches = shakespeare(mx.array([[1, 42, 100]], dtype=mx.uint32))
    assert isinstance(logits, mx.array)
    assert isinstance(caches[2].k, mx.array)
    next_token = mx.argmax(logits[:, -1, :], axis=-1)[None]
    logits, _ = shakespeare(next_token, cache=caches)
    assert logits.shape == (1, 1, 1024)


def test_the_state_as_bytes_and_as_a_file(shakespeare: BitAxonModel, tmp_path: Path) -> None:
    _, caches = shakespeare(np.array([[1, 2, 3], [4, 5, 6]]))
    data = caches.to_bytes()
    expected, _ = shakespeare(np.array([[7], [8]]), cache=caches)
    restored = shakespeare.new_cache()
    restored.from_bytes(data)
    logits, _ = shakespeare(np.array([[7], [8]]), cache=restored)
    np.testing.assert_array_equal(logits, expected)
    for broken in (b"", data[:-1], data + b"x", b"y" + data[1:], data[:200] + b"?" + data[201:]):
        with pytest.raises(bit_axon.FormatError):
            shakespeare.new_cache().from_bytes(broken)
    _, one = shakespeare(PROMPT)
    one.save(tmp_path / "state")
    assert (tmp_path / "state").read_bytes() == one.to_bytes()
    expected, _ = shakespeare(np.array([[3]]), cache=one)
    loaded = shakespeare.new_cache()
    loaded.load(tmp_path / "state")
    logits, _ = shakespeare(np.array([[3]]), cache=loaded)
    np.testing.assert_array_equal(logits, expected)
    with pytest.raises(FileNotFoundError):
        shakespeare.new_cache().load(tmp_path / "missing")
    with pytest.raises(bit_axon.InvalidArgument, match="two|2|got 2"):
        caches.save(tmp_path / "batch")


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([[1, 2000]], "expected 0..1023, got 2000"),
        ([[-1]], "got -1"),
        ([[1.5]], "whole numbers"),
        ([1, 2], r"\[batch, tokens\]"),
        (np.zeros((0, 3), int), r"\[batch, tokens\]"),
        (np.zeros((2, 0), int), r"\[batch, tokens\]"),
        ([["a"]], "array of numbers"),
        ([[2**40]], "2\\^31"),
        (None, "array of numbers"),
        (np.zeros((1, 5000), int), "context of 4096"),
    ],
)
def test_bad_ids_change_nothing(shakespeare: BitAxonModel, ids: Any, message: str) -> None:
    _, caches = shakespeare(PROMPT)
    before = caches.to_bytes()
    with pytest.raises(bit_axon.InvalidArgument, match=message) as raised:
        shakespeare(ids, cache=caches)
    assert isinstance(raised.value, ValueError)
    assert raised.value.kind == "invalid_argument"
    assert "\n" not in str(raised.value)
    assert caches.to_bytes() == before


def test_caches_of_another_model_or_batch(shakespeare: BitAxonModel) -> None:
    with load_model(BUNDLED, precision="exact") as other:
        _, caches = other(PROMPT)
    with pytest.raises(bit_axon.InvalidArgument, match="another model"):
        shakespeare(PROMPT, cache=caches)
    _, caches = shakespeare(PROMPT)
    with pytest.raises(bit_axon.InvalidArgument, match="1 sequences"):
        shakespeare(np.array([[1], [2]]), cache=caches)
    _, other = shakespeare(PROMPT)
    mixed = [*caches[:3], *other[3:]]
    wrong = ([KVCache(4)], [], [None] * 6, mixed, caches[::-1], caches[:2], (1, 2), 5)
    for cache in wrong:
        with pytest.raises(bit_axon.InvalidArgument, match="cache: expected"):
            shakespeare(PROMPT, cache=cache)
    twin = copy.deepcopy(list(caches))
    a, _ = shakespeare(np.array([[1]]), cache=list(caches))
    b, _ = shakespeare(np.array([[1]]), cache=twin)
    np.testing.assert_array_equal(a, b)
    assert caches.copy().position == 8


def test_paths_of_any_bytes(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/m\xff"
    os.mkdir(folder)
    for file in BUNDLED.iterdir():
        os.symlink(os.fsencode(file), folder + b"/" + os.fsencode(file.name))
    for path in (folder, os.fsdecode(folder)):
        assert load_model(path).vocab_size == 1024
        assert bit_axon.QwenTokenizerWrapper(path).vocab_size == 1024


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, "a"])
def test_bad_seeds(seed: Any) -> None:
    with pytest.raises(bit_axon.InvalidArgument, match="seed"):
        BitAxonModel(BitAxonConfig.small(), seed=seed)


def test_random_weights_follow_from_the_seed() -> None:
    config = BitAxonConfig.small()
    ids = np.array([[1, 2, 3]])
    a, _ = BitAxonModel(config, seed=3)(ids)
    b, _ = BitAxonModel(config, seed=3)(ids)
    c, _ = BitAxonModel(config, seed=4)(ids)
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)
    assert np.isfinite(a).all()


def test_a_closed_model_says_so() -> None:
    model = load_model(BUNDLED)
    _, caches = model(PROMPT)
    model.close()
    model.close()
    with pytest.raises(bit_axon.InvalidArgument, match="closed"):
        model(PROMPT)
    del model
    assert caches.position == 7


def test_models_and_caches_cannot_be_pickled(shakespeare: BitAxonModel) -> None:
    _, caches = shakespeare(PROMPT)
    for thing in (shakespeare, caches, caches[2]):
        with pytest.raises(bit_axon.Unsupported, match="cannot be pickled"):
            pickle.dumps(thing)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "gpu"}, "gpu"),
        ({"precision": "half"}, "half"),
        ({"context": 0}, "expected 1..4096"),
        ({"parallel": 0}, "parallel"),
        ({"quantize": "q4"}, "q4"),
        ({"context": "long"}, "whole number"),
        ({"context": 2**70}, "context"),
        ({"device": 3}, "device"),
        ({"quantize": True, "bits": 3}, "bits"),
        ({"quantize": True, "group_size": 48}, "group_size"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(bit_axon.InvalidArgument, match=message):
        load_model(BUNDLED, **options)


def test_missing_models(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere") as raised:
        load_model(tmp_path / "nowhere")
    assert isinstance(raised.value, bit_axon.NotFound)
    with pytest.raises(FileNotFoundError, match="bit-axon download"):
        load_model("nobody/nothing")
    with pytest.raises(OSError, match="safetensors"):
        load_model(tmp_path)
    with pytest.warns(UserWarning, match="random weights"):
        model = load_model(tmp_path, BitAxonConfig.small(), strict=False)
    assert model(PROMPT)[0].shape == (1, 7, 1024)


def test_quantizing_while_loading() -> None:
    exact, _ = load_model(BUNDLED)(PROMPT)
    for options in ({"quantize": True}, {"quantize": "nf4"}, {"quantize": True, "bits": 8}):
        with load_model(BUNDLED, **options) as model:
            logits, _ = model(PROMPT)
            assert model.info["format"] != "f16"
            assert 0 < np.abs(logits - exact).max() < 6
    # A model that is stored in codes stays as it is.
    path = GOLDEN / "tiny_nf4" / "model.safetensors"
    stored, _ = load_model(path)(PROMPT % 256)
    again, _ = load_model(path, quantize=True)(PROMPT % 256)
    np.testing.assert_array_equal(stored, again)


@pytest.mark.parametrize("case", ["qwen3_a", "mamba_a", "jamba_a", "falcon_mamba_a", "qwen2_a"])
def test_models_of_other_families(case: str) -> None:
    with bit_axon.load(GOLDEN / "families" / case / "model.safetensors") as model:
        assert not isinstance(model, BitAxonModel)
        ids = np.array([[1, 2, 3, 4]]) % model.vocab_size
        whole, caches = model(ids)
        first, part = model(ids[:, :2])
        second, _ = model(ids[:, 2:], cache=part)
        np.testing.assert_allclose(
            np.concatenate([first, second], axis=1), whole, atol=1e-4, rtol=1e-4
        )
        assert len(caches) == model.info["n_layers"]
        assert model.parameters()
        assert model.family in repr(model.info)


def test_progress_and_info() -> None:
    seen: list[float] = []
    with load_model(BUNDLED, progress=seen.append, threads=1) as model:
        assert seen == sorted(seen)
        assert seen[-1] == 1
        assert model.info["n_threads"] == 1
        assert model.vocab_size == 1024
        assert model.context == 4096
        assert model.precision == "fast"
        assert "cpu" in model.device


def test_an_error_of_the_progress_function_ends_the_load() -> None:
    def fail(share: float) -> None:
        raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        load_model(BUNDLED, progress=fail)
    assert load_model(BUNDLED).vocab_size == 1024
