"""Ternary weights (1.58 bits), which Bit-Axon plans and does not define yet."""

from __future__ import annotations

raise NotImplementedError(
    "ternary quantization is not available: Bit-Axon only plans it, so no file or formula defines it"
)
