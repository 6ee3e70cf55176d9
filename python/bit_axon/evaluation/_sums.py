"""Perplexity from sums over tokens."""

from __future__ import annotations

import math

__all__ = ["perplexity_of"]


def perplexity_of(n_tokens: float, nll_sum: float, nll_squares: float) -> tuple[float, float]:
    """The perplexity and its standard error.

    Args:
        n_tokens: predicted tokens.
        nll_sum: the sum of their negative log-likelihoods in nats.
        nll_squares: the sum of the squares of these.

    Returns:
        ``(perplexity, standard_error)``. Both are NaN for no token, the error is NaN for one token.
    """
    if n_tokens == 0:
        return math.nan, math.nan
    mean = nll_sum / n_tokens
    try:
        perplexity = math.exp(mean)
    except OverflowError:
        perplexity = math.inf
    if n_tokens == 1:
        return perplexity, math.nan
    variance = max(0.0, nll_squares / n_tokens - mean * mean) * n_tokens / (n_tokens - 1)
    return perplexity, perplexity * math.sqrt(variance / n_tokens)
