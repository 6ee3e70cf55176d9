"""Learning rates. Not available in this version."""

from __future__ import annotations

from typing import Any

from bit_axon.training._planned import planned

__all__ = ["build_lr_schedule"]

build_lr_schedule: Any = planned("build_lr_schedule")
