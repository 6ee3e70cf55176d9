"""RMS normalization."""

from __future__ import annotations

from bit_axon import _engine
from bit_axon._arrays import Array
from bit_axon._errors import InvalidArgument
from bit_axon.layers._device import as_rows, check_positive, constant
from bit_axon.layers.linear import EngineModule, run_rows

__all__ = ["RMSNorm"]


class RMSNorm(EngineModule):
    """y = weight * x / sqrt(mean(x^2) + eps), over the last axis.

    Attributes:
        weight: [dims].
        eps: Added to the mean of the squares.

    Source: Zhang & Sennrich 2019, "Root mean square layer normalization", eq. 4.
    """

    def __init__(self, dims: int, eps: float = 1e-6) -> None:
        super().__init__()
        check_positive(dims=dims)
        if not eps > 0:
            raise InvalidArgument(f"eps: expected a number above 0, got {eps}")
        self.weight = constant((dims,), 1)
        self.eps = eps

    def __call__(self, x: Array) -> Array:
        """x [..., dims] to the same shape, float32."""
        values = as_rows(x, self._items["weight"].shape[0], "RMSNorm input")
        return self._result(run_rows(self._layer(self.eps), values, shape=values.shape), x)

    def _make_layer(self, on: _engine.EagerDevice, kind: object) -> _engine.RowLayer:
        return _engine.norm_layer(on, self._vector(on, "weight"), self.eps)
