"""Adapters of low rank with magnitudes (DoRA)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bit_axon._arrays import as_numpy
from bit_axon._module import Parameter
from bit_axon.training.lora import LoRALinear

__all__ = ["DoRALinear"]


class DoRALinear(LoRALinear):
    """As LoRALinear, but each row of the changed matrix has a length of its own, which is trained.

    y = (m / n) * (W x + scale * (x @ lora_a) @ lora_b), with n the lengths of the rows of
    W + scale * (lora_a @ lora_b).T.

    Attributes:
        linear, lora_a, lora_b: As for LoRALinear.
        m: float32 [output_dims], at first the lengths of the rows of W.
    """

    def _adapt(
        self, linear: Any, r: int, dropout: float, scale: float, seed: int | None, layer: int
    ) -> None:
        super()._adapt(linear, r, dropout, scale, seed, layer)
        self.m = Parameter(
            (linear.output_dims,), lambda: _lengths(self._dense()).astype(np.float32)
        )

    def _factors(self) -> npt.NDArray[np.float64]:
        lengths = _lengths(self._changed())
        # A row of zeros has no direction, and stays.
        is_zero = lengths == 0
        m = as_numpy(self.m, np.float64)
        factors: npt.NDArray[np.float64] = np.where(is_zero, 1.0, m / np.where(is_zero, 1, lengths))
        return factors


def _lengths(matrix: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    lengths: npt.NDArray[np.float64] = np.sqrt(np.square(matrix, dtype=np.float64).sum(axis=1))
    return lengths
