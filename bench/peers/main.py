"""Measures bit-axon and llama.cpp in turn and writes a page of results."""

import argparse
import os
import shlex
import sys
from pathlib import Path

import bit_axon
import first_token
import llama
import report
from gguf_model import FORMATS
from processes import ROOT, PeersError, free_bytes
from shapes import FAMILIES

FIRST_TOKEN_MODEL = "qwen3-0.6b"
# The models without a peer show the share of the machine's rates alone.
MODELS = [*FAMILIES, "bit-axon", "bit-axon+nf4"]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/peers/run", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", default=["speed", "first-token"],
                        help="speed or first-token (default: both)")

    def add(flag: str, default, metavar: str, text: str, **more) -> None:
        parser.add_argument(flag, default=default, metavar=metavar,
                            help=f"{text} (default: %(default)s)", **more)

    add("--name", "peers", "NAME", "the page is bench/results/NAME.md")
    add("--models", ",".join(MODELS), "NAMES",
        "presets of bit-axon; NAME+nf4 measures NF4 without a peer")
    add("--rounds", 5, "N", "runs of each program with each model", type=int)
    add("--threads", os.cpu_count(), "N", "threads of both programs", type=int)
    add("--prompt", 512, "N", "tokens of the prompt", type=int)
    add("--decode", 32, "N", "tokens to decode", type=int)
    add("--depths", "0,4096", "LIST", "tokens before the decoded ones")
    add("--warmup", 1, "N", "unmeasured runs in each process", type=int)
    add("--gguf", "q4_0", "FORMAT", f"the format of llama.cpp's weights: {' or '.join(FORMATS)}",
        choices=FORMATS)
    add("--bit-axon", ROOT / "build/release/bit-axon", "PATH", "the program to measure", type=Path)
    args = parser.parse_args()
    args.models = args.models.split(",")
    for part in args.parts:
        if part not in ("speed", "first-token"):
            parser.error(f"PART: expected speed or first-token, got {part}")
    for name in args.models:
        preset, _, suffix = name.partition("+")
        if preset not in [*FAMILIES, "bit-axon"] or suffix not in ("", "nf4"):
            parser.error(f"--models: expected names of {', '.join(MODELS)}, got {name}")
    for flag in ("rounds", "threads", "prompt", "decode"):
        if getattr(args, flag) < 1:
            parser.error(f"--{flag}: expected at least 1, got {getattr(args, flag)}")
    if args.warmup < 0:
        parser.error(f"--warmup: expected at least 0, got {args.warmup}")
    try:
        args.depths = [int(depth) for depth in args.depths.split(",")]
    except ValueError:
        parser.error(f"--depths: expected numbers, got {args.depths}")
    args.bit_axon = args.bit_axon.absolute()
    if not os.access(args.bit_axon, os.X_OK):
        parser.error(f"--bit-axon: expected a program, got {args.bit_axon}")
    return args


def say(text: str) -> None:
    print(f"peers: {text}", file=sys.stderr, flush=True)


def check_memory(parameters: int) -> None:
    # Each program holds the packed weights beside the file or the numbers that they come from.
    need = int(parameters * 0.6 * 2) + (2 << 30)
    if free_bytes() < need:
        raise PeersError(f"memory: expected {need >> 20} MiB free, got {free_bytes() >> 20} MiB")


def measure_model(args: argparse.Namespace, name: str) -> report.Model:
    preset, _, suffix = name.partition("+")
    has_peer = preset in FAMILIES and not suffix
    model = report.Model(name, suffix or "affine", has_ssm=FAMILIES.get(preset) != "qwen3")
    file = None
    if preset in FAMILIES:
        shape = bit_axon.shape(args.bit_axon, preset)
        check_memory(shape.parameters)
        if has_peer:
            file = llama.model_file(preset, shape, args.gguf)
    sizes = (args.threads, args.prompt, args.decode, args.depths, args.warmup)

    def ours() -> None:
        model.ours.append(bit_axon.measure(args.bit_axon, preset, suffix, *sizes))

    def peer() -> None:
        found = llama.measure(file, *sizes)
        if found["parameters"] != shape.parameters:
            raise PeersError(f"{file}: expected {shape.parameters} parameters, got "
                             f"{found['parameters']}: remove the file")
        model.peers.append(found)

    pair = [ours, peer] if has_peer else [ours]
    for i in range(args.rounds):
        say(f"{name}, round {i + 1} of {args.rounds}")
        # The order alternates, so that a slow drift of the machine favors neither program.
        for measure in pair if i % 2 == 0 else reversed(pair):
            measure()
    return model


def facts(args: argparse.Namespace, models: list[report.Model]) -> list[tuple[str, str]]:
    found = [("command", f"`bench/peers/run {shlex.join(sys.argv[1:])}`"), ("date", report.today())]
    if models:
        ours = models[0].ours[0]
        found += [("device", ours["device"]),
                  ("bit-axon", f"{ours['version']}, commit {ours['commit']}, 4-bit affine weights "
                               "in groups of 64 with float16 scales, 4.5 bits a weight")]
    for peer in [model.peers[0] for model in models if model.peers][:1]:
        found += [("llama.cpp", f"{peer['version']}, from node-llama-cpp {llama.VERSION}, "
                                f"{args.gguf.upper()} weights, 4.5 bits a weight"),
                  ("its kernels", peer["system"].strip(" |").replace(" | ", ", "))]
    return found


def write_page(args: argparse.Namespace, models: list[report.Model], first: list[float]) -> None:
    path = ROOT / "bench/results" / f"{args.name}.md"
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(report.page("bit-axon and llama.cpp", facts(args, models), models, first))
    os.replace(unfinished, path)


def main() -> None:
    args = parse()
    models, first = [], []
    if "speed" in args.parts:
        for name in args.models:
            models.append(measure_model(args, name))
            write_page(args, models, first)
    if "first-token" in args.parts:
        say(f"first token of {FIRST_TOKEN_MODEL}")
        shape = bit_axon.shape(args.bit_axon, FIRST_TOKEN_MODEL)
        folder = first_token.model_folder(FIRST_TOKEN_MODEL, shape)
        first = first_token.measure(args.bit_axon, folder, args.threads, args.rounds)
        write_page(args, models, first)
    say(f"wrote bench/results/{args.name}.md")


if __name__ == "__main__":
    try:
        main()
    except PeersError as error:
        say(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
