"""Functions over batches of rows, for engines that work on many documents with many processes.

An object of this module holds only its arguments. So Ray, Dask and others can send it to their
workers. Each worker process loads the model once, when its first rows arrive::

    import ray
    from bit_axon import batch

    rows = ray.data.read_json("prompts.jsonl")  # with columns "id" and "prompt"
    rows = rows.map_batches(batch.Generate("./model"), batch_size=32, num_cpus=4)
    rows.write_json("answers")

A batch is a dict of arrays (Ray), a pandas DataFrame (Dask's ``map_partitions``) or a pyarrow
Table. The result is of the same kind and has the columns of the batch and new ones.

The result of a row depends on the row and the arguments alone, not on the worker, the order or the
number of attempts. So an engine that runs a task again after a worker died gets the same rows. On
the CPU they are the same bits whatever else is in the batch. On a GPU they are the same bits for
the same batch, which is what an engine runs again.
"""

from __future__ import annotations

import hashlib
import math
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from bit_axon._errors import InvalidArgument
from bit_axon.evaluation._sums import perplexity_of

if TYPE_CHECKING:
    from bit_axon.inference.generate import GenerateConfig, GenerateResult

__all__ = ["Generate", "Perplexity", "corpus_perplexity", "row_seed"]

_SEED_BITS = 63


def row_seed(row_id: Any, seed: int = 0) -> int:
    """The seed of the sampler for a row: the same on every machine, in 0..2**63 - 1.

    It is the first 8 bytes of the BLAKE2b hash (digest size 8, least byte first) of the text
    ``"SEED/ID"`` in UTF-8, without the highest bit. An id is an integer or a text. An integer and
    its decimal digits give the same seed, because data frames turn one into the other.

    Raises InvalidArgument for an id that is neither.
    """
    if isinstance(row_id, bytes):
        row_id = row_id.decode("utf-8", "surrogateescape")
    if isinstance(row_id, bool) or not (isinstance(row_id, str) or hasattr(row_id, "__index__")):
        raise InvalidArgument(
            f"row id: expected an integer or a text, got {type(row_id).__name__} {row_id!r}"
        )
    name = row_id if isinstance(row_id, str) else str(row_id.__index__())
    text = f"{seed}/{name}".encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(text, digest_size=8).digest()
    return int.from_bytes(digest, "little") % (1 << _SEED_BITS)


class _Columns:
    """The columns of a batch of one of the three kinds."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch
        if isinstance(batch, Mapping):
            self.kind, self.names = "dict", list(batch)
        elif hasattr(batch, "assign") and hasattr(batch, "columns"):
            self.kind, self.names = "pandas", list(batch.columns)
        elif hasattr(batch, "append_column") and hasattr(batch, "column_names"):
            self.kind, self.names = "pyarrow", list(batch.column_names)
        else:
            raise InvalidArgument(
                "batch: expected a dict of arrays, a pandas DataFrame or a pyarrow Table, got "
                f"{type(batch).__name__}"
            )

    def values(self, name: str) -> list[Any]:
        """A column as a list of Python objects. Raises InvalidArgument if there is none."""
        if name not in self.names:
            raise InvalidArgument(
                f"batch: expected a column {name!r}, got {', '.join(map(str, self.names))}"
            )
        column = self._batch[name]
        if self.kind == "pyarrow":
            return list(column.to_pylist())
        return list(column.tolist() if hasattr(column, "tolist") else column)

    def texts(self, name: str) -> list[str]:
        """A column of texts. Raises InvalidArgument that names the first row without a text."""
        values = self.values(name)
        for index, value in enumerate(values):
            if not isinstance(value, str):
                raise InvalidArgument(
                    f"column {name!r}: row {index} of the batch: expected a text, got "
                    f"{type(value).__name__} {value!r}"
                )
        return values

    def refuse(self, names: Iterable[str]) -> None:
        """Raises InvalidArgument if the batch has one of the columns."""
        for name in names:
            if name in self.names:
                raise InvalidArgument(f"batch: it has a column {name!r} already; rename it before")

    def with_columns(self, new: Mapping[str, Sequence[Any]]) -> Any:
        """The batch with more columns, whose types are those of _TYPES."""
        if self.kind == "pyarrow":
            return self._arrow_table(new)
        arrays = {name: _array(name, values) for name, values in new.items()}
        if self.kind == "pandas":
            return self._batch.assign(**arrays)
        return {**self._batch, **arrays}

    def _arrow_table(self, new: Mapping[str, Sequence[Any]]) -> Any:
        import pyarrow as pa

        types = {str: pa.string(), int: pa.int64(), float: pa.float64()}
        table = self._batch
        for name, values in new.items():
            table = table.append_column(name, pa.array(values, types[_TYPES[name]]))
        return table


@contextmanager
def _named(row: Any) -> Iterator[None]:
    """Names the row in the message of an argument that is refused."""
    try:
        yield
    except InvalidArgument as error:
        raise InvalidArgument(f"row {row!r}: {error}") from None


# The new columns and their types.
_TYPES: dict[str, type] = {
    "generated_text": str,
    "finish_reason": str,
    "n_prompt_tokens": int,
    "n_generated_tokens": int,
    "n_tokens": int,
    "nll_sum": float,
    "nll_squares": float,
    "perplexity": float,
}


def _array(name: str, values: Sequence[Any]) -> Any:
    import numpy as np

    types: dict[type, Any] = {str: object, int: np.int64, float: np.float64}
    return np.array(values, dtype=types[_TYPES[name]])


class _Loaded:
    """A model in this process, with its tokenizer. One batch at a time uses it."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.lock = threading.Lock()


_loaded: dict[tuple[Any, ...], _Loaded] = {}
_loading = threading.Lock()


@dataclass(frozen=True)
class _OnRows:
    """What all functions of this module have in common: the model, and how it is loaded."""

    model: str | os.PathLike[str]
    tokenizer: str | os.PathLike[str] | None = field(default=None, kw_only=True)
    load_options: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("model", "tokenizer"):
            value = getattr(self, name)
            if value is None and name == "tokenizer":
                continue
            if not isinstance(value, (str, os.PathLike)):
                raise InvalidArgument(
                    f"{name}: expected a path or a hub id, got {type(value).__name__}. Each worker "
                    "loads a model of its own, because a loaded one stays in its process."
                )

    def __call__(self, batch: Any) -> Any:
        raise NotImplementedError

    def meta(self, frame: Any) -> Any:
        """The result for no rows, which Dask's ``map_partitions`` takes as ``meta``.

        `frame` is a Dask or pandas DataFrame. No model is loaded.
        """
        return self(getattr(frame, "_meta", frame).iloc[:0])

    def _load(self) -> _Loaded:
        """The model of this process. Loads it if this is the first call for its arguments."""
        options = tuple(sorted((name, repr(value)) for name, value in self.load_options.items()))
        key = (os.getpid(), os.fspath(self.model), self.tokenizer, options)
        with _loading:
            if key not in _loaded:
                _loaded[key] = _open(self.model, self.tokenizer, self.load_options)
            return _loaded[key]


def _open(model: Any, tokenizer: Any, options: Mapping[str, Any]) -> _Loaded:
    from bit_axon.model import load
    from bit_axon.tokenizer import QwenTokenizerWrapper

    reader = QwenTokenizerWrapper(model if tokenizer is None else tokenizer)  # quick, so first
    return _Loaded(load(model, **options), reader)


@dataclass(frozen=True)
class Generate(_OnRows):
    """Generates a text for each row.

    Args:
        model: a model folder or a hub id, as bit_axon.load() takes it.
        prompt_column: the column with the prompts.
        id_column: the column with the ids that seeds come from (see row_seed()). None takes the
            prompt as the id, so equal prompts get equal answers.
        config: how to generate. Its seed is the seed of the run (None counts as 0), and each row
            gets ``row_seed(id, seed)``.
        chat: whether a prompt is a user's message, which the model's chat template wraps.
        tokenizer: a tokenizer file or folder; None for the model's own.
        load_options: keyword arguments of bit_axon.load(), such as ``{"device": "cpu"}``.

    New columns:
        generated_text (text), finish_reason (``"stop"`` or ``"length"``), n_prompt_tokens and
        n_generated_tokens (int64).

    Raises:
        InvalidArgument: a column is missing or has something else than texts, a new column exists
            already, an id is neither an integer nor a text, or a prompt is empty or longer than
            the context; the message names the row.
    """

    prompt_column: str = "prompt"
    id_column: str | None = "id"
    config: GenerateConfig | None = None
    chat: bool = False

    _NEW: ClassVar = ("generated_text", "finish_reason", "n_prompt_tokens", "n_generated_tokens")

    def __call__(self, batch: Any) -> Any:
        """The batch with the new columns."""
        columns = _Columns(batch)
        columns.refuse(self._NEW)
        prompts = columns.texts(self.prompt_column)
        ids = prompts if self.id_column is None else columns.values(self.id_column)
        base = self.config.seed or 0 if self.config is not None else 0
        seeds = [row_seed(row_id, base) for row_id in ids]
        results = self._generate(prompts, seeds, ids) if prompts else []
        return columns.with_columns(
            {
                "generated_text": [result.text for result in results],
                "finish_reason": [result.finish_reason for result in results],
                "n_prompt_tokens": [result.prompt_tokens for result in results],
                "n_generated_tokens": [result.completion_tokens for result in results],
            }
        )

    def _generate(
        self, prompts: list[str], seeds: list[int], ids: list[Any]
    ) -> list[GenerateResult]:
        from bit_axon.inference.generate import GenerateConfig, batch_generate

        loaded = self._load()
        config = self.config or GenerateConfig()

        def answers(some: slice, **options: Any) -> list[GenerateResult]:
            return batch_generate(
                loaded.model,
                loaded.tokenizer,
                prompts[some],
                config,
                chat=self.chat,
                seeds=seeds[some],
                **options,
            )

        with loaded.lock:
            try:
                return answers(slice(None))
            except InvalidArgument:
                for index, row_id in enumerate(ids):
                    with _named(row_id):
                        answers(slice(index, index + 1), max_tokens=0)
                raise


@dataclass(frozen=True)
class Perplexity(_OnRows):
    """Measures how well the model predicts the text of each row.

    Args:
        model: a model folder or a hub id, as bit_axon.load() takes it.
        text_column: the column with the texts.
        seq_length: a longer text is cut into windows of this many tokens, each of which begins
            without the one before.
        tokenizer: a tokenizer file or folder; None for the model's own.
        load_options: keyword arguments of bit_axon.load(), such as ``{"device": "cpu"}``.

    New columns:
        n_tokens (int64, predicted tokens), nll_sum and nll_squares (float64: the sums of the
        negative log-likelihoods in nats and of their squares) and perplexity (float64, NaN for a
        text of fewer than two tokens). corpus_perplexity() puts the rows together.

    Raises:
        InvalidArgument: the column is missing or has something else than texts, or a new column
            exists already.
    """

    text_column: str = "text"
    seq_length: int = 2048

    _NEW: ClassVar = ("n_tokens", "nll_sum", "nll_squares", "perplexity")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.seq_length < 1:
            raise InvalidArgument(f"seq_length: expected at least 1, got {self.seq_length}")

    def __call__(self, batch: Any) -> Any:
        """The batch with the new columns."""
        columns = _Columns(batch)
        columns.refuse(self._NEW)
        texts = columns.texts(self.text_column)
        sums = self._sums(texts) if texts else []
        return columns.with_columns(
            {
                "n_tokens": [n for n, _, _ in sums],
                "nll_sum": [nll for _, nll, _ in sums],
                "nll_squares": [squares for _, _, squares in sums],
                "perplexity": [perplexity_of(*numbers)[0] for numbers in sums],
            }
        )

    def _sums(self, texts: list[str]) -> list[tuple[int, float, float]]:
        from bit_axon.evaluation._engine_models import EngineModel

        loaded = self._load()
        with loaded.lock:
            own = EngineModel(loaded.model)
            sums = []
            for index, text in enumerate(texts):
                with _named(index):
                    sums.append(own.text_sums(loaded.tokenizer, text, self.seq_length))
            return sums


def corpus_perplexity(rows: Any) -> tuple[float, float]:
    """The perplexity of all rows together, and its standard error.

    Args:
        rows: the columns ``n_tokens``, ``nll_sum`` and ``nll_squares`` of Perplexity, as a dict of
            arrays, a pandas DataFrame or a pyarrow Table; or an iterable of such dicts of numbers.

    Returns:
        ``(perplexity, standard_error)`` over all predicted tokens, NaN if there are none.
    """
    names = ("n_tokens", "nll_sum", "nll_squares")
    if isinstance(rows, Mapping) or hasattr(rows, "columns") or hasattr(rows, "column_names"):
        columns = _Columns(rows)
        n, nll, squares = (math.fsum(columns.values(name)) for name in names)
    else:
        listed: list[Mapping[str, float]] = list(rows)
        n, nll, squares = (math.fsum(row[name] for row in listed) for name in names)
    return perplexity_of(n, nll, squares)
