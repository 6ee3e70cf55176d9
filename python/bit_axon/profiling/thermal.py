"""The temperature of the processor, now and over time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import bit_axon._engine as engine
from bit_axon._errors import InvalidArgument

__all__ = ["ThermalMonitor"]


class ThermalMonitor:
    """Reads the processor's temperature, once or regularly in the background.

    On Linux the sensors of the kernel are read (hwmon and thermal zones), which needs no rights.
    Most virtual machines have no sensor; the temperature is then None.

    Args:
        poll_interval: seconds between two readings in the background, above 0.
        history_size: the most readings that are kept, at least 1.
        read_fn: a function that returns degrees Celsius or None and is called instead of
            get_soc_temperature(). An exception of this function counts as None.
    """

    def __init__(
        self,
        poll_interval: float = 1.0,
        history_size: int = 60,
        read_fn: Callable[[], float | None] | None = None,
    ) -> None:
        if not poll_interval > 0:
            raise InvalidArgument(f"poll_interval: expected more than 0, got {poll_interval}")
        if history_size < 1:
            raise InvalidArgument(f"history_size: expected at least 1, got {history_size}")
        self._poll_interval = poll_interval
        self._read = read_fn or self.get_soc_temperature
        self._history: deque[float] = deque(maxlen=history_size)
        self._latest: float | None = None
        self._lock = threading.Lock()
        self._stopping: threading.Event | None = None  # set while a thread reads
        self._thread: threading.Thread | None = None

    def get_soc_temperature(self) -> float | None:
        """The highest temperature of the processor's sensors in degrees Celsius, or None."""
        return engine.cpu_temperature()

    def start(self) -> None:
        """Begins to read in the background. Does nothing if that has begun."""
        if self._thread is not None and self._thread.is_alive():
            return
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._poll, args=(self._stopping,), name="bit-axon-temperature", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Ends the readings and waits for the one under way. Does nothing if there are none."""
        if self._thread is None or self._stopping is None:
            return
        self._stopping.set()
        self._thread.join()
        self._thread = None

    @property
    def temperature(self) -> float | None:
        """The latest reading in the background in degrees Celsius, or None."""
        with self._lock:
            return self._latest

    def get_history(self) -> list[float]:
        """The latest readings in degrees Celsius, oldest first, without those that were None."""
        with self._lock:
            return list(self._history)

    def is_rising(self, window: int = 5) -> bool:
        """Whether a line through the last `window` readings rises. False for fewer than two."""
        readings = self.get_history()[-window:] if window > 0 else []
        middle = (len(readings) - 1) / 2
        return sum((place - middle) * value for place, value in enumerate(readings)) > 0

    def is_above(self, threshold: float) -> bool:
        """Whether the latest reading is `threshold` degrees Celsius or more."""
        latest = self.temperature
        return latest is not None and latest >= threshold

    def _poll(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            try:
                reading = self._read()
            except Exception:  # noqa: BLE001
                reading = None  # a sensor that fails for a moment must not end the readings
            with self._lock:
                self._latest = reading
                if reading is not None:
                    self._history.append(reading)
            stopping.wait(self._poll_interval)
