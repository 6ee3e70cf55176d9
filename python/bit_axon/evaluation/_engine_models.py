"""Evaluation of the engine's own models."""

from __future__ import annotations

from typing import Any


def engine_model(model: Any) -> Any:
    return None
