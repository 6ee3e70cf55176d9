"""Runs benchmarks and counts right answers."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from bit_axon._errors import InvalidArgument
from bit_axon.evaluation.tasks import (
    BENCHMARK_REGISTRY,
    BenchmarkConfig,
    BenchmarkItem,
    BenchmarkTask,
)
from bit_axon.inference.generate import GenerateConfig, GenerateResult, generate

__all__ = ["BenchmarkResult", "evaluate_benchmark", "evaluate_benchmarks"]

# Tokens of an answer. A letter with the words that a model may add needs few.
_MAX_TOKENS = {
    "mmlu": 5,
    "arc_challenge": 5,
    "arc_easy": 5,
    "hellaswag": 5,
    "winogrande": 5,
    "gsm8k": 512,
}
_SCORING_METHODS = ("generate", "logprob")


class Console(Protocol):
    """What is used of a ``rich.console.Console``."""

    def status(self, status: Any) -> Any: ...


@dataclass
class BenchmarkResult:
    """The result of one benchmark.

    Attributes:
        benchmark_name: the name in ``BENCHMARK_REGISTRY``.
        accuracy: right answers divided by all questions, 0 to 1.
        std_error: the standard error of `accuracy`.
        total: the number of questions.
        correct: the number of right answers.
        time_seconds: the time of all answers, without loading the data set.
        category_scores: for each category ``(accuracy, correct, total)``.
        failed: questions whose answer could not be computed. They count as wrong.
    """

    benchmark_name: str
    accuracy: float
    std_error: float
    total: int
    correct: int
    time_seconds: float
    category_scores: dict[str, tuple[float, int, int]] = field(default_factory=dict)
    failed: int = 0


def evaluate_benchmark(
    model: Any,
    tokenizer: Any,
    benchmark_name: str,
    config: BenchmarkConfig,
    console: Console | None = None,
) -> BenchmarkResult:
    """Asks the model every question of one benchmark.

    Args:
        model: a model that generate() takes.
        tokenizer: its tokenizer.
        benchmark_name: a name in ``BENCHMARK_REGISTRY``.
        config: how to ask; see BenchmarkConfig.
        console: a ``rich`` console that shows what is done, or None.

    Raises:
        ValueError: there is no such benchmark or scoring method.
        OSError: the data set is not on this machine.
        RuntimeWarning (as a warning): questions failed; the first reason is given.
    """
    if benchmark_name not in BENCHMARK_REGISTRY:
        raise InvalidArgument(
            f"Unknown benchmark: {benchmark_name!r}. Available: {list(BENCHMARK_REGISTRY)}"
        )
    if config.scoring_method not in _SCORING_METHODS:
        raise InvalidArgument(
            f"scoring_method: expected one of {_SCORING_METHODS}, got {config.scoring_method!r}"
        )
    task = BENCHMARK_REGISTRY[benchmark_name]()
    if config.data_dir is not None:
        task.data_dir = config.data_dir
    with _status(console) as say:
        items = task.load_data(
            limit=config.limit, num_few_shot=config.num_few_shot, status_callback=say
        )
        start = time.perf_counter()
        tally = _Tally(benchmark_name, items)
        answer = _answerer(model, tokenizer, task, config)
        for item in items:
            tally.ask(task, answer, item)
            say(tally.line())
        return tally.result(time.perf_counter() - start)


def evaluate_benchmarks(
    model: Any,
    tokenizer: Any,
    benchmarks: list[str] | None = None,
    config: BenchmarkConfig | None = None,
    console: Console | None = None,
) -> list[BenchmarkResult]:
    """Asks the model the questions of several benchmarks: `benchmarks`, else those of `config`.

    Returns one result for each benchmark, in order. Raises as evaluate_benchmark() does.
    """
    config = config or BenchmarkConfig()
    names = config.benchmarks if benchmarks is None else benchmarks
    return [evaluate_benchmark(model, tokenizer, name, config, console) for name in names]


@contextmanager
def _status(console: Console | None) -> Iterator[Callable[[str], None]]:
    """A function that shows a line on the console, if there is one."""
    if console is None:
        yield lambda line: None
        return
    with console.status("Loading benchmark data") as status:
        yield status.update


def _answerer(
    model: Any, tokenizer: Any, task: BenchmarkTask, config: BenchmarkConfig
) -> Callable[[BenchmarkItem], str]:
    """A function that gives the model's answer to a question."""
    if config.scoring_method == "logprob" and task.choices:
        return lambda item: task.score_by_logprobs(model, tokenizer, item)
    wanted = GenerateConfig(
        max_tokens=_MAX_TOKENS.get(task.name, config.max_tokens),
        temperature=config.temperature,
        top_k=0,
        top_p=1.0,
        seed=config.seed,
    )

    def answer(item: BenchmarkItem) -> str:
        result = generate(model, tokenizer, task.format_prompt(item), wanted)
        assert isinstance(result, GenerateResult)  # it was not asked to stream
        return task.extract_answer(result.text)

    return answer


class _Tally:
    """Counts the answers of one benchmark."""

    def __init__(self, name: str, items: list[BenchmarkItem]) -> None:
        self._name = name
        self._total = len(items)
        self._asked = self._correct = self._failed = 0
        self._reason = ""
        self._categories: dict[str, list[int]] = {}  # right answers and questions
        for item in items:
            if item.category:
                self._categories.setdefault(item.category, [0, 0])[1] += 1

    def ask(
        self, task: BenchmarkTask, answer: Callable[[BenchmarkItem], str], item: BenchmarkItem
    ) -> None:
        self._asked += 1
        try:
            predicted = answer(item)
        except Exception as error:  # noqa: BLE001
            # A question that is too long for the model must not end the benchmark.
            self._failed += 1
            self._reason = self._reason or f"{item.id}: {type(error).__name__}: {error}"
            return
        if task.check_answer(predicted, item.answer):
            self._correct += 1
            if item.category:
                self._categories[item.category][0] += 1

    def line(self) -> str:
        share = self._correct / self._asked
        return f"{self._name}: {self._asked}/{self._total}, {share:.1%} correct"

    def result(self, seconds: float) -> BenchmarkResult:
        if self._failed:
            warnings.warn(
                f"benchmark {self._name}: {self._failed} of {self._total} questions failed and "
                f"count as wrong; first {self._reason}",
                RuntimeWarning,
                stacklevel=3,
            )
        accuracy = self._correct / self._total if self._total else 0.0
        error = math.sqrt(accuracy * (1 - accuracy) / self._total) if self._total else 0.0
        scores = {name: (c / n, c, n) for name, (c, n) in self._categories.items()}
        return BenchmarkResult(
            benchmark_name=self._name,
            accuracy=accuracy,
            std_error=error,
            total=self._total,
            correct=self._correct,
            time_seconds=seconds,
            category_scores=scores,
            failed=self._failed,
        )
