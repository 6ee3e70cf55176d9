"""The caches that layers fill and read."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bit_axon._arrays import Array, as_numpy, library_of, like
from bit_axon._errors import InvalidArgument

__all__ = ["ArraysCache", "KVCache"]


class ArraysCache:
    """A fixed number of arrays, each of which may be missing (None)."""

    def __init__(self, size: int) -> None:
        self.cache: list[Array | None] = [None] * size

    def __len__(self) -> int:
        return len(self.cache)

    def __getitem__(self, idx: int) -> Array | None:
        return self.cache[idx]

    def __setitem__(self, idx: int, value: Array | None) -> None:
        self.cache[idx] = value

    def update(self, values: Iterable[Array | None]) -> None:
        """Replaces the first arrays by `values`."""
        for index, value in enumerate(values):
            self.cache[index] = value


class KVCache:
    """Keys and values of the tokens that a layer of attention has seen.

    Attributes:
        k: Keys [batch, heads, tokens, head_dim], oldest first, or None.
        v: Values of the same shape, or None.
        window_size: The most tokens that are kept. None keeps all.
        offset: The tokens that were fed, also those that the window has dropped.
    """

    def __init__(self, window_size: int | None = None) -> None:
        if window_size is not None and window_size < 1:
            raise InvalidArgument(f"window_size: expected at least 1, got {window_size}")
        self.window_size = window_size
        self.k: Array | None = None
        self.v: Array | None = None
        self.offset = 0

    def update_and_fetch(self, xk: Array, xv: Array) -> tuple[Array, Array]:
        """Appends keys and values of new tokens, and drops those that leave the window.

        Args:
            xk: Keys [batch, heads, tokens, head_dim].
            xv: Values of the same shape.

        Returns:
            All keys and all values that are kept.

        Raises:
            InvalidArgument: if the shapes do not fit each other or the cache.
        """
        keys, values = as_numpy(xk, name="keys"), as_numpy(xv, name="values")
        if keys.ndim != 4 or keys.shape != values.shape:
            raise InvalidArgument(
                "keys and values: expected equal shapes [batch, heads, tokens, head_dim], got "
                f"{list(keys.shape)} and {list(values.shape)}"
            )
        n_new = keys.shape[2]
        if self.k is not None and self.v is not None:
            old_keys, old_values = as_numpy(self.k), as_numpy(self.v)
            if old_keys.shape[:2] != keys.shape[:2] or old_keys.shape[3] != keys.shape[3]:
                raise InvalidArgument(
                    f"keys: expected a shape that continues {list(old_keys.shape)}, got "
                    f"{list(keys.shape)}"
                )
            keys = np.concatenate([old_keys, keys], axis=2)
            values = np.concatenate([old_values, values], axis=2)
        if self.window_size is not None:
            keys, values = (x[:, :, -self.window_size :] for x in (keys, values))
        self.offset += n_new
        self.k, self.v = _of_type(like(keys, xk, xv), xk), _of_type(like(values, xk, xv), xv)
        return self.k, self.v


def _of_type(array: Array, source: Array) -> Array:
    """An array in the type of another one of the same library: bfloat16 was read as float32."""
    if array.dtype == getattr(source, "dtype", array.dtype) or library_of(array) == "numpy":
        return array
    is_torch = library_of(array) == "torch"
    return array.to(source.dtype) if is_torch else array.astype(source.dtype)
