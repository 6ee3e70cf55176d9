"""Folds adapters into models, and writes the result."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from bit_axon import rewrite
from bit_axon._errors import IoError
from bit_axon.config import BitAxonConfig
from bit_axon.training._planned import planned

__all__ = [
    "dequantize_model",
    "load_and_merge",
    "merge_adapters",
    "quantize_model",
    "save_merged_model",
]

StrPath = str | os.PathLike[str]

_DEFAULT_RANK = 8
_ON_FILES = "Models on disk are rewritten with load_and_merge() and bit_axon.rewrite."

merge_adapters: Any = planned("merge_adapters", _ON_FILES)
dequantize_model: Any = planned("dequantize_model", _ON_FILES)
quantize_model: Any = planned("quantize_model", _ON_FILES)
save_merged_model: Any = planned("save_merged_model", _ON_FILES)


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
