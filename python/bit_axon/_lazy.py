"""Names of a package that are imported when they are first used, so that importing it is quick."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any


def lazy_attribute(package: str, modules: Mapping[str, str], name: str) -> Any:
    """The attribute `name` of a package, for its `__getattr__`. `modules` says which module of the
    package has it. The package keeps the value. Raises AttributeError for other names."""
    module = modules.get(name)
    if module is None:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{package}.{module}"), name)
    setattr(sys.modules[package], name, value)
    return value
