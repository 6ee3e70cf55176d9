"""The adapters in a model's tree, as the engine describes and stores them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

import bit_axon._engine as engine
from bit_axon._errors import InvalidArgument
from bit_axon._module import Module
from bit_axon._options import config_text
from bit_axon._reload import adapters_of

__all__ = ["Moments", "about", "check_order", "named_tensors", "set_tensors", "write_adapter"]

Moments = Mapping[str, Mapping[str, npt.NDArray[np.float32]]]
Named = tuple[str, npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]


def about(model: Module) -> dict[str, Any]:
    """Rank, scale, dropout and kind of the adapters of a model, which must all be the same.

    Raises:
        InvalidArgument: if the model has no adapter, or adapters of several kinds.
    """
    adapters = adapters_of(model)
    if not adapters:
        raise InvalidArgument(
            "model: expected adapters, got none; apply_lora_to_model() makes them"
        )
    found: dict[str, Any] | None = None
    for path, module in adapters.items():
        this = {
            "rank": module.r,
            "scale": float(module.scale),
            "dropout": float(module.dropout),
            "use_dora": "m" in module,
        }
        if found is None:
            found = this
        elif this != found:
            raise InvalidArgument(
                f"{path}: expected an adapter as the others ({found}), got {this}"
            )
    assert found is not None
    return found


def order_of(model: Any) -> list[str]:
    """The paths of all adapters, in the order of the engine."""
    adapters = adapters_of(model)
    known = engine.adapted_layers(config_text(model.config), {})
    return [path for path in known if path in adapters]


def check_order(model: Any) -> dict[str, Any]:
    """The settings with which the engine adapts exactly the layers that have an adapter.

    Raises:
        InvalidArgument: if the engine cannot adapt only these layers.
    """
    paths = set(adapters_of(model))
    text = config_text(model.config)
    settings = about(model)
    targets = sorted({path.rpartition(".")[2] for path in paths})
    last_blocks = model.__dict__.get("_last_blocks", 0)
    for names in ([], targets):
        wanted = {**settings, "targets": names, "last_blocks": last_blocks}
        found = engine.adapted_layers(text, wanted)
        if set(found) == paths:
            return wanted
    missing = sorted(set(found) - paths)
    raise InvalidArgument(
        f"model: expected an adapter in every layer named {', '.join(targets)}, got none in "
        f"{missing[0] if missing else 'some'}"
    )


def named_tensors(model: Any, moments: Moments | None = None) -> list[Named]:
    """The trained arrays of a model with their moments, as the engine writes them."""
    out: list[Named] = []
    adapters = adapters_of(model)
    for path in order_of(model):
        for name in ("lora_a", "lora_b", "m"):
            if name not in adapters[path]:
                continue
            full = f"{path}.{name}"
            values = adapters[path]._items[name].host(full).astype(np.float32, copy=False)
            given = (moments or {}).get(full)
            parts = [
                np.zeros_like(values) if given is None else np.asarray(given[key], np.float32)
                for key in ("m", "v")
            ]
            for part in parts:
                if part.shape != values.shape:
                    raise InvalidArgument(
                        f"{full}: expected moments of the shape {list(values.shape)}, got "
                        f"{list(part.shape)}"
                    )
            out.append((full, np.ascontiguousarray(values), *map(np.ascontiguousarray, parts)))  # type: ignore[arg-type]
    return out


def write_adapter(model: Any, file: str | os.PathLike[str], step: int = 0) -> None:
    """Writes the adapters of a model to a safetensors file, with adapter_config.json beside it."""
    described = {**about(model), "step": step}
    engine.write_adapter(file, named_tensors(model), described)


def set_tensors(model: Any, tensors: Mapping[str, Any], name: str) -> None:
    """Gives the adapters of a model new arrays. Changes nothing if they do not fit.

    Raises:
        InvalidArgument: that names an array which the model or the file does not have.
    """
    adapters = adapters_of(model)
    expected = {
        f"{path}.{key}": (module, key)
        for path, module in adapters.items()
        for key in ("lora_a", "lora_b", "m")
        if key in module
    }
    for full in expected:
        if full not in tensors:
            raise InvalidArgument(f"{name}: expected a tensor {full}, found none")
    for full, value in tensors.items():
        if full not in expected:
            raise InvalidArgument(f"{name}: the model has no adapter for the tensor {full}")
        module, key = expected[full]
        module._items[key].check(value, f"{name}: {full}")
    for full, (module, key) in expected.items():
        setattr(module, key, tensors[full])
