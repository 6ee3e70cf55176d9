"""Layers beside MLX: its arrays come in and go out, and its results are the same."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest
from bit_axon import BitAxonConfig, InvalidArgument
from bit_axon.layers import (
    MLP,
    AxonSSM,
    AxonSWAMoEBlock,
    Linear,
    RMSNorm,
    SlidingWindowAttention,
    set_device,
    set_seed,
)
from bit_axon.quantization import (
    dequantize_nf4,
    quantize_nf4,
    replace_linear_with_quantized,
)
from bit_axon.utils.cache import KVCache
from mlx import nn


@pytest.fixture(autouse=True)
def on_the_cpu():
    set_device("cpu", 1)
    set_seed(1)


def test_arrays_of_mlx_come_out_where_they_go_in():
    config = BitAxonConfig.small()
    x = mx.random.normal((1, 4, config.hidden_dim))
    y, cache = AxonSSM(config)(x)
    assert {type(part) for part in (y, *cache)} == {mx.array}
    cache = KVCache(config.swa_window_size)
    y, _ = AxonSWAMoEBlock(config)(x, cache)
    assert {type(part) for part in (y, cache.k, cache.v)} == {mx.array}
    assert isinstance(AxonSSM(config)(np.array(x))[0], np.ndarray)


@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16])
def test_products_and_norms_are_those_of_mlx(dtype):
    x = mx.random.normal((3, 64))
    theirs, ours = nn.Linear(64, 32), Linear(64, 32)
    theirs.weight = theirs.weight.astype(dtype)
    ours.load_weights([("weight", theirs.weight), ("bias", theirs.bias)])
    assert ours.weight.dtype == dtype
    assert mx.allclose(ours(x), theirs(x.astype(mx.float32)), rtol=1e-4, atol=1e-5)
    norm = RMSNorm(64)
    norm.weight = mx.random.normal((64,))
    assert mx.allclose(norm(x), mx.fast.rms_norm(x, norm.weight, 1e-6), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16])
def test_a_change_in_place_is_noticed(dtype):
    layer = RMSNorm(4)
    weight = mx.ones((4,), dtype)
    layer.weight = weight
    x = mx.ones((1, 4))
    assert layer(x)[0, 0].item() == pytest.approx(1)
    weight[0] = 5
    assert layer(x)[0, 0].item() == pytest.approx(5)
    for factor in range(6, 20):
        weight[0] = factor
        assert layer(x)[0, 0].item() == pytest.approx(factor)
    version = layer.version
    layer(x)
    assert layer.version == version
    del weight
    layer.weight[1] = 7
    assert layer(x)[0, 1].item() == pytest.approx(7)


def test_an_additive_mask_of_mlx():
    attention = SlidingWindowAttention(16, 2, 4)
    x = mx.random.normal((1, 6, 16))
    mask = mx.array(attention._make_sliding_window_mask(6, 6))[None, None]
    assert mx.allclose(attention(x, mask=mask)[0], attention(x)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_quantized_bits_are_those_of_mlx(dtype, bits):
    weight = mx.random.normal((6, 128)).astype(dtype)
    ours = quantize_nf4(weight, 64, bits)
    theirs = mx.quantize(weight, group_size=64, bits=bits)
    for a, b in zip(ours, theirs):
        assert type(a) is mx.array and a.dtype == b.dtype and mx.array_equal(a, b)
    values = dequantize_nf4(*ours, 64, bits)
    assert values.dtype == dtype
    # MLX rounds scale * code to the type of the scales before it adds the bias.
    step = {mx.float32: 2**-22, mx.float16: 2**-9, mx.bfloat16: 2**-6}[dtype]
    expected = mx.dequantize(*theirs, group_size=64, bits=bits)
    largest = mx.abs(weight).max().item()
    assert mx.abs(values - expected).max().item() <= step * largest


def test_modules_of_mlx_are_quantized_too():
    model = nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 32))
    replace_linear_with_quantized(model, group_size=64)
    assert [type(layer) for layer in model.layers] == [
        nn.QuantizedLinear,
        nn.ReLU,
        nn.QuantizedLinear,
    ]


def loss_of_an_input(x):
    return MLP(4, 6)(x).sum()


def loss_of_a_state(x):
    wide = mx.concatenate([x.reshape(1, 1, 16)] * 16, axis=-1)
    return AxonSSM(BitAxonConfig.small())(wide)[1][1].sum()


def loss_of_a_weight(weight):
    layer = Linear(4, 4, bias=False)
    layer.weight = weight
    return layer(mx.ones((1, 4))).sum()


@pytest.mark.parametrize("loss", [loss_of_an_input, loss_of_a_state, loss_of_a_weight])
def test_a_gradient_is_refused_in_one_line(loss):
    x = mx.ones((4, 4))
    with pytest.raises(InvalidArgument, match="gradients are not available") as raised:
        mx.grad(loss)(x)
    assert "\n" not in str(raised.value)
    assert loss(x).shape == ()


def test_a_residual_connection_refuses_gradients_too():
    block = AxonSWAMoEBlock(BitAxonConfig.small())
    with pytest.raises(InvalidArgument, match="gradients are not available"):
        mx.grad(lambda x: block(x)[0].sum())(mx.ones((1, 2, 256)))


def test_a_compiled_function_is_refused_in_one_line():
    layer = MLP(4, 6)
    with pytest.raises(InvalidArgument, match="traced") as raised:
        mx.compile(layer)(mx.ones((1, 4)))
    assert "\n" not in str(raised.value)


def test_a_cache_keeps_the_type_of_its_keys():
    cache = KVCache(4)
    for n in (3, 2):
        x = mx.ones((1, 2, n, 8)).astype(mx.bfloat16)
        k, v = cache.update_and_fetch(x, x)
    assert k.dtype == v.dtype == mx.bfloat16
    assert k.shape == (1, 2, 4, 8)
