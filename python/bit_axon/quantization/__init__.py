"""Quantization of weights to the 4-bit format that Bit-Axon's files use."""

from __future__ import annotations

from bit_axon.quantization.nf4 import (
    dequantize_nf4,
    quantize_nf4,
    replace_linear_with_quantized,
    replace_switch_linear_with_quantized,
)

__all__ = [
    "dequantize_nf4",
    "quantize_nf4",
    "replace_linear_with_quantized",
    "replace_switch_linear_with_quantized",
]
