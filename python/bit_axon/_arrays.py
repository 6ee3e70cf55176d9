"""Arrays of other libraries.

Functions of the package take arrays of numpy, MLX, PyTorch and JAX, everything with DLPack or the
buffer protocol, and lists. They return arrays of the library of their arguments. None of these
libraries but numpy is imported here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from bit_axon._errors import InvalidArgument

__all__ = ["Array", "as_ids", "as_numpy", "library_of", "like"]

Array = Any
"""An array of numpy, MLX, PyTorch, JAX, or anything with DLPack or the buffer protocol."""


def library_of(x: object) -> str:
    """The library of an array: "mlx", "torch", "jax" or "numpy". Everything else is "numpy"."""
    name = type(x).__module__.partition(".")[0]
    if name in ("jaxlib", "jax"):
        return "jax"
    return name if name in ("mlx", "torch") else "numpy"


def _from_mlx(x: Any) -> npt.NDArray[Any]:
    import mlx.core as mx

    if x.dtype == mx.bfloat16:
        x = x.astype(mx.float32)
    try:
        return np.array(x, copy=False)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(
            "array: expected an array with values, got one that is being traced by a function "
            "transformation of MLX, such as grad or compile; gradients are not available"
        ) from error


def _from_torch(x: Any) -> npt.NDArray[Any]:
    import torch

    x = x.detach().cpu()
    if x.dtype == torch.bfloat16:
        x = x.float()
    return np.asarray(x.numpy())


def _from_jax(x: Any) -> npt.NDArray[Any]:
    import jax

    if isinstance(x, jax.core.Tracer):
        raise InvalidArgument(
            "array: expected an array with values, got one that JAX is tracing; gradients are not "
            "available"
        )
    result = np.asarray(x)
    return result.astype(np.float32) if result.dtype.name == "bfloat16" else result


_READERS: dict[str, Callable[[Any], npt.NDArray[Any]]] = {
    "mlx": _from_mlx,
    "torch": _from_torch,
    "jax": _from_jax,
}


def as_numpy(x: Array, dtype: npt.DTypeLike | None = None, name: str = "array") -> npt.NDArray[Any]:
    """The values of an array as a numpy array in C order.

    Nothing is copied if type and layout already fit. bfloat16 becomes float32. `name` begins
    messages.

    Raises:
        InvalidArgument: if `x` is no array of numbers.
    """
    reader = _READERS.get(library_of(x))
    try:
        if reader is not None:
            result = reader(x)
        elif isinstance(x, np.ndarray) or not hasattr(x, "__dlpack__"):
            result = np.asarray(x)
        else:
            result = np.from_dlpack(x)
    except (TypeError, ValueError, BufferError, RuntimeError) as error:
        if isinstance(error, InvalidArgument):
            raise
        raise InvalidArgument(
            f"{name}: expected an array of numbers, got {type(x).__name__}: {error}"
        ) from error
    if result.dtype.name == "bfloat16":
        result = result.astype(np.float32)
    if result.dtype.kind not in "fiub":
        raise InvalidArgument(
            f"{name}: expected an array of numbers, got {type(x).__name__} of {result.dtype}"
        )
    with np.errstate(over="ignore"):  # numbers beyond the type become infinite
        return np.ascontiguousarray(result, dtype=dtype).reshape(result.shape)


def as_ids(x: Array, name: str = "input_ids") -> npt.NDArray[np.int32]:
    """Token ids as int32, in C order, with the shape of `x`.

    Raises:
        InvalidArgument: for values that are no whole numbers or do not fit into 32 bits.
    """
    ids = as_numpy(x, name=name)
    if ids.dtype.kind not in "iu":
        if ids.size == 0:
            return ids.astype(np.int32)
        raise InvalidArgument(f"{name}: expected whole numbers, got values of {ids.dtype}")
    if ids.size and (int(ids.max()) > 2**31 - 1 or int(ids.min()) < -(2**31)):
        raise InvalidArgument(f"{name}: expected ids below 2^31, got {int(ids.max())}")
    return np.ascontiguousarray(ids, dtype=np.int32).reshape(ids.shape)


def _to_mlx(x: npt.NDArray[Any]) -> Array:
    import mlx.core as mx

    return mx.array(x)


def _to_torch(x: npt.NDArray[Any]) -> Array:
    import torch

    return torch.from_numpy(x if x.flags.writeable else x.copy())


def _to_jax(x: npt.NDArray[Any]) -> Array:
    import jax.numpy as jnp

    return jnp.asarray(x)


_WRITERS: dict[str, Callable[[npt.NDArray[Any]], Array]] = {
    "mlx": _to_mlx,
    "torch": _to_torch,
    "jax": _to_jax,
}


def to_library(x: npt.NDArray[Any], library: str) -> Array:
    """`x` as an array of a library that is named as library_of() names it."""
    writer = _WRITERS.get(library)
    # A library of an argument is loaded already.
    return writer(x) if writer is not None and library in sys.modules else x


def like(result: npt.NDArray[Any], *inputs: object) -> Array:
    """`result` as an array of the library of the first input that is not numpy's."""
    for x in inputs:
        library = library_of(x)
        if library != "numpy":
            return to_library(result, library)
    return result
