"""The state of AdamW, which the engine computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["AdamW"]


class AdamW:
    """What AdamW remembers between two updates. The updates themselves are the engine's.

    Attributes:
        learning_rate: Of the latest update.
        weight_decay: The decay.
        step: The number of updates.
        moments: By the name of an array, such as "layer_0.ssm.in_proj.lora_a", its moments "m" and
            "v". Empty before the first update.
    """

    def __init__(self, learning_rate: float = 1e-4, weight_decay: float = 0.01) -> None:
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.step = 0
        self.moments: dict[str, dict[str, npt.NDArray[np.float32]]] = {}

    @property
    def state(self) -> dict[str, Any]:
        """Everything in one dict, with the names of optimizer_state.safetensors."""
        flat: dict[str, Any] = {"step": self.step, "learning_rate": self.learning_rate}
        for name, parts in self.moments.items():
            flat.update({f"{name}.{key}": value for key, value in parts.items()})
        return flat
