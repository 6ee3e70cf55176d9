"""The page of results."""

import datetime
import statistics
from dataclasses import dataclass, field

PREFILL_BAR = 1.30  # of the float32 rate, for 4-bit weights
DECODE_BARS = {"affine": 0.75, "nf4": 0.65}  # of the read rate
# How much faster than llama.cpp: (prefill, decode), for models with an SSM and without.
PEER_BARS = {True: (2.0, 1.5), False: (1.4, 1.4)}


@dataclass
class Model:
    """The measurements of a model: the objects of both programs, round by round."""

    name: str
    format: str
    has_ssm: bool
    ours: list[dict] = field(default_factory=list)
    peers: list[dict] = field(default_factory=list)


def spread(values: list[float], digits: int = 1, unit: str = "") -> str:
    low, high = min(values), max(values)
    median = statistics.median(values)
    return f"{median:.{digits}f}{unit} ({low:.{digits}f} to {high:.{digits}f})"


def verdict(values: list[float], bar: float, digits: int, unit: str = "") -> str:
    met = "" if statistics.median(values) >= bar else ", **missed**"
    return f"{bar:.{digits}f}{unit}{met}"


def table(columns: list[str], rows: list[list[str]]) -> list[str]:
    align = ["---"] * 2 + ["---:"] * (len(columns) - 2)
    return ["| " + " | ".join(cells) + " |" for cells in [columns, align, *rows]] + [""]


def label(test: str, tokens: int, depth: int) -> str:
    return f"prefill {tokens}" if test == "prefill" else f"decode after {depth}"


def tokens_per_sec(test: dict) -> float:
    return test["tokens"] / statistics.median(test["seconds"])


def peer_rows(models: list[Model]) -> list[list[str]]:
    rows = []
    for model in models:
        for i, test in enumerate(model.peers[0]["tests"] if model.peers else []):
            ours = [round_["records"][i]["tokens_per_sec"] for round_ in model.ours]
            peers = [tokens_per_sec(round_["tests"][i]) for round_ in model.peers]
            ratios = [a / b for a, b in zip(ours, peers)]
            bar = PEER_BARS[model.has_ssm][0 if test["test"] == "prefill" else 1]
            rows.append([model.name, label(test["test"], test["tokens"], test["position"]),
                         spread(ours), spread(peers), spread(ratios, 2), verdict(ratios, bar, 1)])
    return rows


def machine_rows(models: list[Model]) -> list[list[str]]:
    """The rate of each test and the machine's, the mean of the best and the lowest of the run."""
    rows = []
    for model in models:
        for i, first in enumerate(model.ours[0]["records"]):
            prefill = first["test"] == "prefill"
            work, limit = (("flops", "float32_flops_per_sec") if prefill
                           else ("stored_bytes", "read_bytes_per_sec"))
            records = [round_["records"][i] for round_ in model.ours]
            rates = [r[work] / r["tokens"] * r["tokens_per_sec"] / 1e9 for r in records]
            limits = [(r[limit] + r[limit + "_min"]) / 2e9 for r in records]
            shares = [100 * rate / most for rate, most in zip(rates, limits)]
            bar = 100 * (PREFILL_BAR if prefill else DECODE_BARS[model.format])
            # Depth 0 is after one token.
            depth = 0 if first["position"] == 1 else first["position"]
            unit = "GFLOP/s" if prefill else "GB/s"
            rows.append([model.name, label(first["test"], first["tokens"], depth),
                         f"{spread(rates)} {unit}", spread(limits), spread(shares, 0, " %"),
                         verdict(shares, bar, 0, " %")])
    return rows


def page(title: str, facts: list[tuple[str, str]], models: list[Model],
         first_token: list[float]) -> str:
    lines = [f"# {title}", "", *table(["", ""], [list(fact) for fact in facts])]
    lines += ["Each cell is the median over the rounds, with the range. A ratio or a share is",
              "taken within a round. [bench/README.md](../README.md) says how it is measured.", ""]
    if any(model.peers for model in models):
        lines += ["## bit-axon and llama.cpp, tokens per second", "",
                  *table(["model", "test", "bit-axon", "llama.cpp", "ratio", "expected"],
                         peer_rows(models))]
    if models:
        lines += ["## bit-axon and the rates of the machine", "",
                  *table(["model", "test", "rate", "machine's rate", "share", "expected"],
                         machine_rows(models))]
    if first_token:
        late = "" if statistics.median(first_token) < 1 else ", which was **missed**"
        lines += ["## First token", "",
                  f"From the start of the process to its end, which comes after one token: "
                  f"{spread(first_token, 3, ' s')}.", f"Expected: less than one second{late}.", ""]
    return "\n".join(lines)


def today() -> str:
    return datetime.date.today().isoformat()
