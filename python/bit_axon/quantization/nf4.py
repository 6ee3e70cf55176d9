"""Quantization in the affine format of MLX: codes of 2 to 8 bits, a scale and a bias per group.

The names say nf4, as Bit-Axon's documentation does. The format is not bitsandbytes' NormalFloat,
which the command `bit-axon quantize --format nf4` writes. The results have the bits of MLX's
quantize().
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from bit_axon import _engine
from bit_axon._arrays import Array, as_numpy, library_of, like
from bit_axon._errors import InvalidArgument
from bit_axon._module import Module

__all__ = [
    "dequantize_nf4",
    "quantize_nf4",
    "replace_linear_with_quantized",
    "replace_switch_linear_with_quantized",
]

T = TypeVar("T")


def _stored_type(array: Array) -> str:
    """The type of an array as files name it. Everything that is no 16-bit float counts as F32."""
    name = str(getattr(array, "dtype", "")).rpartition(".")[2]
    return {"float16": "F16", "bfloat16": "BF16"}.get(name, "F32")


def _to_bytes(values: npt.NDArray[Any], dtype: str) -> npt.NDArray[np.uint8]:
    """Numbers as the bytes of a type. `values` are float32 if the type is BF16."""
    if dtype == "BF16":
        bits = (np.ascontiguousarray(values, np.float32).view(np.uint32) >> 16).astype(np.uint16)
        return bits.reshape(-1).view(np.uint8)
    wanted = np.float16 if dtype == "F16" else np.float32
    return np.ascontiguousarray(values, wanted).reshape(-1).view(np.uint8)


def _from_bytes(data: npt.NDArray[np.uint8], dtype: str) -> npt.NDArray[Any]:
    if dtype == "BF16":
        return (data.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return data.view(np.float16 if dtype == "F16" else np.float32)


def _cast_like(values: npt.NDArray[Any], source: Array) -> Array:
    """`values` in the library and, for bfloat16, in the type of `source`."""
    result = like(values, source)
    if _stored_type(source) == "BF16":
        return (
            result.to(source.dtype)
            if library_of(source) == "torch"
            else result.astype(source.dtype)
        )
    return result


def _check_form(group_size: int, bits: int) -> None:
    if group_size not in (32, 64, 128):
        raise InvalidArgument(f"group_size: expected 32, 64 or 128, got {group_size}")
    if bits not in (2, 3, 4, 5, 6, 8):
        raise InvalidArgument(f"bits: expected 2, 3, 4, 5, 6 or 8, got {bits}")


def quantize_nf4(weight: Array, group_size: int = 64, bits: int = 4) -> tuple[Array, Array, Array]:
    """Quantizes a matrix, or a stack of matrices.

    Args:
        weight: [..., rows, columns], of any float type.
        group_size: Columns that share a scale: 32, 64 or 128.
        bits: Bits of a code: 2, 3, 4, 5, 6 or 8.

    Returns:
        The codes (uint32 [..., rows, columns * bits / 32], the first code in the lowest bits), the
        scales and the biases ([..., rows, columns / group_size] each, of the type of `weight`).
        w = scale * code + bias. The bits are those of MLX's quantize().

    Raises:
        InvalidArgument: for a shape that does not divide into groups.
        FormatError: for numbers that are NaN or infinite.
    """
    _check_form(group_size, bits)
    dtype = _stored_type(weight)
    values = as_numpy(weight, name="weight")
    if values.ndim < 2 or values.shape[-1] % group_size or values.dtype.kind != "f":
        raise InvalidArgument(
            f"weight: expected floats [..., rows, columns] with columns in groups of {group_size}, "
            f"got {values.dtype} {list(values.shape)}"
        )
    rows, cols = math.prod(values.shape[:-1]), values.shape[-1]
    parts = _engine.quantize_affine(_to_bytes(values, dtype), dtype, rows, cols, group_size, bits)
    groups = (*values.shape[:-1], cols // group_size)
    codes = parts[0].view(np.uint32).reshape(*values.shape[:-1], cols * bits // 32)
    scales, biases = (
        _cast_like(_from_bytes(part, dtype).reshape(groups), weight) for part in parts[1:]
    )
    return like(codes, weight), scales, biases


def dequantize_nf4(
    packed: Array, scales: Array, biases: Array, group_size: int = 64, bits: int = 4
) -> Array:
    """The numbers of a quantized matrix: scale * code + bias.

    Args:
        packed, scales, biases: What quantize_nf4() returns.
        group_size, bits: What it was called with.

    Returns:
        [..., rows, columns] of the type of `scales`.

    Raises:
        InvalidArgument: if the arrays do not fit each other.
    """
    _check_form(group_size, bits)
    codes = as_numpy(packed, name="packed")
    dtype = _stored_type(scales)
    scale, bias = as_numpy(scales, name="scales"), as_numpy(biases, name="biases")
    cols = codes.shape[-1] * 32 // bits if codes.ndim else 0
    expected = (*codes.shape[:-1], cols // group_size)
    if codes.dtype != np.uint32 or scale.shape != expected or bias.shape != expected:
        raise InvalidArgument(
            f"expected codes of uint32 [..., columns * {bits} / 32], and scales and biases "
            f"[..., columns / {group_size}]; got {codes.dtype} {list(codes.shape)}, "
            f"{list(scale.shape)} and {list(bias.shape)}"
        )
    values = _engine.dequantize_affine(
        codes.reshape(-1).view(np.uint8),
        _to_bytes(scale, dtype),
        _to_bytes(bias, dtype),
        dtype,
        math.prod(codes.shape[:-1]),
        cols,
        group_size,
        bits,
    ).reshape(*codes.shape[:-1], cols)
    if dtype == "F16":
        values = values.astype(np.float16)
    return _cast_like(values, scales)


def _is_mlx_module(module: object) -> bool:
    return any(base.__module__.partition(".")[0] == "mlx" for base in type(module).__mro__)


def _replace(
    module: Any, old: type, fits: Callable[[Any], bool], replace: Callable[[Any], Any]
) -> None:
    """Replaces every module of type `old` below `module`, also in lists of modules."""

    def new(item: Any) -> Any:
        if isinstance(item, old):
            return replace(item) if fits(item) else item
        if hasattr(item, "children"):
            _replace(item, old, fits, replace)
        return item

    for name, child in module.children().items():
        if isinstance(child, list):
            setattr(module, name, [new(item) for item in child])
        else:
            made = new(child)
            if made is not child:
                setattr(module, name, made)


def _divides(layer: Any, group_size: int) -> bool:
    columns = layer.input_dims if isinstance(layer, Module) else layer.weight.shape[-1]
    return bool(columns >= group_size and columns % group_size == 0)


def replace_linear_with_quantized(module: T, group_size: int = 64, bits: int = 4) -> T:
    """Replaces every Linear below a module by a QuantizedLinear, in place.

    Matrices whose columns do not divide into groups stay as they are. `module` is a module of this
    package or of mlx.nn.

    Returns:
        The module.
    """
    _check_form(group_size, bits)
    linear: Any
    quantized: Any
    if _is_mlx_module(module):
        from mlx import nn

        linear, quantized = nn.Linear, nn.QuantizedLinear
    else:
        from bit_axon.layers.linear import Linear, QuantizedLinear

        linear, quantized = Linear, QuantizedLinear
    _replace(
        module,
        linear,
        lambda layer: _divides(layer, group_size),
        lambda layer: quantized.from_linear(layer, group_size=group_size, bits=bits),
    )
    return module


def replace_switch_linear_with_quantized(module: T, group_size: int = 64, bits: int = 4) -> T:
    """Replaces every SwitchLinear below a module of this package by a QuantizedSwitchLinear.

    Returns:
        The module.
    """
    from bit_axon.layers.moe import QuantizedSwitchLinear, SwitchLinear

    _check_form(group_size, bits)
    _replace(
        module,
        SwitchLinear,
        lambda layer: _divides(layer, group_size),
        lambda layer: QuantizedSwitchLinear.from_switch_linear(layer, group_size, bits),
    )
    return module
