"""How a model is loaded: options and configurations, checked."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from bit_axon._errors import InvalidArgument
from bit_axon.config import BitAxonConfig

__all__ = ["Progress", "checked_seed", "config_of", "config_text", "load_options"]

Progress = Callable[[float], object]


def load_options(
    quantize: bool | str = False,
    bits: int = 4,
    group_size: int = 64,
    device: str = "auto",
    precision: str | None = None,
    context: int | None = None,
    parallel: int | None = None,
    threads: int = 0,
    progress: Progress | None = None,
    adapter: str | os.PathLike[str] | None = None,
    lora_scale: float | None = None,
) -> dict[str, Any]:
    """The options of load(), checked, as the engine takes them."""
    if quantize not in (False, True, "mlx", "nf4"):
        raise InvalidArgument(f'quantize: expected True, False, "mlx" or "nf4", got {quantize!r}')
    if quantize and bits not in (4, 8):
        raise InvalidArgument(f"bits: expected 4 or 8, got {bits}")
    if quantize and group_size not in (32, 64, 128):
        raise InvalidArgument(f"group_size: expected 32, 64 or 128, got {group_size}")
    if quantize == "nf4" and bits != 4:
        raise InvalidArgument(f'bits: expected 4 for quantize="nf4", got {bits}')
    if not isinstance(device, str):
        raise InvalidArgument(f"device: expected a str, got {type(device).__name__}")
    for name, number in (("context", context), ("parallel", parallel), ("threads", threads)):
        if number is not None and not isinstance(number, (int, np.integer)):
            raise InvalidArgument(f"{name}: expected a whole number, got {number!r}")
    if precision not in (None, "exact", "fast"):
        raise InvalidArgument(f'precision: expected "exact" or "fast", got {precision!r}')
    if lora_scale is not None and adapter is None:
        raise InvalidArgument(f"lora_scale: expected an adapter beside it, got {lora_scale} alone")
    return {
        "quantize": "mlx" if quantize is True else quantize or "",
        "bits": bits,
        "group_size": group_size,
        "device": device,
        "precision": precision or "",
        "context": context,
        "parallel": parallel,
        "threads": threads,
        "progress": progress,
        "adapter": "" if adapter is None else os.fspath(adapter),
        "adapter_scale": None if lora_scale is None else float(lora_scale),
    }


def config_text(config: BitAxonConfig | Mapping[str, Any]) -> str:
    """A configuration as the text of a config.json."""
    if not isinstance(config, (BitAxonConfig, Mapping)):
        raise InvalidArgument(
            f"config: expected a BitAxonConfig or a dict, got {type(config).__name__}"
        )
    values = asdict(config) if isinstance(config, BitAxonConfig) else dict(config)
    try:
        return json.dumps(values)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"config: expected values of JSON: {error}") from None


def config_of(values: Mapping[str, Any]) -> BitAxonConfig:
    """The configuration that a config.json of the family Bit-Axon describes."""
    known = {field.name for field in fields(BitAxonConfig)}
    return BitAxonConfig(**{key: value for key, value in values.items() if key in known})


def checked_seed(seed: int | None, name: str) -> int:
    """A seed of 64 bits. None: another one each time."""
    if seed is None:
        return secrets.randbits(32)
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**64:
        raise InvalidArgument(f"{name}: expected a whole number from 0 to 2^64 - 1, got {seed!r}")
    return int(seed)
