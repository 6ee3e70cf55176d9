"""The code of docs/python-evaluation.md runs, one block after the other."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bit_axon._weights import StoredTensor, write_safetensors

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(
    r"^```python\n(.*?)^```",
    (ROOT / "docs" / "python-evaluation.md").read_text(encoding="utf-8"),
    re.MULTILINE | re.DOTALL,
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with what the page names."""
    shutil.copytree(ROOT / "models" / "tiny-shakespeare", tmp_path / "model")
    text = (ROOT / "models" / "texts" / "king-james.txt").read_bytes()[:20000]
    (tmp_path / "text.txt").write_bytes(text)
    folder = tmp_path / "data" / "winogrande" / "winogrande_debiased"
    folder.mkdir(parents=True)
    row = {"sentence": "_ is large.", "option1": "Ann", "option2": "Bob", "answer": "2"}
    (folder / "validation.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    name = "layer_2.attention.q_proj"
    arrays = {
        f"{name}.lora_a": np.ones((128, 8), np.float32) / 100,
        f"{name}.lora_b": np.ones((8, 128), np.float32) / 100,
    }
    stored = {path: StoredTensor.of(array) for path, array in arrays.items()}
    write_safetensors(tmp_path / "adapters.safetensors", stored)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_blocks_run_in_order(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(BLOCKS) == 5
    names: dict[str, Any] = {}
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"block {number} of the page", "exec"), names)  # noqa: S102
    assert 1 < names["ppl"] < 1000
    assert (here / "merged" / "config.json").is_file()
    printed = capsys.readouterr().out
    assert "winogrande: " in printed
    assert "seq_64" in printed
