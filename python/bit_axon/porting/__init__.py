"""Bit-Axon models made from the weights of Qwen2.5, to be trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bit_axon._lazy import lazy_attribute

if TYPE_CHECKING:
    from bit_axon.porting.pipeline import initialize_from_qwen_weights, save_ported_model
    from bit_axon.porting.vocab_map import build_vocab_mapping, load_truncated_tokenizer
    from bit_axon.porting.weight_map import KeyMapping, build_key_mappings

_MODULES = {
    "KeyMapping": "weight_map",
    "build_key_mappings": "weight_map",
    "build_vocab_mapping": "vocab_map",
    "initialize_from_qwen_weights": "pipeline",
    "load_truncated_tokenizer": "vocab_map",
    "save_ported_model": "pipeline",
}

__all__ = [
    "KeyMapping",
    "build_key_mappings",
    "build_vocab_mapping",
    "initialize_from_qwen_weights",
    "load_truncated_tokenizer",
    "save_ported_model",
]


def __getattr__(name: str) -> Any:
    return lazy_attribute(__name__, _MODULES, name)


def __dir__() -> list[str]:
    return sorted(__all__)
