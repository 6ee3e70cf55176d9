"""What Bit-Axon's documentation shows, with the bundled model in place of the hub's.

The model lies in a Hugging Face cache under the id of the documentation, so the calls are those of
the documentation. They run with numpy and, where it is installed, beside MLX.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bit_axon import BitAxonConfig, BitAxonModel, QwenTokenizerWrapper
from bit_axon.inference import GenerateConfig, generate, load_model
from bit_axon.utils.cache import KVCache
from conftest import BUNDLED

HUB_ID = "skyoo2003/bit-axon"


@pytest.fixture(scope="module", autouse=True)
def hub_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("hub")
    repository = home / "hub" / "models--skyoo2003--bit-axon"
    snapshot = repository / "snapshots" / "0123456789abcdef0123456789abcdef01234567"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(snapshot.name)
    for file in BUNDLED.iterdir():
        (snapshot / file.name).symlink_to(file)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
            patch.delenv(name, raising=False)
        patch.setenv("HF_HOME", str(home))
        yield home


@pytest.fixture(scope="module")
def model(hub_cache: Path) -> BitAxonModel:
    return load_model(HUB_ID, quantize=True)


@pytest.fixture(scope="module")
def hub_tokenizer(hub_cache: Path) -> QwenTokenizerWrapper:
    return QwenTokenizerWrapper(HUB_ID)


def libraries() -> list[Any]:
    plain = SimpleNamespace(
        array=lambda x, dtype="uint32": np.array(x, dtype=dtype),
        uint32="uint32",
        argmax=np.argmax,
        kind=np.ndarray,
    )
    try:
        import mlx.core as mx
    except ImportError:
        return [plain]
    return [
        plain,
        SimpleNamespace(array=mx.array, uint32=mx.uint32, argmax=mx.argmax, kind=mx.array),
    ]


def test_basic_generation(model: BitAxonModel, hub_tokenizer: QwenTokenizerWrapper) -> None:
    result = generate(
        model,
        hub_tokenizer,
        "Explain async/await in Python.",
        config=GenerateConfig(max_tokens=256),
    )
    assert result.tokens_per_sec > 0
    assert isinstance(result.text, str)
    assert all(isinstance(token, int) for token in result.token_ids)
    assert result.completion_tokens == len(result.token_ids)
    assert result.prompt_tokens > 0
    assert result.time_to_first_token_ms is not None


def test_reproducible_output(model: BitAxonModel, hub_tokenizer: QwenTokenizerWrapper) -> None:
    config = GenerateConfig(temperature=0.8, seed=42)
    result1 = generate(model, hub_tokenizer, "What is life?", config=config)
    result2 = generate(model, hub_tokenizer, "What is life?", config=config)
    assert result1.text == result2.text


def test_chat_with_messages(model: BitAxonModel, hub_tokenizer: QwenTokenizerWrapper) -> None:
    messages = [
        {"role": "system", "content": "You are a concise technical writer."},
        {"role": "user", "content": "Explain KV caching."},
    ]
    result = generate(model, hub_tokenizer, "", messages=messages)
    ids = hub_tokenizer.apply_chat_template(messages, add_generation_prompt=True)
    assert result.prompt_tokens == len(ids)
    wrapped = generate(model, hub_tokenizer, "What is attention?", chat=True)
    assert wrapped.prompt_tokens > len(hub_tokenizer.encode("What is attention?"))
    text = "".join(generate(model, hub_tokenizer, "", messages=messages, stream=True))
    assert isinstance(text, str)


def test_streaming(model: BitAxonModel, hub_tokenizer: QwenTokenizerWrapper) -> None:
    config = GenerateConfig(max_tokens=256, temperature=0.7, seed=1)
    gen = generate(model, hub_tokenizer, "Tell me a story.", config=config, stream=True)
    text = ""
    for piece in gen:
        text += piece
    result = gen.return_value
    assert result.text == text
    assert result.completion_tokens > 0


@pytest.mark.parametrize(
    "config",
    [
        GenerateConfig(temperature=0.0),
        GenerateConfig(temperature=1.0),
        GenerateConfig(top_k=10),
        GenerateConfig(top_k=0),
        GenerateConfig(top_p=0.8),
        GenerateConfig(top_p=1.0),
        GenerateConfig(temperature=0.2, top_k=20, top_p=0.85),
        GenerateConfig(
            max_tokens=512,
            temperature=0.6,
            top_k=50,
            top_p=0.95,
            repetition_penalty=1.0,
            seed=42,
        ),
    ],
)
def test_sampling_strategies(
    model: BitAxonModel, hub_tokenizer: QwenTokenizerWrapper, config: GenerateConfig
) -> None:
    config.max_tokens = 20
    assert generate(model, hub_tokenizer, "prompt", config=config).completion_tokens <= 20


@pytest.mark.parametrize("library", libraries())
def test_the_cache_of_the_guide(model: BitAxonModel, library: Any) -> None:
    input_ids = library.array([[1, 42, 100, 200, 500]], dtype=library.uint32)
    logits, caches = model(input_ids)
    assert isinstance(logits, library.kind)
    assert tuple(logits.shape) == (1, 5, model.config.vocab_size)
    third = len(caches) // 3
    assert all(cache is None for cache in caches[:third])
    assert all(isinstance(cache, KVCache) for cache in caches[third : 2 * third])
    assert all(cache is None for cache in caches[2 * third :])
    tokens = [1, 42, 100, 200, 500]
    for _ in range(3):
        token = int(library.argmax(logits[:, -1], -1)[0])
        tokens.append(token)
        next_token = library.array([[token]], dtype=library.uint32)
        logits, caches = model(next_token, cache=caches)
    whole, _ = model(library.array([tokens], dtype=library.uint32))
    np.testing.assert_array_equal(np.array(whole)[:, -1], np.array(logits)[:, -1])


@pytest.mark.parametrize("library", libraries())
def test_the_readme(library: Any) -> None:
    config = BitAxonConfig(hidden_dim=256, num_layers=4, num_heads=4, d_source_model=128)
    model = BitAxonModel(config)
    logits, caches = model(library.array([[1, 42, 100, 200, 500]]))
    assert tuple(logits.shape) == (1, 5, 32000)
    assert len(caches) == 4


def test_a_custom_configuration(tmp_path: Path) -> None:
    for file in BUNDLED.iterdir():
        if file.name != "config.json":
            (tmp_path / file.name).symlink_to(file)
    import json

    values = json.loads((BUNDLED / "config.json").read_text())
    known = {key: values[key] for key in values if key in BitAxonConfig.__dataclass_fields__}
    model = load_model(str(tmp_path), config=BitAxonConfig(**known))
    assert model.config.num_layers == 6
    expected, _ = load_model(BUNDLED)(np.array([[1, 2]]))
    np.testing.assert_array_equal(model(np.array([[1, 2]]))[0], expected)


def test_the_import_is_light() -> None:
    code = "import sys, bit_axon; print(sorted({'numpy', 'mlx', 'torch'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ},
    )
    assert done.stdout.strip() == "[]"


def test_public_names_are_not_hidden_by_modules() -> None:
    code = (
        "from bit_axon import *; import bit_axon; from bit_axon import Device; "
        "assert callable(bit_axon.devices) and callable(bit_axon.load); "
        "assert all(getattr(bit_axon, name) is not None for name in bit_axon.__all__); "
        "print(type(bit_axon.devices()[0]) is Device)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
