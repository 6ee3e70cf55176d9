"""Multiple-choice and mathematics benchmarks: their questions, prompts and answers.

The questions come from files on this machine (see ``BenchmarkConfig.data_dir``) or from the caches
of the Hugging Face tools. Nothing is downloaded.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bit_axon._errors import FormatError, InvalidArgument
from bit_axon.evaluation._files import LocalDatasets, Row
from bit_axon.evaluation._scores import choice_logprobs

__all__ = [
    "BENCHMARK_REGISTRY",
    "ARCChallengeTask",
    "ARCEasyTask",
    "BenchmarkConfig",
    "BenchmarkItem",
    "BenchmarkTask",
    "GSM8KTask",
    "HellaSwagTask",
    "MMLUTask",
    "WinoGrandeTask",
]

_LETTERS = "ABCDEFGHIJ"
_FEW_SHOT_SEED = 42

_MMLU_SUBJECTS = [
    "abstract_algebra",
    "anatomy",
    "astronomy",
    "business_ethics",
    "clinical_knowledge",
    "college_biology",
    "college_chemistry",
    "college_computer_science",
    "college_mathematics",
    "college_medicine",
    "college_physics",
    "computer_security",
    "conceptual_physics",
    "econometrics",
    "electrical_engineering",
    "elementary_mathematics",
    "formal_logic",
    "global_facts",
    "high_school_biology",
    "high_school_chemistry",
    "high_school_computer_science",
    "high_school_european_history",
    "high_school_geography",
    "high_school_government_and_politics",
    "high_school_macroeconomics",
    "high_school_mathematics",
    "high_school_microeconomics",
    "high_school_physics",
    "high_school_psychology",
    "high_school_statistics",
    "high_school_us_history",
    "high_school_world_history",
    "human_aging",
    "human_sexuality",
    "international_law",
    "jurisprudence",
    "logical_fallacies",
    "machine_learning",
    "management",
    "marketing",
    "medical_genetics",
    "miscellaneous",
    "moral_disputes",
    "moral_scenarios",
    "nutrition",
    "philosophy",
    "prehistory",
    "professional_accounting",
    "professional_law",
    "professional_medicine",
    "professional_psychology",
    "public_relations",
    "security_studies",
    "sociology",
    "us_foreign_policy",
    "virology",
    "world_religions",
]


@dataclass
class BenchmarkItem:
    """One question of a benchmark."""

    id: str
    prompt: str
    answer: str
    category: str = ""


@dataclass
class BenchmarkConfig:
    """What to evaluate, and how.

    Attributes:
        benchmarks: names in ``BENCHMARK_REGISTRY``.
        limit: questions of each benchmark; None for all.
        max_tokens: tokens of an answer, for benchmarks that are not in ``BENCHMARK_REGISTRY`` by
            default. Those have limits of their own: 512 for gsm8k and 5 for the others.
        temperature: 0 takes the likeliest token.
        seed: makes answers reproducible if the temperature is above 0.
        num_few_shot: solved examples before each question; None for the benchmark's own number.
        scoring_method: ``"generate"`` reads the answer from generated text, ``"logprob"`` takes
            the likeliest of the given answers (gsm8k, which gives none, generates text).
        data_dir: a folder with the data sets, such as ``mmlu/anatomy/test.jsonl``. None searches
            the caches of the hub's tools.
    """

    benchmarks: list[str] = field(
        default_factory=lambda: [
            "mmlu",
            "gsm8k",
            "arc_challenge",
            "arc_easy",
            "hellaswag",
            "winogrande",
        ]
    )
    limit: int | None = None
    max_tokens: int = 256
    temperature: float = 0.0
    seed: int | None = None
    num_few_shot: int | None = None
    scoring_method: str = "generate"
    data_dir: str | os.PathLike[str] | None = None


def _require_datasets(data_dir: str | os.PathLike[str] | None = None) -> LocalDatasets:
    """Where the tasks get their data sets from."""
    return LocalDatasets(data_dir)


class BenchmarkTask:
    """A benchmark. Subclasses read the questions and say how an answer looks.

    Attributes:
        name: the name in ``BENCHMARK_REGISTRY``.
        default_few_shot: solved examples before each question, unless the caller says otherwise.
        data_dir: as ``BenchmarkConfig.data_dir``.
        choices: the answers of which a question has one. Empty if answers are free text.
    """

    name: str = ""
    default_few_shot: int = 0
    data_dir: str | os.PathLike[str] | None = None
    choices: Sequence[str] = _LETTERS[:4]

    def load_data(
        self,
        limit: int | None = None,
        *,
        num_few_shot: int | None = None,
        status_callback: Callable[[str], None] | None = None,
    ) -> list[BenchmarkItem]:
        """The questions, at most `limit`. `status_callback` gets a line for each step.

        Raises NotFound (an OSError) if the data set is not on this machine.
        """
        _say(status_callback, f"Loading {self.name}")
        return self._load(limit, num_few_shot)

    def _load(self, limit: int | None, num_few_shot: int | None) -> list[BenchmarkItem]:
        """What load_data() returns, for a benchmark with one data set."""
        raise NotImplementedError(f"{type(self).__name__}: load_data is not defined")

    def format_prompt(self, item: BenchmarkItem) -> str:
        """The prompt of a question, with the solved examples before it."""
        return item.prompt

    def extract_answer(self, response: str) -> str:
        """The answer in a generated text. Empty if there is none."""
        first_line = response.strip().split("\n", 1)[0].strip()
        return next((choice for choice in self.choices if first_line.startswith(choice)), "")

    def check_answer(self, predicted: str, expected: str) -> bool:
        """Whether the answer is right."""
        return predicted.strip().upper() == expected.strip().upper()

    def score_by_logprobs(self, model: Any, tokenizer: Any, item: BenchmarkItem) -> str:
        """The likeliest answer: of ``" A"``, ``" B"``, ... after the prompt.

        Each answer begins from the state after the prompt, so no answer sees another one.
        """
        prompt = list(tokenizer.encode(self.format_prompt(item)))
        if not prompt:
            raise InvalidArgument(f"question {item.id}: expected a prompt with at least one token")
        answers = [list(tokenizer.encode(f" {choice}")) for choice in self.choices]
        scores = choice_logprobs(model, prompt, answers)
        return self.choices[max(range(len(scores)), key=scores.__getitem__)]

    def _rows(self, path: str, config: str | None, split: str) -> list[Row]:
        reader = _require_datasets(self.data_dir)
        found = (
            reader.load_dataset(path, split=split)
            if config is None
            else reader.load_dataset(path, config, split=split)
        )
        return list(found)

    def _shots(self, rows: list[Row], n_wanted: int | None) -> list[Row]:
        """The same solved examples on every call."""
        n = self.default_few_shot if n_wanted is None else n_wanted
        if n < 0:
            raise InvalidArgument(f"num_few_shot: expected at least 0, got {n}")
        return random.Random(_FEW_SHOT_SEED).sample(rows, min(n, len(rows)))

    def _items(
        self, rows: list[Row], limit: int | None, item_of: Callable[[int, Row], BenchmarkItem]
    ) -> list[BenchmarkItem]:
        """An item for each row. Raises FormatError for a row without the expected columns."""
        items = []
        for index, row in enumerate(rows[:limit]):
            try:
                items.append(item_of(index, row))
            except (KeyError, IndexError, TypeError, ValueError) as error:
                raise FormatError(
                    f"benchmark {self.name}: row {index} is not as expected: "
                    f"{type(error).__name__}: {error}"
                ) from None
        return items


def _say(status_callback: Callable[[str], None] | None, line: str) -> None:
    if status_callback is not None:
        status_callback(line)


def _question(text: str, choices: Sequence[str], answer: str | None = None) -> str:
    """A question with its choices, and with the answer if it is an example."""
    lines = [text, *(f"{letter}. {choice}" for letter, choice in zip(_LETTERS, choices))]
    if answer is not None:
        lines.append(f"Answer: {answer}")
    return "\n".join(lines)


class MMLUTask(BenchmarkTask):
    """MMLU: questions from 57 subjects, five examples before each."""

    name = "mmlu"
    default_few_shot = 5

    def load_data(
        self,
        limit: int | None = None,
        *,
        num_few_shot: int | None = None,
        status_callback: Callable[[str], None] | None = None,
    ) -> list[BenchmarkItem]:
        items: list[BenchmarkItem] = []
        for number, subject in enumerate(_MMLU_SUBJECTS, 1):
            if limit is not None and len(items) >= limit:
                break
            _say(status_callback, f"Loading mmlu: {subject} ({number}/{len(_MMLU_SUBJECTS)})")
            rows = self._rows("cais/mmlu", subject, "test")
            shots = self._shots(self._rows("cais/mmlu", subject, "dev"), num_few_shot)
            n_left = None if limit is None else limit - len(items)
            items += self._items(rows, n_left, self._item_maker(subject, shots))
        return items

    @staticmethod
    def _item_maker(subject: str, shots: list[Row]) -> Callable[[int, Row], BenchmarkItem]:
        head = f"The following are multiple choice questions (with answers) about {subject}.\n"

        def text_of(row: Row, is_example: bool) -> str:
            answer = _LETTERS[row["answer"]] if is_example else None
            return _question(row["question"], row["choices"], answer)

        def item_of(index: int, row: Row) -> BenchmarkItem:
            parts = [head, *(text_of(shot, True) + "\n" for shot in shots), text_of(row, False)]
            return BenchmarkItem(
                id=f"mmlu_{subject}_{index}",
                prompt="\n".join(parts),
                answer=_LETTERS[row["answer"]],
                category=subject,
            )

        return item_of


class GSM8KTask(BenchmarkTask):
    """GSM8K: school mathematics, eight worked examples before each question."""

    name = "gsm8k"
    default_few_shot = 8
    choices = ()

    _STATED = re.compile(r"(?:The answer is|####) *(-?\$?[0-9][0-9,]*(?:\.[0-9]+)?)")
    _NUMBER = re.compile(r"-?\$?[0-9][0-9,]*(?:\.[0-9]+)?")

    def _load(self, limit: int | None, num_few_shot: int | None) -> list[BenchmarkItem]:
        rows = self._rows("openai/gsm8k", "main", "test")
        shots = self._shots(self._rows("openai/gsm8k", "main", "train"), num_few_shot)
        examples = "".join(f"Q: {s['question']}\n\n  A: {s['answer']}\n\n" for s in shots)

        def item_of(index: int, row: Row) -> BenchmarkItem:
            return BenchmarkItem(
                id=f"gsm8k_{index}",
                prompt=f"{examples}Q: {row['question']}\n\n  A:",
                answer=self.extract_answer(row["answer"]),
            )

        return self._items(rows, limit, item_of)

    def extract_answer(self, response: str) -> str:
        """The number that the text states as its answer, else the last number."""
        own = response.split("\nQ:", 1)[0]  # a model may go on with a question of its own
        stated = self._STATED.search(own)
        if stated:
            return self._number(stated[1])
        numbers = self._NUMBER.findall(own)
        return self._number(numbers[-1]) if numbers else ""

    def check_answer(self, predicted: str, expected: str) -> bool:
        return self._number(predicted) == self._number(expected)

    @staticmethod
    def _number(text: str) -> str:
        """A number without separators, currency and zeros at the end of a fraction."""
        text = text.replace(",", "").replace("$", "").strip()
        return text.rstrip("0").rstrip(".") if "." in text else text


class _ARCTask(BenchmarkTask):
    """The two parts of ARC. Its questions have three to five choices."""

    default_few_shot = 25
    choices = _LETTERS[:5]
    config = ""

    def _load(self, limit: int | None, num_few_shot: int | None) -> list[BenchmarkItem]:
        rows = self._rows("allenai/ai2_arc", self.config, "test")
        shots = self._shots(self._rows("allenai/ai2_arc", self.config, "train"), num_few_shot)
        examples = "".join(self._text_of(shot, self._answer(shot)) + "\n\n" for shot in shots)

        def item_of(index: int, row: Row) -> BenchmarkItem:
            return BenchmarkItem(
                id=f"{self.name}_{index}",
                prompt=examples + self._text_of(row, None),
                answer=self._answer(row),
            )

        return self._items(rows, limit, item_of)

    @staticmethod
    def _text_of(row: Row, answer: str | None) -> str:
        return _question(row["question"], row["choices"]["text"], answer)

    @staticmethod
    def _answer(row: Row) -> str:
        """The letter of the right choice. Some questions label their choices 1, 2, 3, 4."""
        return _LETTERS[list(row["choices"]["label"]).index(row["answerKey"])]


class ARCChallengeTask(_ARCTask):
    """ARC-Challenge: science questions that are hard to look up, 25 examples before each."""

    name = "arc_challenge"
    config = "ARC-Challenge"


class ARCEasyTask(_ARCTask):
    """ARC-Easy: science questions, 25 examples before each."""

    name = "arc_easy"
    config = "ARC-Easy"


class HellaSwagTask(BenchmarkTask):
    """HellaSwag: which of four endings a description has. No examples."""

    name = "hellaswag"

    def _load(self, limit: int | None, num_few_shot: int | None) -> list[BenchmarkItem]:

        def item_of(index: int, row: Row) -> BenchmarkItem:
            activity = row["activity_label"]
            beginning, rest = self._cleaned(row["ctx_a"]), self._cleaned(row["ctx_b"])
            text = f"{activity}: {beginning} {rest[:1].upper()}{rest[1:]}"
            endings = [self._cleaned(ending) for ending in row["endings"]]
            return BenchmarkItem(
                id=f"hellaswag_{index}",
                prompt=_question(text, endings) + "\nAnswer:",
                answer=_LETTERS[int(row["label"])],
                category=activity,
            )

        return self._items(self._rows("Rowan/hellaswag", None, "validation"), limit, item_of)

    @staticmethod
    def _cleaned(text: str) -> str:
        """The text without the marks of the site that it comes from."""
        text = text.strip().replace(" [title]", ". ")
        return re.sub(r"\[.*?\]", "", text).replace("  ", " ")


class WinoGrandeTask(BenchmarkTask):
    """WinoGrande: which of two things a sentence speaks of. No examples."""

    name = "winogrande"
    choices = ("1", "2")

    def _load(self, limit: int | None, num_few_shot: int | None) -> list[BenchmarkItem]:

        def item_of(index: int, row: Row) -> BenchmarkItem:
            options = f"1. {row['option1']}\n2. {row['option2']}"
            return BenchmarkItem(
                id=f"winogrande_{index}",
                prompt=f"{row['sentence']}\n{options}\nAnswer:",
                answer=str(row["answer"]),
            )

        rows = self._rows("allenai/winogrande", "winogrande_debiased", "validation")
        return self._items(rows, limit, item_of)


BENCHMARK_REGISTRY: dict[str, type[BenchmarkTask]] = {
    task.name: task
    for task in (
        MMLUTask,
        GSM8KTask,
        ARCChallengeTask,
        ARCEasyTask,
        HellaSwagTask,
        WinoGrandeTask,
    )
}
