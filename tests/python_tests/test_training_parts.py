"""The parts of training: adapters of single layers, data sets, packing, losses."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bit_axon import BitAxonConfig, BitAxonModel, InvalidArgument, QwenTokenizerWrapper
from bit_axon._errors import FormatError, NotFound
from bit_axon.layers.linear import Linear, QuantizedLinear
from bit_axon.training import (
    AlpacaDataset,
    BatchCollator,
    CacheDataset,
    DoRALinear,
    LoRALinear,
    ORPODataset,
    PackedBatch,
    SequencePacker,
    SFTDataset,
    TrainingConfig,
    apply_lora_to_model,
    build_lr_schedule,
    collate_orpo_batch,
    compute_orpo_loss,
    get_logps,
    iterate_batches,
    iterate_orpo_batches,
)
from bit_axon.training.data import stream_jsonl
from bit_axon.training.orpo_loss import orpo_loss

MESSAGES = [
    {"role": "system", "content": "Be short."},
    {"role": "user", "content": "Who art thou?"},
    {"role": "assistant", "content": "A king."},
    {"role": "user", "content": "And thou?"},
    {"role": "assistant", "content": "A fool."},
]


@pytest.mark.parametrize("kind", [LoRALinear, DoRALinear])
@pytest.mark.parametrize("quantized", [False, True])
def test_one_layer(kind: Any, quantized: bool) -> None:
    rng = np.random.default_rng(1)
    base: Any = Linear(64, 48, bias=True)
    dense = np.array(base.weight)
    if quantized:
        base = QuantizedLinear.from_linear(base, group_size=32, bits=8)
    layer = kind.from_base(base, r=4, scale=5.0, seed=7)
    x = rng.normal(size=(2, 3, 64)).astype(np.float32)
    np.testing.assert_allclose(layer(x), base(x), rtol=1e-5, atol=1e-5)
    assert np.abs(layer.lora_a).max() <= 1 / 8 and not layer.lora_b.any()
    b = rng.normal(size=(4, 48)).astype(np.float32)
    layer.lora_b = b
    changed = dense.astype(np.float64) + 5.0 * (np.array(layer.lora_a, np.float64) @ b).T
    if kind is DoRALinear:
        m = 1 + rng.random(48).astype(np.float32)
        layer.m = m
        changed *= (m / np.linalg.norm(changed, axis=1))[:, None]
    expected = x @ changed.T.astype(np.float32) + np.array(base.bias)
    tolerance = 0.1 if quantized else 1e-4
    np.testing.assert_allclose(layer(x), expected, atol=tolerance)
    fused = layer.fuse()
    assert isinstance(fused, QuantizedLinear if quantized else Linear)
    np.testing.assert_allclose(fused(x), layer(x), atol=0.3 if quantized else 1e-4)
    np.testing.assert_allclose(layer.fuse(dequantize=True)(x), layer(x), atol=1e-4)


def test_a_row_of_zeros_stays() -> None:
    base = Linear(4, 3, bias=False)
    base.weight = np.array([[1, 0, 0, 0], [0, 0, 0, 0], [0, 2, 0, 0]], np.float32)
    layer = DoRALinear.from_base(base, r=1)
    np.testing.assert_array_equal(layer.m, [1, 0, 2])
    np.testing.assert_array_equal(layer(np.ones((1, 4), np.float32)), [[1, 0, 2]])


def test_layers_of_a_model() -> None:
    config = BitAxonConfig.small()
    model = BitAxonModel(config, seed=1, device="cpu")
    ids = np.arange(6)[None]
    before, _ = model(ids)
    paths = apply_lora_to_model(model, rank=4, use_dora=True)
    assert len(paths) == 21
    assert paths[0] == "input_proj" and paths[-1] == "output_proj"
    assert all("switch_mlp" not in path and "lm_head" not in path for path in paths)
    np.testing.assert_array_equal(model(ids)[0], before)
    layer = model.layer_0.ssm.in_proj
    assert isinstance(layer, DoRALinear)
    # The first values are those of the command: the same for the same seed.
    again = BitAxonModel(config, seed=1, device="cpu")
    assert apply_lora_to_model(again, rank=4) == paths
    np.testing.assert_array_equal(again.layer_0.ssm.in_proj.lora_a, layer.lora_a)
    assert not np.array_equal(model.input_proj.lora_a, model.output_proj.lora_a)
    with_three = BitAxonModel(config, seed=1, device="cpu")
    named = apply_lora_to_model(with_three, targets=("q_proj", "v_proj"), layers=3)
    assert named and all(path.endswith(("q_proj", "v_proj")) for path in named)
    # A block that is called alone has its adapters too.
    x = np.random.default_rng(0).normal(size=(1, 4, config.hidden_dim)).astype(np.float32)
    plain, _ = model.layer_0(x)
    layer.lora_b = np.full(layer.lora_b.shape, 0.05, np.float32)
    adapted, _ = model.layer_0(x)
    assert np.abs(np.array(adapted) - np.array(plain)).max() > 1e-3


def test_wrong_adapters_are_named() -> None:
    with pytest.raises(InvalidArgument, match="r: expected a rank from 1 to 4, got 5"):
        LoRALinear(8, 4, r=5)
    with pytest.raises(InvalidArgument, match="dropout: expected a number from 0 up to 1"):
        LoRALinear(8, 4, r=2, dropout=1.0)
    with pytest.raises(InvalidArgument, match="linear: expected a Linear or QuantizedLinear"):
        DoRALinear.from_base(object())
    model = BitAxonModel(BitAxonConfig.small(), seed=1)
    with pytest.raises(InvalidArgument, match="rank"):
        apply_lora_to_model(model, rank=0)
    with pytest.raises(InvalidArgument, match="x_proj"):
        apply_lora_to_model(model, targets=("x_proj",))
    assert isinstance(model.layer_0.ssm.in_proj, Linear)


def test_answers_are_the_targets(tokenizer: QwenTokenizerWrapper) -> None:
    rows = [{"messages": MESSAGES}]
    dataset = SFTDataset(rows, tokenizer)
    assert len(dataset) == 1
    ids, mask = dataset[0]
    assert len(ids) == len(mask) and set(mask) == {0, 1}
    learned = tokenizer.decode([i for i, m in zip(ids, mask, strict=True) if m], False)
    assert learned == "A king.<|im_end|>A fool.<|im_end|>"
    last, last_mask = SFTDataset(rows, tokenizer, train_on_last=True)[0]
    assert last == ids
    learned = tokenizer.decode([i for i, m in zip(last, last_mask, strict=True) if m], False)
    assert learned == "A fool.<|im_end|>"
    everything, all_mask = SFTDataset(rows, tokenizer, mask_prompt=False)[0]
    assert everything == ids and all(all_mask)
    original, original_mask = SFTDataset(rows, tokenizer, mask="like-original")[0]
    assert original_mask[-1] == 1 and len(original) == len(ids) + 1
    cut, _ = SFTDataset(rows, tokenizer, max_seq_len=10)[0]
    assert cut == ids[:10]
    with pytest.raises(IndexError):
        dataset[1]
    assert dataset[-1] == dataset[0]


def test_forms_of_examples(tokenizer: QwenTokenizerWrapper, tmp_path: Path) -> None:
    def learned(dataset: Any) -> str:
        ids, mask = dataset[0]
        return tokenizer.decode([i for i, m in zip(ids, mask, strict=True) if m], False)

    row = {"instruction": "Add.", "input": "1 and 1", "output": "Two."}
    assert learned(AlpacaDataset([row], tokenizer)) == "Two.<|im_end|>"
    talk = {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]}
    file = tmp_path / "talk.jsonl"
    file.write_text(json.dumps(talk) + "\n\n" + json.dumps(talk) + "\n")
    dataset = SFTDataset(file, tokenizer)
    assert len(dataset) == 2 and learned(dataset) == "Ho<|im_end|>"
    assert list(stream_jsonl(file)) == [talk, talk]
    cache = CacheDataset(dataset)
    assert cache[1] is cache[1] and len(cache) == 2
    assert cache.itemlen(0) == len(dataset[0][0])
    assert [list(item) for item in cache] == [list(item) for item in dataset]
    pair = {"prompt": "Which?", "chosen": "This.", "rejected": "That one."}
    chosen, chosen_mask, rejected, rejected_mask = ORPODataset([pair], tokenizer)[0]
    assert sum(chosen_mask) and sum(rejected_mask)
    n_prompt = chosen_mask.index(1)
    assert chosen[:n_prompt] == rejected[:n_prompt]


def test_bad_examples_are_named(tokenizer: QwenTokenizerWrapper, tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text(json.dumps({"messages": MESSAGES}) + "\n{\n")
    with pytest.raises(FormatError, match=r"bad\.jsonl:2"):
        SFTDataset(file, tokenizer)
    with pytest.raises(FormatError, match=r"examples\.jsonl:1: "):
        SFTDataset([{"messages": [{"role": "user", "content": None}]}], tokenizer)
    with pytest.raises(FormatError, match="at least one example"):
        SFTDataset([], tokenizer)
    with pytest.raises(NotFound, match="none"):
        SFTDataset(tmp_path / "none.jsonl", tokenizer)
    with pytest.raises(InvalidArgument, match="tokenizer: expected a QwenTokenizerWrapper"):
        SFTDataset(file, None)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="max-seq-len: expected at least 2"):
        SFTDataset([{"messages": MESSAGES}], tokenizer, max_seq_len=1)
    with pytest.raises(InvalidArgument, match="mask: expected content or like-original"):
        SFTDataset([{"messages": MESSAGES}], tokenizer, mask="other")
    only = SFTDataset([{"text": "abc"}], tokenizer, vocab_mapping={0: 0})
    with pytest.raises(FormatError, match="expected tokens of the vocab_mapping"):
        only[0]


def test_packing() -> None:
    packer = SequencePacker(max_seq_len=8, eos_token_id=99)
    assert packer.add_example([1, 2, 3], [0, 1, 1]) == []
    rows = packer.add_example(list(range(10, 18)), [1] * 8)
    assert rows == [PackedBatch([1, 2, 3, 99, 10, 11, 12, 13], [0, 1, 1, 0, 1, 1, 1, 1])]
    last = packer.flush()
    assert last is not None
    assert last.token_ids == [14, 15, 16, 17, 0, 0, 0, 0]
    assert last.loss_mask == [1] * 4 + [0] * 4
    assert packer.flush() is None
    assert [row.token_ids for row in packer.add_example(list(range(20)), [1] * 20)] == [
        list(range(8))
    ]
    packer.reset()
    assert packer.flush() is None
    with pytest.raises(InvalidArgument, match="expected 2 marks, got 1"):
        packer.add_example([1, 2], [1])


def test_batches() -> None:
    ids, labels = BatchCollator(2, 5).collate([PackedBatch([1, 2, 3, 4, 5], [0, 0, 1, 1, 0])])
    np.testing.assert_array_equal(ids, [[1, 2, 3, 4], [0, 0, 0, 0]])
    np.testing.assert_array_equal(labels, [[-100, 3, 4, -100], [-100] * 4])
    data = [([i] * 3, [1] * 3) for i in range(1, 6)]
    plain = list(iterate_batches(data, 1, 4, shuffle=False, eos_token_id=0))
    assert [batch[0].shape for batch in plain] == [(1, 3)] * 5  # 5 * 3 ids and 4 separators
    assert all(batch[1].dtype == np.int32 for batch in plain)
    endless = iterate_batches(data, 2, 4, loop=True, seed=3)
    epochs = [[next(endless)[0].tolist() for _ in range(2)] for _ in range(3)]
    assert epochs[0] != epochs[1] or epochs[1] != epochs[2]
    again = iterate_batches(data, 2, 4, loop=True, seed=3)
    assert [next(again)[0].tolist() for _ in range(2)] == epochs[0]
    with pytest.raises(FormatError, match="expected examples for a batch of 9 rows"):
        next(iterate_batches(data, 9, 4, loop=True))


def test_schedule() -> None:
    rate = build_lr_schedule(1e-4, 100, 10_000)
    assert rate(0) == 0 and rate(1) == pytest.approx(1e-6)
    assert rate(100) == rate(101) == pytest.approx(1e-4)
    assert rate(2500) == pytest.approx(8.62e-5, rel=1e-3)
    assert rate(10_001) == pytest.approx(0, abs=1e-12)
    assert build_lr_schedule(1e-4, 100, 10_000, initial_step=100)(0) == rate(100)
    assert build_lr_schedule(1e-4, 0, 10, min_lr=1e-5, schedule="linear")(10) == pytest.approx(1e-5)


def test_pairs_are_filled_up(tokenizer: QwenTokenizerWrapper) -> None:
    pairs = [([1, 2, 3], [0, 1, 1], [1, 9], [0, 1]), ([4] * 9, [1] * 9, [5], [1])]
    chosen, labels, rejected, rejected_labels = collate_orpo_batch(pairs, 5)
    np.testing.assert_array_equal(chosen, [[1, 2, 3, 0, 0], [4] * 5])
    np.testing.assert_array_equal(labels, [[-100, 2, 3, -100, -100], [4] * 5])
    np.testing.assert_array_equal(rejected, [[1, 9, 0, 0, 0], [5, 0, 0, 0, 0]])
    np.testing.assert_array_equal(rejected_labels, [[-100, 9] + [-100] * 3, [5] + [-100] * 4])
    sizes = [len(b[0]) for b in iterate_orpo_batches(pairs * 3, 4, loop=False, seed=1)]
    assert sizes == [4, 2]
    endless = iterate_orpo_batches(pairs, 1, seed=1)
    assert sum(len(next(endless)[0]) for _ in range(7)) == 7


class Stand:
    """A model of given logits."""

    def __init__(self, logits: np.ndarray[Any, Any]) -> None:
        self.logits = logits

    def __call__(self, ids: Any) -> tuple[Any, None]:
        return self.logits[: ids.shape[0], : ids.shape[1]], None


def test_orpo_loss() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(2, 6, 11))
    model = Stand(logits)
    ids = rng.integers(0, 11, (2, 6))
    labels = ids.copy()
    labels[:, :3] = -100
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    picked = np.take_along_axis(log_p[:, :-1], ids[:, 1:, None], -1)[..., 0]
    means = picked[:, 2:].mean(axis=1)
    np.testing.assert_allclose(get_logps(logits, labels), means)
    other = ids[:, ::-1].copy()
    other[:, :3] = -100
    r = get_logps(logits, other)
    odds = np.log(np.exp(means) / (1 - np.exp(means))) - np.log(np.exp(r) / (1 - np.exp(r)))
    penalty = float(np.log1p(np.exp(-0.1 * odds)).mean())
    assert orpo_loss(means, r) == pytest.approx(penalty)
    outside = float(0.1 * np.log1p(np.exp(-odds)).mean())
    assert orpo_loss(means, r, penalty="outside") == pytest.approx(outside)
    loss, metrics = compute_orpo_loss(model, ids, labels, np.abs(other), other)
    assert loss == pytest.approx(-means.mean() + penalty)
    assert metrics["reward_margin"] == pytest.approx(float((means - r).mean()))
    assert math.isfinite(orpo_loss([0.0], [-1e-20]))


def test_presets() -> None:
    low = TrainingConfig.low_memory_preset()
    assert (low.batch_size, low.max_seq_len, low.grad_accum_steps, low.lora_rank) == (1, 256, 8, 4)
    assert TrainingConfig.fast_dev().max_steps == 100
    TrainingConfig().check()
