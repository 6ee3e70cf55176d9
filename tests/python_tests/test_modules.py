"""Modules as containers of arrays: reading, setting, loading, saving, sharing."""

from __future__ import annotations

import numpy as np
import pytest
from bit_axon import BitAxonConfig, InvalidArgument, IoError
from bit_axon._module import Module
from bit_axon.layers import (
    MLP,
    AxonSSM,
    Embedding,
    Linear,
    RMSNorm,
    SwitchLinear,
    set_device,
    set_seed,
)


@pytest.fixture(autouse=True)
def on_the_cpu():
    set_device("cpu", 1)
    set_seed(1)


class Pair(Module):
    """A tied model of two layers."""

    def __init__(self):
        super().__init__()
        self.table = Embedding(5, 4)
        self.head = Linear(4, 5, bias=False)
        self.head.share("weight", self.table)


def test_a_weight_that_is_set_is_used_by_the_next_call():
    layer = Linear(3, 2, bias=False)
    x = np.ones((1, 3), np.float32)
    for factor in (1, 2):
        layer.weight = np.full((2, 3), factor, np.float16)
        assert layer(x).tolist() == [[3 * factor, 3 * factor]]


def test_parts_of_a_layer_follow_their_weights():
    layer = MLP(4, 6)
    x = np.ones((1, 4), np.float32)
    before = layer(x)
    layer.down_proj.weight = 2 * layer.down_proj.weight
    np.testing.assert_allclose(layer(x), 2 * before, rtol=1e-6)
    layer.down_proj = Linear(6, 4, bias=False)
    assert not np.allclose(layer(x), 2 * before)


def test_arrays_of_numpy_are_copies_that_cannot_be_changed():
    layer = RMSNorm(3)
    weight = np.ones(3, np.float32)
    layer.weight = weight
    weight[0] = 5
    assert layer.weight[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        layer.weight[0] = 5


def test_initial_weights_have_the_documented_form():
    layer = AxonSSM(BitAxonConfig(hidden_dim=8, ssm_expand=2, ssm_d_state=3))
    assert layer.conv1d.weight.shape == (16, 4, 1)
    np.testing.assert_allclose(np.exp(layer.A_log), [[1, 2, 3]] * 16, rtol=1e-6)
    assert (layer.D == 1).all() and (layer.conv1d.bias == 0).all()
    bound = 1 / np.sqrt(8)
    assert abs(layer.in_proj.weight).max() <= bound < 1.2 * abs(layer.in_proj.weight).max()
    assert SwitchLinear(4, 4, 2).weight.dtype == np.float16
    assert Linear(4, 4, bias=False).bias is None


def test_a_seed_gives_the_same_weights_again():
    first = Linear(4, 4).parameters()
    other = Linear(4, 4).parameters()
    set_seed(1)
    again = Linear(4, 4).parameters()
    np.testing.assert_array_equal(first["weight"], again["weight"])
    assert not np.array_equal(first["weight"], other["weight"])


def test_parameters_are_a_nested_dict():
    tree = MLP(4, 6).parameters()
    assert {name: list(part) for name, part in tree.items()} == {
        "gate_proj": ["weight"],
        "up_proj": ["weight"],
        "down_proj": ["weight"],
    }
    names = [path for path, _ in MLP(4, 6).named_modules()]
    assert names == ["", "gate_proj", "up_proj", "down_proj"]


BAD_VALUES = {
    "shape": (np.ones((3, 2)), "Linear.weight: expected the shape \\[2, 3\\], got \\[3, 2\\]"),
    "integers": (np.ones((2, 3), np.int64), "expected floating-point numbers, got int64"),
    "text": ("abc", "Linear.weight: expected"),
}


@pytest.mark.parametrize("case", BAD_VALUES)
def test_a_value_that_does_not_fit_is_refused(case):
    layer = Linear(3, 2)
    before = layer.weight
    value, message = BAD_VALUES[case]
    with pytest.raises(InvalidArgument, match=message):
        layer.weight = value
    assert layer.weight is before


def test_numbers_that_are_not_finite_are_refused_by_name():
    layer = Linear(3, 2)
    layer.weight = np.array([[1, 2, 3], [4, np.nan, 6]])
    with pytest.raises(InvalidArgument, match="Linear.weight: expected finite numbers, got nan at"):
        layer(np.ones((1, 3)))


def test_unknown_names_are_refused():
    layer = Linear(3, 2)
    with pytest.raises(AttributeError, match="no parameter 'wieght'; its parameters are"):
        layer.wieght = np.ones((2, 3))
    with pytest.raises(AttributeError, match="no attribute 'wieght'"):
        print(layer.wieght)
    with pytest.raises(InvalidArgument, match="expected a module, got ndarray"):
        MLP(4, 6).gate_proj = np.ones((6, 4))


def test_weights_are_loaded_all_or_none():
    layer = MLP(4, 6)
    before = layer.parameters()
    good = [(f"{name}_proj.weight", np.ones((6, 4), np.float32)) for name in ("gate", "up")]
    with pytest.raises(ValueError, match="missing 1 parameters: down_proj.weight"):
        layer.load_weights(good)
    with pytest.raises(ValueError, match="received 1 parameters not in MLP: other.weight"):
        layer.load_weights([*good, ("other.weight", np.ones(1))], strict=True)
    with pytest.raises(ValueError, match="down_proj.weight: expected the shape"):
        layer.load_weights([*good, ("down_proj.weight", np.ones((6, 4)))], strict=False)
    assert layer.gate_proj.weight is before["gate_proj"]["weight"]
    assert layer.load_weights([*good, ("other.weight", np.ones(1))], strict=False) is layer
    assert (layer.up_proj.weight == 1).all()


def test_weights_survive_a_file(tmp_path):
    first, second = MLP(4, 6, bias=True), MLP(4, 6, bias=True)
    first.gate_proj.weight = np.ones((6, 4), np.float16)
    first.save_weights(tmp_path / "weights.safetensors")
    second.load_weights(str(tmp_path / "weights.safetensors"))
    x = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)
    np.testing.assert_array_equal(first(x), second(x))
    assert second.gate_proj.weight.dtype == np.float16
    with pytest.raises(IoError):
        second.load_weights(tmp_path / "absent.safetensors")


def test_update_sets_some_arrays():
    layer = MLP(4, 6)
    layer.update({"up_proj": {"weight": np.zeros((6, 4))}})
    assert (layer(np.ones((1, 4))) == 0).all()
    with pytest.raises(InvalidArgument, match="not in MLP: up_proj.wieght"):
        layer.update({"up_proj": {"wieght": np.zeros((6, 4))}})


def test_a_shared_array_is_one_object_until_it_is_set_apart():
    model = Pair()
    assert model.table.weight is model.head.weight
    model.table.weight = np.ones((5, 4))
    assert model.head(np.ones((1, 4))).tolist() == [[4] * 5]
    model.head.weight = np.zeros((5, 4))
    assert (model.table.weight == 1).all()
    assert (model.head(np.ones((1, 4))) == 0).all()


def test_the_version_tells_what_callers_have_changed():
    model = Pair()
    version = model.version
    model.table([1])
    assert model.version == version and not model.assigned_parameters()
    Linear(2, 2).weight = np.ones((2, 2))
    assert model.version == version
    model.table.weight = np.ones((5, 4))
    assert model.version > version
    assert set(model.assigned_parameters()) == {"table.weight", "head.weight"}
    version = model.version
    model.head = Linear(4, 5)
    assert model.version > version


def test_arrays_come_from_a_source_when_they_are_needed():
    asked = []

    def source(path, shape):
        asked.append(path)
        return np.full(shape, 2, np.float32)

    layer = MLP(4, 6)
    layer.bind(source)
    assert asked == []
    assert layer.up_proj.weight[0, 0] == 2 and asked == ["up_proj.weight"]
    layer(np.ones((1, 4)))
    assert sorted(asked) == ["down_proj.weight", "gate_proj.weight", "up_proj.weight"]
    assert not layer.assigned_parameters()
