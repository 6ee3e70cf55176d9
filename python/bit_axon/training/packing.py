"""Several texts in one sequence. Not available in this version."""

from __future__ import annotations

from typing import Any

from bit_axon.training._planned import planned

__all__ = ["PackedBatch", "SequencePacker"]

PackedBatch: Any = planned("PackedBatch")
SequencePacker: Any = planned("SequencePacker")
