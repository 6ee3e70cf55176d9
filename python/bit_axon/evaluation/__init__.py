"""Measures how good a model is: perplexity of a text, and benchmarks with questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bit_axon._lazy import lazy_attribute

if TYPE_CHECKING:
    from bit_axon.evaluation.benchmark import (
        BenchmarkResult,
        evaluate_benchmark,
        evaluate_benchmarks,
    )
    from bit_axon.evaluation.dataset import WikiTextDataset
    from bit_axon.evaluation.perplexity import compute_perplexity, evaluate_ppl
    from bit_axon.evaluation.tasks import (
        BENCHMARK_REGISTRY,
        BenchmarkConfig,
        BenchmarkItem,
        BenchmarkTask,
    )

_MODULES = {
    "BENCHMARK_REGISTRY": "tasks",
    "BenchmarkConfig": "tasks",
    "BenchmarkItem": "tasks",
    "BenchmarkResult": "benchmark",
    "BenchmarkTask": "tasks",
    "WikiTextDataset": "dataset",
    "compute_perplexity": "perplexity",
    "evaluate_benchmark": "benchmark",
    "evaluate_benchmarks": "benchmark",
    "evaluate_ppl": "perplexity",
}

__all__ = [
    "BENCHMARK_REGISTRY",
    "BenchmarkConfig",
    "BenchmarkItem",
    "BenchmarkResult",
    "BenchmarkTask",
    "WikiTextDataset",
    "compute_perplexity",
    "evaluate_benchmark",
    "evaluate_benchmarks",
    "evaluate_ppl",
]


def __getattr__(name: str) -> Any:
    return lazy_attribute(__name__, _MODULES, name)


def __dir__() -> list[str]:
    return sorted(__all__)
