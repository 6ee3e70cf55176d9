"""Attention over a sliding window."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from bit_axon import _engine
from bit_axon._arrays import Array, as_numpy, like
from bit_axon._errors import InvalidArgument
from bit_axon.layers._device import as_rows, check_positive
from bit_axon.layers.linear import EngineModule, Linear, matrix_of

__all__ = ["SlidingWindowAttention"]


class SlidingWindowAttention(EngineModule):
    """Causal attention of several heads, without positions: a row attends to itself and to the
    window_size - 1 rows before it.

    Attributes:
        q_proj, k_proj, v_proj, o_proj: Linear, hidden_dim to hidden_dim, without bias.
        num_heads, head_dim, window_size: The form of the attention.

    Source: Beltagy et al. 2020, "Longformer", section 3.1.
    """

    def __init__(self, hidden_dim: int, num_heads: int, window_size: int) -> None:
        super().__init__()
        check_positive(hidden_dim=hidden_dim, num_heads=num_heads, window_size=window_size)
        if hidden_dim % num_heads:
            raise InvalidArgument(
                f"hidden_dim ({hidden_dim}) must be divisible by num_heads ({num_heads})"
            )
        self.num_heads = num_heads
        self.head_dim = hidden_dim // num_heads
        self.window_size = window_size
        self.scale = 1 / math.sqrt(self.head_dim)
        self.q_proj = Linear(hidden_dim, hidden_dim, bias=False)
        self.k_proj = Linear(hidden_dim, hidden_dim, bias=False)
        self.v_proj = Linear(hidden_dim, hidden_dim, bias=False)
        self.o_proj = Linear(hidden_dim, hidden_dim, bias=False)

    def __call__(self, x: Array, mask: Array | None = None, cache: Any = None) -> tuple[Array, Any]:
        """Continues sequences.

        Args:
            x: [batch, rows, hidden_dim].
            mask: An array that is added to the scores, of a shape that broadcasts to
                [batch, heads, rows, cached rows + rows]. It replaces the causal window. The engine
                has no op with a free mask: with a mask, the four products are computed by the
                engine, and scores and softmax by numpy in float32.
            cache: A KVCache (or an object with k, v and update_and_fetch) with the rows before.
                The keys and values of `x` are appended to it.

        Returns:
            y [batch, rows, hidden_dim] and the cache. Without a mask, the result is the same in
            whatever pieces the rows are given.
        """
        width = self.num_heads * self.head_dim
        values = as_rows(x, width, "SlidingWindowAttention input")
        if values.ndim != 3:
            raise InvalidArgument(
                "SlidingWindowAttention input: expected [batch, rows, "
                f"{width}], got {list(values.shape)}"
            )
        if mask is not None:
            return self._with_mask(values, mask, x, cache)
        batch, n_rows, _ = values.shape
        keys, cached_values = self._cached(cache, batch)
        y, k, v = self._layer((self.num_heads, self.window_size)).run(
            batch,
            n_rows,
            values.reshape(-1),
            keys.shape[2],
            keys.reshape(-1),
            cached_values.reshape(-1),
        )
        if cache is not None:
            shape = (batch, self.num_heads, n_rows, self.head_dim)
            source = (x, cache.k)
            k, v = (self._result(part.reshape(shape), *source) for part in (k, v))
            cache.update_and_fetch(k, v)
        return self._result(y.reshape(values.shape), x), cache

    def _cached(
        self, cache: Any, batch: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Keys and values of the rows before, [batch, heads, rows, head_dim]."""
        if cache is None or cache.k is None:
            empty = np.empty((batch, self.num_heads, 0, self.head_dim), dtype=np.float32)
            return empty, empty
        keys = as_numpy(cache.k, np.float32, name="cache.k")
        values = as_numpy(cache.v, np.float32, name="cache.v")
        expected = (batch, self.num_heads, self.head_dim)
        for name, part in (("cache.k", keys), ("cache.v", values)):
            if part.ndim != 4 or (*part.shape[:2], part.shape[3]) != expected:
                raise InvalidArgument(
                    f"{name}: expected [{batch}, {self.num_heads}, rows, {self.head_dim}], got "
                    f"{list(part.shape)}"
                )
        return keys, values

    def _with_mask(
        self, values: npt.NDArray[np.float32], mask: Array, x: Array, cache: Any
    ) -> tuple[Array, Any]:
        batch, n_rows, width = values.shape
        heads = (batch, n_rows, self.num_heads, self.head_dim)
        q, k, v = (
            projection(values).reshape(heads).transpose(0, 2, 1, 3)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        if cache is not None:
            source = (x, cache.k)
            k, v = (
                as_numpy(part, np.float32)
                for part in cache.update_and_fetch(like(k, *source), like(v, *source))
            )
        scores = (q * np.float32(self.scale)) @ k.transpose(0, 1, 3, 2)
        added = as_numpy(mask, np.float32, name="mask")
        try:
            scores = scores + np.broadcast_to(added, scores.shape)
        except ValueError:
            raise InvalidArgument(
                f"mask: expected a shape that broadcasts to {list(scores.shape)}, got "
                f"{list(added.shape)}"
            ) from None
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        y = (weights @ v).transpose(0, 2, 1, 3).reshape(batch, n_rows, width)
        return self._result(self.o_proj(y), x), cache

    def _make_sliding_window_mask(
        self, seq_len: int, kv_len: int, q_offset: int = 0
    ) -> npt.NDArray[np.float32]:
        """The causal window as a mask [seq_len, kv_len]: 0 where a row sees a key, else -inf.
        The rows are the last of the keys. `q_offset` does not matter."""
        ages = np.arange(kv_len - seq_len, kv_len)[:, None] - np.arange(kv_len)
        seen = (ages >= 0) & (ages < self.window_size)
        mask: npt.NDArray[np.float32] = np.where(seen, np.float32(0), np.float32(-np.inf))
        return mask

    def _make_layer(self, on: _engine.EagerDevice, kind: object) -> _engine.AttentionLayer:
        q, k, v, o = (
            matrix_of(self, name, on) for name in ("q_proj", "k_proj", "v_proj", "o_proj")
        )
        return _engine.attention_layer(on, q, k, v, o, self.num_heads, self.window_size)
