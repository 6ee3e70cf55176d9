"""Data sets are found on this machine, and what is missing is named."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bit_axon import FormatError, InvalidArgument, NotFound
from bit_axon.evaluation import WikiTextDataset
from bit_axon.evaluation._files import (
    LocalDatasets,
    MissingPackage,
    datasets_cache,
    hub_cache,
    read_rows,
    split_files,
)

ROWS = [{"text": "one"}, {"text": "two"}]


@pytest.fixture(autouse=True)
def empty_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the hub's tools that has nothing."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_DATASETS_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return tmp_path / "hf"


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_caches_are_where_the_tools_keep_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hub_cache().parts[-2:] == ("hf", "hub")
    assert datasets_cache().parts[-2:] == ("hf", "datasets")
    monkeypatch.setenv("HF_HUB_CACHE", "~/hub")
    monkeypatch.setenv("HF_DATASETS_CACHE", "$HF_HOME/sets")
    assert hub_cache() == Path.home() / "hub"
    assert datasets_cache().parts[-2:] == ("hf", "sets")
    for name in ("HF_HUB_CACHE", "HF_DATASETS_CACHE", "HF_HOME"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert hub_cache() == Path("/caches/huggingface/hub")
    assert datasets_cache() == Path("/caches/huggingface/datasets")


@pytest.mark.parametrize(
    ("file", "config", "split", "found"),
    [
        ("test.jsonl", None, "test", True),
        ("test.jsonl", "main", "test", True),
        ("data/test-00000-of-00001.jsonl", None, "test", True),
        ("main/test.jsonl", "main", "test", True),
        ("anatomy/test.jsonl", "anatomy", "test", True),
        ("anatomy-test.jsonl", "anatomy", "test", True),
        ("anatomy/test/0000.jsonl", "anatomy", "test", True),
        ("hellaswag_val.jsonl", None, "validation", True),
        ("0.0.0/0123abcd/mmlu-test.jsonl", None, "test", True),
        ("test.jsonl", "anatomy", "test", False),
        ("virology/test.jsonl", "anatomy", "test", False),
        ("train.jsonl", None, "test", False),
        ("latest.jsonl", None, "test", False),
        ("test.csv", None, "test", False),
    ],
)
def test_split_is_found_by_its_name(
    tmp_path: Path, file: str, config: str | None, split: str, found: bool
) -> None:
    path = write_jsonl(tmp_path / "set" / file, ROWS)
    assert split_files(tmp_path / "set", config, split) == ([path] if found else [])


def test_parts_of_a_split_are_read_in_order(tmp_path: Path) -> None:
    for index in (1, 0):
        write_jsonl(tmp_path / "a" / f"test-0000{index}-of-00002.jsonl", [{"n": index}])
    rows = LocalDatasets(tmp_path).load_dataset("owner/a", split="test")
    assert rows == [{"n": 0}, {"n": 1}]


def test_missing_part_is_an_error(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a" / "test-00001-of-00002.jsonl", ROWS)
    with pytest.raises(NotFound, match="expected 2 parts of a split.*got 1"):
        LocalDatasets(tmp_path).load_dataset("owner/a", split="test")


def test_no_row_counts_twice(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a" / "test.jsonl", ROWS)
    (tmp_path / "a" / "test.txt").write_text("one\ntwo\n", encoding="utf-8")
    assert len(LocalDatasets(tmp_path).load_dataset("a", split="test")) == 2


def test_hub_cache_has_the_commit_of_main(empty_caches: Path) -> None:
    repository = empty_caches / "hub" / "datasets--openai--gsm8k"
    for commit in ("aaaa", "bbbb"):
        write_jsonl(repository / "snapshots" / commit / "main" / "test.jsonl", [{"c": commit}])
    (repository / "refs").mkdir()
    for commit in ("aaaa", "bbbb"):
        (repository / "refs" / "main").write_text(commit, encoding="utf-8")
        rows = LocalDatasets().load_dataset("openai/gsm8k", "main", split="test")
        assert rows == [{"c": commit}]


def test_tables_of_the_package_datasets_are_read(empty_caches: Path) -> None:
    import pyarrow as pa

    folder = empty_caches / "datasets" / "rowan___hellaswag" / "default" / "0.0.0" / "abcd"
    folder.mkdir(parents=True)
    table = pa.table({"text": ["one", "two"]})
    with pa.ipc.new_stream(folder / "hellaswag-validation.arrow", table.schema) as writer:
        writer.write_table(table)
    assert LocalDatasets().load_dataset("Rowan/hellaswag", split="validation") == ROWS


def test_parquet_is_read(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": ["one", "two"]}), tmp_path / "rows.parquet")
    assert read_rows(tmp_path / "rows.parquet") == ROWS
    (tmp_path / "rows.parquet").write_bytes(b"nothing")
    with pytest.raises(FormatError, match="rows.parquet"):
        read_rows(tmp_path / "rows.parquet")


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_import = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr("importlib.import_module", refuse)
    (tmp_path / "rows.parquet").touch()
    with pytest.raises(ImportError, match="needs the package pyarrow.*pip install pyarrow") as got:
        read_rows(tmp_path / "rows.parquet")
    assert isinstance(got.value, MissingPackage)


def test_missing_data_set_says_where_it_was_looked_for(empty_caches: Path, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"data set cais/mmlu \(anatomy\)") as got:
        LocalDatasets().load_dataset("cais/mmlu", "anatomy", split="dev")
    message = str(got.value)
    for part in (str(empty_caches / "hub"), str(empty_caches / "datasets"), "anatomy/dev.jsonl"):
        assert part in message
    with pytest.raises(NotFound, match=f"in {tmp_path}. "):
        LocalDatasets(tmp_path).load_dataset("cais/mmlu", "anatomy", split="dev")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", '{"a": 1}\n[]\n', "line 2: expected an object, got list"),
        ("a.jsonl", '{"a": 1}\n{"a"\n', "line 2: expected JSON"),
        ("a.json", '{"a": 1}', "expected a list of objects, got dict"),
        ("a.json", "[1]", "entry 0: expected an object, got int"),
        ("a.csv", "a,b", "expected a file that ends in"),
    ],
)
def test_bad_file_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=message) as got:
        read_rows(tmp_path / name)
    assert name in str(got.value)


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"abc\xff")
    with pytest.raises(FormatError, match="at byte 3: expected UTF-8"):
        read_rows(tmp_path / "a.txt")
    with pytest.raises(NotFound, match="expected a text file, got no file"):
        read_rows(tmp_path / "b.json")


def test_wikitext_comes_from_the_hub_cache(empty_caches: Path) -> None:
    repository = empty_caches / "hub" / "datasets--Salesforce--wikitext"
    folder = repository / "snapshots" / "abcd" / "wikitext-103-raw-v1"
    write_jsonl(folder / "test-00000-of-00001.jsonl", [{"text": "abc"}, {"text": "def"}])
    data = WikiTextDataset(seq_length=3)
    assert [chunk.tolist() for chunk in data] == [[97, 98, 99], [10, 100, 101]]
    assert data.source == str(folder)
    assert data[0].dtype == np.int32


def test_wikitext_comes_from_a_file_or_folder(tmp_path: Path) -> None:
    (tmp_path / "wiki.test.txt").write_text("x" * 50, encoding="utf-8")
    assert len(WikiTextDataset(seq_length=10, path=tmp_path / "wiki.test.txt")) == 5
    assert len(WikiTextDataset(seq_length=10, path=tmp_path)) == 5
    assert len(WikiTextDataset(seq_length=10, max_tokens=29, path=tmp_path)) == 2
    with pytest.raises(NotFound, match="split 'train'"):
        WikiTextDataset("train", path=tmp_path)
    with pytest.raises(NotFound, match=r"none\.txt"):
        WikiTextDataset(path=tmp_path / "none.txt")
    (tmp_path / "empty.txt").touch()
    with pytest.raises(FormatError, match="expected a text, got none"):
        WikiTextDataset(path=tmp_path / "empty.txt")


def test_missing_wikitext_is_a_warning_or_an_error() -> None:
    with pytest.warns(RuntimeWarning, match="Salesforce/wikitext.*built-in text"):
        data = WikiTextDataset(seq_length=64, max_tokens=512, fallback=True)
    assert len(data) == 8
    assert data.source == "built-in text"
    with pytest.raises(NotFound, match="Salesforce/wikitext"):
        WikiTextDataset()


def test_wikitext_uses_a_tokenizer(tmp_path: Path) -> None:
    lengths: list[int] = []

    class Words:
        def encode(self, text: str) -> list[int]:
            lengths.append(len(text))
            return [len(word) for word in text.split()]

    (tmp_path / "a.txt").write_text("one three " * 1000, encoding="utf-8")
    data = WikiTextDataset(seq_length=4, max_tokens=8, tokenizer=Words(), path=tmp_path / "a.txt")
    assert [chunk.tolist() for chunk in data] == [[3, 5, 3, 5]] * 2
    assert lengths == [8 * 64]  # only as much text as 8 tokens can have
    whole = WikiTextDataset(
        seq_length=4, max_tokens=None, tokenizer=Words(), path=tmp_path / "a.txt"
    )
    assert len(whole) == 500


@pytest.mark.parametrize("arguments", [{"seq_length": 0}, {"max_tokens": 0}])
def test_wikitext_refuses_sizes_below_one(arguments: dict[str, int]) -> None:
    with pytest.raises(InvalidArgument, match="expected at least 1, got 0"):
        WikiTextDataset(**arguments)  # type: ignore[arg-type]
