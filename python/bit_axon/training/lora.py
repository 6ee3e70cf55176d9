"""Adapters of low rank (LoRA)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import bit_axon._engine as engine
from bit_axon._arrays import Array, as_numpy
from bit_axon._errors import InvalidArgument
from bit_axon._module import Module, Parameter
from bit_axon._options import checked_seed, config_text
from bit_axon._reload import adapters_of
from bit_axon.layers._device import as_rows
from bit_axon.layers.linear import EngineModule, Linear, QuantizedLinear
from bit_axon.training.config import DEFAULT_LORA_TARGETS

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "DEFAULT_LORA_TARGETS",
    "LORA_EXCLUDED_NAMES",
    "LORA_EXCLUDED_PATHS",
    "LoRALinear",
    "apply_lora_to_model",
]

# What the engine never adapts.
LORA_EXCLUDED_PATHS = ("switch_mlp", "lm_head")
LORA_EXCLUDED_NAMES = ("x_proj", "dt_proj", "gate", "shared_expert_gate")


class LoRALinear(EngineModule):
    """y = linear(x) + scale * (x @ lora_a) @ lora_b. The matrix of `linear` stays as it is.

    A call has no dropout: only a Trainer drops inputs.

    Args:
        input_dims, output_dims: The shape of a new random Linear.
        r: The rank.
        dropout: The share of inputs that a Trainer drops.
        scale: The factor of the product.
        bias: Whether the new Linear has a bias.

    Attributes:
        linear: The Linear or QuantizedLinear that is adapted.
        lora_a: float32 [input_dims, r], at first random.
        lora_b: float32 [r, output_dims], at first zeros.
    """

    linear: Any

    def __init__(
        self,
        input_dims: int,
        output_dims: int,
        r: int = 8,
        dropout: float = 0.0,
        scale: float = 20.0,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self._adapt(Linear(input_dims, output_dims, bias=bias), r, dropout, scale, None, 0)

    @classmethod
    def from_base(
        cls,
        linear: Any,
        r: int = 8,
        dropout: float = 0.0,
        scale: float = 20.0,
        *,
        seed: int | None = None,
        layer: int = 0,
    ) -> Self:
        """An adapter of a Linear or QuantizedLinear.

        Args:
            linear: The layer.
            r, dropout, scale: As for the class.
            seed: The seed of lora_a. None takes another one each time.
            layer: The layer's place among the adapted ones: layers of one seed differ by it.

        Raises:
            InvalidArgument: for another module, and for options out of range.
        """
        made = cls.__new__(cls)
        Module.__init__(made)
        made._adapt(linear, r, dropout, scale, seed, layer)
        return made

    def _adapt(
        self, linear: Any, r: int, dropout: float, scale: float, seed: int | None, layer: int
    ) -> None:
        if not isinstance(linear, (Linear, QuantizedLinear)):
            raise InvalidArgument(
                f"linear: expected a Linear or QuantizedLinear of bit_axon, got "
                f"{type(linear).__name__}"
            )
        n_in, n_out = linear.input_dims, linear.output_dims
        if isinstance(r, bool) or not isinstance(r, int) or not 1 <= r <= min(n_in, n_out):
            raise InvalidArgument(f"r: expected a rank from 1 to {min(n_in, n_out)}, got {r!r}")
        if not 0 <= dropout < 1:
            raise InvalidArgument(f"dropout: expected a number from 0 up to 1, got {dropout}")
        if not math.isfinite(scale):
            raise InvalidArgument(f"scale: expected a finite number, got {scale}")
        drawn = checked_seed(seed, "seed")
        self.linear = linear
        self.r, self.dropout, self.scale, self.seed = r, float(dropout), float(scale), drawn
        self.lora_a = Parameter((n_in, r), lambda: engine.draw_lora_a(drawn, layer, n_in, r))
        self.lora_b = Parameter((r, n_out), lambda: np.zeros((r, n_out), np.float32))

    @property
    def input_dims(self) -> int:
        return int(self.linear.input_dims)

    @property
    def output_dims(self) -> int:
        return int(self.linear.output_dims)

    def __call__(self, x: Array) -> Array:
        """x [..., input_dims] to [..., output_dims], float32."""
        values = as_rows(x, self.input_dims, f"{type(self).__name__} input")
        base = as_numpy(self.linear(values), np.float32)
        bias = as_numpy(self.linear.bias, np.float32) if "bias" in self.linear else 0
        a, b = (as_numpy(array, np.float32) for array in (self.lora_a, self.lora_b))
        out = base - bias + self.scale * ((values.astype(np.float32) @ a) @ b)
        return self._result((out * self._factors() + bias).astype(np.float32), x)

    def fuse(self, dequantize: bool = False) -> Linear | QuantizedLinear:
        """The layer with the adapter folded into its matrix.

        Args:
            dequantize: Whether the result is a Linear also if the matrix was quantized. If not,
                the new matrix is quantized in the same way.
        """
        weight = (self._changed() * np.reshape(self._factors(), (-1, 1))).astype(np.float32)
        fused: Any = Linear(self.input_dims, self.output_dims, bias="bias" in self.linear)
        fused.weight = weight
        if "bias" in self.linear:
            fused.bias = self.linear.bias
        if dequantize or isinstance(self.linear, Linear):
            return fused  # type: ignore[no-any-return]
        return QuantizedLinear.from_linear(fused, self.linear.group_size, self.linear.bits)

    def _dense(self) -> npt.NDArray[np.float32]:
        """The matrix of the base as floats."""
        from bit_axon.quantization.nf4 import dequantize_nf4

        base = self.linear
        if isinstance(base, Linear):
            return as_numpy(base.weight, np.float32)
        floats = dequantize_nf4(base.weight, base.scales, base.biases, base.group_size, base.bits)
        return as_numpy(floats, np.float32)

    def _changed(self) -> npt.NDArray[np.float64]:
        """The matrix with the product added, in float64."""
        a, b = (as_numpy(array, np.float64) for array in (self.lora_a, self.lora_b))
        changed: npt.NDArray[np.float64] = self._dense() + self.scale * (a @ b).T
        return changed

    def _factors(self) -> Any:
        """The factor of each output."""
        return 1.0


def apply_lora_to_model(
    model: Any,
    rank: int = 8,
    dropout: float = 0.0,
    scale: float = 20.0,
    targets: Sequence[str] = DEFAULT_LORA_TARGETS,
    use_dora: bool = False,
    *,
    layers: int | None = None,
    seed: int = 42,
) -> list[str]:
    """Gives linear layers of a model an adapter, in place. The model computes as before, until the
    adapters are trained or set.

    Args:
        model: A BitAxonModel without adapters.
        rank, dropout, scale: As for LoRALinear.
        targets: The last words of the names of layers. Routed experts, routers, x_proj, dt_proj and
            the head never get an adapter.
        use_dora: DoRALinear in place of LoRALinear.
        layers: Only the last so many blocks. None: all.
        seed: The seed of the first values, which are those of `bit-axon train --seed`.

    Returns:
        The paths of the layers, such as "layer_0.ssm.in_proj".

    Raises:
        InvalidArgument: for options out of range, a target that no layer has, and a model that has
            adapters or was loaded with one.
    """
    from bit_axon.model import BitAxonModel
    from bit_axon.training.dora import DoRALinear

    if not isinstance(model, BitAxonModel):
        raise InvalidArgument(f"model: expected a BitAxonModel, got {type(model).__name__}")
    if adapters_of(model) or model._options["adapter"]:
        raise InvalidArgument("model: expected a model without adapters, got one with adapters")
    names = [] if tuple(targets) == DEFAULT_LORA_TARGETS else [str(name) for name in targets]
    settings = {
        "rank": rank,
        "dropout": dropout,
        "scale": scale,
        "targets": names,
        "use_dora": use_dora,
        "last_blocks": layers or 0,
    }
    checked = checked_seed(seed, "seed")
    paths = engine.adapted_layers(config_text(model.config), settings)
    kind = DoRALinear if use_dora else LoRALinear
    for index, path in enumerate(paths):
        *parents, name = path.split(".")
        owner: Any = model
        for parent in parents:
            owner = getattr(owner, parent)
        adapted = kind.from_base(
            getattr(owner, name), rank, dropout, scale, seed=checked, layer=index
        )
        setattr(owner, name, adapted)
    model.__dict__["_last_blocks"] = layers or 0
    return list(paths)
