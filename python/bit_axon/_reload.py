"""What the engine loads for a model whose weights or adapters callers have set."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bit_axon._engine as engine
from bit_axon._module import Module, Parameter
from bit_axon._options import config_text
from bit_axon._weights import StoredTensor, TemporaryModel

if TYPE_CHECKING:
    from bit_axon.model import BitAxonModel

__all__ = ["adapters_of", "base_of", "reloaded", "stored_tensors"]


def adapters_of(model: Module) -> dict[str, Any]:
    """The modules with adapters (LoRALinear, DoRALinear) below a model, by path."""
    return {path: module for path, module in model.named_modules() if "lora_a" in module._items}


def _own(module: Module) -> dict[str, Parameter]:
    return {
        name: item
        for name, item in module._items.items()
        if isinstance(item, Parameter) and item.present
    }


def _changed_modules(model: Module) -> dict[str, Module]:
    """The modules of the base that have an array which a caller has set, by the names of files."""
    adapters = adapters_of(model)
    found = {}
    for path, module in model.named_modules():
        if path not in adapters and any(item.assigned for item in _own(module).values()):
            owner = path.removesuffix(".linear")
            found[owner if owner in adapters else path] = module
    return found


def stored_tensors(model: BitAxonModel) -> Iterator[tuple[str, StoredTensor]]:
    """The weights of the base, without adapters. A module that a caller has changed counts whole."""
    changed = _changed_modules(model)
    tied = model.lm_head._items["weight"] is model.embed_tokens._items["weight"]

    def is_replaced(name: str) -> bool:
        for path, module in changed.items():
            if name.startswith(f"{path}."):
                first = name[len(path) + 1 :].partition(".")[0]
                if first not in module.children():
                    return True
        return False

    for name in model._source:
        if not is_replaced(name):
            yield name, model._source.stored(name)
    for path, module in changed.items():
        for name, parameter in _own(module).items():
            stored = f"{path}.{name}"
            if not (tied and stored == "lm_head.weight"):
                yield stored, StoredTensor.of(parameter.host(stored))


@contextmanager
def base_of(model: BitAxonModel, as_files: bool = False) -> Iterator[dict[str, Any]]:
    """Where the engine finds the weights of a model, without adapters.

    They are the files or the seed that the model was made from or, if a caller has set weights,
    temporary files. `as_files` makes files of random weights too.
    """
    place: dict[str, Any] = model._place
    is_random = place["path"] == ""
    if not _changed_modules(model) and not (is_random and as_files):
        yield place
        return
    config = config_text(model.config)
    mapping = place["mapping"]
    metadata = {"vocab_mapping": mapping} if mapping else {}
    with TemporaryModel(stored_tensors(model), config, metadata) as path:
        yield {"path": path, "config": "", "quantize": "", "seed": 0, "mapping": mapping}


def reloaded(model: BitAxonModel) -> engine.LoadedModel:
    """The engine's model with the weights and the adapters that callers have set."""
    options = dict(model._options, progress=None)
    adapters = adapters_of(model)
    is_adapted = any(
        item.assigned for module in adapters.values() for item in _own(module).values()
    )
    with ExitStack() as stack:
        if is_adapted:
            from bit_axon.training._adapters import write_adapter

            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bit-axon-"))
            options["adapter"] = Path(folder) / "adapter.safetensors"
            options["adapter_scale"] = None
            write_adapter(model, options["adapter"])
        place = stack.enter_context(base_of(model, as_files=is_adapted))
        if place["path"] == "":
            return engine.random_model(place["config"], place["seed"], options)
        options["quantize"] = place["quantize"]
        return engine.load_model(place["path"], place["config"], options)
