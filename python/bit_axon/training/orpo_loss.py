"""The loss for preferences (ORPO). Source: Hong et al. 2024, "ORPO"."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

import bit_axon._engine as engine
from bit_axon._arrays import Array, as_ids, as_numpy
from bit_axon._errors import InvalidArgument

__all__ = ["compute_orpo_loss", "get_logps", "orpo_loss"]

_IGNORED = -100


def _log_probs(
    logits: Array, labels: Array, mask: Array | None = None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The sums of the log-probabilities of the targets of each row, and the numbers of targets."""
    rows = as_numpy(logits, np.float64, name="logits")
    targets = as_ids(labels, "labels")
    if rows.ndim != 3 or targets.shape != rows.shape[:2]:
        raise InvalidArgument(
            f"labels: expected the shape {list(rows.shape[:2])} of the logits, got "
            f"{list(targets.shape)}"
        )
    rows, targets = rows[:, :-1], targets[:, 1:]
    counts = targets != _IGNORED if mask is None else as_numpy(mask) != 0
    chosen = np.where(targets == _IGNORED, 0, targets)
    most = rows.max(axis=-1, keepdims=True)
    total = np.log(np.exp(rows - most).sum(axis=-1)) + most[..., 0]
    values = np.take_along_axis(rows, chosen[..., None], axis=-1)[..., 0] - total
    return (values * counts).sum(axis=1), counts.sum(axis=1).astype(np.float64)


def get_logps(logits: Array, labels: Array, mask: Array | None = None) -> npt.NDArray[np.float64]:
    """The mean log-probability of the targets of each row.

    Args:
        logits: [batch, tokens, vocab_size].
        labels: The token ids [batch, tokens], -100 where nothing counts. The logits at a position
            predict the label at the next one.
        mask: [batch, tokens - 1], in place of -100.

    Returns:
        float64 [batch]. 0 for a row without targets.
    """
    sums, counts = _log_probs(logits, labels, mask)
    means: npt.NDArray[np.float64] = sums / np.maximum(counts, 1)
    return means


def orpo_loss(
    chosen_logps: Array, rejected_logps: Array, beta: float = 0.1, *, penalty: str = "inside"
) -> float:
    """The mean penalty of pairs: -log sigmoid(beta * log odds ratio).

    Args:
        chosen_logps, rejected_logps: Mean log-probabilities of the answers, [batch].
        beta: The weight of the preference.
        penalty: "inside", or "outside" for -beta * log sigmoid(log odds ratio), as in the paper.
    """
    chosen = as_numpy(chosen_logps, np.float64).reshape(-1)
    rejected = as_numpy(rejected_logps, np.float64).reshape(-1)
    if chosen.shape != rejected.shape or not chosen.size:
        raise InvalidArgument(
            f"rejected_logps: expected {chosen.size} numbers, at least 1, got {rejected.size}"
        )
    pairs = zip(chosen.tolist(), rejected.tolist(), strict=True)
    terms = [engine.orpo_terms(c, r, beta, penalty == "inside")[1] for c, r in pairs]
    return sum(terms) / len(terms)


def compute_orpo_loss(
    model: Any,
    chosen_ids: Array,
    chosen_labels: Array,
    rejected_ids: Array,
    rejected_labels: Array,
    beta: float = 0.1,
) -> tuple[float, dict[str, float]]:
    """The loss of pairs of texts: that of the chosen answers, and the penalty.

    Args:
        model: A model whose call returns logits, or logits and caches.
        chosen_ids, rejected_ids: Token ids [batch, tokens].
        chosen_labels, rejected_labels: The same ids, -100 where nothing is learned. They are not
            shifted: the loss compares the logits at a position with the label at the next one.
        beta: The weight of the preference.

    Returns:
        (loss, metrics): metrics has nll_loss, orpo_loss, chosen_logps, rejected_logps and
        reward_margin. There are no gradients; an ORPOTrainer computes them.
    """
    sums, counts = _log_probs(_logits(model, chosen_ids), chosen_labels)
    rejected = get_logps(_logits(model, rejected_ids), rejected_labels)
    chosen = sums / np.maximum(counts, 1)
    nll = float(-sums.sum() / max(counts.sum(), 1))
    penalty = orpo_loss(chosen, rejected, beta)
    metrics = {
        "nll_loss": nll,
        "orpo_loss": penalty,
        "chosen_logps": float(chosen.mean()),
        "rejected_logps": float(rejected.mean()),
        "reward_margin": float((chosen - rejected).mean()),
    }
    return nll + penalty, metrics


def _logits(model: Any, ids: Array) -> Array:
    result = model(ids)
    return result[0] if isinstance(result, tuple) else result
