"""bit-axon, measured by its command `benchmark`."""

from pathlib import Path

from processes import json_of
from shapes import Shape, shape_of


def shape(program: Path, preset: str) -> Shape:
    return shape_of(preset, json_of([program, "inspect", "--preset", preset, "--json"]))


def measure(program: Path, preset: str, quantize: str, threads: int, prompt: int, decode: int,
            depths: list[int], warmup: int) -> dict:
    """The records of a prompt, and of decoding at each depth. Depth 0 is after one token.

    `benchmark` measures the rates of the machine after each iteration. Decoding has two iterations,
    so that the read rate is measured just before and just after the second one."""
    common = [program, "benchmark", "--preset", preset, "--device", "cpu", "--threads", threads,
              "--warmup", warmup, "--format", "json", "--quiet"]
    if quantize:
        common += ["--quantize", quantize]
    prefill = json_of([*common, "--iterations", 1, "--seq-lengths", prompt, "--decode-tokens", 0])
    decoding = json_of([*common, "--iterations", 2, "--seq-lengths", 1, "--depth",
                        ",".join(map(str, depths)), "--decode-tokens", decode])
    records = [record for record in prefill["records"] if record["test"] == "prefill"]
    records += [record for record in decoding["records"] if record["test"] == "decode"]
    return {"version": prefill["version"], "commit": prefill["commit"],
            "device": prefill["devices"][0]["device_name"], "records": records}
