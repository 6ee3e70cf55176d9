"""How fast a model reads prompts and generates tokens."""

from __future__ import annotations

import statistics
import time
from typing import Any

from bit_axon._errors import InvalidArgument
from bit_axon.evaluation._scores import ids_for
from bit_axon.profiling._forward import forward, make_ready, milliseconds, random_ids

__all__ = ["SpeedProfiler"]

_WARMUP_TOKENS = 4


class SpeedProfiler:
    """Measures tokens per second and latency of a model.

    A model is any callable ``model(ids, cache=None) -> (logits, caches)``. Times include that the
    logits arrive in the memory of the process.
    """

    def benchmark_tokens_per_sec(
        self,
        model: Any,
        seq_len: int = 128,
        batch_size: int = 1,
        num_warmup: int = 2,
        num_iterations: int = 5,
        vocab_size: int = 1024,
    ) -> dict[str, Any]:
        """The speed of reading prompts of random ids.

        Args:
            model: the model.
            seq_len: tokens of a prompt.
            batch_size: prompts that are read together.
            num_warmup: runs before those that are timed.
            num_iterations: runs that are timed, at least 1.
            vocab_size: ids are below this number.

        Returns:
            A dict of ``tokens_per_sec`` (tokens of all prompts by the mean time), ``latency_ms``
            (mean time of a run), ``std_latency_ms`` (its standard deviation, 0 for one run) and
            ``num_iterations``.
        """
        _check_at_least_one(seq_len=seq_len, batch_size=batch_size, num_iterations=num_iterations)
        make_ready(model)
        ids = random_ids(model, vocab_size, batch_size, seq_len)
        for _ in range(num_warmup):
            forward(model, ids)
        latencies = [milliseconds(model, ids) for _ in range(num_iterations)]
        latency = statistics.mean(latencies)
        return {
            "tokens_per_sec": batch_size * seq_len / (latency / 1000),
            "latency_ms": latency,
            "std_latency_ms": statistics.stdev(latencies) if num_iterations > 1 else 0.0,
            "num_iterations": num_iterations,
        }

    def benchmark_autoregressive(
        self, model: Any, total_tokens: int = 64, num_warmup: int = 2, vocab_size: int = 1024
    ) -> dict[str, Any]:
        """The speed of generating one token after the other, each the likeliest one.

        Args:
            model: the model.
            total_tokens: tokens that are fed, at least 1. The first one has the id 0.
            num_warmup: short generations before the one that is timed.
            vocab_size: only ids below this number are generated.

        Returns:
            A dict of ``tokens_per_sec``, ``total_latency_ms`` and ``mean_per_token_ms``.
        """
        _check_at_least_one(total_tokens=total_tokens, vocab_size=vocab_size)
        make_ready(model)
        for _ in range(num_warmup):
            _generate(model, _WARMUP_TOKENS, vocab_size)
        start = time.perf_counter()
        _generate(model, total_tokens, vocab_size)
        total = (time.perf_counter() - start) * 1000
        return {
            "tokens_per_sec": total_tokens / (total / 1000),
            "total_latency_ms": total,
            "mean_per_token_ms": total / total_tokens,
        }


def _check_at_least_one(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise InvalidArgument(f"{name}: expected at least 1, got {number}")


def _generate(model: Any, n_tokens: int, vocab_size: int) -> None:
    token, cache = 0, None
    for _ in range(n_tokens):
        logits, cache = forward(model, ids_for(model, [[token]]), cache)
        token = int(logits[0, -1, :vocab_size].argmax())
