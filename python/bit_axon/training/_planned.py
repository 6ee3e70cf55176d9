"""Names of the documentation that this version does not have."""

from __future__ import annotations

from typing import Any

from bit_axon._errors import Unsupported

__all__ = ["planned"]

_REASON = "Training comes with a later version."


def planned(name: str) -> Any:
    """A class of that name. It can be imported, and raises Unsupported when it is called.

    Unsupported is also a NotImplementedError.
    """

    def refuse(cls: type, *args: object, **kwargs: object) -> None:
        raise Unsupported(f"{name}: not available. {_REASON}")

    return type(name, (), {"__new__": refuse, "__doc__": f"Not available. {_REASON}"})
