"""The loss for preferences. Not available in this version."""

from __future__ import annotations

from typing import Any

from bit_axon.training._planned import planned

__all__ = ["compute_orpo_loss"]

compute_orpo_loss: Any = planned("compute_orpo_loss")
