"""Quantization against recorded bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bit_axon import FormatError, InvalidArgument
from bit_axon._weights import WeightSource
from bit_axon.layers import (
    MLP,
    Linear,
    QuantizedLinear,
    QuantizedSwitchLinear,
    SharedExpertMoE,
    SwitchLinear,
    set_device,
    set_seed,
)
from bit_axon.quantization import (
    dequantize_nf4,
    quantize_nf4,
    replace_linear_with_quantized,
    replace_switch_linear_with_quantized,
)
from hypothesis import given, settings
from hypothesis import strategies as st

OPS = Path(__file__).parent.parent / "golden" / "ops"


@pytest.fixture(autouse=True)
def on_the_cpu():
    set_device("cpu", 1)
    set_seed(1)


@pytest.mark.parametrize("group", [32, 64, 128])
@pytest.mark.parametrize("name", ["fp32", "fp16", "experts"])
def test_codes_scales_and_biases_have_the_recorded_bits(group, name):
    file = WeightSource.of_files(OPS / f"quant_g{group}.safetensors")
    packed, scales, biases = quantize_nf4(file[f"{name}.w"], group)
    np.testing.assert_array_equal(packed, file[f"{name}.packed"])
    for part, stored in ((scales, "scales"), (biases, "biases")):
        expected = file[f"{name}.{stored}"]
        assert part.dtype == expected.dtype
        np.testing.assert_array_equal(part, expected)


@pytest.mark.parametrize("name", ["fp32", "fp16"])
def test_dequantized_numbers_agree_with_the_recording(name):
    file = WeightSource.of_files(OPS / "quant_g64.safetensors")
    parts = [file[f"{name}.{part}"] for part in ("packed", "scales", "biases")]
    values = dequantize_nf4(*parts, group_size=64, bits=4)
    expected = file[f"{name}.dequant"]
    assert values.dtype == expected.dtype
    # The original program rounded scale * code to the type of the scales before it added the bias.
    step = 2.0**-10 if name == "fp16" else 2.0**-23
    error = np.abs(values.astype(np.float64) - expected.astype(np.float64)).max()
    assert error <= 2 * step * np.abs(expected).max()


@settings(max_examples=30, deadline=None)
@given(
    lead=st.lists(st.integers(1, 3), min_size=1, max_size=2),
    groups=st.integers(1, 4),
    group=st.sampled_from([32, 64, 128]),
    bits=st.sampled_from([2, 3, 4, 5, 6, 8]),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
)
def test_a_round_trip_is_within_half_a_step(lead, groups, group, bits, dtype):
    rng = np.random.default_rng(5)
    weight = rng.standard_normal((*lead, groups * group)).astype(dtype)
    packed, scales, biases = quantize_nf4(weight, group, bits)
    assert packed.dtype == np.uint32 and packed.shape[-1] == weight.shape[-1] * bits // 32
    values = dequantize_nf4(packed, scales, biases, group, bits)
    steps = np.repeat(np.abs(scales.astype(np.float64)), group, axis=-1)
    # The scale moves so that the largest number is a code. Half precision adds its own rounding.
    allowed = 1.01 * steps + (0.02 if dtype == np.float16 else 1e-5)
    assert (np.abs(values.astype(np.float64) - weight.astype(np.float64)) <= allowed).all()


@pytest.mark.parametrize("group", [32, 64, 128])
def test_a_quantized_product_agrees_with_the_recording(group):
    file = WeightSource.of_files(OPS / f"quant_g{group}.safetensors")
    layer = Linear(256, 24, bias=False)
    layer.weight = file["fp16.w"]
    quantized = QuantizedLinear.from_linear(layer, group)
    y, expected = quantized(file["fp16.x"]), file["fp16.y_exact"]
    assert np.linalg.norm(y - expected) <= 1e-5 * np.linalg.norm(expected)


def test_modules_are_replaced_where_groups_fit():
    moe = SharedExpertMoE(64, 96, 4)
    x = np.random.default_rng(1).standard_normal((2, 3, 64)).astype(np.float32)
    before = moe(x)
    assert replace_linear_with_quantized(moe, group_size=64) is moe
    assert isinstance(moe.gate, QuantizedLinear)
    assert isinstance(moe.shared_expert.up_proj, QuantizedLinear)
    assert isinstance(moe.shared_expert.down_proj, Linear)  # 96 columns have no whole groups of 64
    assert isinstance(moe.switch_mlp.up_proj, SwitchLinear)
    replace_switch_linear_with_quantized(moe, group_size=32)
    assert isinstance(moe.switch_mlp.down_proj, QuantizedSwitchLinear)
    after = moe(x)
    assert 0 < np.linalg.norm(after - before) < 0.3 * np.linalg.norm(before)
    assert sorted(moe.switch_mlp.parameters()["up_proj"]) == ["biases_quant", "scales", "weight"]


def test_a_bias_stays():
    layer = Linear(32, 4)
    layer.bias = np.arange(4.0)
    quantized = QuantizedLinear.from_linear(layer, 32)
    np.testing.assert_allclose(quantized(np.zeros((1, 32))), [[0, 1, 2, 3]])


def test_codes_that_are_set_are_used():
    layer = QuantizedLinear(32, 1, bias=False, group_size=32)
    layer.weight = np.full((1, 4), 0x11111111, np.uint32)  # every code is 1
    layer.scales, layer.biases = np.float32([[2]]), np.float32([[0.5]])
    assert layer(np.ones((1, 32))).tolist() == [[80]]


BAD_CALLS = {
    "group": (lambda: quantize_nf4(np.ones((2, 64)), 48), InvalidArgument, "group_size"),
    "bits": (lambda: quantize_nf4(np.ones((2, 64)), 64, 7), InvalidArgument, "bits"),
    "columns": (lambda: quantize_nf4(np.ones((2, 40)), 32), InvalidArgument, "groups of 32"),
    "integers": (lambda: quantize_nf4(np.ones((2, 64), int)), InvalidArgument, "int64"),
    "nan": (lambda: quantize_nf4(np.full((2, 64), np.nan)), FormatError, "weight"),
    "parts": (
        lambda: dequantize_nf4(*quantize_nf4(np.ones((2, 64)), 32), group_size=64),
        InvalidArgument,
        "got uint32",
    ),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_bad_calls_name_what_is_wrong(case):
    call, kind, message = BAD_CALLS[case]
    with pytest.raises(kind, match=message):
        call()


def test_formats_that_are_planned_say_so():
    with pytest.raises(NotImplementedError, match="ternary"):
        import bit_axon.quantization.ternary  # noqa: F401
    from bit_axon.quantization.turboquant import TurboQuant

    with pytest.raises(NotImplementedError, match="long contexts"):
        TurboQuant(bits=3)


def test_a_layer_of_a_quantized_model_computes():
    layer = replace_linear_with_quantized(MLP(64, 64), group_size=64, bits=8)
    assert layer.gate_proj.bits == 8
    assert np.isfinite(layer(np.ones((2, 64)))).all()
