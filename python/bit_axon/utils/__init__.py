"""Utilities: the caches that models and layers return."""

from __future__ import annotations

from bit_axon.utils.cache import ArraysCache, KVCache

__all__ = ["ArraysCache", "KVCache"]
