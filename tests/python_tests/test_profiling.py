"""Memory, speed and temperature."""

from __future__ import annotations

import gc
import threading
from typing import Any

import numpy as np
import pytest
from bit_axon import BitAxonConfig, BitAxonModel, InvalidArgument
from bit_axon.profiling import (
    BenchmarkResult,
    BenchmarkSuite,
    MemoryProfiler,
    SpeedProfiler,
    ThermalMonitor,
    format_memory,
)

N_IDS = 9


class CountingModel:
    """A model of numpy arrays that remembers what it was called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[list[int]], Any]] = []

    def __call__(self, ids: Any, cache: Any = None) -> tuple[Any, Any]:
        self.calls.append((np.asarray(ids).tolist(), cache))
        logits = np.zeros((*ids.shape, N_IDS), np.float32)
        logits[..., (len(self.calls)) % N_IDS] = 1
        return logits, len(self.calls)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (512, "512 B"),
        (1024, "1.00 KB"),
        (2048, "2.00 KB"),
        (5 * 1024**2, "5.00 MB"),
        (2.53 * 1024**3, "2.53 GB"),
        (5000 * 1024**3, "5000.00 GB"),
    ],
)
def test_memory_has_a_unit(size: float, text: str) -> None:
    assert format_memory(size) == text


def test_prompts_are_timed() -> None:
    model = CountingModel()
    found = SpeedProfiler().benchmark_tokens_per_sec(
        model, seq_len=5, batch_size=2, num_warmup=1, num_iterations=3, vocab_size=N_IDS
    )
    assert len(model.calls) == 4
    assert all(call == model.calls[0] for call in model.calls)
    assert np.shape(model.calls[0][0]) == (2, 5)
    assert 0 <= np.min(model.calls[0][0]) <= np.max(model.calls[0][0]) < N_IDS
    assert found["tokens_per_sec"] == pytest.approx(10 / (found["latency_ms"] / 1000))
    assert found["std_latency_ms"] >= 0
    assert found["num_iterations"] == 3


def test_one_run_has_no_deviation() -> None:
    found = SpeedProfiler().benchmark_tokens_per_sec(CountingModel(), num_iterations=1)
    assert found["std_latency_ms"] == 0


def test_likeliest_tokens_are_fed_back() -> None:
    model = CountingModel()
    found = SpeedProfiler().benchmark_autoregressive(model, total_tokens=4, num_warmup=0)
    assert model.calls == [([[0]], None), ([[1]], 1), ([[2]], 2), ([[3]], 3)]
    assert found["mean_per_token_ms"] == pytest.approx(found["total_latency_ms"] / 4)
    assert found["tokens_per_sec"] == pytest.approx(4000 / found["total_latency_ms"])


@pytest.mark.parametrize("name", ["seq_len", "batch_size", "num_iterations"])
def test_sizes_below_one_are_refused(name: str) -> None:
    with pytest.raises(InvalidArgument, match=f"{name}: expected at least 1, got 0"):
        SpeedProfiler().benchmark_tokens_per_sec(CountingModel(), **{name: 0})
    with pytest.raises(InvalidArgument, match="total_tokens: expected at least 1, got 0"):
        SpeedProfiler().benchmark_autoregressive(CountingModel(), total_tokens=0)


def test_memory_of_a_model_is_counted_and_given_back() -> None:
    profiler = MemoryProfiler()
    before = profiler.active_memory_gb()
    model = BitAxonModel(BitAxonConfig.small())
    weights = profiler.profile_model(model)
    assert weights["param_count"] > 1_000_000
    assert weights["weight_memory_gb"] * 2**30 == weights["weight_memory_bytes"]
    assert profiler.active_memory_gb() - before > 0
    found = profiler.profile_forward(model, seq_len=8)
    assert found["peak_memory_gb"] >= found["active_memory_gb"] > before
    del model
    gc.collect()  # caches and their layers name each other
    assert profiler.active_memory_gb() == pytest.approx(before)
    profiler.reset_peak()
    assert profiler.peak_memory_gb() == pytest.approx(before)
    assert profiler.cache_memory_gb() == 0
    with pytest.raises(InvalidArgument, match="expected at least 1, got 0 and 1"):
        profiler.profile_forward(CountingModel(), seq_len=0)


def test_parameters_of_any_library_are_counted() -> None:
    import mlx.core as mx

    class Tree:
        def parameters(self) -> Any:
            half = mx.zeros((4, 2), mx.float16)
            return {"a": np.zeros((3, 5), np.float32), "b": [{"c": half}, None], "d": {}}

    found = MemoryProfiler().profile_model(Tree())
    assert found["param_count"] == 23
    assert found["weight_memory_bytes"] == 76
    assert found["num_arrays"] == 2


def test_device_has_an_architecture() -> None:
    info = MemoryProfiler().device_info()
    assert info["chosen_by_auto"]
    assert info["architecture"]


def test_suite_measures_each_length() -> None:
    suite = BenchmarkSuite(BitAxonConfig.small())
    found = suite.benchmark_sequence_lengths([4, 16], num_warmup=0, num_iterations=1)
    assert list(found.results) == ["seq_4", "seq_16"]
    row = found.results["seq_16"]
    assert row["seq_len"] == 16
    assert row["tokens_per_sec"] > 0
    assert row["peak_memory_gb"] >= row["active_memory_gb"]
    lines = found.to_table().split("\n")
    assert len(lines) == 4
    assert "tok/s" in lines[0]
    assert len({len(line) for line in lines}) == 1


def test_table_without_results_or_sensor() -> None:
    result = BenchmarkResult()
    assert result.to_table() == "No benchmark results."
    numbers = ("tokens_per_sec", "latency_ms", "peak_memory_gb", "active_memory_gb")
    result.add("one", dict.fromkeys(numbers, 1.0))
    assert result.to_table().endswith("N/A")


def run_through(readings: list[float | None | Exception], size: int = 10) -> ThermalMonitor:
    """A monitor that has read all values."""
    done = threading.Event()
    values = iter(readings)

    def read() -> float | None:
        try:
            value = next(values)
        except StopIteration:
            done.set()
            return None
        if isinstance(value, Exception):
            raise value
        return value

    monitor = ThermalMonitor(poll_interval=1e-4, history_size=size, read_fn=read)
    monitor.start()
    monitor.start()  # has begun already
    assert done.wait(60)
    monitor.stop()
    monitor.stop()
    return monitor


def test_history_has_the_latest_readings() -> None:
    assert run_through([1.0, None, OSError("gone"), 3.0]).get_history() == [1.0, 3.0]
    assert run_through([float(i) for i in range(20)], size=3).get_history() == [17.0, 18.0, 19.0]


@pytest.mark.parametrize(
    ("readings", "window", "rising"),
    [
        ([50.0, 55.0, 60.0], 3, True),
        ([60.0, 55.0, 50.0], 3, False),
        ([90.0, 50.0, 51.0], 2, True),
        ([90.0, 50.0, 51.0], 3, False),
        ([50.0, 50.0], 5, False),
        ([50.0], 5, False),
        ([], 5, False),
        ([50.0, 55.0], 1, False),
        ([50.0, 55.0], 0, False),
    ],
)
def test_trend_of_a_window(readings: list[float | None], window: int, rising: bool) -> None:
    assert run_through([*readings]).is_rising(window) is rising


def test_threshold_is_compared_with_the_latest_reading() -> None:
    seen = threading.Event()

    def read() -> float:
        seen.set()
        return 90.0

    monitor = ThermalMonitor(poll_interval=60, read_fn=read)
    assert monitor.temperature is None
    assert not monitor.is_above(0)
    monitor.start()
    assert seen.wait(60)
    monitor.stop()  # waits for the reading, and not for the interval
    assert monitor.temperature == 90
    assert monitor.is_above(90)
    assert not monitor.is_above(90.5)


def test_sensor_of_this_machine() -> None:
    temperature = ThermalMonitor().get_soc_temperature()
    assert temperature is None or -50 < temperature < 150


@pytest.mark.parametrize("arguments", [{"poll_interval": 0.0}, {"history_size": 0}])
def test_monitor_refuses_sizes_out_of_range(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match="got 0"):
        ThermalMonitor(**arguments)
