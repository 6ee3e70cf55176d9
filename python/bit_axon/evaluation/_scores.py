"""How likely tokens are under a model of any array library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bit_axon._arrays import as_ids, as_numpy, to_library
from bit_axon._errors import InvalidArgument

__all__ = ["choice_logprobs", "ids_for", "token_losses"]

Floats = npt.NDArray[np.float64]

# The most logits that are converted to float64 at a time.
_MAX_LOGITS = 1 << 22


def token_losses(logits: Any, targets: Any) -> Floats:
    """The negative log-likelihood of each target, in nats.

    Args:
        logits: an array of any library, of shape (..., vocabulary) and any float type.
        targets: ids of shape (...).

    Returns:
        A float64 array of shape (number of targets,).

    Raises:
        InvalidArgument: the shapes do not fit, an id is outside the vocabulary, or a logit is NaN.
    """
    values = as_numpy(logits, name="logits")
    ids = as_ids(targets, "token_ids").reshape(-1)
    if values.ndim < 1 or values.size != ids.size * values.shape[-1]:
        raise InvalidArgument(
            f"logits: expected a row for each of {ids.size} tokens, got shape {values.shape}"
        )
    n_ids = values.shape[-1]
    rows = values.reshape(-1, n_ids)
    _check_ids(ids, n_ids)
    losses = np.empty(len(ids), dtype=np.float64)
    n_rows = max(1, _MAX_LOGITS // n_ids)
    for begin in range(0, len(ids), n_rows):
        part = slice(begin, begin + n_rows)
        losses[part] = _losses_of(rows[part].astype(np.float64), ids[part])
    bad = np.flatnonzero(np.isnan(losses))
    if bad.size:
        raise InvalidArgument(f"logits of token {bad[0]}: expected finite numbers, got NaN")
    return losses


def _check_ids(ids: npt.NDArray[np.int32], n_ids: int) -> None:
    outside = ids[(ids < 0) | (ids >= n_ids)]
    if outside.size:
        raise InvalidArgument(f"token_ids: expected ids in 0..{n_ids - 1}, got {outside[0]}")


def _losses_of(logits: Floats, ids: npt.NDArray[np.int32]) -> Floats:
    with np.errstate(invalid="ignore"):  # an infinite logit gives NaN, which the caller refuses
        logits -= logits.max(axis=-1, keepdims=True)
        own = np.take_along_axis(logits, ids[:, None], axis=-1)[:, 0]
        losses: Floats = np.log(np.exp(logits).sum(axis=-1)) - own
    return losses


def choice_logprobs(
    model: Any, prompt: Sequence[int], answers: Sequence[Sequence[int]]
) -> list[float]:
    """The log-probability of each answer after the prompt, in nats; -inf for an empty answer.

    Each answer is scored from the state after the prompt. The engine scores its own models. Any
    other model is called as ``model(ids) -> (logits, caches)`` with the prompt and one answer.
    """
    from bit_axon.evaluation._engine_models import engine_model

    own = engine_model(model)
    if own is not None:
        return own.choice_logprobs(prompt, answers)
    return [_answer_logprob(model, prompt, answer) for answer in answers]


def _answer_logprob(model: Any, prompt: Sequence[int], answer: Sequence[int]) -> float:
    if not answer:
        return -float("inf")
    logits, _ = model(ids_for(model, [[*prompt, *answer[:-1]]]))
    return -float(token_losses(logits[:, len(prompt) - 1 :], answer).sum())


def ids_for(model: Any, ids: Sequence[Sequence[int]]) -> Any:
    """Token ids as an array of the library that the model's class comes from, else numpy.

    The library is found by the modules of the class and its bases.
    """
    array = np.asarray(ids, dtype=np.int32)
    packages = {base.__module__.partition(".")[0] for base in type(model).__mro__}
    library = next((name for name in ("mlx", "torch", "jax") if name in packages), "numpy")
    return to_library(array, library)
