"""Measures memory, speed and temperature of models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bit_axon._lazy import lazy_attribute

if TYPE_CHECKING:
    from bit_axon.profiling.benchmark import BenchmarkResult, BenchmarkSuite
    from bit_axon.profiling.memory import MemoryProfiler, format_memory
    from bit_axon.profiling.speed import SpeedProfiler
    from bit_axon.profiling.thermal import ThermalMonitor

_MODULES = {
    "BenchmarkResult": "benchmark",
    "BenchmarkSuite": "benchmark",
    "MemoryProfiler": "memory",
    "SpeedProfiler": "speed",
    "ThermalMonitor": "thermal",
    "format_memory": "memory",
}

__all__ = [
    "BenchmarkResult",
    "BenchmarkSuite",
    "MemoryProfiler",
    "SpeedProfiler",
    "ThermalMonitor",
    "format_memory",
]


def __getattr__(name: str) -> Any:
    return lazy_attribute(__name__, _MODULES, name)


def __dir__() -> list[str]:
    return sorted(__all__)
