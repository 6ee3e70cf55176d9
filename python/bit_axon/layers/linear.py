"""The parts of layers: matrix products, a convolution and an embedding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from bit_axon import _engine
from bit_axon._arrays import Array, as_ids, as_numpy
from bit_axon._errors import InvalidArgument
from bit_axon._module import Module, Parameter
from bit_axon.layers._device import as_rows, check_positive, constant, device, normal, uniform
from bit_axon.layers._results import result_of

__all__ = [
    "Conv1d",
    "Embedding",
    "EngineModule",
    "Linear",
    "QuantizedLinear",
    "matrix_of",
    "run_rows",
]


def run_rows(
    layer: _engine.RowLayer, *inputs: npt.NDArray[Any], shape: tuple[int, ...]
) -> npt.NDArray[np.float32]:
    """Runs a layer of the engine on rows. `shape` is the shape of the result, whose last axis is
    the width of a row; every input has as many rows."""
    n_rows = math.prod(shape[:-1])
    flat = [np.ascontiguousarray(x).reshape(-1).view(np.uint8) for x in inputs]
    return layer.run(n_rows, flat).reshape(shape)


class EngineModule(Module):
    """A module with a layer of the engine, which is made anew when a weight has changed."""

    def _layer(self, kind: object = None) -> Any:
        current = (device(), self.version, kind)
        made = self.__dict__["_made"]
        if made is None or made[0] != current:
            made = (current, self._make_layer(current[0], kind))
            self.__dict__["_made"] = made
        return made[1]

    def _make_layer(self, on: _engine.EagerDevice, kind: object) -> Any:
        raise NotImplementedError

    def _result(self, values: npt.NDArray[Any], *inputs: Any) -> Array:
        """`values` as an array of the library of `inputs`, without a gradient."""
        return result_of(values, inputs, (item.peek() for _, item in self.named_parameters()))

    def _vector(self, on: _engine.EagerDevice, name: str) -> _engine.PackedWeight:
        """A parameter [n], packed as a vector."""
        parameter: Parameter = self._items[name]
        return parameter.packed(on, (1, 1, math.prod(parameter.shape)), self._name_of(name))

    def _name_of(self, name: str) -> str:
        return f"{type(self).__name__}.{name}"


class Linear(EngineModule):
    """y = x @ weight.T + bias.

    Attributes:
        weight: [output_dims, input_dims].
        bias: [output_dims], or None.
    """

    def __init__(self, input_dims: int, output_dims: int, bias: bool = True) -> None:
        super().__init__()
        check_positive(input_dims=input_dims, output_dims=output_dims)
        bound = 1 / math.sqrt(input_dims)
        self.weight = uniform((output_dims, input_dims), bound)
        self.bias = uniform((output_dims,), bound) if bias else Parameter((output_dims,))

    @property
    def input_dims(self) -> int:
        return int(self._items["weight"].shape[1])

    @property
    def output_dims(self) -> int:
        return int(self._items["weight"].shape[0])

    def __call__(self, x: Array) -> Array:
        """x [..., input_dims] to [..., output_dims], float32."""
        values = as_rows(x, self.input_dims, f"{type(self).__name__} input")
        shape = (*values.shape[:-1], self.output_dims)
        return self._result(run_rows(self._layer(), values, shape=shape), x)

    def packed(self, on: _engine.EagerDevice) -> _engine.PackedWeight:
        """The matrix in the form of a device."""
        parameter: Parameter = self._items["weight"]
        return parameter.packed(on, (1, *parameter.shape), self._name_of("weight"))  # type: ignore[arg-type]

    def _make_layer(self, on: _engine.EagerDevice, kind: object) -> _engine.RowLayer:
        bias = self._vector(on, "bias") if "bias" in self else None
        return _engine.linear_layer(on, self.packed(on), bias)


class QuantizedLinear(EngineModule):
    """y = x @ w.T + bias, where w is a quantized matrix in the affine format of MLX.

    Attributes:
        weight: Codes, uint32 [output_dims, input_dims * bits / 32].
        scales: [output_dims, input_dims / group_size].
        biases: The same shape: w = scale * code + bias.
        bias: [output_dims], or None.
    """

    def __init__(
        self,
        input_dims: int,
        output_dims: int,
        bias: bool = True,
        group_size: int = 64,
        bits: int = 4,
    ) -> None:
        super().__init__()
        check_positive(input_dims=input_dims, output_dims=output_dims)
        self._declare(input_dims, output_dims, group_size, bits)
        self._take(Linear(input_dims, output_dims, bias=bias))

    @classmethod
    def from_linear(cls, linear: Linear, group_size: int = 64, bits: int = 4) -> QuantizedLinear:
        """Quantizes the matrix of a Linear. The bias stays as it is."""
        made = cls.__new__(cls)
        Module.__init__(made)
        made._declare(linear.input_dims, linear.output_dims, group_size, bits)
        made._take(linear)
        return made

    @classmethod
    def of_form(
        cls, input_dims: int, output_dims: int, group_size: int, bits: int
    ) -> QuantizedLinear:
        """A matrix of zeros without a bias, whose arrays are to be set."""
        made = cls.__new__(cls)
        Module.__init__(made)
        made._declare(input_dims, output_dims, group_size, bits)
        for name in ("weight", "scales", "biases"):
            zeros_of(made, name)
        return made

    def _declare(self, input_dims: int, output_dims: int, group_size: int, bits: int) -> None:
        self.input_dims, self.output_dims = input_dims, output_dims
        self.group_size, self.bits = group_size, bits
        if group_size < 1 or input_dims % group_size or input_dims * bits % 32:
            raise InvalidArgument(
                f"group_size: expected a divisor of the {input_dims} columns, got {group_size}"
            )
        self.weight = Parameter((output_dims, input_dims * bits // 32), kind="codes")
        self.scales = Parameter((output_dims, input_dims // group_size))
        self.biases = Parameter((output_dims, input_dims // group_size))
        self.bias = Parameter((output_dims,))

    def _take(self, linear: Linear) -> None:
        from bit_axon.quantization.nf4 import quantize_nf4

        self.weight, self.scales, self.biases = quantize_nf4(
            linear.weight, self.group_size, self.bits
        )
        if "bias" in linear:
            self.bias = linear.bias

    def __call__(self, x: Array) -> Array:
        """x [..., input_dims] to [..., output_dims], float32."""
        values = as_rows(x, self.input_dims, "QuantizedLinear input")
        shape = (*values.shape[:-1], self.output_dims)
        return self._result(run_rows(self._layer(), values, shape=shape), x)

    def packed(self, on: _engine.EagerDevice) -> _engine.PackedWeight:
        """The matrix in the form of a device."""
        shape = (1, self.output_dims, self.input_dims)
        return pack_codes(self, on, shape, biases="biases")

    def _make_layer(self, on: _engine.EagerDevice, kind: object) -> _engine.RowLayer:
        bias = self._vector(on, "bias") if "bias" in self else None
        return _engine.linear_layer(on, self.packed(on), bias)


def zeros_of(module: Module, name: str) -> None:
    """Lets a parameter begin with zeros."""
    parameter: Parameter = module._items[name]
    dtype = np.uint32 if parameter.kind == "codes" else np.float32
    parameter.lazy(lambda: np.zeros(parameter.shape, dtype))


def pack_codes(
    module: EngineModule, on: _engine.EagerDevice, shape: tuple[int, int, int], *, biases: str
) -> _engine.PackedWeight:
    """Packs the codes, scales and biases of a quantized module. They are packed once for each
    version of the module."""
    key = (on, module.version)
    kept = module.__dict__.get("_packed_codes")
    if kept is None or kept[0] != key:
        codes, scales, offsets = (
            module._items[name].host(module._name_of(name)) for name in ("weight", "scales", biases)
        )
        if scales.dtype != offsets.dtype:
            scales, offsets = scales.astype(np.float32), offsets.astype(np.float32)
        dtype = "F16" if scales.dtype == np.float16 else "F32"
        parts = (codes, scales, offsets)
        data, factors, added = (x.reshape(-1).view(np.uint8) for x in parts)
        weight = _engine.pack(
            on,
            module._name_of("weight"),
            shape,
            dtype,
            data,
            factors,
            added,
            module.group_size,
            module.bits,
        )
        kept = (key, weight)
        module.__dict__["_packed_codes"] = kept
    packed: _engine.PackedWeight = kept[1]
    return packed


def matrix_of(
    owner: Module, name: str, on: _engine.EagerDevice, bias: bool = False
) -> _engine.PackedWeight:
    """The matrix of a Linear or QuantizedLinear that is an attribute of `owner`. An adapter is
    folded in.

    Raises:
        InvalidArgument: if the attribute is another module, or has a bias that the layer does not
            compute.
    """
    module = getattr(owner, name)
    if hasattr(module, "fuse"):
        module = module.fuse(dequantize=True)
    if not isinstance(module, (Linear, QuantizedLinear)):
        raise InvalidArgument(
            f"{type(owner).__name__}.{name}: expected a Linear or QuantizedLinear, got "
            f"{type(module).__name__}"
        )
    if "bias" in module and not bias:
        raise InvalidArgument(f"{type(owner).__name__}.{name}: expected no bias, got one")
    return module.packed(on)


class Conv1d(EngineModule):
    """A causal convolution of each channel with its own taps, without padding.

    Attributes:
        weight: [channels, kernel_size, 1]. The last tap belongs to the newest row.
        bias: [channels], or None.
    """

    def __init__(self, channels: int, kernel_size: int, bias: bool = True) -> None:
        super().__init__()
        check_positive(channels=channels, kernel_size=kernel_size)
        self.weight = uniform((channels, kernel_size, 1), 1 / math.sqrt(channels * kernel_size))
        self.bias = constant((channels,), 0) if bias else Parameter((channels,))

    def __call__(self, x: Array) -> Array:
        """x [batch, rows, channels] to [batch, rows - kernel_size + 1, channels].

        A layer computes its convolution in the engine, together with its activation. This call
        alone is computed by numpy.
        """
        taps = self._items["weight"].host("Conv1d.weight").astype(np.float32)[:, :, 0]
        channels, n_taps = taps.shape
        values = as_rows(x, channels, "Conv1d input")
        n_rows = values.shape[-2] - n_taps + 1 if values.ndim >= 2 else 0
        if n_rows < 1:
            raise InvalidArgument(
                f"Conv1d input: expected an array [batch, rows, {channels}] of at least {n_taps} "
                f"rows, got the shape {list(values.shape)}"
            )
        out = sum(values[..., k : k + n_rows, :] * taps[:, k] for k in range(n_taps))
        if "bias" in self:
            out = out + as_numpy(self.bias, np.float32)
        return self._result(np.asarray(out, dtype=np.float32), x)


class Embedding(EngineModule):
    """A table of vectors.

    Attributes:
        weight: [num_embeddings, dims].
    """

    def __init__(self, num_embeddings: int, dims: int) -> None:
        super().__init__()
        check_positive(num_embeddings=num_embeddings, dims=dims)
        self.weight = normal((num_embeddings, dims), 1 / math.sqrt(dims))

    def __call__(self, ids: Array) -> Array:
        """Ids [...] to vectors [..., dims].

        Raises:
            InvalidArgument: for an id outside the table.
        """
        table = as_numpy(self.weight)
        rows = as_ids(ids, "Embedding input")
        outside = rows[(rows < 0) | (rows >= len(table))]
        if outside.size:
            raise InvalidArgument(
                f"Embedding input: expected ids below {len(table)}, got {int(outside[0])}"
            )
        return self._result(table[rows], ids)

    def as_linear(self, x: Array) -> Array:
        """x [..., dims] times the table: [..., num_embeddings]."""
        n, dims = self._items["weight"].shape
        values = as_rows(x, dims, "Embedding input")
        return self._result(run_rows(self._layer(), values, shape=(*values.shape[:-1], n)), x)

    def _make_layer(self, on: _engine.EagerDevice, kind: object) -> _engine.RowLayer:
        parameter: Parameter = self._items["weight"]
        weight = parameter.packed(on, (1, *parameter.shape), self._name_of("weight"))  # type: ignore[arg-type]
        return _engine.linear_layer(on, weight, None)
