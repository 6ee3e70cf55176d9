"""Loading models and generating text."""

from __future__ import annotations

from bit_axon.inference.generate import (
    GenerateConfig,
    GenerateResult,
    GenerationResponse,
    GenerationStream,
    batch_generate,
    generate,
    stream_generate,
)
from bit_axon.inference.loader import load_model, resize_model_vocab
from bit_axon.inference.sampling import sample_logits

__all__ = [
    "GenerateConfig",
    "GenerateResult",
    "GenerationResponse",
    "GenerationStream",
    "batch_generate",
    "generate",
    "load_model",
    "resize_model_vocab",
    "sample_logits",
    "stream_generate",
]
