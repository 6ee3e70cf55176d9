"""The learning rate of each update."""

from __future__ import annotations

from collections.abc import Callable

import bit_axon._engine as engine

__all__ = ["build_lr_schedule"]


def build_lr_schedule(
    learning_rate: float,
    warmup_steps: int,
    total_steps: int,
    min_lr: float = 0.0,
    initial_step: int = 0,
    *,
    schedule: str = "cosine",
) -> Callable[[int], float]:
    """The schedule that a Trainer uses: a linear warmup, then a fall to `min_lr`.

    Args:
        learning_rate: The peak.
        warmup_steps: Updates until the peak.
        total_steps: The update at which the rate reaches `min_lr`.
        min_lr: The rate at the end.
        initial_step: Is added to every step, for a training that continues.
        schedule: "cosine", "linear" or "constant".

    Returns:
        A function of the number of updates that are done.
    """
    options = {
        "learning_rate": float(learning_rate),
        "warmup_steps": warmup_steps,
        "max_steps": total_steps,
        "min_lr": float(min_lr),
        "schedule": schedule,
    }
    return lambda step: engine.learning_rate_at(options, int(step) + initial_step)
