"""The modules of a model, computed one by one, against recorded logits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bit_axon import BitAxonConfig, Unsupported
from bit_axon._model_tree import ModelTree
from bit_axon._weights import WeightSource
from bit_axon.layers import AxonSWAMoEBlock, QuantizedLinear, QuantizedSwitchLinear, set_device
from bit_axon.utils.cache import KVCache

GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.fixture(autouse=True)
def on_the_cpu():
    set_device("cpu", 1)


def tree_of(case):
    config = BitAxonConfig(**json.loads((GOLDEN / case / "config.json").read_text()))
    return config, ModelTree(config, WeightSource.of_files(GOLDEN / case / "model.safetensors"))


def new_caches(config, tree):
    return [
        KVCache(config.swa_window_size) if isinstance(block, AxonSWAMoEBlock) else None
        for block in tree.blocks()
    ]


def logits_of(tree, ids, caches):
    x = tree.input_proj(tree.embed_tokens(ids))
    for i, block in enumerate(tree.blocks()):
        x, caches[i] = block(x, caches[i])
    return tree.lm_head(tree.output_proj(x))


@pytest.mark.parametrize("case", ["tiny_window", "tiny_mixed", "tiny_q4_linear_only"])
def test_the_layers_of_a_model_give_its_recorded_logits(case):
    config, tree = tree_of(case)
    recorded = WeightSource.of_files(GOLDEN / case / "io.safetensors")
    caches = new_caches(config, tree)
    logits = logits_of(tree, recorded["input_ids"][None], caches)
    np.testing.assert_allclose(logits[0], recorded["prefill_logits"], atol=2e-4, rtol=2e-4)
    for token, expected in zip(recorded["greedy_ids"][:4], recorded["decode_logits"][1:]):
        row = logits_of(tree, np.array([[token]]), caches)
        np.testing.assert_allclose(row[0, 0], expected, atol=2e-4, rtol=2e-4)


def test_matrices_that_are_stored_in_codes_are_quantized_modules():
    _, tree = tree_of("tiny_q4_linear_only")
    kinds = {type(module) for module in tree.modules()}
    assert QuantizedLinear in kinds and QuantizedSwitchLinear not in kinds
    names = {path for path, _ in tree.named_parameters()}
    assert "layer_0.ssm.in_proj.scales" in names


def test_names_are_those_of_the_file():
    _, tree = tree_of("tiny_window")
    stored = set(WeightSource.of_files(GOLDEN / "tiny_window" / "model.safetensors"))
    assert {path for path, _ in tree.named_parameters()} - stored <= {"lm_head.weight"}
    assert stored <= {path for path, _ in tree.named_parameters()}


def test_a_tied_head_is_the_array_of_the_embedding():
    tree = ModelTree(BitAxonConfig.small())
    assert tree.embed_tokens.weight is tree.lm_head.weight
    untied = ModelTree(BitAxonConfig(**{**vars(BitAxonConfig.small()), "weight_tying": False}))
    assert untied.embed_tokens.weight is not untied.lm_head.weight


def test_nothing_is_assigned_until_a_caller_does_it():
    _, tree = tree_of("tiny_window")
    version = tree.version
    tree.parameters()
    assert tree.version == version and not tree.assigned_parameters()
    tree.layer_0.ssm.D = np.zeros_like(tree.layer_0.ssm.D)
    assert list(tree.assigned_parameters()) == ["layer_0.ssm.D"]


def test_a_model_without_shared_experts():
    config = BitAxonConfig(**{**vars(BitAxonConfig.small()), "moe_shared_expert": False})
    tree = ModelTree(config)
    assert not any("shared" in path for path, _ in tree.named_parameters())
    x = np.ones((1, 2, config.hidden_dim), np.float32)
    assert np.isfinite(tree.layer_1.moe(x)).all()


def test_nf4_is_no_array_of_a_module():
    _, tree = tree_of("tiny_nf4")
    with pytest.raises(
        Unsupported, match="layer_0.ssm.in_proj.weight: the file holds it in a form"
    ):
        print(tree.layer_0.ssm.in_proj.weight)
