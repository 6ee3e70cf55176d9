"""Which weight of Qwen2.5 each weight of Bit-Axon comes from."""

from __future__ import annotations

from dataclasses import dataclass

import bit_axon._engine as engine
from bit_axon._options import config_text
from bit_axon.config import BitAxonConfig

__all__ = ["KeyMapping", "build_key_mappings", "enumerate_target_keys"]


@dataclass(frozen=True)
class KeyMapping:
    """The rule of one weight.

    Attributes:
        target_key: Its name in a Bit-Axon model.
        source_key: The name in Qwen2.5, or None if it has no source of its own.
        transform: "vocab_extract" (rows of the mapped ids), "pad_2048_2560" (the source's entries,
            then ones), "moe_project" (the first rows and columns, then zeros), "copy_perturb"
            (copies of the shared expert, with noise) or "default" (a random value).
    """

    target_key: str
    source_key: str | None
    transform: str


def build_key_mappings(config: BitAxonConfig) -> list[KeyMapping]:
    """The rules of all weights of a model, sorted by their names."""
    found = engine.build_key_mappings(config_text(config))
    return sorted(
        (KeyMapping(target, source or None, rule) for target, source, rule in found),
        key=lambda mapping: mapping.target_key,
    )


def enumerate_target_keys(config: BitAxonConfig) -> list[str]:
    """The names of all weights of a model, sorted."""
    return [mapping.target_key for mapping in build_key_mappings(config)]
