"""Folds adapters into models, and writes the result."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from bit_axon import rewrite
from bit_axon._errors import InvalidArgument, IoError
from bit_axon.config import BitAxonConfig
from bit_axon.quantization import dequantize_nf4, replace_linear_with_quantized

__all__ = [
    "dequantize_model",
    "load_and_merge",
    "merge_adapters",
    "quantize_model",
    "save_merged_model",
]

StrPath = str | os.PathLike[str]
M = TypeVar("M")

_DEFAULT_RANK = 8
_WEIGHTS = "weights.safetensors"


def merge_adapters(model: M) -> M:
    """Replaces every adapter below a module by the matrix with the adapter folded in, in place.

    An adapter is a module with a method ``fuse()`` that returns the new module, as LoRALinear and
    DoRALinear of mlx-lm are. A model without adapters stays as it is.

    Args:
        model: A module of this package or of mlx.nn.

    Returns:
        The model.
    """
    _replace(
        model, lambda child: callable(getattr(child, "fuse", None)), lambda child: child.fuse()
    )
    return model


def quantize_model(model: M, bits: int = 4, group_size: int = 64) -> M:
    """Replaces every Linear below a module by a QuantizedLinear, in place.

    Matrices whose columns do not divide into groups stay as they are.

    Args:
        model: A BitAxonModel, or a module of this package or of mlx.nn.
        bits: Bits of a code: 2, 3, 4, 5, 6 or 8.
        group_size: Codes that share a scale: 32, 64 or 128.

    Returns:
        The model.
    """
    return replace_linear_with_quantized(model, group_size=group_size, bits=bits)


def dequantize_model(model: M) -> M:
    """Replaces every QuantizedLinear below a module by a Linear, in place. A bias stays as it is.

    Args:
        model: A BitAxonModel, or a module of this package or of mlx.nn.

    Returns:
        The model.
    """
    _replace(model, lambda child: type(child).__name__ == "QuantizedLinear", _dequantized)
    return model


def _dequantized(layer: Any) -> Any:
    """A Linear of the library of a QuantizedLinear."""
    weight = dequantize_nf4(
        layer.weight, layer.scales, layer.biases, group_size=layer.group_size, bits=layer.bits
    )
    linear: Any
    if type(layer).__module__.startswith("mlx."):
        from mlx import nn

        linear = nn.Linear
    else:
        from bit_axon.layers.linear import Linear

        linear = Linear
    has_bias = "bias" in layer and layer.bias is not None
    made = linear(weight.shape[1], weight.shape[0], bias=has_bias)
    made.weight = weight
    if has_bias:
        made.bias = layer.bias
    return made


def _replace(module: Any, fits: Callable[[Any], bool], new: Callable[[Any], Any]) -> None:
    """Replaces every module below `module` that fits, also in lists of modules."""

    def replaced(item: Any) -> Any:
        if fits(item):
            return new(item)
        if hasattr(item, "children"):
            _replace(item, fits, new)
        return item

    for name, child in module.children().items():
        if isinstance(child, list):
            setattr(module, name, [replaced(item) for item in child])
            continue
        made = replaced(child)
        if made is not child:
            setattr(module, name, made)


def save_merged_model(
    model: Any, output_dir: StrPath, config: Any = None, tokenizer: Any = None
) -> Path:
    """Writes the weights of a module, and what belongs to them.

    Args:
        model: A module with ``save_weights(file)``, of this package or of mlx.nn.
        output_dir: A folder, which is made if it is missing. It gets ``weights.safetensors``.
        config: A dataclass, a mapping or an object with attributes, for ``config.json``.
        tokenizer: Is written into the folder ``tokenizer`` by its ``save_pretrained(folder)``. Of
            a QwenTokenizerWrapper, the files are copied.

    Returns:
        The folder.

    Raises:
        InvalidArgument: The configuration has values that JSON does not have.
        IoError: A file cannot be written.
    """
    output = Path(output_dir)
    text = None if config is None else _json_of(config)
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=output) as folder:
        model.save_weights(str(Path(folder) / _WEIGHTS))
        if text is not None:
            (Path(folder) / "config.json").write_text(text, encoding="utf-8")
            (Path(folder) / "config.json").replace(output / "config.json")
        (Path(folder) / _WEIGHTS).replace(output / _WEIGHTS)
    if tokenizer is not None:
        _save_tokenizer(tokenizer, output / "tokenizer")
    return output


def _json_of(config: Any) -> str:
    if is_dataclass(config) and not isinstance(config, type):
        values = asdict(config)
    else:
        values = dict(config) if isinstance(config, Mapping) else vars(config)
    try:
        return json.dumps(values, indent=2)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"config: expected values of JSON: {error}") from None


def _save_tokenizer(tokenizer: Any, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    if hasattr(tokenizer, "save_pretrained"):
        tokenizer.save_pretrained(str(folder))
        return
    path = getattr(tokenizer, "path", None)
    if path is None:
        raise InvalidArgument(
            "tokenizer: expected a QwenTokenizerWrapper or an object with save_pretrained(), got "
            f"{type(tokenizer).__name__}"
        )
    for name in (
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
        "chat_template.jinja",
    ):
        if (Path(path) / name).is_file():
            shutil.copyfile(Path(path) / name, folder / name)


def load_and_merge(
    base_model_path: StrPath,
    adapter_path: StrPath,
    output_dir: StrPath,
    config: BitAxonConfig | None = None,
    quantize_after_merge: bool = True,
    bits: int = 4,
    group_size: int = 64,
    lora_rank: int = _DEFAULT_RANK,
) -> Path:
    """Writes a model with a LoRA or DoRA adapter folded in, quantized or as floats.

    Args:
        base_model_path: The model that the adapter was trained on: a folder, a safetensors file
            or a hub id in the hub cache.
        adapter_path: The adapter's safetensors file, with or without its ending, or its folder.
        output_dir: A new folder.
        config: Counts instead of the model's config.json, which may then be missing.
        quantize_after_merge: Whether the matrices of the new model are quantized. If not, matrices
            that were quantized become floats.
        bits: Bits of a code: 2, 3, 4, 5, 6 or 8.
        group_size: Codes that share a scale: 32, 64 or 128.
        lora_rank: The adapter's own rank counts. If this is another number than 8, an adapter of
            another rank than this is refused.

    Returns:
        The folder of the new model.

    Raises:
        InvalidArgument: An option is out of range, or the adapter has another rank.
        IoError: A file cannot be read, or the output exists and is not empty.
        FormatError: The model or the adapter is damaged, or they do not fit each other.
    """
    output = Path(output_dir)
    rank = None if lora_rank == _DEFAULT_RANK else lora_rank
    if not quantize_after_merge:
        rewrite.merge(
            base_model_path, adapter_path, output, rank=rank, re_quantize=False, config=config
        )
        return output
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise IoError(f"{output}: expected a new or empty folder")
    # A model of floats is quantized in a second step, so the first result lies next to the output.
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as folder:
        merged = Path(folder) / "merged"
        report = rewrite.merge(
            base_model_path,
            adapter_path,
            merged,
            rank=rank,
            bits=bits,
            group_size=group_size,
            config=config,
        )
        if report.has_codes:
            merged.replace(output)
        else:
            rewrite.quantize(merged, output, bits=bits, group_size=group_size)
    return output
