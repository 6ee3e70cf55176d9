#!/usr/bin/env python3
"""Measures the Python package next to the program, in turn, on one model.

    bench/python/speed.py --model DIR --program build/release/bit-axon [--rounds N] [--output FILE]

Each round runs the program and the package with the same prompt, seed and number of threads, in an
order that changes from round to round. Ratios are taken within a round.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from bit_axon import LanguageModel, build_info, load
from bit_axon.inference import GenerateConfig, generate, stream_generate

N_PROMPT, N_TOKENS = 512, 128


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="a model folder")
    parser.add_argument("--program", required=True, help="the program bit-axon of the same commit")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--output", type=Path, help="also write the page to this file")
    return parser.parse_args()


class NoText:
    """A tokenizer without text, so that only tokens are counted on both sides."""

    eos_token_id = None

    def encode(self, text: str) -> list[int]:
        return []

    def decode(self, ids: list[int], skip_special_tokens: bool = True) -> str:
        return ""


def of_program(options: argparse.Namespace, ids: list[int]) -> dict[str, float]:
    command = [options.program, "run", "-m", options.model, "--json", "--quiet", "--seed", "1"]
    command += ["--device", "cpu", "--threads", str(options.threads), "--ignore-eos"]
    command += ["--max-tokens", str(N_TOKENS), "--prompt-ids", ",".join(map(str, ids))]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    return {"decode": found["tokens_per_sec"], "prefill": N_PROMPT * 1000 / found["prefill_ms"]}


def prefill_rate(model: LanguageModel, ids: list[int]) -> float:
    array = np.array([ids], dtype=np.int32)
    start = time.perf_counter()
    model(array, logits="last")
    return N_PROMPT / (time.perf_counter() - start)


def generate_rate(model: LanguageModel, ids: list[int]) -> float:
    config = GenerateConfig(max_tokens=N_TOKENS, seed=1, ignore_eos=True)
    return generate(model, NoText(), ids, config).tokens_per_sec


def stream_rate(model: LanguageModel, ids: list[int]) -> float:
    config = GenerateConfig(max_tokens=N_TOKENS, seed=1, ignore_eos=True)
    responses = stream_generate(model, NoText(), ids, config)
    next(responses)
    start = time.perf_counter()
    n_tokens = sum(1 for _ in responses)
    return n_tokens / (time.perf_counter() - start)


def of_package(model: LanguageModel, ids: list[int], turn: int) -> dict[str, float]:
    """The rates of the package. What is measured first changes from turn to turn."""
    tests = [("decode", generate_rate), ("prefill", prefill_rate), ("stream", stream_rate)]
    order = tests[turn % 3 :] + tests[: turn % 3]
    return {name: rate(model, ids) for name, rate in order}


def import_seconds() -> list[float]:
    code = "import time; t = time.perf_counter(); import bit_axon; print(time.perf_counter() - t)"
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(11)
    ]
    return [float(run.stdout) for run in runs]


def cell(values: list[float], digits: int = 3) -> str:
    middle = statistics.median(values)
    return f"{middle:.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def page(
    options: argparse.Namespace, rounds: list[tuple[dict[str, float], dict[str, float]]]
) -> str:
    def ratio(key: str, other: str | None = None) -> str:
        return cell([package[other or key] / program[key] for program, package in rounds])

    def rates(side: int, key: str) -> str:
        return cell([one[side][key] for one in rounds], 1)

    lines = [
        "# The Python package next to the program",
        "",
        "|  |  |",
        "| --- | --- |",
        (
            f"| command | `bench/python/speed.py --model {Path(options.model).name} "
            f"--rounds {options.rounds} --threads {options.threads}` |"
        ),
        f"| commit | {build_info()['commit']} |",
        f"| date | {datetime.date.today()} |",
        f"| Python | {sys.version.split()[0]} |",
        "",
        "Each cell is the median over the rounds, with the range. A ratio is taken within a round.",
        "",
        (
            f"| test ({N_PROMPT} tokens of prompt, {N_TOKENS} of answer) | program, tok/s | package, tok/s "
            "| ratio | expected |"
        ),
        "|---|---:|---:|---:|---:|",
        f"| generate | {rates(0, 'decode')} | {rates(1, 'decode')} | {ratio('decode')} | 0.97 |",
        (
            f"| stream, token by token | {rates(0, 'decode')} | {rates(1, 'stream')} "
            f"| {ratio('decode', 'stream')} | |"
        ),
        (
            f'| prefill by `model(ids, logits="last")` | {rates(0, "prefill")} '
            f"| {rates(1, 'prefill')} | {ratio('prefill')} | 0.95 |"
        ),
        "",
        f"`import bit_axon`: {cell([1000 * s for s in import_seconds()], 1)} ms. Expected: 150 ms.",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    options = arguments()
    ids = [int(i) for i in np.random.default_rng(0).integers(1000, 30000, N_PROMPT)]
    rounds = []
    with load(options.model, device="cpu", threads=options.threads) as model:
        of_package(model, ids, 0)  # compiles and touches all memory
        for index in range(options.rounds):
            if index % 2:
                package = of_package(model, ids, index)
                program = of_program(options, ids)
            else:
                program = of_program(options, ids)
                package = of_package(model, ids, index)
            rounds.append((program, package))
    text = page(options, rounds)
    print(text, end="")
    if options.output is not None:
        partial = options.output.with_suffix(".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
