"""The training loop for preferences. Not available in this version."""

from __future__ import annotations

from typing import Any

from bit_axon.training._planned import planned

__all__ = ["ORPOTrainer"]

ORPOTrainer: Any = planned("ORPOTrainer")
