"""The device on which layers compute, and the random numbers that they begin with."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from bit_axon import _engine
from bit_axon._arrays import Array, as_numpy
from bit_axon._errors import InvalidArgument
from bit_axon._parameter import Parameter
from bit_axon.layers._results import check_no_gradient

__all__ = ["as_rows", "constant", "device", "normal", "set_device", "set_seed", "uniform"]

_lock = threading.Lock()
_wanted: tuple[str, int] = ("auto", 0)
_opened: tuple[tuple[str, int], int, _engine.EagerDevice] | None = None
_seed = 0
_streams = itertools.count()


def set_device(selector: str = "auto", n_threads: int = 0) -> None:
    """Chooses the device of all layers: "auto", "cpu", "reference", "vulkan" or "vulkan:SEL".

    It is opened at the next call of a layer. "auto" takes a GPU if there is one, else the CPU.
    `n_threads` is the number of threads of the CPU; 0 takes all cores.
    """
    if not isinstance(selector, str):
        raise InvalidArgument(f"device: expected a str, got {type(selector).__name__}")
    if not isinstance(n_threads, (int, np.integer)) or not 0 <= n_threads < 2**31:
        raise InvalidArgument(f"n_threads: expected a whole number >= 0, got {n_threads!r}")
    global _wanted
    _wanted = (selector, n_threads)


def device() -> _engine.EagerDevice:
    """The device of layers, opened. A process that was forked opens its own."""
    global _opened
    with _lock:
        if _opened is None or _opened[:2] != (_wanted, os.getpid()):
            _opened = (_wanted, os.getpid(), _engine.EagerDevice(*_wanted))
        return _opened[2]


def set_seed(seed: int) -> None:
    """Begins a new series of initial weights. Modules that are made in the same order after the
    same seed get the same weights."""
    global _seed, _streams
    _seed, _streams = seed, itertools.count()


def _generator() -> Callable[[], np.random.Generator]:
    key = [_seed & (2**64 - 1), next(_streams)]
    return lambda: np.random.Generator(np.random.SFC64(key))


def uniform(shape: tuple[int, ...], bound: float, dtype: str = "float32") -> Parameter:
    """A parameter of numbers between -bound and bound."""
    generator = _generator()

    def make() -> npt.NDArray[Any]:
        if dtype == "float16":
            # Experts have a quarter of a billion numbers. A look-up is three times as fast as
            # making and rounding floats.
            table = ((np.arange(2**16, dtype=np.float32) + 0.5) / 2**15 - 1) * np.float32(bound)
            codes = generator().integers(2**16, size=shape, dtype=np.uint16)
            halves: npt.NDArray[Any] = table.astype(np.float16)[codes]
            return halves
        values: npt.NDArray[Any] = generator().random(shape, dtype=np.float32)
        values -= 0.5
        values *= 2 * bound
        return values.astype(dtype, copy=False)

    return Parameter(shape, make)


def normal(shape: tuple[int, ...], deviation: float) -> Parameter:
    """A parameter of normally distributed numbers around 0."""
    generator = _generator()

    def make() -> npt.NDArray[Any]:
        values: npt.NDArray[Any] = generator().standard_normal(shape, dtype=np.float32)
        values *= np.float32(deviation)
        return values

    return Parameter(shape, make)


def constant(shape: tuple[int, ...], value: float, dtype: str = "float32") -> Parameter:
    """A parameter of equal numbers."""
    return Parameter(shape, lambda: np.full(shape, value, dtype=dtype))


def as_rows(x: Array, width: int, name: str) -> npt.NDArray[np.float32]:
    """`x` [..., width] as float32.

    Raises:
        InvalidArgument: if the last axis is not `width`.
    """
    check_no_gradient(x)
    values: npt.NDArray[np.float32] = as_numpy(x, np.float32, name=name)
    if values.ndim < 1 or values.shape[-1] != width:
        raise InvalidArgument(
            f"{name}: expected an array [..., {width}], got the shape {list(values.shape)}"
        )
    return values


def check_positive(**sizes: int) -> None:
    """Raises InvalidArgument for a size that is not a whole number above 0."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
            raise InvalidArgument(f"{name}: expected a whole number above 0, got {size!r}")
