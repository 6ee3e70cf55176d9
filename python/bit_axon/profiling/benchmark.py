"""Speed, memory and temperature of a model at several sequence lengths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bit_axon.config import BitAxonConfig
from bit_axon.model import BitAxonModel
from bit_axon.profiling.memory import MemoryProfiler
from bit_axon.profiling.speed import SpeedProfiler
from bit_axon.profiling.thermal import ThermalMonitor

__all__ = ["BenchmarkResult", "BenchmarkSuite"]

# The columns of a table: the title, the width, and the text of a row's cell.
_COLUMNS: list[tuple[str, int, Callable[[dict[str, Any]], str]]] = [
    ("tok/s", 10, lambda row: f"{row['tokens_per_sec']:.1f}"),
    ("latency_ms", 12, lambda row: f"{row['latency_ms']:.2f}"),
    ("peak_GB", 10, lambda row: f"{row['peak_memory_gb']:.3f}"),
    ("active_GB", 12, lambda row: f"{row['active_memory_gb']:.3f}"),
    ("SoC_°C", 8, lambda row: _degrees(row.get("soc_temp_c"))),
]


def _degrees(temperature: float | None) -> str:
    return "N/A" if temperature is None else f"{temperature:.1f}"


class BenchmarkResult:
    """The measurements of a benchmark, by name.

    Attributes:
        results: for each name a dict of ``seq_len``, ``tokens_per_sec``, ``latency_ms``,
            ``peak_memory_gb``, ``active_memory_gb`` and ``soc_temp_c`` (None without a sensor).
    """

    def __init__(self) -> None:
        self.results: dict[str, dict[str, Any]] = {}

    def add(self, name: str, metrics: dict[str, Any]) -> None:
        """Adds the measurements of a name, or replaces them."""
        self.results[name] = metrics

    def to_table(self) -> str:
        """A table as text, a line for each name."""
        if not self.results:
            return "No benchmark results."
        header = f"{'Benchmark':<20} " + " ".join(f"{t:>{width}}" for t, width, _ in _COLUMNS)
        lines = [header, "-" * len(header)]
        for name, row in self.results.items():
            cells = " ".join(f"{text_of(row):>{width}}" for _, width, text_of in _COLUMNS)
            lines.append(f"{name:<20} {cells}")
        return "\n".join(lines)


class BenchmarkSuite:
    """Measures a model with random weights at several sequence lengths.

    Args:
        config: the shape of the model; None for BitAxonConfig().
    """

    def __init__(self, config: BitAxonConfig | None = None) -> None:
        self.config = config or BitAxonConfig()
        self.memory_profiler = MemoryProfiler()
        self.speed_profiler = SpeedProfiler()
        self.thermal_monitor = ThermalMonitor()

    def benchmark_sequence_lengths(
        self,
        seq_lengths: list[int] | None = None,
        batch_size: int = 1,
        num_warmup: int = 2,
        num_iterations: int = 5,
    ) -> BenchmarkResult:
        """Measures how fast prompts of each length are read.

        Args:
            seq_lengths: tokens of a prompt; None for 128, 512, 1024 and 2048.
            batch_size: prompts that are read together.
            num_warmup: runs before those that are timed.
            num_iterations: runs that are timed, at least 1.

        Returns:
            A BenchmarkResult with an entry ``"seq_LENGTH"`` for each length.
        """
        result = BenchmarkResult()
        model = BitAxonModel(self.config)
        for length in [128, 512, 1024, 2048] if seq_lengths is None else seq_lengths:
            self.memory_profiler.reset_peak()
            speed = self.speed_profiler.benchmark_tokens_per_sec(
                model,
                seq_len=length,
                batch_size=batch_size,
                num_warmup=num_warmup,
                num_iterations=num_iterations,
                vocab_size=self.config.vocab_size,
            )
            result.add(
                f"seq_{length}",
                {
                    "seq_len": length,
                    "tokens_per_sec": round(speed["tokens_per_sec"], 1),
                    "latency_ms": round(speed["latency_ms"], 2),
                    "peak_memory_gb": round(self.memory_profiler.peak_memory_gb(), 3),
                    "active_memory_gb": round(self.memory_profiler.active_memory_gb(), 3),
                    "soc_temp_c": self.thermal_monitor.get_soc_temperature(),
                },
            )
        return result
