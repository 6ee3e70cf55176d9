"""The arrays of modules: made when they are first needed, packed when a layer first computes."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from sys import getrefcount
from typing import Any

import numpy as np
import numpy.typing as npt

from bit_axon import _engine
from bit_axon._arrays import Array, as_numpy, library_of
from bit_axon._errors import InvalidArgument

__all__ = ["Parameter", "latest_version", "next_version"]

_versions = itertools.count(1)
_latest = 0
# Parameters whose array can be changed in place by someone else: arrays of MLX and PyTorch.
_watched: weakref.WeakSet[Parameter] = weakref.WeakSet()
# The references to such an array when only its Parameter has it: the attribute, and the argument of
# getrefcount().
_OWN_REFERENCES = 2

_DTYPES = {"float32": "F32", "float16": "F16"}


def next_version() -> int:
    """A number that is larger than the version of everything that has changed so far."""
    global _latest
    _latest = next(_versions)
    return _latest


def latest_version() -> int:
    """The version of the latest change of any parameter. Finds arrays that were changed in place."""
    for parameter in list(_watched):
        parameter.refresh()
    return _latest


class _Mark:
    """Tells whether an array of MLX or PyTorch was changed in place, without reading it."""

    def __init__(self, array: Any) -> None:
        self._is_mlx = library_of(array) == "mlx"
        # A second handle to the memory: MLX then puts changed numbers into other memory.
        self._handle = array.astype(array.dtype) if self._is_mlx else None
        self._place = self._place_of(array)

    def changed(self, array: Any) -> bool:
        return self._place_of(array) != self._place

    def _place_of(self, array: Any) -> tuple[int, ...]:
        if not self._is_mlx:
            return (array.data_ptr(), array._version)
        import mlx.core as mx

        numbers = array.view(mx.uint16) if array.dtype == mx.bfloat16 else array
        return (np.array(numbers, copy=False).__array_interface__["data"][0],)


class Parameter:
    """One array of a module.

    Attributes:
        shape: The shape that every value must have.
        kind: "float", or "codes" for the packed codes of a quantized matrix (uint32).
        version: Grows whenever the value changes.
        assigned: Whether a caller has set the value.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        make: Callable[[], Array] | None = None,
        *,
        kind: str = "float",
    ) -> None:
        """A parameter whose value `make` makes when it is first read. Without `make`, it is absent
        (None) until it is set."""
        self.shape = shape
        self.kind = kind
        self.version = next_version()
        self.assigned = False
        self._make = make
        self._value: Array | None = None
        self._mark: _Mark | None = None
        self._packed: tuple[object, int, _engine.PackedWeight] | None = None

    @property
    def present(self) -> bool:
        """Whether there is a value, or a function that makes it."""
        return self._value is not None or self._make is not None

    def get(self) -> Array | None:
        """The array, or None if it is absent. Arrays of numpy are read-only."""
        if self._value is None and self._make is not None:
            self._keep(self._make(), "parameter", copy=False)
            self._make = None
        if self._value is not None and library_of(self._value) in ("mlx", "torch"):
            _watched.add(self)
        return self._value

    def peek(self) -> Array | None:
        """The array if it was set or made already."""
        return self._value

    def lazy(self, make: Callable[[], Array]) -> None:
        """Lets `make` make the value when it is next read. The array that it returns must not be
        changed later."""
        self._value, self._make, self.assigned = None, make, False
        self._change()

    def set(self, value: Array | None, name: str) -> None:
        """Sets the value. None makes the parameter absent.

        Raises:
            InvalidArgument: if shape or type do not fit; the message begins with `name`.
        """
        if value is None:
            self._value = None
        else:
            self._keep(value, name)
        self._make, self.assigned = None, True
        self._change()

    def check(self, value: Array, name: str) -> npt.NDArray[Any]:
        """`value` as a numpy array. Raises as set() does and changes nothing."""
        values = as_numpy(value, name=name)
        expected = "uI" if self.kind == "codes" else "f"
        is_plain = not hasattr(value, "dtype")  # a list of Python has no type of its own
        if is_plain and self.kind == "float":
            values = values.astype(np.float32)
        if values.dtype.kind not in expected:
            what = "unsigned integers" if self.kind == "codes" else "floating-point numbers"
            raise InvalidArgument(f"{name}: expected {what}, got {values.dtype}")
        if values.shape != self.shape:
            raise InvalidArgument(
                f"{name}: expected the shape {list(self.shape)}, got {list(values.shape)}"
            )
        return values

    def host(self, name: str) -> npt.NDArray[Any]:
        """The value as float32 or float16 (codes: uint32) in C order.

        Raises:
            InvalidArgument: if a number is NaN or infinite; the message begins with `name`.
        """
        values = self.check(self.get(), name)
        if self.kind == "codes":
            return values.astype(np.uint32, copy=False)
        if values.dtype.name not in _DTYPES:
            values = values.astype(np.float32)
        if self.assigned and not np.isfinite(values).all():
            where = np.unravel_index(int(np.argmin(np.isfinite(values))), values.shape)
            raise InvalidArgument(
                f"{name}: expected finite numbers, got {values[where]} at {[int(i) for i in where]}"
            )
        return values

    def packed(
        self, device: _engine.EagerDevice, shape: tuple[int, int, int], name: str
    ) -> _engine.PackedWeight:
        """The weight in the form of a device. It is packed once for each value."""
        if self._packed is None or self._packed[:2] != (device, self.version):
            values = self.host(name)
            weight = _engine.pack(
                device, name, shape, _DTYPES[values.dtype.name], values.reshape(-1).view(np.uint8)
            )
            self._packed = (device, self.version, weight)
        return self._packed[2]

    def refresh(self) -> None:
        """Notices a change in place by someone who holds the array."""
        if self._value is None or self._mark is None:
            return
        if self._mark.changed(self._value):
            self._mark, self.assigned = _Mark(self._value), True
            self._change()
        if getrefcount(self._value) <= _OWN_REFERENCES:
            _watched.discard(self)

    def _keep(self, value: Array, name: str, copy: bool = True) -> None:
        values = self.check(value, name)
        self._mark = None
        if library_of(value) == "numpy":
            kept = values.copy() if copy else values.view()
            kept.setflags(write=False)
            self._value = kept
        else:
            self._value = value
            if library_of(value) != "jax":  # arrays of JAX never change
                self._mark = _Mark(value)
                _watched.add(self)

    def _change(self) -> None:
        self.version = next_version()
        self._packed = None
