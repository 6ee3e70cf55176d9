"""States of a training on disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bit_axon._engine as engine
from bit_axon._errors import InvalidArgument
from bit_axon.training._adapters import about, named_tensors, set_tensors, write_adapter
from bit_axon.training.optimizer import AdamW

__all__ = ["get_latest_checkpoint", "load_checkpoint", "save_adapter_only", "save_checkpoint"]

StrPath = str | os.PathLike[str]


def _check_optimizer(optimizer: object) -> None:
    if optimizer is not None and not isinstance(optimizer, AdamW):
        raise InvalidArgument(
            f"optimizer: expected bit_axon.training.optimizer.AdamW or None, got "
            f"{type(optimizer).__name__}"
        )


def save_checkpoint(
    model: Any,
    optimizer: AdamW | None,
    step: int,
    loss: float,
    output_dir: StrPath,
    max_checkpoints: int = 3,
) -> Path:
    """Writes the adapters of a model and the state of an optimizer as a checkpoint.

    The folder appears under its name when it is complete. A training that continues from it, in
    Python or by `bit-axon train --resume`, begins its data again. The checkpoints of a Trainer also
    know the place in the data.

    Args:
        model: A BitAxonModel with adapters.
        optimizer: The optimizer of a Trainer. None: as before the first update.
        step: The number of updates.
        loss: The latest loss.
        output_dir: The folder of the training.
        max_checkpoints: So many of the newest checkpoints stay.

    Returns:
        The folder `output_dir`/step_00001500.

    Raises:
        IoError: if a file cannot be written, or a training uses the folder.
    """
    _check_optimizer(optimizer)
    if isinstance(step, bool) or not isinstance(step, int) or step < 0:
        raise InvalidArgument(f"step: expected a whole number >= 0, got {step!r}")
    if max_checkpoints < 1:
        raise InvalidArgument(f"max_checkpoints: expected at least 1, got {max_checkpoints}")
    moments = optimizer.moments if optimizer is not None else None
    folder = engine.write_checkpoint(
        output_dir,
        named_tensors(model, moments),
        {**about(model), "step": step},
        optimizer.learning_rate if optimizer is not None else 0.0,
        float(loss),
        max_checkpoints,
    )
    return Path(folder)


def load_checkpoint(
    model: Any, optimizer: AdamW | None, checkpoint_dir: StrPath
) -> tuple[int, float]:
    """Gives a model the adapters of a checkpoint, and an optimizer its state.

    Args:
        model: A BitAxonModel with adapters of the same shape.
        optimizer: The optimizer, or None.
        checkpoint_dir: The folder of the checkpoint.

    Returns:
        (step, loss): the number of updates, and the loss of the latest.

    Raises:
        FormatError, IoError: if the checkpoint is damaged or incomplete.
        InvalidArgument: if it does not fit the model. Then nothing has changed.
    """
    _check_optimizer(optimizer)
    found = engine.read_checkpoint(checkpoint_dir)
    tensors = found["tensors"]
    set_tensors(model, {name: parts[0] for name, parts in tensors.items()}, str(checkpoint_dir))
    if optimizer is not None:
        optimizer.step = found["step"]
        optimizer.learning_rate = found["learning_rate"]
        optimizer.moments = {
            name: {"m": parts[1], "v": parts[2]} for name, parts in tensors.items()
        }
    return int(found["step"]), float(found["loss"])


def get_latest_checkpoint(output_dir: StrPath) -> Path | None:
    """The folder of the checkpoint with the highest step. None if there is none."""
    found = engine.latest_checkpoint(output_dir)
    return None if found is None else Path(found)


def save_adapter_only(model: Any, output_path: StrPath) -> None:
    """Writes the adapters of a model to a safetensors file, for load_model(adapter=...), `bit-axon
    run --adapter` and `bit-axon merge`. adapter_config.json beside it is for mlx-lm."""
    write_adapter(model, output_path)
