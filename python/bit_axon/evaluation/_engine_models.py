"""Evaluation of the engine's own models. The engine computes all numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import bit_axon._engine as engine
from bit_axon._arrays import as_ids
from bit_axon.evaluation._sums import perplexity_of
from bit_axon.inference.text import EngineText
from bit_axon.model import LanguageModel
from bit_axon.tokenizer import QwenTokenizerWrapper

__all__ = ["EngineModel", "engine_model"]


class EngineModel:
    """A model of the engine, as the evaluation needs it."""

    def __init__(self, model: LanguageModel) -> None:
        self._loaded = model._ready()

    def perplexity(self, ids: Any, batch_size: int) -> tuple[float, float]:
        """The perplexity of sequences [sequences, tokens] and its standard error."""
        found = engine.score_sequences(self._loaded, as_ids(ids, "token_ids"), batch_size)
        return perplexity_of(*found)

    def text_sums(
        self, tokenizer: QwenTokenizerWrapper, text: str, seq_length: int
    ) -> tuple[int, float, float]:
        """Of a text in windows: predicted tokens, the sums of their losses and of the squares."""
        ids = EngineText(self._loaded, tokenizer).prompt_ids(text, False, None)
        if len(ids) < 2:
            return 0, 0.0, 0.0
        return engine.score_text(self._loaded, ids, seq_length)

    def choice_logprobs(
        self, prompt: Sequence[int], answers: Sequence[Sequence[int]]
    ) -> list[float]:
        """The log-probability of each answer after the prompt; -inf for an empty answer."""
        given = [list(answer) for answer in answers if answer]
        scores = iter(engine.score_answers(self._loaded, list(prompt), given))
        return [-next(scores) if answer else -math.inf for answer in answers]


def engine_model(model: Any) -> EngineModel | None:
    """The engine's model behind `model`. None for a model of another library."""
    return EngineModel(model) if isinstance(model, LanguageModel) else None
