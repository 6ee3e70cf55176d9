"""Feed-forward layers: one, a stack of experts, and a mixture of experts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from bit_axon import _engine
from bit_axon._arrays import Array, as_ids, as_numpy
from bit_axon._errors import InvalidArgument
from bit_axon._module import Module, Parameter
from bit_axon.layers._device import as_rows, check_positive, constant, uniform
from bit_axon.layers._results import result_of
from bit_axon.layers.linear import EngineModule, Linear, matrix_of, pack_codes, run_rows, zeros_of

__all__ = [
    "MLP",
    "QuantizedSwitchLinear",
    "SharedExpertMoE",
    "SwitchGLU",
    "SwitchLinear",
    "swiglu",
]


def swiglu(x: Array, gate: Array) -> Array:
    """silu(gate) * x, computed by numpy. Layers compute it in the engine, with their products."""
    values, gates = as_numpy(x, np.float32, name="x"), as_numpy(gate, np.float32, name="gate")
    with np.errstate(over="ignore"):  # exp(-gate) may be infinite: silu is then 0
        return result_of(gates / (1 + np.exp(-gates)) * values, (x, gate))


def _sigmoid(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-x)), dtype=np.float32)


def _expert_ids(indices: Array, n_experts: int) -> npt.NDArray[np.int32]:
    ids = as_ids(indices, "indices")
    outside = ids[(ids < 0) | (ids >= n_experts)]
    if outside.size:
        raise InvalidArgument(
            f"indices: expected experts 0 to {n_experts - 1}, got {int(outside[0])}"
        )
    return ids


class _Experts(EngineModule):
    """What SwitchLinear and QuantizedSwitchLinear have in common."""

    input_dims: int
    output_dims: int
    num_experts: int
    bias: Any

    def __call__(self, x: Array, indices: Array, sorted_indices: bool = False) -> Array:
        """Multiplies every row by the matrices of its experts.

        Args:
            x: [batch, rows, input_dims], or [batch, rows, k, input_dims] with a row for each
                expert.
            indices: Experts [batch, rows, k].
            sorted_indices: Accepted and ignored: the engine groups rows by expert itself.

        Returns:
            [batch, rows, k, output_dims], float32.
        """
        name = type(self).__name__
        values = as_rows(x, self.input_dims, f"{name} input")
        ids = _expert_ids(indices, self.num_experts)
        if values.ndim == ids.ndim:
            values = values[..., None, :]
        try:
            values = np.broadcast_to(values, (*ids.shape, self.input_dims))
        except ValueError:
            raise InvalidArgument(
                f"{name}: the input {list(values.shape)} does not fit indices {list(ids.shape)}"
            ) from None
        shape = (*ids.shape, self.output_dims)
        out = run_rows(self._layer(), values, ids, shape=shape)
        if "bias" in self:
            out = out + as_numpy(self.bias, np.float32)[ids]
        return self._result(out, x, indices)

    def packed(self, on: _engine.EagerDevice) -> _engine.PackedWeight:
        """The matrices in the form of a device."""
        raise NotImplementedError

    def _make_layer(self, on: _engine.EagerDevice, kind: object) -> _engine.RowLayer:
        return _engine.switch_layer(on, self.packed(on))


class SwitchLinear(_Experts):
    """A matrix for each expert. The initial weights are float16.

    Attributes:
        weight: [num_experts, output_dims, input_dims].
        bias: [num_experts, output_dims], or None.
    """

    weight: Any

    def __init__(
        self, input_dims: int, output_dims: int, num_experts: int, bias: bool = True
    ) -> None:
        super().__init__()
        check_positive(input_dims=input_dims, output_dims=output_dims, num_experts=num_experts)
        self.input_dims, self.output_dims = input_dims, output_dims
        self.num_experts = num_experts
        shape = (num_experts, output_dims, input_dims)
        self.weight = uniform(shape, 1 / math.sqrt(input_dims), "float16")
        self.bias = constant(shape[:2], 0, "float16") if bias else Parameter(shape[:2])

    def packed(self, on: _engine.EagerDevice) -> _engine.PackedWeight:
        shape = (self.num_experts, self.output_dims, self.input_dims)
        parameter: Parameter = self._items["weight"]
        return parameter.packed(on, shape, self._name_of("weight"))


class QuantizedSwitchLinear(_Experts):
    """A quantized matrix for each expert, in the affine format of MLX.

    Attributes:
        weight: Codes, uint32 [num_experts, output_dims, input_dims * bits / 32].
        scales: [num_experts, output_dims, input_dims / group_size].
        biases_quant: The same shape: w = scale * code + bias.
        bias: [num_experts, output_dims], or None.
    """

    weight: Any
    scales: Any
    biases_quant: Any

    def __init__(
        self,
        input_dims: int,
        output_dims: int,
        num_experts: int,
        bias: bool = True,
        group_size: int = 64,
        bits: int = 4,
    ) -> None:
        super().__init__()
        self._take(SwitchLinear(input_dims, output_dims, num_experts, bias), group_size, bits)

    @staticmethod
    def from_switch_linear(
        switch_linear: SwitchLinear, group_size: int = 64, bits: int = 4
    ) -> QuantizedSwitchLinear:
        """Quantizes the matrices of a SwitchLinear. The bias stays as it is."""
        made = QuantizedSwitchLinear.__new__(QuantizedSwitchLinear)
        Module.__init__(made)
        made._take(switch_linear, group_size, bits)
        return made

    @classmethod
    def of_form(
        cls, input_dims: int, output_dims: int, num_experts: int, group_size: int, bits: int
    ) -> QuantizedSwitchLinear:
        """Matrices of zeros without a bias, whose arrays are to be set."""
        made = cls.__new__(cls)
        Module.__init__(made)
        made._declare(input_dims, output_dims, num_experts, group_size, bits)
        for name in ("weight", "scales", "biases_quant"):
            zeros_of(made, name)
        return made

    def _declare(
        self, input_dims: int, output_dims: int, num_experts: int, group_size: int, bits: int
    ) -> None:
        self.input_dims, self.output_dims = input_dims, output_dims
        self.num_experts, self.group_size, self.bits = num_experts, group_size, bits
        rows = (num_experts, output_dims)
        self.weight = Parameter((*rows, input_dims * bits // 32), kind="codes")
        self.scales = Parameter((*rows, input_dims // group_size))
        self.biases_quant = Parameter((*rows, input_dims // group_size))
        self.bias = Parameter(rows)

    def _take(self, dense: SwitchLinear, group_size: int, bits: int) -> None:
        from bit_axon.quantization.nf4 import quantize_nf4

        codes, scales, biases = quantize_nf4(dense.weight, group_size, bits)
        self._declare(dense.input_dims, dense.output_dims, dense.num_experts, group_size, bits)
        self.weight, self.scales, self.biases_quant = codes, scales, biases
        if "bias" in dense:
            self.bias = dense.bias

    def packed(self, on: _engine.EagerDevice) -> _engine.PackedWeight:
        shape = (self.num_experts, self.output_dims, self.input_dims)
        return pack_codes(self, on, shape, biases="biases_quant")


def _stack_of(owner: Module, name: str, on: _engine.EagerDevice) -> _engine.PackedWeight:
    """The matrices of a SwitchLinear or QuantizedSwitchLinear that is an attribute of `owner`."""
    module = getattr(owner, name)
    if not isinstance(module, _Experts):
        raise InvalidArgument(
            f"{type(owner).__name__}.{name}: expected a SwitchLinear or QuantizedSwitchLinear, got "
            f"{type(module).__name__}"
        )
    return module.packed(on)


def _has_bias(module: Module) -> bool:
    return any("bias" in child for child in module.children().values())


class SwitchGLU(EngineModule):
    """The experts of a layer: down(silu(gate(x)) * up(x)) with the matrices of each expert.

    Attributes:
        gate_proj, up_proj: SwitchLinear, input_dims to hidden_dims.
        down_proj: SwitchLinear, hidden_dims to input_dims.
    """

    gate_proj: Any
    up_proj: Any
    down_proj: Any

    def __init__(
        self, input_dims: int, hidden_dims: int, num_experts: int, bias: bool = False
    ) -> None:
        super().__init__()
        self.gate_proj = SwitchLinear(input_dims, hidden_dims, num_experts, bias=bias)
        self.up_proj = SwitchLinear(input_dims, hidden_dims, num_experts, bias=bias)
        self.down_proj = SwitchLinear(hidden_dims, input_dims, num_experts, bias=bias)

    def __call__(self, x: Array, indices: Array) -> Array:
        """x [batch, rows, input_dims] and experts [batch, rows, k] to [batch, rows, k, input_dims]."""
        if _has_bias(self):
            hidden = swiglu(self.up_proj(x, indices), self.gate_proj(x, indices))
            return self.down_proj(hidden, indices)
        values = as_rows(x, self.gate_proj.input_dims, "SwitchGLU input")
        ids = _expert_ids(indices, self.gate_proj.num_experts)
        if values.shape[:-1] != ids.shape[:-1]:
            raise InvalidArgument(
                f"SwitchGLU: the input {list(values.shape)} does not fit indices {list(ids.shape)}"
            )
        k, width = ids.shape[-1], self.gate_proj.output_dims
        hidden = run_rows(self._layer(k), values, ids, shape=(*ids.shape[:-1], k * width))
        return self._result(self.down_proj(hidden.reshape(*ids.shape, width), ids), x, indices)

    def _make_layer(self, on: _engine.EagerDevice, kind: Any) -> _engine.RowLayer:
        gate, up = (_stack_of(self, name, on) for name in ("gate_proj", "up_proj"))
        return _engine.switch_swiglu_layer(on, gate, up, kind)


class MLP(EngineModule):
    """down(silu(gate(x)) * up(x)).

    Attributes:
        gate_proj, up_proj: Linear, dim to intermediate_dim.
        down_proj: Linear, intermediate_dim to dim.

    Source: Shazeer 2020, "GLU variants improve transformer".
    """

    gate_proj: Any
    up_proj: Any
    down_proj: Any

    def __init__(self, dim: int, intermediate_dim: int, bias: bool = False) -> None:
        super().__init__()
        self.gate_proj = Linear(dim, intermediate_dim, bias=bias)
        self.up_proj = Linear(dim, intermediate_dim, bias=bias)
        self.down_proj = Linear(intermediate_dim, dim, bias=bias)

    def __call__(self, x: Array) -> Array:
        """x [..., dim] to the same shape, float32."""
        if _has_bias(self):
            return self.down_proj(swiglu(self.up_proj(x), self.gate_proj(x)))
        values = as_rows(x, self.gate_proj.input_dims, "MLP input")
        return self._result(run_rows(self._layer(), values, shape=values.shape), x)

    def packed(
        self, on: _engine.EagerDevice
    ) -> tuple[_engine.PackedWeight, _engine.PackedWeight, _engine.PackedWeight]:
        """The matrices gate, up and down in the form of a device."""
        return (
            matrix_of(self, "gate_proj", on),
            matrix_of(self, "up_proj", on),
            matrix_of(self, "down_proj", on),
        )

    def _make_layer(self, on: _engine.EagerDevice, kind: object) -> _engine.RowLayer:
        return _engine.feed_forward_layer(on, *self.packed(on))


class SharedExpertMoE(EngineModule):
    """A mixture of experts: each row uses the top_k experts with the largest gates, and an expert
    that all rows share.

    Gates are a softmax over all experts, and are not divided by the sum of those that are chosen.
    Of equal gates, the expert with the lower index wins.

    Attributes:
        gate: Linear, dim to num_experts: the router.
        switch_mlp: SwitchGLU: the experts.
        shared_expert_gate: Linear, dim to 1. Its sigmoid multiplies the shared expert.
        shared_expert: MLP. A layer without a shared expert is made by deleting both.
    """

    gate: Any
    switch_mlp: Any
    shared_expert_gate: Any
    shared_expert: Any

    def __init__(
        self,
        dim: int,
        intermediate_dim: int,
        num_experts: int = 8,
        top_k: int = 2,
        bias: bool = False,
    ) -> None:
        super().__init__()
        check_positive(num_experts=num_experts, top_k=top_k)
        if top_k > num_experts:
            raise InvalidArgument(f"top_k: expected at most {num_experts}, got {top_k}")
        self.top_k, self.num_experts = top_k, num_experts
        self.gate = Linear(dim, num_experts, bias=False)
        self.switch_mlp = SwitchGLU(dim, intermediate_dim, num_experts)
        self.shared_expert_gate = Linear(dim, 1, bias=False)
        self.shared_expert = MLP(dim, intermediate_dim, bias=bias)

    def __call__(self, x: Array) -> Array:
        """x [..., dim] to the same shape, float32."""
        values = as_rows(x, self.gate.input_dims, "SharedExpertMoE input")
        shared = "shared_expert" in self
        fused = shared and not _has_bias(self.shared_expert)
        y = run_rows(self._layer((self.top_k, fused)), values, shape=values.shape)
        if shared and not fused:
            y = y + _sigmoid(self.shared_expert_gate(values)) * self.shared_expert(values)
        return self._result(y, x)

    def _make_layer(self, on: _engine.EagerDevice, kind: Any) -> _engine.RowLayer:
        top_k, fused = kind
        if _has_bias(self.switch_mlp):
            raise InvalidArgument("SharedExpertMoE.switch_mlp: expected no biases, got some")
        router = matrix_of(self, "gate", on)
        gate, up, down = (
            _stack_of(self.switch_mlp, name, on) for name in ("gate_proj", "up_proj", "down_proj")
        )
        if not fused:
            return _engine.experts_layer(on, router, gate, up, down, None, None, None, None, top_k)
        shared_router = matrix_of(self, "shared_expert_gate", on)
        s_gate, s_up, s_down = self.shared_expert.packed(on)
        return _engine.experts_layer(
            on, router, gate, up, down, shared_router, s_gate, s_up, s_down, top_k
        )
