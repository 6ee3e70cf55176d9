"""New models made from others: quantized, or with an adapter folded in.

The models are folders on disk. No model is loaded whole, so large models need little memory.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import bit_axon._engine as engine
from bit_axon._errors import InvalidArgument
from bit_axon.config import BitAxonConfig

__all__ = ["PartReport", "RewriteReport", "merge", "quantize"]

StrPath = str | os.PathLike[str]
OnProgress = Callable[[int, int], None]

_GROUP_SIZES = (32, 64, 128)
_BITS = (2, 3, 4, 5, 6, 8)


@dataclass(frozen=True)
class PartReport:
    """The sizes of a part of a model.

    Attributes:
        parameters: Its numbers.
        bytes_before: Bytes in the old model.
        bytes_after: Bytes in the new model.
        relative_error: ||w - w'|| / ||w|| of the weights that were quantized, 0 if none were.
        kept_change: The share of an adapter's change that quantized weights keep. None if no adapter
            changed a quantized weight.
    """

    parameters: int
    bytes_before: int
    bytes_after: int
    relative_error: float
    kept_change: float | None


@dataclass(frozen=True)
class RewriteReport:
    """What was written.

    Attributes:
        output: The folder of the new model.
        total: The whole model. A tied head that is stored counts too.
        n_parameters: The model's parameters, without a tied head.
        parts: "embedding", "experts" and so on.
        has_codes: Whether the new model has quantized matrices.
    """

    output: Path
    total: PartReport
    n_parameters: int
    parts: dict[str, PartReport] = field(default_factory=dict)
    has_codes: bool = True


def quantize(
    model: StrPath,
    output: StrPath | None = None,
    *,
    format: str = "mlx",
    bits: int = 4,
    group_size: int = 64,
    nested: bool = False,
    config: BitAxonConfig | None = None,
    on_progress: OnProgress | None = None,
) -> RewriteReport:
    """Writes a quantized model, as the command `bit-axon quantize` does.

    Args:
        model: A model folder, a safetensors file, or a hub id in the hub cache.
        output: A new folder. None for `q4` in the model's folder.
        format: "mlx" (affine codes) or "nf4" (the layout of bitsandbytes).
        bits: Bits of an affine code: 2, 3, 4, 5, 6 or 8.
        group_size: Codes that share a scale: 32, 64 or 128.
        nested: For "nf4": stores the scales in 8 bits.
        config: Counts instead of the model's config.json.
        on_progress: Is called with the bytes that are done and all bytes, several times a second.
            An exception that it raises ends the work. The output is then complete or absent.

    Raises:
        InvalidArgument: An option is out of range.
        IoError: A file cannot be read, or the output exists and is not empty.
        FormatError: The model is quantized already or damaged.
    """
    _check("group_size", group_size, _GROUP_SIZES)
    _check("bits", bits, _BITS)
    return _report(
        engine.quantize(
            model=os.fspath(model),
            output="" if output is None else os.fspath(output),
            format=format,
            bits=bits,
            group_size=group_size,
            nested=nested,
            config=config_text(config),
            on_progress=on_progress,
        )
    )


def merge(
    base: StrPath,
    adapter: StrPath,
    output: StrPath | None = None,
    *,
    scale: float | None = None,
    rank: int | None = None,
    re_quantize: bool = True,
    dtype: str | None = None,
    bits: int | None = None,
    group_size: int | None = None,
    config: BitAxonConfig | None = None,
    on_progress: OnProgress | None = None,
) -> RewriteReport:
    """Writes a model with a LoRA or DoRA adapter folded in, as the command `bit-axon merge` does.

    Args:
        base: The model that the adapter was trained on: a folder, a file or a hub id.
        adapter: The adapter's safetensors file, with or without its ending, or its folder.
        output: A new folder. None for the base's name with `-merged`.
        scale: Factor of the adapter's product. None takes it from adapter_config.json, else 20.
        rank: If given, an adapter of another rank is refused.
        re_quantize: Whether matrices that were quantized are quantized again.
        dtype: "float32", "float16" or "bfloat16", for changed matrices that are written as floats.
            None keeps their type.
        bits: Bits of affine codes: 2, 3, 4, 5, 6 or 8. None keeps the model's.
        group_size: Codes that share a scale. None keeps the model's.
        config: Counts instead of the base's config.json.
        on_progress: Is called with the bytes that are done and all bytes, several times a second.
            An exception that it raises ends the work. The output is then complete or absent.

    Raises:
        InvalidArgument: An option is out of range, or the adapter has another rank.
        IoError: A file cannot be read, or the output exists and is not empty.
        FormatError: The model or the adapter is damaged, or they do not fit each other.
    """
    if group_size is not None:
        _check("group_size", group_size, _GROUP_SIZES)
    if bits is not None:
        _check("bits", bits, _BITS)
    return _report(
        engine.merge(
            base=os.fspath(base),
            adapter=os.fspath(adapter),
            output="" if output is None else os.fspath(output),
            scale=scale,
            rank=rank,
            re_quantize=re_quantize,
            dtype=dtype,
            bits=bits,
            group_size=group_size,
            config=config_text(config),
            on_progress=on_progress,
        )
    )


def _check(name: str, value: int, allowed: tuple[int, ...]) -> None:
    if value not in allowed:
        raise InvalidArgument(
            f"{name}: expected {', '.join(map(str, allowed[:-1]))} or {allowed[-1]}, got {value}"
        )


def config_text(config: BitAxonConfig | None) -> str:
    """A configuration as the text of a config.json. Empty for None."""
    return "" if config is None else json.dumps(asdict(config))


def _report(found: dict[str, Any]) -> RewriteReport:
    for warning in found["warnings"]:
        warnings.warn(warning, RuntimeWarning, stacklevel=3)
    return RewriteReport(
        output=Path(found["output"]),
        total=PartReport(**found["total"]),
        n_parameters=found["n_parameters"],
        parts={name: PartReport(**part) for name, part in found["parts"].items()},
        has_codes=found.get("has_codes", True),
    )
