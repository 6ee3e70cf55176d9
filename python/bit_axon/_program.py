"""The console script `bit-axon`: the program of this package."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["main", "program_path"]


def program_path() -> Path:
    """The path of the program `bit-axon` in this package."""
    return Path(__file__).parent / "bin" / "bit-axon"


def main() -> int:
    """Replaces this process by the program, with the same arguments.

    For an input of `prepare` in Parquet, the program runs as a child, with the rows as JSONL.
    """
    program = str(program_path())
    if sys.argv[1:2] == ["prepare"]:
        from bit_axon._prepare import needs_rows, prepare

        if needs_rows(sys.argv[2:]):
            return prepare(program, sys.argv[2:])
    try:
        os.execv(program, ["bit-axon", *sys.argv[1:]])
    except OSError as error:
        print(f"bit-axon: cannot run {program}: {error.strerror}", file=sys.stderr)
        return 1
