"""Data sets for training. Not available in this version."""

from __future__ import annotations

from typing import Any

from bit_axon.training._planned import planned

__all__ = ["AlpacaDataset", "ORPODataset", "SFTDataset"]

AlpacaDataset: Any = planned("AlpacaDataset")
ORPODataset: Any = planned("ORPODataset")
SFTDataset: Any = planned("SFTDataset")
