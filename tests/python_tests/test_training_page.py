"""The code of docs/python-training.md runs, one block after the other."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from bit_axon import BitAxonConfig
from test_porting import qwen_weights
from test_training import PAIRS, ROWS

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(
    r"^```python\n(.*?)^```",
    (ROOT / "docs" / "python-training.md").read_text(encoding="utf-8"),
    re.MULTILINE | re.DOTALL,
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with what the page names."""
    shutil.copytree(ROOT / "models" / "tiny-shakespeare", tmp_path / "model")
    (tmp_path / "qwen").mkdir()
    shutil.copy(tmp_path / "model" / "tokenizer.json", tmp_path / "qwen")
    for name, rows in (("data", ROWS), ("val", ROWS[:2]), ("prefs", PAIRS)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{name}.jsonl").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_blocks_run_in_order(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(BLOCKS) == 9
    small = BitAxonConfig.small()
    small.vocab_size = 512
    names: dict[str, Any] = {"small": small, "qwen_weights": qwen_weights(small)}
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"block {number} of the page", "exec"), names)  # noqa: S102
    printed = capsys.readouterr().out
    assert "Step 8: loss=" in printed
    assert "Reward accuracy: " in printed
    assert "Paused 0.0s" in printed
    for made in ("merged-model/config.json", "merged-floats/config.json", "manual/step_00000008"):
        assert (here / made).exists()
    assert (here / "output" / "model.safetensors").is_file()
