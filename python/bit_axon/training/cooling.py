"""Pauses of a training when the device gets hot. Not available in this version."""

from __future__ import annotations

from typing import Any

from bit_axon.training._planned import planned

__all__ = ["CoolingScheduler", "ThermalPolicy", "ThermalShutdownError"]

CoolingScheduler: Any = planned("CoolingScheduler")
ThermalPolicy: Any = planned("ThermalPolicy")


class ThermalShutdownError(RuntimeError):
    """The device got too hot, so the training ended."""
