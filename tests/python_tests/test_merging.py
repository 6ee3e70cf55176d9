"""Adapters, codes and files of modules."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from bit_axon import BitAxonConfig, BitAxonModel, InvalidArgument, load
from bit_axon._module import Module
from bit_axon.layers.linear import Linear, QuantizedLinear
from bit_axon.tokenizer import QwenTokenizerWrapper
from bit_axon.training.merging import (
    dequantize_model,
    merge_adapters,
    quantize_model,
    save_merged_model,
)
from mlx import nn

MODEL = Path(__file__).parents[2] / "models" / "tiny-shakespeare"


class Own(Module):
    """Two matrices of this package. The columns of the second do not divide into groups."""

    def __init__(self) -> None:
        super().__init__()
        self.first = Linear(64, 40, bias=True)
        self.second = Linear(40, 8, bias=False)


class Mlx(nn.Module):  # type: ignore[misc]
    """The same of mlx."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(64, 40, bias=True)
        self.second = nn.Linear(40, 8, bias=False)


def numbers(array: Any) -> Any:
    return np.array(array)


@pytest.mark.parametrize("make", [Own, Mlx], ids=["own", "mlx"])
def test_codes_and_back(make: Callable[[], Any]) -> None:
    model = make()
    before, bias = numbers(model.first.weight), numbers(model.first.bias)
    assert quantize_model(model, bits=8, group_size=64) is model
    assert type(model.first).__name__ == "QuantizedLinear"
    assert type(model.second).__name__ == "Linear"
    assert quantize_model(model) is model  # what is quantized stays as it is
    assert dequantize_model(model) is model
    assert type(model.first) is (Linear if make is Own else nn.Linear)
    after = numbers(model.first.weight)
    np.testing.assert_allclose(after, before, atol=np.ptp(before) / 255)
    assert not np.array_equal(after, before)
    np.testing.assert_array_equal(numbers(model.first.bias), bias)
    assert "bias" not in dequantize_model(model).second


def test_quantized_model_runs_with_its_codes() -> None:
    model = BitAxonModel(BitAxonConfig.small(), seed=1, device="cpu", threads=1)
    ids = np.arange(12)[None]
    before, _ = model(ids)
    quantize_model(model, bits=8)
    assert isinstance(model.layer_0.ssm.in_proj, QuantizedLinear)
    codes, _ = model(ids)
    assert 0 < np.abs(codes - before).max() < 0.1 * np.abs(before).max()
    dequantize_model(model)
    floats, _ = model(ids)
    assert np.abs(floats - codes).max() < 0.02 * np.abs(before).max()


def test_adapters_are_fused_in_lists_too() -> None:
    class Adapter(nn.Module):  # type: ignore[misc]
        def __init__(self, base: Any) -> None:
            super().__init__()
            self.base = base

        def fuse(self) -> Any:
            self.base.weight = self.base.weight + 1
            return self.base

    model = Mlx()
    before = numbers(model.first.weight)
    model.first = Adapter(model.first)
    model.more = [Adapter(nn.Linear(2, 2)), nn.Linear(2, 2)]
    assert merge_adapters(model) is model
    assert [type(layer) for layer in (model.first, *model.more)] == [nn.Linear] * 3
    np.testing.assert_array_equal(numbers(model.first.weight), before + 1)
    assert merge_adapters(model).first is model.first


@pytest.mark.parametrize("make", [Own, Mlx], ids=["own", "mlx"])
def test_weights_are_saved(tmp_path: Path, make: Callable[[], Any]) -> None:
    model = make()
    output = save_merged_model(model, tmp_path / "a" / "b", config={"x": 1})
    assert output == tmp_path / "a" / "b"
    assert sorted(entry.name for entry in output.iterdir()) == [
        "config.json",
        "weights.safetensors",
    ]
    saved = mx.load(str(output / "weights.safetensors"))
    np.testing.assert_array_equal(numbers(saved["first.weight"]), numbers(model.first.weight))
    assert json.loads((output / "config.json").read_text(encoding="utf-8")) == {"x": 1}


def test_saved_model_is_loaded_again(tmp_path: Path) -> None:
    config = BitAxonConfig.small()
    model = BitAxonModel(config, seed=1, device="cpu", threads=1)
    save_merged_model(model, tmp_path, config=config, tokenizer=QwenTokenizerWrapper(MODEL))
    again = load(tmp_path, device="cpu", threads=1, precision="exact")
    ids = np.arange(9)[None]
    np.testing.assert_array_equal(again(ids)[0], model(ids)[0])
    assert (tmp_path / "tokenizer" / "tokenizer.json").is_file()
    assert QwenTokenizerWrapper(tmp_path / "tokenizer").encode("My lord")


def test_other_tokenizers_save_themselves(tmp_path: Path) -> None:
    class Tokenizer:
        def save_pretrained(self, folder: str) -> None:
            Path(folder, "own.json").touch()

    save_merged_model(Own(), tmp_path, tokenizer=Tokenizer())
    assert (tmp_path / "tokenizer" / "own.json").is_file()
    with pytest.raises(InvalidArgument, match=r"expected a QwenTokenizerWrapper.*got object"):
        save_merged_model(Own(), tmp_path, tokenizer=object())
    with pytest.raises(InvalidArgument, match="config: expected values of JSON"):
        save_merged_model(Own(), tmp_path / "none", config={"x": object()})
    assert not (tmp_path / "none").exists()
