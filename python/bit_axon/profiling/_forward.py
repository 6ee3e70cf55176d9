"""What all measurements share: random prompts, and one timed pass of a model."""

from __future__ import annotations

import random
import time
from typing import Any

from bit_axon._arrays import as_numpy
from bit_axon.evaluation._scores import ids_for
from bit_axon.model import LanguageModel

__all__ = ["forward", "make_ready", "milliseconds", "random_ids"]

_SEED = 1


def make_ready(model: Any) -> None:
    """Loads a model of the engine whose weights are not made yet, so that no measurement has it."""
    if isinstance(model, LanguageModel):
        model._ready()


def random_ids(model: Any, vocab_size: int, batch_size: int, seq_len: int) -> Any:
    """The same ids on every call: an array [batch_size, seq_len] of the model's library."""
    source = random.Random(_SEED)
    return ids_for(
        model,
        [[source.randrange(vocab_size) for _ in range(seq_len)] for _ in range(batch_size)],
    )


def forward(model: Any, ids: Any, cache: Any = None) -> tuple[Any, Any]:
    """The logits as a numpy array, which a lazy library computes only now, and the caches."""
    logits, caches = model(ids) if cache is None else model(ids, cache=cache)
    return as_numpy(logits), caches


def milliseconds(model: Any, ids: Any) -> float:
    """The time of one pass."""
    start = time.perf_counter()
    forward(model, ids)
    return (time.perf_counter() - start) * 1000
