"""Runs other programs, and says in one line what went wrong."""

import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/peers"


class PeersError(Exception):
    """A failure with a message for the user."""


def output_of(command: list) -> str:
    """What a program prints. Its messages are shown only if it fails."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    except OSError as error:
        raise PeersError(f"{words[0]}: {error.strerror}") from error
    if done.returncode != 0:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise PeersError(f"status {done.returncode} from: {' '.join(words)}: {last}")
    return done.stdout


def json_of(command: list) -> dict:
    return json.loads(output_of(command))


def free_bytes() -> int:
    """The memory that programs can still take."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise PeersError("/proc/meminfo: expected a line MemAvailable")
