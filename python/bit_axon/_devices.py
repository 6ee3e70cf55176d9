"""The devices of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bit_axon._engine as engine

__all__ = ["Device", "build_info", "devices"]


@dataclass(frozen=True)
class Device:
    """A device that can compute.

    Attributes:
        selector: What `device=` takes: "cpu", "reference", "vulkan:0".
        name: Its name.
        type: "cpu", "discrete", "integrated", "virtual", "other" or "driver".
        memory_total_bytes: All of its memory.
        memory_available_bytes: The memory that is free now.
        n_threads: Threads of a CPU device, 0 for others.
        instruction_set: Instructions that the CPU kernels use.
        driver: Name and version of its driver.
        usable: Whether models can run on it.
        chosen_by_auto: Whether device="auto" takes it.
        reason: Why auto takes it or does not.
    """

    selector: str
    name: str
    type: str
    memory_total_bytes: int
    memory_available_bytes: int
    n_threads: int
    instruction_set: str
    driver: str
    usable: bool
    chosen_by_auto: bool
    reason: str


def devices() -> list[Device]:
    """Lists the devices of this machine."""
    return [Device(**device) for device in engine.list_devices()]


def build_info() -> dict[str, Any]:
    """Version, commit, build type, compiler and backends of the engine."""
    return dict(engine.build_info())
