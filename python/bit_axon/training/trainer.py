"""Trains adapters of a model on examples of answers."""

from __future__ import annotations

import json
import logging
import math
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bit_axon._engine as engine
from bit_axon._errors import DeviceError, InvalidArgument, Unsupported
from bit_axon._reload import adapters_of, base_of
from bit_axon.model import BitAxonModel
from bit_axon.training._adapters import check_order, set_tensors, write_adapter
from bit_axon.training._settings import engine_options, examples_of
from bit_axon.training.checkpoint import get_latest_checkpoint, load_checkpoint
from bit_axon.training.config import TrainingConfig
from bit_axon.training.lora import apply_lora_to_model
from bit_axon.training.optimizer import AdamW

__all__ = ["Trainer"]

_log = logging.getLogger("bit_axon.training")


class Trainer:
    """Trains the adapters of a model, on the model's device.

    The folder config.output_dir gets what `bit-axon train` writes: checkpoints, the final adapter
    and metrics.jsonl. If it has checkpoints, the training continues from the newest one.

    Args:
        model: A BitAxonModel. If it has no adapters, it gets those that `config` describes.
        config: The options. A step is an update.
        dataset: An SFTDataset or AlpacaDataset, or any object with a length that has (token_ids,
            loss_mask) for each index. Ids are those of the model.
        val_dataset: The same, for evaluations.
        cooling_scheduler: Has check_before_step(step), which is called before each step and may
            wait, or raise an exception that ends the training.
        on_step: Is called as on_step(step, metrics) after each step, with the numbers of
            metrics.jsonl, and after each evaluation, with eval_loss and eval_ppl.

    Attributes:
        optimizer: The state of AdamW after setup() and train().
        step_count: The number of steps that are done.
        summary: More facts about the latest training: adapter, seconds, tokens, target_tokens,
            best (step and loss), skipped, end.
    """

    _objective = "sft"

    def __init__(
        self,
        model: BitAxonModel,
        config: TrainingConfig,
        dataset: Any,
        val_dataset: Any = None,
        cooling_scheduler: Any = None,
        on_step: Callable[[int, dict[str, Any]], object] | None = None,
    ) -> None:
        self.model = model
        self.config = config
        self.dataset = dataset
        self.val_dataset = val_dataset
        self.cooling = cooling_scheduler
        self.on_step = on_step
        self.optimizer: AdamW | None = None
        self.step_count = 0
        self.summary: dict[str, Any] = {}
        self._latest: dict[str, Any] = {}

    def setup(self) -> None:
        """Makes the optimizer and, if output_dir has a checkpoint, gives model and optimizer its
        state. train() does this on its own."""
        self._check()
        self.optimizer = AdamW(self.config.learning_rate, self.config.weight_decay)
        latest = get_latest_checkpoint(self.config.output_dir)
        if latest is not None:
            self.step_count, _ = load_checkpoint(self.model, self.optimizer, latest)

    def train(self) -> dict[str, Any]:
        """Trains until config.max_steps, and gives the model the trained adapters.

        Ctrl-C, and an exception of a callback, end the training after what was learned is saved
        and the model has it; the next train() continues there. During the training the model's own
        memory on the device is freed.

        Returns:
            {"step", "loss", "grad_norm"}, of the latest step.

        Raises:
            FormatError: for an example that cannot be used; the message names it.
            InvalidArgument: for options out of range, and if the folder belongs to a training of
                other examples or settings.
            ThermalShutdownError: from a CoolingScheduler.
            DeviceError: if several updates in a row are not finite.
        """
        self._check()
        self._latest = {}
        output = Path(self.config.output_dir)
        file = output / "final_adapter.safetensors"
        before = _mark(file)
        with self._inputs() as (place, options):
            data = examples_of(self.dataset, self._objective)
            val = self.val_dataset
            val_data = None if val is None else examples_of(val, self._objective)
            self.model._unload()
            try:
                found = engine.train(
                    place, options, data, val_data, self._before_step(), self._on_metrics, _tell
                )
            finally:
                if _mark(file) != before:
                    self._take(file, output)
        self.summary = {**found, "adapter": Path(found["adapter"])}
        self.step_count = found["step"]
        if found["end"] == "not finite":
            raise DeviceError(
                f"expected finite updates, got several in a row that are not; step "
                f"{found['step']} is the last good one; try a lower learning_rate"
            )
        return self._result(found)

    def evaluate(self) -> dict[str, float]:
        """Evaluates the model with its present adapters on val_dataset.

        Returns:
            {"loss", "perplexity"}: the mean over the targets of config.eval_batches micro-batches.
            Zeros without a val_dataset.
        """
        if self.val_dataset is None:
            return {"loss": 0.0, "perplexity": 0.0}
        self._check()
        with self._inputs() as (place, options):
            examples = examples_of(self.val_dataset, self._objective)
            self.model._unload()
            loss, _ = engine.evaluate_training(place, options, examples)
        return {"loss": loss, "perplexity": math.exp(min(loss, 700.0))}

    def _check(self) -> None:
        config, model = self.config, self.model
        if not isinstance(config, TrainingConfig):
            raise InvalidArgument(f"config: expected a TrainingConfig, got {type(config).__name__}")
        if not isinstance(model, BitAxonModel):
            raise InvalidArgument(f"model: expected a BitAxonModel, got {type(model).__name__}")
        config.check()
        if config.training_mode == "orpo" and self._objective == "sft":
            raise InvalidArgument(
                'training_mode: expected "sft" for a Trainer, got "orpo"; use an ORPOTrainer'
            )
        loaded = model._options
        if model._place["quantize"] and (loaded["bits"], loaded["group_size"]) != (4, 64):
            raise Unsupported(
                f"model: expected 4 bits in groups of 64 for a model that is quantized while it is "
                f"loaded, got {loaded['bits']} bits in groups of {loaded['group_size']}"
            )
        if loaded["adapter"]:
            raise Unsupported(
                "model: expected a model that was loaded without adapter=, got one with it"
            )
        if not adapters_of(model):
            apply_lora_to_model(
                model,
                config.lora_rank,
                config.lora_dropout,
                config.lora_scale,
                config.lora_targets,
                config.use_dora,
                seed=config.seed,
            )

    @contextmanager
    def _inputs(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """The model and the options, as the engine takes them."""
        model, config = self.model, self.config
        adapter = check_order(model)
        modules = adapters_of(model).values()
        # The engine draws adapters itself if they are those of this seed.
        is_fresh = all(
            module.seed == config.seed
            and not any(
                module._items[name].assigned
                for name in ("lora_a", "lora_b", "m")
                if name in module._items
            )
            for module in modules
        )
        with base_of(model) as place, tempfile.TemporaryDirectory(prefix="bit-axon-") as folder:
            options = engine_options(
                config,
                self._objective,
                adapter,
                model._options,
                place,
                (self.dataset, self.val_dataset),
            )
            if not is_fresh:
                options["init_adapter"] = os.path.join(folder, "adapter.safetensors")
                write_adapter(model, options["init_adapter"])
            yield place, options

    def _before_step(self) -> Callable[[int], object] | None:
        return None if self.cooling is None else self.cooling.check_before_step

    def _on_metrics(self, line: str) -> None:
        """Tells of a line of metrics.jsonl."""
        values: dict[str, Any] = {
            name: math.nan if value is None and name != "temperature" else value
            for name, value in json.loads(line).items()
        }
        if "event" in values:
            return
        self.step_count = values["step"]
        if "eval_loss" not in values:
            self._latest = self._with_names(values)
            metrics = self._latest
        else:
            metrics = {**self._result(self._latest), **values}
        if self.on_step is not None:
            self.on_step(values["step"], metrics)

    def _with_names(self, metrics: dict[str, Any]) -> dict[str, Any]:
        return metrics

    def _result(self, found: dict[str, Any]) -> dict[str, Any]:
        return {name: found[name] for name in ("step", "loss", "grad_norm") if name in found}

    def _take(self, adapter: Path, output: Path) -> None:
        """Gives the model and the optimizer what a training has learned."""
        found = engine.read_adapter(adapter)
        tensors = {name: parts[0] for name, parts in found["tensors"].items()}
        set_tensors(self.model, tensors, str(adapter))
        self.optimizer = AdamW(self.config.learning_rate, self.config.weight_decay)
        latest = get_latest_checkpoint(output)
        if latest is not None:
            self.step_count, _ = load_checkpoint(self.model, self.optimizer, latest)


def _mark(file: Path) -> tuple[int, int] | None:
    """Tells whether a file was written anew."""
    try:
        facts = file.stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns


def _tell(kind: str, line: str) -> None:
    if kind == "warning":
        warnings.warn(line, RuntimeWarning, stacklevel=2)
    else:
        _log.info("%s", line)
