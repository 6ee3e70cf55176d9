"""Batches for training. Not available in this version."""

from __future__ import annotations

from typing import Any

from bit_axon.training._planned import planned

__all__ = ["BatchCollator", "iterate_batches"]

BatchCollator: Any = planned("BatchCollator")
iterate_batches: Any = planned("iterate_batches")
