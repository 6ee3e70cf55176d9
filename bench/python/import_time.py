"""import_time.py [RUNS]: how long `import bit_axon` and loading its engine take.

Prints a table with medians over fresh interpreters, without the start of the interpreter.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

STATEMENTS = (
    "import bit_axon",
    "import bit_axon; bit_axon.devices",
    "import bit_axon; bit_axon.load",
    "from bit_axon.inference import load_model, generate",
    "import numpy",
)


def times_ms(statement: str) -> tuple[float, float]:
    """The wall and CPU time of one statement in a fresh interpreter."""
    code = (
        "from time import perf_counter, process_time; wall, cpu = perf_counter(), process_time(); "
        f"{statement}; print(perf_counter() - wall, process_time() - cpu)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    wall, cpu = done.stdout.split()
    return 1000 * float(wall), 1000 * float(cpu)


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    print("| statement | wall ms | CPU ms |\n|---|---:|---:|")
    for statement in STATEMENTS:
        wall, cpu = zip(*(times_ms(statement) for _ in range(runs)), strict=True)
        print(f"| `{statement}` | {statistics.median(wall):.1f} | {statistics.median(cpu):.1f} |")


if __name__ == "__main__":
    main()
