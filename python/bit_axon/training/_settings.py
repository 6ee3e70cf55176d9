"""The options of a training, as the engine and as the files of a training name them."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import Any

from bit_axon._arrays import as_numpy
from bit_axon._errors import InvalidArgument
from bit_axon.training.config import TrainingConfig
from bit_axon.training.data import CacheDataset, _FileDataset

__all__ = ["engine_options", "examples_of"]

# The engine's options that have the name and the meaning of a field of TrainingConfig.
_SAME = (
    "learning_rate",
    "min_lr",
    "schedule",
    "warmup_steps",
    "max_steps",
    "weight_decay",
    "max_grad_norm",
    "bias_correction",
    "beta",
    "orpo_penalty",
    "grad_checkpoint",
    "grad_accum_steps",
    "save_every",
    "eval_every",
    "eval_batches",
    "log_every",
    "keep_last",
    "patience",
    "batch_size",
    "packing",
    "shuffle",
    "seed",
    "epochs",
    "max_seq_len",
    "output_dir",
)

_FLAGS = (*(name for name in _SAME if name not in ("shuffle", "epochs", "output_dir")), "objective")


def file_dataset_of(dataset: Any) -> _FileDataset | None:
    """The data set of files below a cache. None for a data set of another kind."""
    while isinstance(dataset, CacheDataset):
        dataset = dataset.dataset
    return dataset if isinstance(dataset, _FileDataset) else None


def examples_of(dataset: Any, objective: str) -> Any:
    """A data set as the engine takes it: files, or all examples as tokens.

    Raises:
        InvalidArgument: if the examples are not of the kind that the objective needs.
    """
    files = file_dataset_of(dataset)
    if files is None:
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise InvalidArgument(
                f"dataset: expected an object with a length and examples by index, got "
                f"{type(dataset).__name__}"
            )
        return [_plain(dataset[index]) for index in range(len(dataset))]
    if files._objective != objective:
        expected = "an ORPODataset" if objective == "orpo" else "an SFTDataset"
        raise InvalidArgument(f"dataset: expected {expected}, got {type(files).__name__}")
    return files._opened


def _plain(example: Any) -> Any:
    """An example whose arrays are lists."""
    if not isinstance(example, (tuple, list)):
        return example
    return tuple(as_numpy(part).tolist() if hasattr(part, "dtype") else part for part in example)


def engine_options(
    config: TrainingConfig,
    objective: str,
    adapter: dict[str, Any],
    model_options: dict[str, Any],
    place: dict[str, Any],
    datasets: tuple[Any, Any],
) -> dict[str, Any]:
    """The options of a run for the engine."""
    values = asdict(config)
    options = {name: values[name] for name in _SAME}
    for name in ("learning_rate", "min_lr", "weight_decay", "max_grad_norm", "beta"):
        options[name] = float(options[name])
    files = file_dataset_of(datasets[0])
    if files is not None:
        options["max_seq_len"] = min(config.max_seq_len, files.max_seq_len)
    options.update(adapter)
    options.update(
        objective=objective,
        separator=config.eos_token_id,
        has_max_steps=True,
        device=model_options["device"],
        threads=model_options["threads"],
        precision=model_options["precision"],
    )
    options["settings"] = json.dumps(_flags(options, place, datasets))
    return options


def _flags(
    options: dict[str, Any],
    place: dict[str, Any],
    datasets: tuple[Any, Any],
) -> dict[str, Any]:
    """The settings by the names of the flags of `bit-axon train`, which checkpoints keep. So the
    command can continue a training of files."""
    files, val_files = (None if data is None else file_dataset_of(data) for data in datasets)
    encoding = files._options if files is not None else {}
    flags = {name.replace("_", "-"): _whole(options[name]) for name in _FLAGS}
    flags.update(
        {
            "epochs": options["epochs"] or None,
            "no-shuffle": not options["shuffle"],
            "lora-rank": options["rank"],
            "lora-scale": _whole(options["scale"]),
            "lora-dropout": _whole(options["dropout"]),
            "no-dora": not options["use_dora"],
            "targets": ",".join(options["targets"]) or None,
            "layers": options["last_blocks"] or None,
            "train-on": encoding.get("train_on", "assistant"),
            "mask": encoding.get("mask", "content"),
            "unmapped": encoding.get("unmapped", "error"),
            "val-split": None,
            "quantize": place["quantize"] or None,
            "no-thermal": True,
            "device": options["device"],
            "precision": options["precision"] or None,
            "threads": options["threads"] or None,
        }
    )
    if isinstance(place["path"], str) and place["path"]:
        flags["model-weights"] = place["path"]
    if files is not None and not files.is_in_memory:
        flags["data"] = [os.path.abspath(files.path)]
        flags["tokenizer"] = files.tokenizer._name
    if val_files is not None and not val_files.is_in_memory:
        flags["val-data"] = os.path.abspath(val_files.path)
    return flags


def _whole(value: Any) -> Any:
    """20.0 as 20, as the command writes it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
