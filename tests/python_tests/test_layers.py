"""Layers against recorded results of the original program, and properties that they always have."""

from __future__ import annotations

import os
import pickle
import runpy
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from bit_axon import BitAxonConfig, Error, InvalidArgument
from bit_axon._weights import WeightSource
from bit_axon.layers import (
    MLP,
    AxonSSM,
    AxonSSMBlock,
    AxonSSMMoEBlock,
    AxonSWAMoEBlock,
    Conv1d,
    Embedding,
    Linear,
    RMSNorm,
    SharedExpertMoE,
    SlidingWindowAttention,
    SwitchGLU,
    SwitchLinear,
    set_device,
    set_seed,
    swiglu,
)
from bit_axon.layers.axon_ssm import _compute_dt, segsum
from bit_axon.quantization import (
    replace_linear_with_quantized,
    replace_switch_linear_with_quantized,
)
from bit_axon.utils.cache import KVCache
from hypothesis import given, settings
from hypothesis import strategies as st

OPS = Path(__file__).parent.parent / "golden" / "ops"
BOUND = 1e-5  # on the relative L2 error, see tests/golden/README.md


@pytest.fixture(autouse=True)
def on_the_cpu():
    set_device("cpu", 1)
    set_seed(1)


def recorded(name):
    """The tensors of a recorded file, and the weights of its layer."""
    file = WeightSource.of_files(OPS / f"{name}.safetensors")
    weights = [(key[2:], file[key]) for key in file if key.startswith("w.")]
    return file, weights


def close(actual, expected, bound=BOUND):
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape
    error = np.linalg.norm(actual - expected) / np.linalg.norm(expected)
    assert error <= bound, f"relative error {error}"


def random(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def recorded_ssm(name):
    file, weights = recorded(name)
    shapes = {key: array.shape for key, array in weights}
    inner, n = shapes["A_log"]
    width = shapes["in_proj.weight"][1]
    config = BitAxonConfig(
        hidden_dim=width,
        ssm_expand=inner // width,
        ssm_d_state=n,
        ssm_d_conv=shapes["conv1d.weight"][1],
    )
    return file, AxonSSM(config).load_weights(weights)


@pytest.mark.parametrize("name", ["ssm", "ssm_wide", "ssm_clip"])
def test_ssm_agrees_with_the_recording(name):
    file, layer = recorded_ssm(name)
    for n in (1, 7, 130):
        y, (conv_cache, ssm_state) = layer(file[f"L{n}.x"][None])
        close(y[0], file[f"L{n}.y"])
        close(conv_cache[0], file[f"L{n}.conv_cache"])
        close(ssm_state[0], file[f"L{n}.ssm_state"])
    y, cache = layer(file["batch.x"])
    close(y, file["batch.y"])
    close(cache[1], file["batch.ssm_state"])


@pytest.mark.parametrize("name", ["ssm", "ssm_wide"])
def test_ssm_decodes_as_recorded(name):
    file, layer = recorded_ssm(name)
    y, cache = layer(file["decode.prefill_x"][None])
    close(y[0], file["decode.prefill_y"])
    rows = []
    for x in file["decode.step_x"]:
        y, cache = layer(x[None, None], cache)
        rows.append(y[0, 0])
    close(rows, file["decode.step_y"])
    close(cache[0][0], file["decode.conv_cache"])
    y, cache = layer(file["decode.cont_x"][None], cache=cache)
    close(y[0], file["decode.cont_y"])
    close(cache[1][0], file["decode.cont_ssm_state"])


@pytest.mark.parametrize("name", ["moe_fp32", "moe_switch_fp16", "moe_q4_g32"])
def test_experts_agree_with_the_recording(name):
    file, weights = recorded(name)
    width, inner, n = {
        "moe_fp32": (32, 64, 4),
        "moe_switch_fp16": (32, 64, 8),
        "moe_q4_g32": (64, 96, 8),
    }[name]
    layer = SharedExpertMoE(width, inner, n)
    if name == "moe_q4_g32":
        replace_linear_with_quantized(layer, group_size=32)
        replace_switch_linear_with_quantized(layer, group_size=32)
    layer.load_weights(weights)
    for n_rows in (1, 31, 41):
        close(layer(file[f"L{n_rows}.x"]), file[f"L{n_rows}.y"])


def recorded_attention(name, heads, window):
    file, weights = recorded(name)
    width = file.shape("x")[1]
    return file, SlidingWindowAttention(width, heads, window).load_weights(weights)


@pytest.mark.parametrize(
    ("name", "heads", "window"),
    [("swa_window", 4, 16), ("swa_chunk512", 2, 24), ("swa_chunk512_wide", 2, 4096)],
)
def test_attention_agrees_with_the_recording(name, heads, window):
    file, layer = recorded_attention(name, heads, window)
    y, cache = layer(file["x"][None])
    assert cache is None
    close(y[0], file["y_causal"])


def test_attention_decodes_as_recorded():
    file, layer = recorded_attention("swa_window", 4, 16)
    x = file["decode.x"][None]
    cache = KVCache(window_size=16)
    parts = []
    for begin, end in [(0, 10), *((at, at + 1) for at in range(10, x.shape[1]))]:
        y, returned = layer(x[:, begin:end], cache=cache)
        assert returned is cache
        parts.append(y)
    close(np.concatenate(parts, axis=1)[0], file["decode.y"])
    close(cache.k[0], file["decode.k_cache"])
    close(cache.v[0], file["decode.v_cache"])


def test_a_mask_of_the_window_gives_the_same_attention():
    file, layer = recorded_attention("swa_window", 4, 16)
    x = file["x"][None]
    n = x.shape[1]
    mask = layer._make_sliding_window_mask(n, n)[None, None]
    masked, _ = layer(x, mask=mask)
    close(masked[0], file["y_causal"])
    cache = KVCache()
    first, _ = layer(x[:, :30], mask=layer._make_sliding_window_mask(30, 30), cache=cache)
    rest, _ = layer(x[:, 30:], mask=layer._make_sliding_window_mask(n - 30, n), cache=cache)
    close(np.concatenate([first, rest], axis=1)[0], file["y_causal"])


@pytest.mark.parametrize("eps", ["1e-06", "0.01"])
def test_norms_agree_with_the_recording(eps):
    file, _ = recorded("rms_norm")
    layer = RMSNorm(64, float(eps))
    layer.weight = file[f"d64.fp32.eps{eps}.w"]
    close(layer(file[f"d64.fp32.eps{eps}.x"]), file[f"d64.fp32.eps{eps}.y"])


SMALL = BitAxonConfig(
    hidden_dim=16,
    num_heads=2,
    ssm_d_state=3,
    ssm_d_conv=3,
    ssm_expand=2,
    swa_window_size=5,
    moe_num_experts=3,
    moe_intermediate_dim=24,
)


@settings(max_examples=20, deadline=None)
@given(batch=st.integers(1, 40), n=st.integers(1, 30), cut=st.integers(0, 30))
def test_any_split_and_batch_of_a_scan_gives_the_same_bits(batch, n, cut):
    layer = AxonSSM(SMALL)
    x = random(batch, n, 16)
    y, cache = layer(x)
    first, middle = layer(x[:, : min(cut, n)])
    rest, end = layer(x[:, min(cut, n) :], middle)
    np.testing.assert_array_equal(np.concatenate([first, rest], axis=1), y)
    np.testing.assert_array_equal(end[0], cache[0])
    np.testing.assert_array_equal(end[1], cache[1])
    alone, _ = layer(x[-1:])
    np.testing.assert_array_equal(alone[0], y[-1])


@settings(max_examples=20, deadline=None)
@given(batch=st.integers(1, 35), pieces=st.lists(st.integers(0, 70), min_size=1, max_size=4))
def test_any_split_and_batch_of_attention_gives_the_same_numbers(batch, pieces):
    layer = SlidingWindowAttention(16, 2, 5)
    x = random(batch, sum(pieces), 16)
    y, _ = layer(x)
    cache = KVCache(window_size=5)
    parts, at = [], 0
    for n in pieces:
        parts.append(layer(x[:, at : at + n], cache=cache)[0])
        at += n
    np.testing.assert_allclose(np.concatenate(parts, axis=1), y, rtol=1e-5, atol=1e-6)
    if at:
        assert cache.k.shape == (batch, 2, min(5, at), 8)


DTYPES = [np.float16, np.float32, np.float64]


@settings(max_examples=40, deadline=None)
@given(
    lead=st.lists(st.integers(0, 4), max_size=3),
    n_in=st.integers(1, 40),
    n_out=st.integers(1, 40),
    x_type=st.sampled_from(DTYPES),
    w_type=st.sampled_from(DTYPES),
    bias=st.booleans(),
)
def test_a_product_of_any_shape_and_type(lead, n_in, n_out, x_type, w_type, bias):
    layer = Linear(n_in, n_out, bias=bias)
    weight = random(n_out, n_in, seed=1).astype(w_type)
    layer.weight = weight
    x = random(*lead, n_in, seed=2).astype(x_type)
    y = layer(x)
    expected = x.astype(np.float64) @ weight.astype(np.float64).T
    if bias:
        layer.bias = np.arange(n_out, dtype=w_type)
        y = layer(x)
        expected = expected + np.arange(n_out)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)


def test_more_rows_than_a_step_has():
    layer = MLP(16, 24)
    x = random(3, 700, 16)
    y = layer(x)
    np.testing.assert_array_equal(y[2, 699], layer(x[2, 699]))


def test_experts_are_what_each_expert_computes():
    layer = SwitchGLU(16, 24, 3)
    x, indices = random(2, 5, 16), np.random.default_rng(3).integers(0, 3, (2, 5, 2))
    y = layer(x, indices)
    for e in range(3):
        one = MLP(16, 24)
        for name in ("gate_proj", "up_proj", "down_proj"):
            getattr(one, name).weight = getattr(layer, name).weight[e]
        expected = one(x)
        for k in range(2):
            chosen = indices[..., k] == e
            np.testing.assert_allclose(y[..., k, :][chosen], expected[chosen], rtol=1e-5, atol=1e-7)


def test_biases_of_experts_and_of_the_shared_expert():
    layer = SwitchLinear(4, 2, 3)
    layer.bias = np.array([[0, 0], [10, 20], [30, 40]], np.float32)
    x = random(1, 2, 4)
    with_bias = layer(x, np.array([[[1], [2]]]))
    layer.bias = None
    without = layer(x, np.array([[[1], [2]]]))
    np.testing.assert_allclose(with_bias - without, [[[[10, 20]], [[30, 40]]]], rtol=1e-5)
    moe = SharedExpertMoE(16, 24, 3, bias=True)
    plain = SharedExpertMoE(16, 24, 3)
    plain.update({name: moe.parameters()[name] for name in ("gate", "switch_mlp")})
    plain.shared_expert_gate.weight = moe.shared_expert_gate.weight
    for name in ("gate_proj", "up_proj", "down_proj"):
        projection = getattr(moe.shared_expert, name)
        getattr(plain.shared_expert, name).weight = projection.weight
        projection.bias = np.zeros(projection.output_dims, np.float32)
    np.testing.assert_allclose(
        moe(x @ np.eye(4, 16, dtype=np.float32)),
        plain(x @ np.eye(4, 16, dtype=np.float32)),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize("kind", [AxonSSMBlock, AxonSWAMoEBlock, AxonSSMMoEBlock])
def test_blocks_are_their_parts(kind):
    block = kind(SMALL)
    x = random(2, 7, 16)
    if kind is AxonSWAMoEBlock:
        cache = KVCache(5)
        y, returned = block(x, cache)
        assert returned is cache
        mixed, _ = block.attention(block.input_norm(x))
        expected = x + mixed
        expected = expected + block.moe(block.post_attention_norm(expected))
    else:
        y, cache = block(x)
        assert [part.shape for part in cache] == [(2, 2, 32), (2, 32, 3)]
        mixed, _ = block.ssm(block.input_norm(x))
        expected = x + mixed
        if kind is AxonSSMMoEBlock:
            expected = expected + block.moe(block.post_ssm_norm(expected))
    np.testing.assert_array_equal(y, expected)


def test_small_pieces():
    x = random(3, 5)
    np.testing.assert_allclose(swiglu(x, np.zeros_like(x)), 0)
    assert np.isfinite(swiglu(x, np.full_like(x, -1e4))).all()
    sums = segsum(np.arange(4.0))
    assert sums[3, 0] == 1 + 2 + 3 and sums[2, 2] == 0 and sums[0, 3] == 0
    assert _compute_dt(np.float32([1000, -1000]), np.float32([0, 0]), 1e-4, 100).tolist() == [
        100,
        pytest.approx(1e-4),
    ]
    table = Embedding(10, 4)
    assert table([[1, 2], [3, 3]]).shape == (2, 2, 4)
    np.testing.assert_allclose(
        table.as_linear(table([7]))[0, 7], (table.weight[7] ** 2).sum(), 1e-5
    )
    with pytest.raises(InvalidArgument, match="expected ids below 10, got 10"):
        table([10])


BAD_CALLS = {
    "a row of another width": (
        lambda: Linear(4, 2)(random(3, 5)),
        "expected an array \\[..., 4\\]",
    ),
    "text": (lambda: Linear(4, 2)("abc"), "expected an array of numbers"),
    "two axes for a scan": (lambda: AxonSSM(SMALL)(random(3, 16)), "\\[batch, rows, 16\\]"),
    "a state of another batch": (
        lambda: AxonSSM(SMALL)(random(2, 1, 16), AxonSSM(SMALL)(random(3, 1, 16))[1]),
        "conv_cache: expected the shape \\[2, 2, 32\\], got \\[3, 2, 32\\]",
    ),
    "a state of one array": (lambda: AxonSSM(SMALL)(random(2, 1, 16), [None]), "got 1 arrays"),
    "an expert that is not there": (
        lambda: SwitchLinear(4, 2, 3)(random(1, 1, 4), [[[3]]]),
        "expected experts 0 to 2, got 3",
    ),
    "too many experts": (lambda: SharedExpertMoE(4, 8, 2, top_k=3), "top_k"),
    "heads that do not divide": (lambda: SlidingWindowAttention(10, 3, 4), "divisible"),
    "no width": (lambda: Linear(0, 2), "input_dims: expected a whole number above 0, got 0"),
    "a mask of another shape": (
        lambda: SlidingWindowAttention(16, 2, 4)(random(1, 3, 16), mask=np.zeros((2, 2))),
        "mask: expected a shape that broadcasts to \\[1, 2, 3, 3\\]",
    ),
    "one tap": (lambda: AxonSSM(BitAxonConfig(ssm_d_conv=1)), "ssm_d_conv: expected at least 2"),
}


WRONG_PARTS = {
    "x_proj of fewer columns": (AxonSSM, "x_proj", lambda: Linear(5, 7, bias=False), "x_proj"),
    "out_proj of fewer rows": (AxonSSM, "out_proj", lambda: Linear(32, 9, bias=False), "out_proj"),
    "in_proj with a bias": (AxonSSM, "in_proj", lambda: Linear(16, 64), "expected no bias"),
    "conv1d of fewer channels": (AxonSSM, "conv1d", lambda: Conv1d(10, 3), "in_proj"),
    "dt_proj of another rank": (AxonSSM, "dt_proj", lambda: Linear(2, 32), "dt_proj"),
    "a module of another kind": (AxonSSM, "x_proj", lambda: MLP(4, 4), "got MLP"),
    "a router of more experts": (
        lambda _: SharedExpertMoE(16, 24, 3),
        "gate",
        lambda: Linear(16, 5, bias=False),
        "gate_proj",
    ),
    "experts of another width": (
        lambda _: SharedExpertMoE(16, 24, 3),
        "switch_mlp",
        lambda: SwitchGLU(16, 24, 2),
        "gate_proj",
    ),
    "o_proj of fewer rows": (
        lambda _: SlidingWindowAttention(16, 2, 4),
        "o_proj",
        lambda: Linear(16, 4, bias=False),
        "o_proj",
    ),
    "down_proj of fewer rows": (
        lambda _: MLP(16, 24),
        "down_proj",
        lambda: Linear(24, 5, bias=False),
        "down_proj",
    ),
}


@pytest.mark.parametrize("case", WRONG_PARTS)
def test_a_part_that_does_not_fit_is_named(case):
    make, name, part, message = WRONG_PARTS[case]
    layer = make(SMALL)
    setattr(layer, name, part())
    with pytest.raises(InvalidArgument, match=message):
        layer(random(1, 3, 16))


def test_an_expert_beyond_the_matrices_is_refused():
    layer = SwitchLinear(4, 2, 3)
    layer(random(1, 1, 4), [[[2]]])
    layer.num_experts = 10
    with pytest.raises(InvalidArgument, match="expected indices below 3, got 3"):
        layer(random(1, 1, 4), [[[3]]])


@pytest.mark.parametrize("case", BAD_CALLS)
def test_bad_calls_name_what_is_wrong(case):
    call, message = BAD_CALLS[case]
    with pytest.raises(InvalidArgument, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)


def test_threads_share_a_layer():
    layer = AxonSSMMoEBlock(SMALL)
    x = random(8, 20, 16)
    expected, _ = layer(x)
    results = [None] * 8

    def work(i):
        for _ in range(5):
            results[i] = layer(x[i : i + 1])[0]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(np.concatenate(results), expected)


def test_a_forked_child_computes_on_its_own():
    layer = MLP(16, 24)
    x = random(3, 16)
    expected = layer(x)
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(layer(x), expected) else 1)
    assert os.waitpid(child, 0)[1] == 0
    np.testing.assert_array_equal(layer(x), expected)


def test_a_signal_ends_a_call_and_the_next_call_works():
    class Alarm(Exception):
        pass

    def raise_alarm(*_):
        raise Alarm

    layer = Linear(1024, 1024)
    x = random(512, 1024)
    expected = layer(x[:2])
    before = signal.signal(signal.SIGALRM, raise_alarm)
    try:
        with pytest.raises(Alarm):
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            while True:
                layer(x)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    np.testing.assert_array_equal(layer(x[:2]), expected)


def test_pickling_is_refused_with_a_reason():
    with pytest.raises(Error, match="save its weights with save_weights"):
        pickle.dumps(Linear(2, 2))


def test_an_unknown_device_is_refused():
    set_device("abacus")
    with pytest.raises(Error, match="abacus"):
        Linear(2, 2)(random(1, 2))


def test_the_examples_of_the_documentation_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[2] / "docs" / "layers.md").read_text()
    blocks = text.split("```python\n")[1:]
    example = tmp_path / "example.py"
    example.write_text("\n".join(block.partition("```")[0] for block in blocks))
    names = runpy.run_path(str(example))
    assert np.isfinite(names["y"]).all()
    np.testing.assert_allclose(names["near"], names["ssm"].out_proj.weight, atol=0.05)
