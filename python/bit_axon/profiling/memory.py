"""How much memory models take."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import bit_axon._engine as engine
from bit_axon._errors import InvalidArgument
from bit_axon._module import Module
from bit_axon.model import LanguageModel
from bit_axon.profiling._forward import forward, random_ids

__all__ = ["MemoryProfiler", "format_memory"]

_GB = 1024**3


def format_memory(bytes: float) -> str:
    """A number of bytes with a unit of 1024: ``"512 B"``, ``"2.53 GB"``."""
    if bytes < 1024:
        return f"{bytes:g} B"
    amount = float(bytes)
    for unit in ("KB", "MB"):
        amount /= 1024
        if amount < 1024:
            return f"{amount:.2f} {unit}"
    return f"{amount / 1024:.2f} GB"


class MemoryProfiler:
    """Measures the memory that the engine holds in this process, on all devices together.

    The memory is what the engine has requested for weights, states and activations of all models
    and layers. It does not include Python, other libraries and files that are mapped. One GB is
    1024**3 bytes.
    """

    def reset_peak(self) -> None:
        """Lets peak_memory_gb() begin again at the memory that is held now."""
        engine.reset_peak_memory()

    def active_memory_gb(self) -> float:
        """The memory that the engine holds now, in GB."""
        return engine.memory_bytes() / _GB

    def peak_memory_gb(self) -> float:
        """The most memory that the engine held at one time since reset_peak(), in GB."""
        return engine.peak_memory_bytes() / _GB

    def cache_memory_gb(self) -> float:
        """Freed memory that is kept for later use, in GB. Always 0: the engine keeps none."""
        return 0.0

    def device_info(self) -> dict[str, Any]:
        """The device that ``device="auto"`` takes, as a dict.

        Its keys are the attributes of bit_axon.Device, and ``architecture``: the instructions of
        a CPU's kernels, or the name of a GPU.
        """
        from bit_axon._devices import devices

        device = next(device for device in devices() if device.chosen_by_auto)
        return {"architecture": device.instruction_set or device.name, **asdict(device)}

    def profile_model(self, model: Any) -> dict[str, Any]:
        """The size of a model's weights.

        Args:
            model: a model of the engine, or any model with ``parameters()``, which are nested
                dicts and lists of arrays.

        Returns:
            A dict of ``weight_memory_bytes``, ``weight_memory_gb``, ``param_count`` (numbers in all
            arrays) and ``num_arrays``. For a model of the engine, the bytes are those that the
            device holds.
        """
        if isinstance(model, LanguageModel):
            n_bytes = int(model.info["weight_bytes"])
            sizes = [math.prod(shape) for shape in _shapes(model)]
        else:
            arrays = list(_leaves(model.parameters()))
            n_bytes = sum(int(array.nbytes) for array in arrays)
            sizes = [_size_of(array) for array in arrays]
        return {
            "weight_memory_bytes": n_bytes,
            "weight_memory_gb": n_bytes / _GB,
            "param_count": sum(sizes),
            "num_arrays": len(sizes),
        }

    def profile_forward(self, model: Any, seq_len: int, batch_size: int = 1) -> dict[str, Any]:
        """The memory of one forward pass over random ids.

        Args:
            model: a model with ``parameters()`` and ``config.vocab_size``.
            seq_len: tokens of each sequence, at least 1.
            batch_size: sequences, at least 1.

        Returns:
            A dict of ``active_memory_gb`` (after the pass), ``peak_memory_gb`` (during the pass)
            and ``activation_memory_gb`` (the peak without the weights).
        """
        if seq_len < 1 or batch_size < 1:
            raise InvalidArgument(
                f"seq_len and batch_size: expected at least 1, got {seq_len} and {batch_size}"
            )
        weights = self.profile_model(model)["weight_memory_gb"]
        ids = random_ids(model, model.config.vocab_size, batch_size, seq_len)
        self.reset_peak()
        forward(model, ids)
        peak = self.peak_memory_gb()
        return {
            "active_memory_gb": self.active_memory_gb(),
            "peak_memory_gb": peak,
            "activation_memory_gb": peak - weights,
        }


def _shapes(model: LanguageModel) -> list[tuple[int, ...]]:
    """The shapes of a model's arrays, without reading them."""
    if isinstance(model, Module):
        return [parameter.shape for _, parameter in model.named_parameters()]
    return [model._source.shape(name) for name in model._source]


def _leaves(tree: Any) -> Iterator[Any]:
    """The arrays in nested dicts and lists."""
    if isinstance(tree, Mapping):
        tree = list(tree.values())
    if isinstance(tree, (list, tuple)):
        for branch in tree:
            yield from _leaves(branch)
    elif tree is not None:
        yield tree


def _size_of(array: Any) -> int:
    """The number of elements. In torch, `size` is a method and `numel` gives the number."""
    return int(array.numel() if hasattr(array, "numel") else array.size)
