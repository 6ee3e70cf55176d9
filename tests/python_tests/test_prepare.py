"""`prepare` through the Python package: Parquet becomes JSONL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from bit_axon._prepare import needs_rows

ROWS = [{"instruction": "Greet.", "output": "Höre."}, {"instruction": "Add.", "output": "3"}]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bit_axon", "prepare", *arguments],
        cwd=folder,
        env={**os.environ, "HF_HUB_CACHE": str(folder / "hub")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def write_rows(path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(ROWS), path)


def answers(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["messages"][1]["content"] for line in lines]


def test_a_parquet_file_is_converted(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.parquet")
    done = run(tmp_path, "rows.parquet", "--limit", "1")
    assert done.returncode == 0, done.stderr
    assert answers(tmp_path / "rows_train.jsonl") == ["Höre."]


def test_a_split_of_a_data_set_is_converted(tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "datasets--owner--set" / "snapshots" / "c0ffee"
    for part in range(2):
        write_rows(snapshot / "data" / f"train-0000{part}-of-00002.parquet")
    done = run(tmp_path, "owner/set", "--output", "out.jsonl")
    assert done.returncode == 0, done.stderr
    assert answers(tmp_path / "out.jsonl") == ["Höre.", "3"]  # equal rows are written once


def test_a_broken_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    done = run(tmp_path, "rows.parquet")
    assert done.returncode == 1
    assert done.stderr.startswith("bit-axon: rows.parquet: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["rows.parquet"], True),
        (["--limit", "3", "rows.parquet"], True),
        (["rows.jsonl", "-o", "rows.parquet"], False),
        (["owner/absent"], False),
        (["--help"], False),
    ],
)
def test_only_tables_are_read_here(
    arguments: list[str], expected: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    assert needs_rows(arguments) == expected
