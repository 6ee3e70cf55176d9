"""The extension module. Its functions take and return plain values; other modules use them."""

from collections.abc import Callable
from typing import Any

# devices.cpp
def list_devices() -> list[dict[str, Any]]: ...
def build_info() -> dict[str, Any]: ...

# profiling.cpp
def cpu_temperature() -> float | None: ...
def memory_bytes() -> int: ...
def peak_memory_bytes() -> int: ...
def reset_peak_memory() -> None: ...

# rewrite.cpp
def quantize(
    *,
    model: str,
    output: str,
    format: str,
    bits: int,
    group_size: int,
    nested: bool,
    config: str,
    on_progress: Callable[[int, int], None] | None,
) -> dict[str, Any]: ...
def merge(
    *,
    base: str,
    adapter: str,
    output: str,
    scale: float | None,
    rank: int | None,
    re_quantize: bool,
    dtype: str | None,
    bits: int | None,
    group_size: int | None,
    config: str,
    on_progress: Callable[[int, int], None] | None,
) -> dict[str, Any]: ...
