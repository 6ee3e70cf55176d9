"""Results as arrays of the library of the arguments, and the refusal of gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import numpy.typing as npt

from bit_axon._arrays import Array, library_of, like
from bit_axon._errors import InvalidArgument

__all__ = ["check_no_gradient", "result_of"]

_REFUSAL = "gradients are not available: layers of bit_axon only infer"


def check_no_gradient(x: Array) -> None:
    """Raises InvalidArgument if PyTorch records what is computed from `x`."""
    if library_of(x) != "torch" or not x.requires_grad:
        return
    import torch

    if torch.is_grad_enabled():
        raise InvalidArgument(f"{_REFUSAL}; call them under torch.no_grad()")


def result_of(
    values: npt.NDArray[Any], inputs: Iterable[Any], weights: Iterable[Any] = ()
) -> Array:
    """`values` as an array of the library of `inputs`.

    The engine's work is invisible to MLX, so MLX would take its result for a constant, with the
    gradient 0. Here, a gradient with respect to an input or a weight raises InvalidArgument.
    """
    inputs = list(inputs)
    result = like(values, *inputs)
    if library_of(result) != "mlx":
        return result
    sources = [array for array in (*inputs, *weights) if library_of(array) == "mlx"]
    import mlx.core as mx

    function = mx.custom_function(lambda *_: result)
    function.vjp(_refuse)
    function.jvp(_refuse)
    return function(*sources)


def _refuse(*_: Any) -> NoReturn:
    raise InvalidArgument(_REFUSAL)
