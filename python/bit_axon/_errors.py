"""The exceptions of the package.

Every exception that the package raises on purpose is an ``Error``. Its ``kind`` names the cause.
Each kind is also the built-in exception that fits, so ``except ValueError`` works too.
"""

from __future__ import annotations

__all__ = [
    "DeviceError",
    "Error",
    "FormatError",
    "InternalError",
    "Interrupted",
    "InvalidArgument",
    "IoError",
    "NotFound",
    "OutOfMemory",
    "Unsupported",
]


class Error(RuntimeError):
    """The base of all exceptions of the package. The message is one line."""

    kind: str = "error"


class InvalidArgument(Error, ValueError):
    """The caller passed a value that is not accepted."""

    kind = "invalid_argument"


class Unsupported(Error, NotImplementedError):
    """The request is valid, but this build or device cannot do it."""

    kind = "unsupported"


class FormatError(Error, ValueError):
    """The contents of a file break its format."""

    kind = "format"


class IoError(Error, OSError):
    """The operating system refused a file."""

    kind = "io"

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class NotFound(IoError, FileNotFoundError):
    """A file, a model or a data set is not there."""

    kind = "not_found"


class DeviceError(Error):
    """A device failed while it computed."""

    kind = "device"


class OutOfMemory(Error, MemoryError):
    """A model or a step does not fit into the memory."""

    kind = "out_of_memory"


class Interrupted(Error):
    """The caller cancelled the work."""

    kind = "interrupted"


class InternalError(Error):
    """A fault of the package itself. Please report it."""

    kind = "internal"
