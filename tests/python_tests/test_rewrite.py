"""Quantized and merged models are written as the program writes them."""

from __future__ import annotations

import json
import os
import signal
import struct
import threading
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from bit_axon import InvalidArgument, IoError, rewrite
from bit_axon.config import BitAxonConfig
from bit_axon.training import load_and_merge

MODEL = Path(__file__).parents[2] / "models" / "tiny-shakespeare"
MATRIX = "layer_2.attention.q_proj"
RANK = 2
DTYPES = {"F32": np.float32, "F16": np.float16, "U32": np.uint32}


def read_tensors(file: Path) -> dict[str, npt.NDArray[np.float32]]:
    data = file.read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(data[8 + size :][slice(*entry["data_offsets"])], DTYPES[entry["dtype"]])
        .reshape(entry["shape"])
        .astype(np.float32)
        for name, entry in header.items()
        if entry["dtype"] in DTYPES
    }


def write_tensors(file: Path, tensors: dict[str, npt.NDArray[np.float32]]) -> Path:
    header, at = {}, 0
    for name, tensor in tensors.items():
        end = at + tensor.nbytes
        shape = list(tensor.shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    body = b"".join(tensor.tobytes() for tensor in tensors.values())
    file.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return file


@pytest.fixture
def lora(tmp_path: Path) -> dict[str, npt.NDArray[np.float32]]:
    """An adapter of one matrix, and its file adapters.safetensors."""
    random = np.random.default_rng(1)
    tensors = {
        f"{MATRIX}.lora_a": random.normal(size=(128, RANK)).astype(np.float32) / 100,
        f"{MATRIX}.lora_b": random.normal(size=(RANK, 128)).astype(np.float32) / 10,
    }
    write_tensors(tmp_path / "adapters.safetensors", tensors)
    return tensors


def merged_matrix(lora: dict[str, npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    base = read_tensors(MODEL / "model.safetensors")[f"{MATRIX}.weight"]
    return base + 20 * (lora[f"{MATRIX}.lora_a"] @ lora[f"{MATRIX}.lora_b"]).T


def test_quantize_writes_a_model_and_says_what_it_did(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    report = rewrite.quantize(
        MODEL, tmp_path / "q", on_progress=lambda done, total: seen.append((done, total))
    )
    assert report.output == tmp_path / "q"
    assert (tmp_path / "q" / "config.json").is_file()
    assert report.n_parameters == 2_200_320
    assert report.total.bytes_after < 0.4 * report.total.bytes_before
    assert 0 < report.parts["experts"].relative_error < 0.2
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1] > 0


def test_more_bits_lose_less(tmp_path: Path) -> None:
    errors = [
        rewrite.quantize(MODEL, tmp_path / str(bits), bits=bits).total.relative_error
        for bits in (4, 8)
    ]
    assert errors[1] < errors[0] / 10


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def expect_complete_or_absent(output: Path) -> None:
    """The model is small: its output may be complete before anything stops the work."""
    left = list(output.parent.iterdir())
    assert left in ([], [output])
    if left:
        rewrite.quantize(MODEL, output.parent / "whole")
        assert contents(output) == contents(output.parent / "whole")


def test_output_is_complete_or_absent_after_an_exception(tmp_path: Path) -> None:
    def fail(done: int, total: int) -> None:
        raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        rewrite.quantize(MODEL, tmp_path / "q", on_progress=fail)
    expect_complete_or_absent(tmp_path / "q")


def test_output_stays_when_the_last_report_fails(tmp_path: Path) -> None:
    def fail(done: int, total: int) -> None:
        if done == total:
            raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        rewrite.quantize(MODEL, tmp_path / "q", on_progress=fail)
    assert (tmp_path / "q").exists()
    expect_complete_or_absent(tmp_path / "q")


def test_output_is_complete_or_absent_after_an_interrupt(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        rewrite.quantize(MODEL, tmp_path / "q", on_progress=interrupt)
    expect_complete_or_absent(tmp_path / "q")


def test_bad_requests_are_refused(tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    with pytest.raises(IoError, match="expected a folder that is new or empty"):
        rewrite.quantize(MODEL, tmp_path / "used")
    with pytest.raises(InvalidArgument, match="expected another folder than the model's own"):
        rewrite.quantize(MODEL, MODEL)
    with pytest.raises(OSError, match=r"models/none.*found neither"):
        rewrite.quantize("models/none", tmp_path / "q")
    with pytest.raises(InvalidArgument, match="group_size: expected 32, 64 or 128, got 33"):
        rewrite.quantize(MODEL, tmp_path / "q", group_size=33)
    with pytest.raises(InvalidArgument, match="bits: expected 2, 3, 4, 5, 6 or 8, got 7"):
        rewrite.merge(MODEL, tmp_path / "a", tmp_path / "q", bits=7)
    with pytest.raises(InvalidArgument, match='"gguf"'):
        rewrite.quantize(MODEL, tmp_path / "q", format="gguf")
    with pytest.raises(ValueError, match='dtype: expected float32.*got "int8"'):
        rewrite.merge(MODEL, tmp_path / "a", tmp_path / "q", dtype="int8")


def test_merge_adds_the_product_of_the_adapter(
    tmp_path: Path, lora: dict[str, npt.NDArray[np.float32]]
) -> None:
    report = rewrite.merge(MODEL, tmp_path / "adapters", tmp_path / "m", dtype="float32")
    assert not report.has_codes
    new = read_tensors(tmp_path / "m" / "model.safetensors")
    np.testing.assert_allclose(new[f"{MATRIX}.weight"], merged_matrix(lora), atol=1e-6)
    old = read_tensors(MODEL / "model.safetensors")
    for name, tensor in old.items():
        if name != f"{MATRIX}.weight":
            np.testing.assert_array_equal(new[name], tensor)


def test_load_and_merge_quantizes_unless_told_otherwise(
    tmp_path: Path, lora: dict[str, npt.NDArray[np.float32]]
) -> None:
    adapter = tmp_path / "adapters.safetensors"
    folder = load_and_merge(MODEL, adapter, tmp_path / "floats", quantize_after_merge=False)
    assert folder == tmp_path / "floats"
    floats = read_tensors(folder / "model.safetensors")[f"{MATRIX}.weight"]
    np.testing.assert_allclose(floats, merged_matrix(lora), atol=2e-3)

    folder = load_and_merge(str(MODEL), str(adapter), str(tmp_path / "codes"))
    assert folder == tmp_path / "codes"
    expected = rewrite.quantize(tmp_path / "floats", tmp_path / "expected").output
    ours, theirs = ((f / "model.safetensors").read_bytes() for f in (folder, expected))
    assert ours == theirs
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        "adapters.safetensors",
        "codes",
        "expected",
        "floats",
    ]


def test_load_and_merge_quantizes_codes_again(
    tmp_path: Path, lora: dict[str, npt.NDArray[np.float32]]
) -> None:
    base = rewrite.quantize(MODEL, tmp_path / "base").output
    adapter = tmp_path / "adapters.safetensors"
    folder = load_and_merge(base, adapter, tmp_path / "codes")
    old, new = (read_tensors(f / "model.safetensors") for f in (base, folder))
    changed = {name for name in old if not np.array_equal(old[name], new[name])}
    assert changed
    assert all(name.startswith(MATRIX) for name in changed)


def test_load_and_merge_takes_a_configuration(
    tmp_path: Path, lora: dict[str, npt.NDArray[np.float32]]
) -> None:
    (tmp_path / "base").mkdir()
    os.symlink(MODEL / "model.safetensors", tmp_path / "base" / "model.safetensors")
    adapter = tmp_path / "adapters.safetensors"
    with pytest.raises(OSError, match=r"config\.json"):
        load_and_merge(tmp_path / "base", adapter, tmp_path / "m")
    config = BitAxonConfig(**json.loads((MODEL / "config.json").read_text(encoding="utf-8")))
    folder = load_and_merge(tmp_path / "base", adapter, tmp_path / "m", config=config)
    written = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert written["hidden_dim"] == config.hidden_dim


def test_load_and_merge_checks_the_rank_and_the_output(
    tmp_path: Path, lora: dict[str, npt.NDArray[np.float32]]
) -> None:
    adapter = tmp_path / "adapters.safetensors"
    with pytest.raises(InvalidArgument, match="rank: expected 2.*got 4"):
        load_and_merge(MODEL, adapter, tmp_path / "m", lora_rank=4)
    with pytest.raises(IoError, match="expected a new or empty folder"):
        load_and_merge(MODEL, adapter, tmp_path)
    assert not (tmp_path / "m").exists()


def test_every_documented_name_is_there() -> None:
    from bit_axon import porting, training
    from bit_axon.training import ThermalShutdownError

    for module in (training, porting):
        for name in module.__all__:
            assert getattr(module, name).__doc__
    assert issubclass(ThermalShutdownError, RuntimeError)
