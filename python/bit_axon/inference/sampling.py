"""Draws tokens from logits."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np

import bit_axon._engine as engine
from bit_axon._arrays import Array, as_numpy, like
from bit_axon._errors import InvalidArgument
from bit_axon.inference.config import sampler_options

__all__ = ["sample_logits"]


def sample_logits(
    logits: Array,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int | None = None,
) -> Array:
    """Draws a token for each row of logits, with the sampler of the engine (docs/sampling.md).

    Args:
        logits: [batch, vocab_size] or [vocab_size], any float type.
        temperature: 0 takes the largest logit.
        top_k: Keeps the largest logits. 0 keeps all.
        top_p: Keeps the likeliest tokens whose probabilities add up to this number. 1 keeps all.
        seed: Equal seeds draw equal tokens. None draws others each time, or, for an array of MLX,
            those that mlx.core.random.seed() asks for.

    Returns:
        Token ids, int32 [batch] or [], an array of the library of `logits`.

    Raises:
        InvalidArgument: for other shapes, parameters out of range, and logits that are not finite.
    """
    rows = as_numpy(logits, np.float32, name="logits")
    if rows.ndim not in (1, 2):
        raise InvalidArgument(
            f"logits: expected a shape [batch, vocab_size] or [vocab_size], got {list(rows.shape)}"
        )
    if rows.shape[-1] == 0:
        raise InvalidArgument("logits: expected at least one logit, got none")
    options = sampler_options(
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=_seed_for(logits) if seed is None else seed,
    )
    tokens = engine.sample(rows.reshape(-1, rows.shape[-1]), options, [], 0)
    result = np.asarray(tokens, dtype=np.int32).reshape(rows.shape[:-1])
    return like(result, logits)


def _seed_for(logits: object) -> int:
    """A seed that differs at each call. For MLX, it follows from MLX's own random state."""
    if type(logits).__module__.startswith("mlx"):
        import mlx.core as mx

        words: Any = mx.random.randint(0, 2**31 - 1, shape=(2,)).tolist()
        return int(words[0]) << 31 | int(words[1])
    return secrets.randbits(64)
