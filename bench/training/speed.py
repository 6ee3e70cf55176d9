#!/usr/bin/env python3
"""Measures training: next to the limits of the machine, and next to the original program on MLX.

    bench/training/speed.py --program build/release/bit-axon [--rounds N] [--output FILE]
                            [--original CHECKOUT]

Each round measures everything once. CHECKOUT is a clone of the original's repository; this Python
then needs mlx[cpu]. Ratios are taken within a round, or within one run of `benchmark --train`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

N_TOKENS = 512
TINY = Path(__file__).parents[2] / "models/tiny-shakespeare"
DEFAULT = ["--seq-lengths", str(N_TOKENS)]

# What is measured: a name, the flags of `benchmark --train`, the figure, and the least expected one.
Measure = tuple[str, list[str], str, float]
MEASURES: list[Measure] = [
    (
        "default configuration, fast, DoRA / its prefill",
        ["--precision", "fast"],
        "prefill_share",
        0.22,
    ),
    (
        "default configuration, exact, LoRA / its prefill",
        ["--precision", "exact", "--no-dora"],
        "prefill_share",
        0.23,
    ),
    (
        "default configuration, exact, DoRA / its prefill",
        ["--precision", "exact"],
        "prefill_share",
        0.21,
    ),
    (
        "bundled model, exact, LoRA / float32 limit",
        ["--precision", "exact", "--no-dora", "--model", str(TINY)],
        "limit_share",
        0.20,
    ),
]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True, help="the program bit-axon")
    parser.add_argument("--original", help="a clone of the original's repository")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--output", type=Path, help="also write the page to this file")
    return parser.parse_args()


def train(options: argparse.Namespace, flags: list[str]) -> dict[str, Any]:
    command = [options.program, "benchmark", "--train", "--format", "json", "--device", "cpu"]
    command += ["--threads", str(options.threads), "--lora-rank", "8", *DEFAULT, *flags]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def of_original(options: argparse.Namespace) -> float:
    """Tokens of an update of the original's small configuration, per second."""
    script = Path(__file__).with_name("mlx_training.py")
    command = [sys.executable, str(script), options.original, str(N_TOKENS), "3"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return N_TOKENS / statistics.median(json.loads(done.stdout))


def cell(values: list[float], digits: int = 3) -> str:
    middle = statistics.median(values)
    return f"{middle:.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def row(what: str, found: list[dict[str, Any]], figure: str, expected: float) -> str:
    rate = cell([one["tokens_per_sec"] for one in found], 1)
    memory = [one["peak_bytes"] / one["announced_bytes"] for one in found]
    size = statistics.median([one["peak_bytes"] for one in found]) / 1e9
    shares = cell([one[figure] for one in found])
    return f"| {what} | {rate} | {shares} | {expected} | {size:.2f} GB | {cell(memory)} |"


def page(
    options: argparse.Namespace,
    found: list[list[dict[str, Any]]],
    peers: list[tuple[float, float]],
) -> str:
    command = f"bench/training/speed.py --rounds {options.rounds} --threads {options.threads}"
    lines = [
        "# Training",
        "",
        "|  |  |",
        "| --- | --- |",
        f"| command | `{command}` |",
        f"| version | {found[0][0]['version']} |",
        f"| device | {found[0][0]['device']} |",
        f"| date | {datetime.date.today()} |",
        "",
        f"An adapter of rank 8, one sequence of {N_TOKENS} tokens an update. Each cell is the median over",
        "the rounds, with the range.",
        "",
        "| what | trained tok/s | share | expected | peak memory | peak / announced |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for (what, _, figure, expected), rounds in zip(MEASURES, found):
        lines.append(row(what, rounds, figure, expected))
    if peers:
        lines += [
            "",
            "| small configuration, LoRA | tok/s |",
            "|---|---:|",
            f"| this program | {cell([ours for ours, _ in peers], 1)} |",
            f"| the original on MLX, CPU | {cell([theirs for _, theirs in peers], 1)} |",
            f"| ratio (expected: 50) | {cell([ours / theirs for ours, theirs in peers], 1)} |",
        ]
    return "\n".join(lines) + "\n"


def main() -> int:
    options = arguments()
    found: list[list[dict[str, Any]]] = [[] for _ in MEASURES]
    peers = []
    for _ in range(options.rounds):
        for (_, flags, _, _), rounds in zip(MEASURES, found):
            rounds.append(train(options, flags))
        if options.original:
            ours = train(options, ["--config-small", "--no-dora"])
            peers.append((ours["tokens_per_sec"], of_original(options)))
    text = page(options, found, peers)
    print(text, end="")
    if options.output:
        options.output.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
