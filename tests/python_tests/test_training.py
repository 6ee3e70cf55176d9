"""Training of adapters: the numbers, the folder of a training, and what ends one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bit_axon import BitAxonConfig, BitAxonModel, InvalidArgument, QwenTokenizerWrapper, load
from bit_axon._errors import FormatError, Unsupported
from bit_axon._program import program_path
from bit_axon._weights import WeightSource
from bit_axon.inference import load_model
from bit_axon.layers.linear import QuantizedLinear
from bit_axon.porting import build_vocab_mapping, initialize_from_qwen_weights
from bit_axon.rewrite import quantize
from bit_axon.training import (
    CoolingScheduler,
    ORPODataset,
    ORPOTrainer,
    SFTDataset,
    ThermalPolicy,
    ThermalShutdownError,
    Trainer,
    TrainingConfig,
    apply_lora_to_model,
    build_lr_schedule,
    dequantize_model,
    get_latest_checkpoint,
    load_checkpoint,
    merge_adapters,
    save_adapter_only,
    save_checkpoint,
)
from conftest import BUNDLED
from test_porting import qwen_weights

ROWS = [
    {
        "messages": [
            {"role": "user", "content": f"Who is number {i}?"},
            {"role": "assistant", "content": f"Number {i} is the king of the {i} lands."},
        ]
    }
    for i in range(6)
]
PAIRS = [
    {"prompt": f"Say {word}.", "chosen": f"I say {word}.", "rejected": "I will not say a word."}
    for word in ("yes", "thee", "forsooth")
]


class StopTraining(Exception):
    """What a callback raises."""


def config_for(folder: Path, **options: Any) -> TrainingConfig:
    values: dict[str, Any] = {
        "max_steps": 4,
        "warmup_steps": 1,
        "grad_accum_steps": 2,
        "max_seq_len": 64,
        "lora_rank": 4,
        "save_every": 2,
        "output_dir": str(folder),
        **options,
    }
    return TrainingConfig(**values)


def model_of(**options: Any) -> BitAxonModel:
    return load_model(BUNDLED, device="cpu", precision="exact", parallel=1, **options)


@pytest.fixture
def data_file(tmp_path: Path) -> Path:
    file = tmp_path / "data.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return file


def tensors_of(file: Path) -> dict[str, Any]:
    return dict(WeightSource.of_files(file))


def program() -> Path:
    """The program `bit-axon`: of the package, or the one that a developer names."""
    return Path(os.environ.get("BITAXON_PROGRAM") or program_path())


def test_training_lowers_the_loss(
    tmp_path: Path, data_file: Path, tokenizer: QwenTokenizerWrapper
) -> None:
    model = model_of()
    ids = np.array([tokenizer.encode("Who is number 3?")])
    before, _ = model(ids)
    steps: list[tuple[int, dict[str, Any]]] = []
    dataset = SFTDataset(data_file, tokenizer)
    config = config_for(tmp_path / "run", max_steps=30, learning_rate=3e-4, eval_every=10)
    trainer = Trainer(
        model, config, dataset, dataset, on_step=lambda step, metrics: steps.append((step, metrics))
    )
    first = trainer.evaluate()
    result = trainer.train()
    last = trainer.evaluate()
    assert set(result) == {"step", "loss", "grad_norm"}
    assert result["step"] == trainer.step_count == 30
    assert last["loss"] < 0.7 * first["loss"]
    assert last["perplexity"] == pytest.approx(np.exp(last["loss"]))
    updates = [metrics for _, metrics in steps if "eval_loss" not in metrics]
    evaluations = [metrics for _, metrics in steps if "eval_loss" in metrics]
    assert [metrics["step"] for metrics in updates] == list(range(1, 31))
    assert updates[-1]["loss"] == result["loss"]
    assert [metrics["step"] for metrics in evaluations] == [10, 20, 30]
    assert evaluations[-1]["eval_loss"] == pytest.approx(last["loss"], rel=1e-6)
    schedule = build_lr_schedule(3e-4, 1, 30)
    assert [metrics["lr"] for metrics in updates] == [schedule(step) for step in range(30)]

    # The model computes with what it has learned, as one that is loaded with the adapter does.
    after, _ = model(ids)
    assert np.abs(after - before).max() > 0.1
    with model_of(adapter=trainer.summary["adapter"]) as adapted:
        np.testing.assert_allclose(adapted(ids)[0], after, atol=1e-5)
    assert trainer.summary["end"] == "finished"
    merge_adapters(model)
    merged, _ = model(ids)
    np.testing.assert_allclose(merged, after, atol=2e-4)


def test_the_command_trains_the_same_adapter_and_continues(
    tmp_path: Path, data_file: Path, tokenizer: QwenTokenizerWrapper
) -> None:
    def command(*arguments: str) -> None:
        line = [str(program()), "train", *arguments, "--no-thermal"]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    options = (
        "--max-steps 6 --warmup-steps 1 --grad-accum-steps 2 --max-seq-len 64 --lora-rank 4 "
        "--save-every 2 --device cpu --precision exact"
    )
    whole, cut = tmp_path / "command", tmp_path / "both"
    command(
        *(str(data_file), "--model-weights", str(BUNDLED), "--output-dir", str(whole)),
        *options.split(" "),
    )
    dataset = SFTDataset(data_file, tokenizer)
    ours = Trainer(model_of(), config_for(tmp_path / "python", max_steps=6), dataset)
    ours.train()

    def stop_at_3(step: int, metrics: dict[str, Any]) -> None:
        if step == 3:
            raise StopTraining

    first = Trainer(model_of(), config_for(cut, max_steps=6), dataset, on_step=stop_at_3)
    with pytest.raises(StopTraining):
        first.train()
    command("--resume", "--output-dir", str(cut))
    expected = (whole / "final_adapter.safetensors").read_bytes()
    assert ours.summary["adapter"].read_bytes() == expected
    assert (cut / "final_adapter.safetensors").read_bytes() == expected


def test_a_training_continues(
    tmp_path: Path, data_file: Path, tokenizer: QwenTokenizerWrapper
) -> None:
    dataset = SFTDataset(data_file, tokenizer)
    options: dict[str, Any] = {"lora_dropout": 0.1, "max_steps": 6, "save_every": 1}
    whole = Trainer(model_of(), config_for(tmp_path / "whole", **options), dataset)
    whole.train()

    def stop_at_3(step: int, metrics: dict[str, Any]) -> None:
        if step == 3:
            raise StopTraining

    parts = config_for(tmp_path / "parts", **options)
    first = Trainer(model_of(), parts, dataset, on_step=stop_at_3)
    with pytest.raises(StopTraining):
        first.train()
    assert first.step_count == 3
    assert first.optimizer is not None and first.optimizer.step == 3
    second = Trainer(model_of(), parts, dataset)
    assert second.train()["step"] == 6
    name = "step_00000006/adapters.safetensors"
    assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    name = "step_00000006/optimizer_state.safetensors"
    assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()

    with pytest.raises(InvalidArgument, match="--lora-rank: expected 4.*got 8"):
        Trainer(model_of(), config_for(tmp_path / "parts", lora_rank=8), dataset).train()
    with pytest.raises(InvalidArgument, match="expected the examples that the run began with"):
        Trainer(model_of(), parts, SFTDataset(ROWS[:2], tokenizer)).train()


def test_tokens_train_like_the_file(
    tmp_path: Path, data_file: Path, tokenizer: QwenTokenizerWrapper
) -> None:
    files = SFTDataset(data_file, tokenizer)
    from_list = SFTDataset(ROWS, tokenizer)
    tokens = [tuple(np.array(part) for part in files[i]) for i in range(len(files))]
    assert [list(x) for x in from_list] == [list(x) for x in files]
    results = []
    for number, dataset in enumerate((files, from_list, tokens)):
        trainer = Trainer(model_of(), config_for(tmp_path / f"run{number}"), dataset)
        trainer.train()
        results.append(tensors_of(trainer.summary["adapter"]))
    for name, values in results[0].items():
        np.testing.assert_array_equal(results[1][name], values)
        np.testing.assert_array_equal(results[2][name], values)


@pytest.mark.parametrize("use_dora", [False, True])
def test_any_adapters_and_weights_are_trained(
    tmp_path: Path, tokenizer: QwenTokenizerWrapper, use_dora: bool
) -> None:
    model = model_of(quantize=True)
    paths = apply_lora_to_model(
        model, rank=2, scale=4.0, targets=("q_proj", "out_proj"), use_dora=use_dora
    )
    assert paths == [
        *(f"layer_{i}.ssm.out_proj" for i in (0, 1)),
        *(f"layer_{i}.attention.q_proj" for i in (2, 3)),
        *(f"layer_{i}.ssm.out_proj" for i in (4, 5)),
    ]
    adapter = model.layer_2.attention.q_proj
    begin = np.full(adapter.lora_b.shape, 0.01, np.float32)
    adapter.lora_b = begin
    trainer = Trainer(model, config_for(tmp_path / "run"), SFTDataset(ROWS, tokenizer))
    trainer.train()
    saved = tensors_of(trainer.summary["adapter"])
    assert {name.rpartition(".")[0] for name in saved} == set(paths)
    assert 0 < np.abs(adapter.lora_b - begin).max() < 0.009  # it began with what was set
    np.testing.assert_array_equal(adapter.lora_b, saved["layer_2.attention.q_proj.lora_b"])
    described = json.loads((tmp_path / "run" / "adapter_config.json").read_text())
    assert described["fine_tune_type"] == ("dora" if use_dora else "lora")
    assert described["lora_parameters"] == {"rank": 2, "dropout": 0, "scale": 4}


def test_random_and_changed_models_are_trained(
    tmp_path: Path, tokenizer: QwenTokenizerWrapper
) -> None:
    config = BitAxonConfig.small()
    model = BitAxonModel(config, seed=3, device="cpu")
    tokens = [(list(range(1, 20)), [1] * 19)]
    result = Trainer(model, config_for(tmp_path / "a", max_steps=2), tokens).train()
    assert 0 < result["loss"] < 20
    changed = BitAxonModel(config, seed=3, device="cpu")
    changed.output_proj.weight = 2 * changed.output_proj.weight
    other = Trainer(changed, config_for(tmp_path / "b", max_steps=2), tokens).train()
    assert other["loss"] != result["loss"]
    ids = np.array([[1, 2, 3]])
    assert np.isfinite(changed(ids)[0]).all()


@pytest.mark.parametrize("format", ["mlx", "nf4"])
def test_quantized_models_are_trained(
    tmp_path: Path, tokenizer: QwenTokenizerWrapper, format: str
) -> None:
    quantize(BUNDLED, tmp_path / "codes", format=format)
    model = load_model(tmp_path / "codes", device="cpu", precision="exact", parallel=1)
    ids = np.array([tokenizer.encode("Who is number 3?")])
    before, _ = model(ids)
    config = config_for(tmp_path / "run", max_steps=3, learning_rate=3e-4)
    Trainer(model, config, SFTDataset(ROWS, tokenizer)).train()
    after, _ = model(ids)
    assert np.abs(after - before).max() > 0.01
    if format == "nf4":  # its arrays cannot be read, so nothing can be folded in
        with pytest.raises(NotImplementedError, match="NF4"):
            merge_adapters(model)
        return
    assert isinstance(model.layer_0.ssm.in_proj.linear, QuantizedLinear)
    merge_adapters(model)
    assert isinstance(model.layer_0.ssm.in_proj, QuantizedLinear)
    quantized, _ = model(ids)
    dequantize_model(model)
    np.testing.assert_allclose(model(ids)[0], quantized, atol=0.02)


def test_a_ported_model_is_trained(tmp_path: Path, tokenizer: QwenTokenizerWrapper) -> None:
    config = BitAxonConfig.small()
    config.vocab_size = 512
    text = "".join(tokenizer.render_chat(row["messages"])[0] for row in ROWS)
    mapping = build_vocab_mapping(BUNDLED, 512, text)
    weights = qwen_weights(BitAxonConfig.small())
    model, _ = initialize_from_qwen_weights(weights, mapping, config, device="cpu")
    dataset = SFTDataset(ROWS, tokenizer)
    of_model = SFTDataset(ROWS, tokenizer, vocab_mapping=mapping)
    assert of_model[0][0] == [mapping[i] for i in dataset[0][0]]
    losses = [
        Trainer(model, config_for(tmp_path / str(i), max_steps=1), data).train()["loss"]
        for i, data in enumerate((dataset, of_model))
    ]
    assert losses[0] == losses[1]
    # A weight that is set does not lose the mapping.
    base = model.output_proj.linear
    base.weight = np.array(base.weight) * 2
    assert json.loads(model.info["vocab_mapping"])
    Trainer(model, config_for(tmp_path / "2", max_steps=1), dataset).train()
    small, _ = initialize_from_qwen_weights(weights, None, config, device="cpu")
    with pytest.raises(FormatError, match="--unmapped skip leaves them out"):
        Trainer(small, config_for(tmp_path / "3"), dataset).train()


def test_preferences(tmp_path: Path, tokenizer: QwenTokenizerWrapper) -> None:
    dataset = ORPODataset(PAIRS, tokenizer)
    chosen_ids, chosen_mask, rejected_ids, rejected_mask = dataset[0]
    assert len(chosen_ids) == len(chosen_mask) and len(rejected_ids) == len(rejected_mask)
    seen: list[dict[str, Any]] = []
    config = config_for(
        tmp_path / "run", training_mode="orpo", max_steps=20, learning_rate=3e-4, max_seq_len=96
    )
    trainer = ORPOTrainer(
        model_of(), config, dataset, dataset, on_step=lambda _, metrics: seen.append(metrics)
    )
    before = trainer.evaluate()["loss"]
    result = trainer.train()
    assert set(result) == {
        *("step", "loss", "grad_norm", "chosen_reward", "rejected_reward"),
        *("reward_margin", "reward_accuracy"),
    }
    assert trainer.evaluate()["loss"] < before
    assert result["reward_margin"] > seen[0]["reward_margin"]
    assert seen[0]["chosen_reward"] == pytest.approx(0.1 * seen[0]["chosen_logps"])
    with pytest.raises(InvalidArgument, match="expected an SFTDataset, got ORPODataset"):
        Trainer(model_of(), config_for(tmp_path / "x"), dataset).train()
    with pytest.raises(InvalidArgument, match="use an ORPOTrainer"):
        Trainer(model_of(), config, SFTDataset(ROWS, tokenizer)).train()


def test_checkpoints(tmp_path: Path, tokenizer: QwenTokenizerWrapper) -> None:
    assert get_latest_checkpoint(tmp_path / "none") is None
    trainer = Trainer(model_of(), config_for(tmp_path / "run"), SFTDataset(ROWS, tokenizer))
    loss = trainer.train()["loss"]
    latest = get_latest_checkpoint(tmp_path / "run")
    assert latest == tmp_path / "run" / "step_00000004"
    model = model_of()
    with pytest.raises(InvalidArgument, match="expected adapters, got none"):
        save_adapter_only(model, tmp_path / "no.safetensors")
    apply_lora_to_model(model, rank=4, use_dora=True)
    assert trainer.optimizer is not None
    optimizer = type(trainer.optimizer)()
    assert load_checkpoint(model, optimizer, latest) == (4, pytest.approx(loss))
    assert optimizer.step == 4 and optimizer.learning_rate == trainer.optimizer.learning_rate
    folder = save_checkpoint(model, optimizer, 1500, 1.25, tmp_path / "own")
    assert folder == tmp_path / "own" / "step_00001500"
    for name in ("adapters.safetensors", "optimizer_state.safetensors"):
        ours, theirs = tensors_of(folder / name), tensors_of(latest / name)
        assert ours.keys() == theirs.keys()
        for key in ours.keys() - {"step"}:
            np.testing.assert_array_equal(ours[key], theirs[key])
    assert json.loads((folder / "training_state.json").read_text()) == {"step": 1500, "loss": 1.25}
    for step in (1501, 1502, 1503):
        save_checkpoint(model, None, step, 1.0, tmp_path / "own")
    left = sorted(path.name for path in (tmp_path / "own").glob("step_*"))
    assert left == ["step_00001501", "step_00001502", "step_00001503"]

    other = model_of()
    apply_lora_to_model(other, rank=2, use_dora=True)
    with pytest.raises(InvalidArgument, match=r"input_proj\.lora_a: expected the shape \[128, 2\]"):
        load_checkpoint(other, None, folder.with_name("step_00001503"))
    (folder.with_name("step_00001503") / "optimizer_state.safetensors").unlink()
    with pytest.raises(OSError, match="optimizer_state"):
        load_checkpoint(model, None, folder.with_name("step_00001503"))
    save_adapter_only(model, tmp_path / "adapter.safetensors")
    with model_of(adapter=tmp_path / "adapter") as adapted:
        ids = np.array([[5, 6, 7]])
        np.testing.assert_allclose(adapted(ids)[0], model(ids)[0], atol=1e-6)


def test_a_manual_checkpoint_is_continued(tmp_path: Path, tokenizer: QwenTokenizerWrapper) -> None:
    model = model_of()
    apply_lora_to_model(model, rank=4, use_dora=True)
    save_checkpoint(model, None, 2, 1.0, tmp_path / "run")
    trainer = Trainer(model, config_for(tmp_path / "run"), SFTDataset(ROWS, tokenizer))
    trainer.setup()
    assert trainer.step_count == 2
    assert trainer.train()["step"] == 4


def test_adapters_of_load_model(tmp_path: Path, tokenizer: QwenTokenizerWrapper) -> None:
    model = model_of()
    apply_lora_to_model(model, rank=2, scale=3.0)
    adapter = model.layer_0.ssm.in_proj
    adapter.lora_b = np.full(adapter.lora_b.shape, 0.02, np.float32)
    save_adapter_only(model, tmp_path / "a.safetensors")
    ids = np.array([tokenizer.encode("ROMEO:")])
    expected, _ = model(ids)
    plain, _ = model_of()(ids)
    assert np.abs(expected - plain).max() > 1e-3
    with load(
        BUNDLED, adapter=tmp_path / "a.safetensors", device="cpu", precision="exact"
    ) as other:
        np.testing.assert_allclose(other(ids)[0], expected, atol=1e-6)
    with pytest.raises(InvalidArgument, match="scale"):
        model_of(adapter=tmp_path / "a.safetensors", lora_scale=5.0)
    with pytest.raises(InvalidArgument, match="lora_scale: expected an adapter"):
        model_of(lora_scale=5.0)
    with pytest.raises(OSError, match="none"):
        model_of(adapter=tmp_path / "none")
    with model_of(adapter=tmp_path) as adapted:
        with pytest.raises(InvalidArgument, match="without adapters"):
            apply_lora_to_model(adapted)
        with pytest.raises(Unsupported, match="loaded without adapter="):
            Trainer(adapted, config_for(tmp_path / "r"), SFTDataset(ROWS, tokenizer)).train()


class Sensor:
    temperature: float | None = 50.0


def test_heat(tmp_path: Path, tokenizer: QwenTokenizerWrapper) -> None:
    sensor = Sensor()
    cooling = CoolingScheduler(sensor, ThermalPolicy(60, 70, 80, pause_duration=0.01))
    cooling.check_before_step(0)
    assert cooling.total_pause_time == 0 and not cooling.should_reduce_batch()
    sensor.temperature = 65.0
    assert cooling.should_reduce_batch()
    sensor.temperature = 75.0
    cool = threading.Timer(0.1, lambda: setattr(sensor, "temperature", 55.0))
    cool.start()
    cooling.check_before_step(1)
    assert 0.05 < cooling.total_pause_time < 5
    sensor.temperature = None
    assert not cooling.should_reduce_batch()

    def heat(step: int, metrics: dict[str, Any]) -> None:
        sensor.temperature = 81.0 if step == 2 else 50.0

    dataset = SFTDataset(ROWS, tokenizer)
    trainer = Trainer(
        model_of(), config_for(tmp_path / "run"), dataset, None, cooling, on_step=heat
    )
    with pytest.raises(ThermalShutdownError, match=r"step 2: 81\.0C: expected less than 80\.0C"):
        trainer.train()
    assert get_latest_checkpoint(tmp_path / "run") == tmp_path / "run" / "step_00000002"
    for values in ({"max_speed_temp": 85.0}, {"pause_temp": 95.0}):
        with pytest.raises(ValueError, match=next(iter(values))):
            ThermalPolicy(**values)


def test_ctrl_c_saves(tmp_path: Path, data_file: Path) -> None:
    code = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from bit_axon import QwenTokenizerWrapper
from bit_axon.inference import load_model
from bit_axon.training import *
data = SFTDataset({str(data_file)!r}, QwenTokenizerWrapper({str(BUNDLED)!r}))
config = TrainingConfig(max_steps=100000, output_dir={str(tmp_path / "run")!r})
def tell(step, metrics):
    print(step, flush=True)
trainer = Trainer(load_model({str(BUNDLED)!r}, device="cpu"), config, data, on_step=tell)
try:
    trainer.train()
except KeyboardInterrupt:
    print("stopped", trainer.step_count, trainer.optimizer.step)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read().split("\n")
        assert process.wait() == 0
        assert time.monotonic() - begin < 20
    word, step, updates = rest[-2].split()
    assert word == "stopped" and step == updates
    assert get_latest_checkpoint(tmp_path / "run") is not None


def test_mistakes_are_named(tmp_path: Path, tokenizer: QwenTokenizerWrapper) -> None:
    dataset = SFTDataset(ROWS, tokenizer)
    for options, message in (
        ({"learning_rate": -1.0}, "learning_rate: expected a number from 0"),
        ({"max_steps": 0}, "max_steps: expected a whole number >= 1, got 0"),
        ({"packing": "tight"}, "packing: expected isolated or concat or none, got 'tight'"),
        ({"lora_targets": ("z_proj",)}, "z_proj"),
        ({"min_lr": 1.0}, "min_lr: expected at most"),
    ):
        with pytest.raises(InvalidArgument, match=message):
            Trainer(model_of(), config_for(tmp_path / "x", **options), dataset).train()
    bad: Any
    for bad, message in (
        ([([1, 2, 99999], [1, 1, 1])], r"dataset\[0\]: expected token ids of the model"),
        (
            [([1, 2, 3], [1, 1])],
            r"dataset\[0\]: expected a loss mask of the 3 tokens, got one of 2",
        ),
        ([], "dataset: expected at least one example"),
        ([([1, 2, 3], [0, 0, 0])], "expected an example to learn from"),
    ):
        with pytest.raises(FormatError, match=message):
            Trainer(model_of(), config_for(tmp_path / "x"), bad).train()
    with pytest.raises(InvalidArgument, match=r"dataset\[0\]: expected \(token_ids, loss_mask\)"):
        Trainer(model_of(), config_for(tmp_path / "x"), [3]).train()
    with pytest.raises(InvalidArgument, match="dataset: expected an object with a length"):
        Trainer(model_of(), config_for(tmp_path / "x"), iter([])).train()
    with pytest.raises(InvalidArgument, match="model: expected a BitAxonModel"):
        Trainer(None, config_for(tmp_path / "x"), dataset).train()  # type: ignore[arg-type]
    assert not (tmp_path / "x").exists()
    model = model_of()
    apply_lora_to_model(model)
    with pytest.raises(InvalidArgument, match="without adapters, got one with adapters"):
        apply_lora_to_model(model)
