"""States of a training. Not available in this version."""

from __future__ import annotations

from typing import Any

from bit_axon.training._planned import planned

__all__ = ["get_latest_checkpoint", "load_checkpoint", "save_adapter_only", "save_checkpoint"]

get_latest_checkpoint: Any = planned("get_latest_checkpoint")
load_checkpoint: Any = planned("load_checkpoint")
save_adapter_only: Any = planned("save_adapter_only")
save_checkpoint: Any = planned("save_checkpoint")
