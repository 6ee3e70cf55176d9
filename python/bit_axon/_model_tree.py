"""The modules of a Bit-Axon model, whose arrays come from its files when they are read."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from bit_axon._arrays import Array, as_numpy, like
from bit_axon._errors import Unsupported
from bit_axon._module import Module
from bit_axon._weights import WeightSource
from bit_axon.config import BitAxonConfig
from bit_axon.layers.block import AxonSSMBlock, AxonSSMMoEBlock, AxonSWAMoEBlock
from bit_axon.layers.linear import Embedding, Linear, QuantizedLinear
from bit_axon.layers.moe import QuantizedSwitchLinear, SwitchLinear
from bit_axon.quantization.nf4 import quantize_nf4

__all__ = ["ModelTree", "layer_type", "quantize_when_read"]

_BLOCKS = {"ssm": AxonSSMBlock, "swa_moe": AxonSWAMoEBlock, "ssm_moe": AxonSSMMoEBlock}


def layer_type(layer_idx: int, total_layers: int) -> str:
    """The kind of a layer: "ssm", "swa_moe" or "ssm_moe"."""
    third = total_layers // 3
    if layer_idx < third:
        return "ssm"
    return "swa_moe" if layer_idx < 2 * third else "ssm_moe"


class ModelTree(Module):
    """The modules of a model, with the names of its files.

    Attributes:
        embed_tokens: Embedding [vocab_size, d_source_model].
        input_proj, output_proj: Linear, to and from hidden_dim.
        layer_0, layer_1, ...: The blocks.
        lm_head: Linear. In a tied model, its weight is the array of the embedding.
    """

    embed_tokens: Any
    input_proj: Any
    output_proj: Any
    lm_head: Any

    def __init__(self, config: BitAxonConfig, source: WeightSource | None = None) -> None:
        """The modules of a configuration. Without a source, the arrays are random."""
        super().__init__()
        outer, width = config.d_source_model, config.hidden_dim
        self.embed_tokens = Embedding(config.vocab_size, outer)
        self.input_proj = Linear(outer, width, bias=False)
        for i in range(config.num_layers):
            setattr(self, f"layer_{i}", _BLOCKS[layer_type(i, config.num_layers)](config))
        self.output_proj = Linear(width, outer, bias=False)
        self.lm_head = Linear(outer, config.vocab_size, bias=False)
        if source is not None:
            _quantize_as_stored(self, "", source)
        if config.weight_tying and (source is None or "lm_head.weight" not in source):
            self.lm_head.share("weight", self.embed_tokens)
        if source is not None:
            self.bind(lambda path, shape: _read(source, path, shape))

    def blocks(self) -> list[Any]:
        """The blocks, from the first to the last."""
        return [child for name, child in self.children().items() if name.startswith("layer_")]

    def _grow_vocab(self, n_tokens: int) -> None:
        """Replaces embedding and head by larger ones, whose new rows are zeros."""
        n_old, width = self.embed_tokens._items["weight"].shape
        tied = self.lm_head._items["weight"] is self.embed_tokens._items["weight"]
        table = Embedding(n_tokens, width)
        table.weight = _with_zero_rows(self.embed_tokens.weight, n_tokens - n_old)
        head = Linear(width, n_tokens, bias=False)
        if tied:
            head.share("weight", table)
        else:
            head.weight = _with_zero_rows(self.lm_head.weight, n_tokens - n_old)
        self.embed_tokens, self.lm_head = table, head


def _with_zero_rows(array: Array, n_new: int) -> Array:
    values = as_numpy(array)
    rows = np.zeros((n_new, values.shape[1]), values.dtype)
    return like(np.concatenate([values, rows]), array)


def _read(source: WeightSource, path: str, shape: tuple[int, ...]) -> Array:
    if path == "lm_head.weight" and path not in source:
        path = "embed_tokens.weight"
    if path not in source or source.shape(path) != shape:
        raise Unsupported(
            f"{path}: the file holds it in a form that is no array of a module, such as NF4; the "
            "model computes with it all the same"
        )
    return source[path]


def _quantize_as_stored(module: Module, prefix: str, source: WeightSource) -> None:
    """Replaces the modules whose matrices the files hold in affine codes."""
    for name, child in module.children().items():
        path = f"{prefix}{name}"
        if isinstance(child, (Linear, SwitchLinear)) and f"{path}.scales" in source:
            setattr(module, name, _stored_form(child, path, source))
        else:
            _quantize_as_stored(child, f"{path}.", source)


def _stored_form(child: Linear | SwitchLinear, path: str, source: WeightSource) -> Module:
    columns = child.input_dims
    group_size = columns // source.shape(f"{path}.scales")[-1]
    bits = source.shape(f"{path}.weight")[-1] * 32 // columns
    if isinstance(child, Linear):
        return QuantizedLinear.of_form(columns, child.output_dims, group_size, bits)
    return QuantizedSwitchLinear.of_form(
        columns, child.output_dims, child.num_experts, group_size, bits
    )


def quantize_when_read(
    module: Module, source: WeightSource, group_size: int, bits: int, prefix: str = ""
) -> None:
    """Replaces the modules whose matrices the engine has quantized while it loaded them. Their
    arrays are quantized when they are read, with the same result."""
    for name, child in module.children().items():
        path = f"{prefix}{name}"
        if not isinstance(child, (Linear, SwitchLinear)):
            quantize_when_read(child, source, group_size, bits, f"{path}.")
        elif child.input_dims % group_size == 0:
            made: QuantizedLinear | QuantizedSwitchLinear
            if isinstance(child, Linear):
                made = QuantizedLinear.of_form(
                    child.input_dims, child.output_dims, group_size, bits
                )
            else:
                made = QuantizedSwitchLinear.of_form(
                    child.input_dims, child.output_dims, child.num_experts, group_size, bits
                )
            _make_codes_of(made, source, path)
            setattr(module, name, made)


def _make_codes_of(made: Any, source: WeightSource, path: str) -> None:
    @functools.cache
    def parts() -> tuple[Array, Array, Array]:
        stored = "embed_tokens" if path == "lm_head" and "lm_head.weight" not in source else path
        return quantize_nf4(source[f"{stored}.weight"], made.group_size, made.bits)

    names = [name for name in made._items if name != "bias"]
    for index, name in enumerate(names):
        made._items[name].lazy(lambda index=index: parts()[index])
