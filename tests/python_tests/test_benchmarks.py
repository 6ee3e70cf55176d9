"""Benchmarks: questions, prompts, answers and scores."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bit_axon import FormatError, InvalidArgument, NotFound
from bit_axon.evaluation import (
    BENCHMARK_REGISTRY,
    BenchmarkConfig,
    BenchmarkItem,
    BenchmarkResult,
    benchmark,
    evaluate_benchmark,
    evaluate_benchmarks,
    tasks,
)
from bit_axon.inference.generate import GenerateConfig, GenerateResult

ARC_ROW = {
    "question": "Which is a gas?",
    "choices": {"text": ["iron", "oxygen"], "label": ["1", "2"]},
    "answerKey": "2",
}
ROWS: dict[str, dict[str, list[dict[str, Any]]]] = {
    "mmlu/abstract_algebra": {
        "test": [{"question": "2+2?", "choices": ["3", "4", "5", "6"], "answer": 1}] * 3,
        "dev": [{"question": f"{n}+1?", "choices": ["1", "2"], "answer": 0} for n in range(6)],
    },
    "gsm8k": {
        "test": [{"question": "How many clips?", "answer": "48+24=72\n#### 1,072"}],
        "train": [{"question": f"q{n}", "answer": f"#### {n}"} for n in range(9)],
    },
    "ai2_arc/ARC-Challenge": {"test": [ARC_ROW], "train": [ARC_ROW] * 30},
    "ai2_arc/ARC-Easy": {"test": [ARC_ROW], "train": [ARC_ROW]},
    "hellaswag": {
        "validation": [
            {
                "ctx_a": "A man [title] sits.",
                "ctx_b": "he  stands",
                "endings": ["up.", "[step] down.", "still.", "by."],
                "label": "2",
                "activity_label": "Sport",
            }
        ]
    },
    "winogrande/winogrande_debiased": {
        "validation": [
            {"sentence": "_ is large.", "option1": "Ann", "option2": "Bob", "answer": "2"}
        ]
    },
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name, splits in ROWS.items():
        for split, rows in splits.items():
            (tmp_path / name).mkdir(parents=True, exist_ok=True)
            file = tmp_path / name / f"{split}.json"
            file.write_text(json.dumps(rows), encoding="utf-8")
    return tmp_path


def load(name: str, data: Path, **arguments: Any) -> list[BenchmarkItem]:
    task = BENCHMARK_REGISTRY[name]()
    task.data_dir = data
    return task.load_data(**arguments)


def test_all_benchmarks_are_there() -> None:
    assert list(BENCHMARK_REGISTRY) == BenchmarkConfig().benchmarks
    assert all(task().name == name for name, task in BENCHMARK_REGISTRY.items())


def test_mmlu_has_examples_and_no_answer(data: Path) -> None:
    said: list[str] = []
    items = load("mmlu", data, limit=2, status_callback=said.append)
    assert [item.id for item in items] == ["mmlu_abstract_algebra_0", "mmlu_abstract_algebra_1"]
    assert items[0].category == "abstract_algebra"
    assert items[0].answer == "B"
    assert items[0].prompt.count("Answer: A\n") == 5
    assert items[0].prompt.endswith("2+2?\nA. 3\nB. 4\nC. 5\nD. 6")
    assert said == ["Loading mmlu: abstract_algebra (1/57)"]
    assert items == load("mmlu", data, limit=2)  # the same examples
    assert "Answer:" not in load("mmlu", data, limit=1, num_few_shot=0)[0].prompt


def test_mmlu_names_the_subject_that_is_missing(data: Path) -> None:
    with pytest.raises(NotFound, match=r"cais/mmlu \(anatomy\)"):
        load("mmlu", data, limit=4)


def test_gsm8k_has_worked_examples(data: Path) -> None:
    (item,) = load("gsm8k", data)
    assert item.answer == "1072"
    assert item.prompt.count("Q: ") == 9
    assert item.prompt.endswith("Q: How many clips?\n\n  A:")


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("The answer is 42.", "42"),
        ("The answer is -3", "-3"),
        ("The answer is $1,234.50", "1234.5"),
        ("so\n#### 18\n\nQ: next\n\n  A: #### 99", "18"),
        ("10 + 20 = 30.\nSo 30", "30"),
        ("It costs $5.00.", "5"),
        ("none", ""),
        ("", ""),
    ],
)
def test_gsm8k_reads_the_number(response: str, answer: str) -> None:
    task = tasks.GSM8KTask()
    assert task.extract_answer(response) == answer
    assert task.check_answer("1234", "1,234.0")
    assert not task.check_answer("1234", "1235")


def test_arc_letters_its_choices(data: Path) -> None:
    (item,) = load("arc_challenge", data)
    assert item.answer == "B"
    assert item.prompt.count("Answer: B") == 25
    assert item.prompt.endswith("Which is a gas?\nA. iron\nB. oxygen")
    assert load("arc_easy", data)[0].prompt.count("Answer: B") == 1
    assert tasks.ARCEasyTask().extract_answer("E. all") == "E"


def test_hellaswag_is_cleaned(data: Path) -> None:
    (item,) = load("hellaswag", data)
    assert item.prompt.startswith("Sport: A man. sits. He stands\nA. up.\nB.  down.\n")
    assert item.prompt.endswith("\nAnswer:")
    assert (item.answer, item.category) == ("C", "Sport")


def test_winogrande_chooses_one_of_two(data: Path) -> None:
    (item,) = load("winogrande", data)
    assert item.prompt == "_ is large.\n1. Ann\n2. Bob\nAnswer:"
    task = tasks.WinoGrandeTask()
    assert [task.extract_answer(text) for text in ("1", " 2\n", "3", "")] == ["1", "2", "", ""]


def test_letters_are_read_from_the_first_line() -> None:
    task = tasks.MMLUTask()
    assert [task.extract_answer(text) for text in (" B\nA", "D. x", "E", "")] == ["B", "D", "", ""]
    assert task.check_answer("a ", "A")


def test_unexpected_row_is_named(data: Path) -> None:
    file = data / "winogrande" / "winogrande_debiased" / "validation.json"
    file.write_text('[{"sentence": "x"}]', encoding="utf-8")
    with pytest.raises(FormatError, match="winogrande: row 0 is not as expected: KeyError"):
        load("winogrande", data)


class Answers:
    """Plays generate(): gives one answer after the other, and remembers the calls."""

    def __init__(self, *answers: str | BaseException) -> None:
        self.answers = list(answers)
        self.configs: list[GenerateConfig] = []

    def __call__(self, model: Any, tokenizer: Any, prompt: str, config: Any) -> GenerateResult:
        self.configs.append(config)
        answer = self.answers[len(self.configs) - 1]
        if isinstance(answer, BaseException):
            raise answer
        return GenerateResult(answer, [1], 10, 1, 100.0)


def test_right_answers_are_counted(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers("B", "C", "B because")
    monkeypatch.setattr(benchmark, "generate", answers)
    config = BenchmarkConfig(limit=3, data_dir=data, seed=7)
    result = evaluate_benchmark(None, None, "mmlu", config)
    assert (result.correct, result.total, result.failed) == (2, 3, 0)
    assert result.accuracy == pytest.approx(2 / 3)
    assert result.std_error == pytest.approx((2 / 9 / 3) ** 0.5)
    assert result.category_scores == {"abstract_algebra": (result.accuracy, 2, 3)}
    used = answers.configs[0]
    assert (used.max_tokens, used.temperature, used.top_k, used.seed) == (5, 0, 0, 7)


def test_failed_questions_count_as_wrong(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "generate", Answers("B", ValueError("too long"), "B"))
    with pytest.warns(RuntimeWarning, match="1 of 3 questions failed.*_1: ValueError: too long"):
        result = evaluate_benchmark(None, None, "mmlu", BenchmarkConfig(limit=3, data_dir=data))
    assert (result.correct, result.total, result.failed) == (2, 3, 1)
    monkeypatch.setattr(benchmark, "generate", Answers(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        evaluate_benchmark(None, None, "mmlu", BenchmarkConfig(limit=3, data_dir=data))


def test_no_questions_have_no_accuracy(data: Path) -> None:
    result = evaluate_benchmark(None, None, "gsm8k", BenchmarkConfig(limit=0, data_dir=data))
    assert (result.accuracy, result.std_error, result.total) == (0, 0, 0)


def test_console_shows_what_is_done(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    class Console:
        def status(self, status: str) -> Any:
            return self

        def __enter__(self) -> Any:
            return SimpleNamespace(update=said.append)

        def __exit__(self, *error: object) -> None:
            pass

    monkeypatch.setattr(benchmark, "generate", Answers("1"))
    config = BenchmarkConfig(data_dir=data)
    evaluate_benchmark(None, None, "winogrande", config, Console())
    assert said == ["Loading winogrande", "winogrande: 1/1, 0.0% correct"]


def test_logprobs_take_the_likeliest_answer(data: Path) -> None:
    import numpy as np

    class Letters:
        def encode(self, text: str) -> list[int]:
            return [ord(letter) for letter in text if letter != " "]

    class LikesTwo:
        def __call__(self, ids: Any, cache: Any = None) -> tuple[Any, Any]:
            logits = np.zeros((*ids.shape, 128), np.float32)
            logits[..., ord("2")] = 1
            return logits, None

    config = BenchmarkConfig(data_dir=data, scoring_method="logprob")
    result = evaluate_benchmark(LikesTwo(), Letters(), "winogrande", config)
    assert result.correct == 1


def test_several_benchmarks_run_in_order(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "generate", Answers("2", "C"))
    config = BenchmarkConfig(benchmarks=["winogrande", "hellaswag"], data_dir=data)
    results = evaluate_benchmarks(None, None, config=config)
    assert [(r.benchmark_name, r.correct) for r in results] == [("winogrande", 1), ("hellaswag", 1)]
    assert evaluate_benchmarks(None, None, benchmarks=[]) == []


def test_bad_requests_are_refused(data: Path) -> None:
    with pytest.raises(ValueError, match=r"Unknown benchmark: 'none'\. Available:.*mmlu"):
        evaluate_benchmark(None, None, "none", BenchmarkConfig())
    with pytest.raises(InvalidArgument, match="scoring_method: expected one of.*got 'guess'"):
        evaluate_benchmark(None, None, "mmlu", BenchmarkConfig(scoring_method="guess"))
    with pytest.raises(InvalidArgument, match="num_few_shot: expected at least 0, got -1"):
        load("gsm8k", data, num_few_shot=-1)
    assert BenchmarkResult("x", 0.5, 0.01, 10, 5, 1.0).category_scores == {}
