"""Models made from the weights of Qwen2.5."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bit_axon import BitAxonConfig, InvalidArgument
from bit_axon._errors import FormatError, NotFound
from bit_axon._weights import WeightSource
from bit_axon.inference import load_model
from bit_axon.porting.pipeline import initialize_from_qwen_weights, save_ported_model
from bit_axon.porting.vocab_map import build_vocab_mapping, load_truncated_tokenizer
from bit_axon.porting.weight_map import build_key_mappings, enumerate_target_keys
from bit_axon.tokenizer import QwenTokenizerWrapper
from conftest import BUNDLED


def qwen_weights(config: BitAxonConfig) -> dict[str, Any]:
    rng = np.random.default_rng(5)

    def normal(*shape: int) -> Any:
        return rng.normal(size=shape).astype(np.float32) * 0.05

    width, n = config.d_source_model, 4 * config.d_source_model
    weights = {"model.embed_tokens.weight": normal(2 * config.vocab_size, width)}
    for i in range(config.num_layers):
        name = f"model.layers.{i}"
        weights[f"{name}.input_layernorm.weight"] = 1 + normal(width)
        weights[f"{name}.post_attention_layernorm.weight"] = 1 + normal(width)
        weights[f"{name}.mlp.gate_proj.weight"] = normal(n, width)
        weights[f"{name}.mlp.up_proj.weight"] = normal(n, width)
        weights[f"{name}.mlp.down_proj.weight"] = normal(width, n)
    return weights


def test_rules_of_weights() -> None:
    mappings = build_key_mappings(BitAxonConfig())
    counts = Counter(mapping.transform for mapping in mappings)
    assert counts["pad_2048_2560"] == 72 - 32 or counts["pad_2048_2560"] > 0
    assert counts["vocab_extract"] == 2
    names = enumerate_target_keys(BitAxonConfig())
    assert names == sorted(names) and len(names) == len(mappings)
    by_name = {mapping.target_key: mapping for mapping in mappings}
    assert by_name["embed_tokens.weight"].source_key == "model.embed_tokens.weight"
    norm = by_name["layer_5.input_norm.weight"]
    assert norm.source_key == "model.layers.5.input_layernorm.weight"
    gate = by_name["layer_10.moe.shared_expert.gate_proj.weight"]
    assert (gate.source_key, gate.transform) == (
        "model.layers.10.mlp.gate_proj.weight",
        "moe_project",
    )
    assert by_name["layer_0.ssm.A_log"].source_key is None


def test_a_model_of_qwen_weights(tmp_path: Path) -> None:
    config = BitAxonConfig.small()
    weights = qwen_weights(config)
    model, mapping = initialize_from_qwen_weights(weights, config=config, device="cpu")
    assert mapping == {i: i for i in range(config.vocab_size)}
    table = weights["model.embed_tokens.weight"]
    np.testing.assert_array_equal(model.embed_tokens.weight, table[: config.vocab_size])
    width = config.d_source_model
    norm = np.array(model.layer_1.input_norm.weight)
    np.testing.assert_array_equal(norm[:width], weights["model.layers.1.input_layernorm.weight"])
    assert (norm[width:] == 1).all()
    ids = np.array([[1, 2, 3]])
    logits, _ = model(ids)
    assert np.isfinite(logits).all()

    wanted = {config.vocab_size + i: i for i in range(config.vocab_size)}
    other, returned = initialize_from_qwen_weights(weights, wanted, config, seed=1, device="cpu")
    assert returned == wanted
    np.testing.assert_array_equal(other.embed_tokens.weight, table[config.vocab_size :])
    save_ported_model(other, tmp_path / "out" / "model.safetensors", wanted)
    names = set(WeightSource.of_files(tmp_path / "out" / "model.safetensors"))
    assert "embed_tokens.weight" in names and "layer_0.ssm.A_log" in names
    again = load_model(tmp_path / "out" / "model.safetensors", config, device="cpu")
    expected, _ = other(ids)
    np.testing.assert_array_equal(again(ids)[0], expected)
    found = json.loads(again.info["vocab_mapping"])
    assert {int(old): new for old, new in found.items()} == wanted


def test_wrong_sources_are_named() -> None:
    config = BitAxonConfig.small()
    weights = qwen_weights(config)
    with pytest.raises(InvalidArgument, match="vocab_mapping: expected ids below"):
        initialize_from_qwen_weights(weights, {0: config.vocab_size}, config)
    missing = dict(weights)
    del missing["model.layers.0.input_layernorm.weight"]
    with pytest.raises(FormatError, match=r"model\.layers\.0\.input_layernorm\.weight"):
        initialize_from_qwen_weights(missing, config=config)


def test_a_vocabulary_is_chosen() -> None:
    whole = QwenTokenizerWrapper(BUNDLED)
    size = 400
    text = (BUNDLED.parents[1] / "models" / "texts" / "king-james.txt").read_text()[:5000]
    for corpus in (None, text):
        mapping = build_vocab_mapping(BUNDLED, target_size=size, corpus_text=corpus)
        assert sorted(mapping.values()) == list(range(size))
        assert mapping[whole.token_id("<|im_end|>")] >= size - 3
        tokenizer = load_truncated_tokenizer(BUNDLED, mapping)
        encoded = tokenizer.encode("Hello, world! \u00fc")
        assert encoded.ids and max(encoded.ids) < size and len(encoded) == len(encoded.tokens)
        assert tokenizer.decode(encoded.ids) == "Hello, world! \u00fc"
        assert tokenizer.get_vocab_size() == size
        assert tokenizer.token_to_id("<|im_end|>") == mapping[whole.token_id("<|im_end|>")]
    with pytest.raises(InvalidArgument, match="10"):
        build_vocab_mapping(BUNDLED, target_size=10)
    with pytest.raises(NotFound):
        build_vocab_mapping(Path("/none"))
