"""How well a model predicts a text."""

from __future__ import annotations

from typing import Any

import numpy as np

from bit_axon._errors import InvalidArgument
from bit_axon.evaluation._engine_models import engine_model
from bit_axon.evaluation._scores import token_losses
from bit_axon.evaluation._sums import perplexity_of

__all__ = ["compute_perplexity", "evaluate_ppl"]


def compute_perplexity(model: Any, token_ids: Any) -> tuple[float, float]:
    """The perplexity of sequences of token ids, and its standard error.

    Every token after the first of its sequence is predicted from the tokens before it. The engine
    computes this for its own models and never holds all logits. Any other model is called once as
    ``model(ids) -> (logits, caches)``.

    Args:
        model: a BitAxonModel, or any callable that takes ids of shape (batch, seq_len - 1) and
            returns logits of shape (batch, seq_len - 1, vocabulary), as arrays of any library.
        token_ids: ids of shape (batch, seq_len), an array of any library or nested lists.

    Returns:
        ``(perplexity, standard_error)``: the exponential of the mean negative log-likelihood in
        nats, and the perplexity times the standard error of that mean. The error is NaN for a
        single predicted token.

    Raises:
        InvalidArgument: fewer than two tokens in a sequence, or ids outside the vocabulary.
    """
    ids = _sequences(token_ids)
    return _evaluate(model, ids, batch_size=ids.shape[0])


def evaluate_ppl(
    model: Any, token_ids: Any, batch_size: int = 1, seq_length: int = 2048
) -> tuple[float, float]:
    """The perplexity of a long text, in sequences that are computed `batch_size` at a time.

    Args:
        model: as for compute_perplexity().
        token_ids: ids of shape (tokens,), which are cut into sequences of `seq_length` (a rest
            that is shorter is dropped), or ids of shape (sequences, seq_len).
        batch_size: sequences of one step, at least 1.
        seq_length: tokens of a sequence, at least 2.

    Returns:
        ``(perplexity, standard_error)`` over all predicted tokens, as compute_perplexity().

    Raises:
        InvalidArgument: fewer than `seq_length` tokens, or an argument out of range.
    """
    if batch_size < 1:
        raise InvalidArgument(f"batch_size: expected at least 1, got {batch_size}")
    if seq_length < 2:
        raise InvalidArgument(f"seq_length: expected at least 2, got {seq_length}")
    ids = _as_array(token_ids)
    if ids.ndim == 1:
        n_sequences = ids.shape[0] // seq_length
        if n_sequences == 0:
            raise InvalidArgument(f"Not enough tokens ({ids.shape[0]}) for seq_length={seq_length}")
        ids = ids[: n_sequences * seq_length].reshape(n_sequences, seq_length)
    return _evaluate(model, _sequences(ids), batch_size)


def _as_array(token_ids: Any) -> Any:
    """The ids as they are if they are an array of some library, else as a numpy array."""
    if hasattr(token_ids, "shape") and hasattr(token_ids, "reshape"):
        return token_ids
    return np.asarray(token_ids, dtype=np.int64)


def _sequences(token_ids: Any) -> Any:
    ids = _as_array(token_ids)
    if ids.ndim != 2 or ids.shape[0] < 1 or ids.shape[1] < 2:
        raise InvalidArgument(
            "token_ids: expected shape (batch, seq_len) with at least 2 tokens in a sequence, got "
            f"{tuple(ids.shape)}"
        )
    return ids


def _evaluate(model: Any, ids: Any, batch_size: int) -> tuple[float, float]:
    own = engine_model(model)
    if own is not None:
        return own.perplexity(ids, batch_size)
    losses = []
    for begin in range(0, ids.shape[0], batch_size):
        batch = ids[begin : begin + batch_size]
        logits, _ = model(batch[:, :-1])
        losses.append(token_losses(logits, batch[:, 1:]))
    all_losses = np.concatenate(losses)
    return perplexity_of(
        all_losses.size, float(all_losses.sum()), float(np.square(all_losses).sum())
    )
