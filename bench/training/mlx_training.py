#!/usr/bin/env python3
"""Trains the small configuration of the original Bit-Axon with its own trainer on MLX.

    mlx_training.py CHECKOUT TOKENS UPDATES

CHECKOUT is a clone of the original's repository. Prints the seconds of each update as JSON. The
first update is left out, because it compiles.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(sys.argv[1]) / "src"))

import mlx.core as mx
from bit_axon.config import BitAxonConfig
from bit_axon.model import BitAxonModel
from bit_axon.quantization.nf4 import replace_linear_with_quantized
from bit_axon.training.config import TrainingConfig
from bit_axon.training.lora import apply_lora_to_model
from bit_axon.training.trainer import Trainer


class Rows:
    """Rows of random ids. Every token is a target."""

    def __init__(self, n_tokens: int, vocab_size: int) -> None:
        self.ids = np.random.default_rng(1).integers(0, vocab_size, (8, n_tokens)).tolist()

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[list[int], list[int]]:
        return self.ids[index], [1] * len(self.ids[index])


def unfreeze_adapter(_: str, module: Any) -> None:
    if type(module).__name__ == "LoRALinear":
        module.unfreeze(keys=["lora_a", "lora_b"])


def main() -> int:
    n_tokens, n_updates = int(sys.argv[2]), int(sys.argv[3])
    mx.set_default_device(mx.cpu)
    config = BitAxonConfig.small()
    model = BitAxonModel(config)
    mx.eval(model.parameters())
    # As the original's command train does.
    replace_linear_with_quantized(model, group_size=64, bits=4)
    model.embed_tokens.weight = model.embed_tokens.weight.astype(mx.float16)
    apply_lora_to_model(model, rank=8, scale=20.0, dropout=0.0)
    model.freeze()
    model.apply_to_modules(unfreeze_adapter)
    mx.eval(model.parameters())
    ends = [time.perf_counter()]
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingConfig(
            max_steps=n_updates + 1,
            batch_size=1,
            grad_accum_steps=1,
            # The original feeds one token less than this.
            max_seq_len=n_tokens + 1,
            save_every=n_updates + 100,
            eval_every=n_updates + 100,
            output_dir=folder,
        )
        Trainer(
            model,
            settings,
            Rows(n_tokens, config.vocab_size),
            on_step=lambda step, values: ends.append(time.perf_counter()),
        ).train()
    json.dump([b - a for a, b in zip(ends[1:], ends[2:])], sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
