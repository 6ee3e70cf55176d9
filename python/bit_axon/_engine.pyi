"""The extension module. Its functions take and return plain values; other modules use them."""

from typing import Any

# devices.cpp
def list_devices() -> list[dict[str, Any]]: ...
def build_info() -> dict[str, Any]: ...
