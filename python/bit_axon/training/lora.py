"""Adapters of low rank. Not available in this version."""

from __future__ import annotations

from typing import Any

from bit_axon.training._planned import planned

__all__ = ["LoRALinear", "apply_lora_to_model"]

LoRALinear: Any = planned("LoRALinear")
apply_lora_to_model: Any = planned("apply_lora_to_model")
