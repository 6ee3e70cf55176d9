"""Options of a training. Not available in this version."""

from __future__ import annotations

from typing import Any

from bit_axon.training._planned import planned

__all__ = ["TrainingConfig"]

TrainingConfig: Any = planned("TrainingConfig")
