"""Pauses of a training when the machine gets hot."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import bit_axon._engine as engine
from bit_axon._errors import InvalidArgument

__all__ = ["CoolingScheduler", "ThermalPolicy", "ThermalShutdownError"]


class ThermalShutdownError(RuntimeError):
    """The machine got too hot, so the training ended. What was learned is saved."""


@dataclass
class ThermalPolicy:
    """Temperatures in degrees Celsius.

    Attributes:
        max_speed_temp: From here on the training works less, and after a pause it goes on here.
        pause_temp: From here on the training waits.
        stop_temp: From here on the training ends.
        pause_duration: Seconds between two readings of a pause.
    """

    max_speed_temp: float = 75.0
    pause_temp: float = 85.0
    stop_temp: float = 95.0
    pause_duration: float = 0.5

    def __post_init__(self) -> None:
        if not self.max_speed_temp < self.pause_temp:
            raise InvalidArgument(
                f"max_speed_temp: expected less than pause_temp ({self.pause_temp}), got "
                f"{self.max_speed_temp}"
            )
        if not self.pause_temp < self.stop_temp:
            raise InvalidArgument(
                f"pause_temp: expected less than stop_temp ({self.stop_temp}), got "
                f"{self.pause_temp}"
            )
        if not self.pause_duration > 0:
            raise InvalidArgument(
                f"pause_duration: expected more than 0 seconds, got {self.pause_duration}"
            )


class CoolingScheduler:
    """Keeps a training from overheating the machine, by the rules of `bit-axon train`.

    Args:
        monitor: Has an attribute `temperature`, in degrees Celsius or None, as a ThermalMonitor.
        policy: The temperatures.
    """

    def __init__(self, monitor: Any, policy: ThermalPolicy | None = None) -> None:
        self.monitor = monitor
        self.policy = policy or ThermalPolicy()
        self._control: engine.ThermalControl | None = None

    def check_before_step(self, step: int) -> None:
        """Rests on a warm machine, and waits on a hot one. A Trainer calls it before each step.

        Raises:
            ThermalShutdownError: if the machine is too hot to go on.
        """
        if self._control is None:
            monitor = self.monitor
            self._control = engine.ThermalControl(
                self.policy.max_speed_temp,
                self.policy.pause_temp,
                self.policy.stop_temp,
                self.policy.pause_duration,
                lambda: _reading(monitor),
                time.sleep,
            )
        if self._control.is_too_hot():
            raise ThermalShutdownError(
                f"step {step}: {self._control.temperature:.1f}C: expected less than "
                f"{self.policy.stop_temp:.1f}C"
            )

    @property
    def total_pause_time(self) -> float:
        """Seconds of all pauses."""
        return 0.0 if self._control is None else self._control.paused_seconds

    def should_reduce_batch(self) -> bool:
        """Whether the machine is warm: max_speed_temp or more."""
        reading = _reading(self.monitor)
        return reading is not None and reading >= self.policy.max_speed_temp


def _reading(monitor: Any) -> float | None:
    reading = monitor.temperature
    return None if reading is None else float(reading)
