"""Options of a training."""

from __future__ import annotations

from dataclasses import dataclass

import bit_axon._engine as engine
from bit_axon._errors import InvalidArgument

__all__ = ["DEFAULT_LORA_TARGETS", "TrainingConfig"]

DEFAULT_LORA_TARGETS = (
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "in_proj",
    "out_proj",
    "gate_proj",
    "up_proj",
    "down_proj",
    "input_proj",
    "output_proj",
)


@dataclass
class TrainingConfig:
    """Everything that a training depends on besides model and data. A step is an update.

    Attributes:
        learning_rate: The peak of the learning rate.
        weight_decay: Of AdamW.
        warmup_steps: Updates until the peak.
        max_steps: Updates of the whole training.
        max_grad_norm: Larger gradients are scaled down to this norm.
        grad_accum_steps: Micro-batches of an update.
        lora_rank, lora_dropout, lora_scale, lora_targets, use_dora: The adapter that a Trainer
            gives to a model which has none.
        beta: Weight of the preference, for ORPO.
        training_mode: "sft" or "orpo".
        quantize_bits, quantize_group_size: Kept for callers that quantize a model with them. A
            Trainer trains the model as it is.
        batch_size: Rows of a micro-batch. For ORPO, pairs.
        max_seq_len: The most tokens of a row. Longer examples are cut.
        eos_token_id: The token between examples, for packing="concat". 0: the tokenizer's.
        save_every, eval_every: Updates between checkpoints, and between evaluations.
        eval_batches: Micro-batches of an evaluation. 0: all.
        output_dir: The folder of the training.
        temp_max_speed, temp_pause, temp_stop, temp_poll_interval: For callers that make a
            ThermalPolicy of them. A Trainer watches the temperature only with a CoolingScheduler.
        seed: Of the order of the examples, of dropout, and of an adapter that the Trainer makes.
        low_memory: Changes nothing here: `grad_checkpoint` says what is kept.
        min_lr: The learning rate at the end.
        schedule: "cosine", "linear" or "constant".
        bias_correction: Whether AdamW corrects its moments, as PyTorch does.
        orpo_penalty: "inside" (-log sigmoid(beta * x)) or "outside" (-beta * log sigmoid(x)).
        grad_checkpoint: "block" (the backward pass computes activations again, which saves memory)
            or "off" (they are kept, which saves time).
        packing: "isolated" (the examples of a row do not see each other), "concat" or "none".
        shuffle: Whether each epoch has another order.
        epochs: Ends the training after so many passes over the examples. 0: max_steps ends it.
        keep_last: Checkpoints that stay.
        patience: Ends the training after so many evaluations without a lower loss. 0: never.
        log_every: Updates between lines in the log "bit_axon.training".
    """

    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    warmup_steps: int = 100
    max_steps: int = 10_000
    max_grad_norm: float = 1.0
    grad_accum_steps: int = 4
    lora_rank: int = 8
    lora_dropout: float = 0.0
    lora_scale: float = 20.0
    lora_targets: tuple[str, ...] = DEFAULT_LORA_TARGETS
    use_dora: bool = True
    beta: float = 0.1
    training_mode: str = "sft"
    quantize_bits: int = 4
    quantize_group_size: int = 64
    batch_size: int = 1
    max_seq_len: int = 2048
    eos_token_id: int = 0
    save_every: int = 500
    eval_every: int = 500
    eval_batches: int = 10
    output_dir: str = "checkpoints"
    temp_max_speed: float = 75.0
    temp_pause: float = 85.0
    temp_stop: float = 95.0
    temp_poll_interval: float = 1.0
    seed: int = 42
    low_memory: bool = False
    min_lr: float = 0.0
    schedule: str = "cosine"
    bias_correction: bool = False
    orpo_penalty: str = "inside"
    grad_checkpoint: str = "block"
    packing: str = "isolated"
    shuffle: bool = True
    epochs: int = 0
    keep_last: int = 3
    patience: int = 0
    log_every: int = 10

    @classmethod
    def low_memory_preset(cls) -> TrainingConfig:
        """Batches of 1, 256 tokens, accumulation 8 and rank 4, as `bit-axon train --low-memory`."""
        return cls(batch_size=1, max_seq_len=256, grad_accum_steps=8, lora_rank=4, low_memory=True)

    @classmethod
    def fast_dev(cls) -> TrainingConfig:
        """100 steps, with an evaluation every 50, and a checkpoint only at the end."""
        return cls(max_steps=100, eval_every=50, save_every=2**31)

    def check(self) -> None:
        """Raises InvalidArgument for a value out of its range."""
        for name, least in _COUNTS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InvalidArgument(f"{name}: expected a whole number >= {least}, got {value!r}")
        for name, (least_number, most) in _NUMBERS.items():
            number = getattr(self, name)
            is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
            if not (is_number and least_number <= number <= most):
                raise InvalidArgument(
                    f"{name}: expected a number from {least_number} to {most}, got {number!r}"
                )
        for key, words in engine.setting_words().items():
            name = "training_mode" if key == "objective" else key
            if getattr(self, name) not in words:
                raise InvalidArgument(
                    f"{name}: expected {' or '.join(words)}, got {getattr(self, name)!r}"
                )
        if not self.learning_rate > 0:
            raise InvalidArgument(f"learning_rate: expected more than 0, got {self.learning_rate}")
        if self.min_lr > self.learning_rate:
            raise InvalidArgument(
                f"min_lr: expected at most the learning rate {self.learning_rate}, got {self.min_lr}"
            )


_COUNTS: dict[str, int] = {
    "warmup_steps": 0,
    "max_steps": 1,
    "grad_accum_steps": 1,
    "lora_rank": 1,
    "batch_size": 1,
    "max_seq_len": 2,
    "eos_token_id": 0,
    "save_every": 1,
    "eval_every": 1,
    "eval_batches": 0,
    "seed": 0,
    "epochs": 0,
    "keep_last": 1,
    "patience": 0,
    "log_every": 1,
}
_MOST = 1e30
_MOST_RATE = 1000.0
_NUMBERS: dict[str, tuple[float, float]] = {
    "learning_rate": (0, _MOST_RATE),
    "min_lr": (0, _MOST_RATE),
    "weight_decay": (0, 1),
    "max_grad_norm": (1e-30, _MOST),
    "lora_dropout": (0, 0.999999),
    "lora_scale": (-_MOST, _MOST),
    "beta": (1e-30, _MOST),
}
