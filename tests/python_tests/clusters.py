"""bit_axon.batch on local clusters of two workers, one of which is killed midway.

clusters.sh runs these tests.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from bit_axon import batch
from bit_axon.inference.generate import GenerateConfig

ROOT = Path(__file__).parents[2]
MODEL = str(ROOT / "models" / "tiny-shakespeare")
EXAMPLES = ROOT / "docs" / "examples" / "python"
OPTIONS = {"device": "cpu", "threads": 1}
N_ROWS = 24
FATAL_ID = 13  # the first worker that reaches this row is killed

GENERATE = batch.Generate(MODEL, config=GenerateConfig(max_tokens=12, seed=3), load_options=OPTIONS)
PERPLEXITY = batch.Perplexity(MODEL, text_column="prompt", load_options=OPTIONS)


@dataclass(frozen=True)
class KilledOnce:
    """Runs a function of a batch, and records the process. Kills it once, after the work is done."""

    function: Any
    folder: str

    def __call__(self, rows: Any) -> Any:
        result = self.function(rows)
        Path(self.folder, f"worker-{os.getpid()}").touch()
        marker = Path(self.folder, "killed")
        if FATAL_ID in list(rows["id"]) and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    def check(self) -> None:
        """Checks that a worker was killed and that others went on."""
        assert Path(self.folder, "killed").exists()
        assert len(list(Path(self.folder).glob("worker-*"))) >= 2


@pytest.fixture
def rows() -> pd.DataFrame:
    lines = ["ROMEO:", "What is the matter, ", "To be, or not", "My lord"]
    prompts = [f"{lines[n % 4]} {'and ' * (n % 5)}" for n in range(N_ROWS)]
    return pd.DataFrame({"id": range(N_ROWS), "prompt": prompts})


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[Any]:
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


@pytest.fixture
def dask_cluster() -> Iterator[Any]:
    from dask.distributed import Client, LocalCluster

    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster) as client:
        yield client


def same(got: pd.DataFrame, expected: pd.DataFrame) -> bool:
    """Whether the rows are the same, each once, with the same bits."""
    got = got.sort_values("id").reset_index(drop=True)[list(expected.columns)]
    return all(got[name].tolist() == expected[name].tolist() for name in expected.columns)


@pytest.mark.parametrize("function", [GENERATE, PERPLEXITY], ids=["generate", "perplexity"])
def test_ray_loses_and_repeats_nothing(
    ray_cluster: Any, rows: pd.DataFrame, tmp_path: Path, function: Any
) -> None:
    killed = KilledOnce(function, str(tmp_path))
    data = ray_cluster.data.from_pandas(rows).repartition(8)
    got = data.map_batches(killed, batch_size=3, num_cpus=1).to_pandas()
    killed.check()
    assert same(got, function(rows))


def test_ray_makes_objects_of_the_class_itself(ray_cluster: Any, rows: pd.DataFrame) -> None:
    arguments = {"prompt_column": "prompt", "config": GENERATE.config, "load_options": OPTIONS}
    data = ray_cluster.data.from_pandas(rows).repartition(4)
    got = data.map_batches(
        batch.Generate,
        fn_constructor_args=[MODEL],
        fn_constructor_kwargs=arguments,
        batch_size=4,
        batch_format="pyarrow",
        concurrency=2,
        num_cpus=0.5,  # the rest of the cores reads the rows
    ).to_pandas()
    assert same(got, GENERATE(rows))


@pytest.mark.parametrize("function", [GENERATE, PERPLEXITY], ids=["generate", "perplexity"])
def test_dask_loses_and_repeats_nothing(
    dask_cluster: Any, rows: pd.DataFrame, tmp_path: Path, function: Any
) -> None:
    import dask.dataframe as dd

    killed = KilledOnce(function, str(tmp_path))
    frame = dd.from_pandas(rows, npartitions=8)
    got = frame.map_partitions(killed, meta=function.meta(frame)).compute()
    killed.check()
    assert same(got, function(rows))


def run_example(name: str, *arguments: str) -> None:
    before = sys.argv
    sys.argv = [name, *arguments]
    try:
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    finally:
        sys.argv = before


def test_example_of_ray(
    ray_cluster: Any, rows: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = rows.rename(columns={"prompt": "text"})
    texts.to_json(tmp_path / "texts.jsonl", orient="records", lines=True)
    run_example(
        "corpus_perplexity_ray.py", MODEL, str(tmp_path / "out"), str(tmp_path / "texts.jsonl")
    )
    perplexity, error = batch.corpus_perplexity(PERPLEXITY(rows))
    expected = f"perplexity {perplexity:.4f} +- {error:.4f} over {N_ROWS} texts"
    assert expected in capsys.readouterr().out
    assert sorted(pd.read_parquet(tmp_path / "out")["id"]) == list(range(N_ROWS))


def test_example_of_dask(rows: pd.DataFrame, tmp_path: Path) -> None:
    rows.to_json(tmp_path / "prompts.jsonl", orient="records", lines=True)
    output = tmp_path / "out"
    run_example(
        "generate_file_dask.py",
        MODEL,
        str(tmp_path / "prompts.jsonl"),
        str(output),
        "--max-tokens=8",
    )
    lines = [line for file in output.iterdir() for line in file.read_text().splitlines()]
    got = {answer["id"]: answer["generated_text"] for answer in map(json.loads, lines)}
    config = GenerateConfig(max_tokens=8, seed=1)
    expected = batch.Generate(MODEL, config=config, load_options=OPTIONS)(rows)
    assert len(lines) == N_ROWS
    assert got == dict(zip(expected["id"], expected["generated_text"], strict=True))
