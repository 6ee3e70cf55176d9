"""Loads models."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from bit_axon._errors import Error, InvalidArgument
from bit_axon._options import Progress, config_of
from bit_axon.config import BitAxonConfig
from bit_axon.model import BitAxonModel, LanguageModel, load
from bit_axon.quantization import (
    replace_linear_with_quantized,
    replace_switch_linear_with_quantized,
)

__all__ = ["load_model", "resize_model_vocab"]


def load_model(
    weights_path: str | os.PathLike[str],
    config: BitAxonConfig | Mapping[str, Any] | None = None,
    quantize: bool | str = False,
    bits: int = 4,
    group_size: int = 64,
    *,
    strict: bool = True,
    device: str = "auto",
    precision: str | None = None,
    context: int | None = None,
    parallel: int | None = None,
    threads: int = 0,
    progress: Progress | None = None,
    adapter: str | os.PathLike[str] | None = None,
    lora_scale: float | None = None,
) -> BitAxonModel:
    """Loads a model from a folder, a safetensors file, or the local Hugging Face cache.

    Args:
        weights_path: The folder or the file, or a hub id such as "skyoo2003/bit-axon".
        config: Used in place of the model's config.json.
        quantize: Quantizes matrices while they are read. A model that is stored in codes stays as
            it is.
        bits: 4 or 8.
        group_size: Codes that share a scale: 32, 64 or 128.
        strict: If False, a model whose weights are missing or do not fit gets random weights, and
            a warning says so.
        device, precision, context, parallel, threads, progress, adapter, lora_scale: As for
            bit_axon.load().

    Returns:
        The model. Models of other families than Bit-Axon are LanguageModel objects.

    Raises:
        NotFound: (a FileNotFoundError) if there is no such model.
        FormatError: (a ValueError) if a file is damaged or a weight is missing.
        OutOfMemory: (a MemoryError) if the model does not fit.
    """
    try:
        model: LanguageModel = load(
            weights_path,
            config=config,
            quantize=quantize,
            bits=bits,
            group_size=group_size,
            device=device,
            precision=precision,
            context=context,
            parallel=parallel,
            threads=threads,
            progress=progress,
            adapter=adapter,
            lora_scale=lora_scale,
        )
    except Error as error:
        if strict or adapter is not None or error.kind not in ("io", "not_found", "format"):
            raise
        warnings.warn(f"{error}; the model has random weights", stacklevel=2)
        shape = config if isinstance(config, BitAxonConfig) else config_of(config or {})
        random = BitAxonModel(
            shape,
            device=device,
            precision=precision,
            context=context,
            parallel=parallel,
            threads=threads,
        )
        if quantize:
            replace_linear_with_quantized(random, group_size, bits)
            replace_switch_linear_with_quantized(random, group_size, bits)
        model = random
    for line in model.info["warnings"]:
        warnings.warn(line, stacklevel=2)
    # Other families have the same interface without the attributes of layers.
    return model  # type: ignore[return-value]


def resize_model_vocab(model: BitAxonModel, target_vocab_size: int) -> None:
    """Adds rows of zeros to embedding and head, so that the model has `target_vocab_size` tokens.

    Does nothing if the model has as many tokens or more.

    Raises:
        InvalidArgument: for another object than a BitAxonModel.
    """
    if not isinstance(model, BitAxonModel):
        raise InvalidArgument(f"model: expected a BitAxonModel, got {type(model).__name__}")
    if isinstance(target_vocab_size, bool) or not isinstance(target_vocab_size, (int, np.integer)):
        raise InvalidArgument(f"target_vocab_size: expected a number, got {target_vocab_size!r}")
    if target_vocab_size > 2**24:
        raise InvalidArgument(
            f"target_vocab_size: expected at most {2**24}, got {target_vocab_size}"
        )
    model.resize_vocab(int(target_vocab_size))
