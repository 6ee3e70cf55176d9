"""Makes a Bit-Axon model of the weights of Qwen2.5."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import bit_axon._engine as engine
from bit_axon._arrays import as_numpy
from bit_axon._errors import InvalidArgument
from bit_axon._options import checked_seed, config_text
from bit_axon._reload import adapters_of, stored_tensors
from bit_axon._weights import StoredTensor, write_safetensors
from bit_axon.config import BitAxonConfig
from bit_axon.inference import load_model
from bit_axon.model import BitAxonModel

__all__ = ["initialize_from_qwen_weights", "save_ported_model"]

StrPath = str | os.PathLike[str]


def initialize_from_qwen_weights(
    qwen_weights: Mapping[str, Any],
    vocab_mapping: Mapping[int, int] | None = None,
    config: BitAxonConfig | None = None,
    *,
    seed: int = 42,
    expert_noise: float | None = None,
    **load: Any,
) -> tuple[BitAxonModel, dict[int, int]]:
    """Makes a model whose embedding, norms and feed-forward parts come from Qwen2.5. All other
    weights are random, so it has to be trained before its answers mean anything.

    For a whole Qwen2.5, `bit-axon port-weights` needs less memory, because it reads the weights
    piece by piece.

    Args:
        qwen_weights: The weights by their names, arrays of any library.
        vocab_mapping: The model's ids by ids of Qwen2.5. None: the first ids.
        config: The shape of the model. None: BitAxonConfig().
        seed: The seed of everything random.
        expert_noise: The noise of the experts, as a multiple of the deviation of the weights that
            they copy. None: noise of deviation 0.02.
        load: Further options of load_model(), such as device.

    Returns:
        (model, vocab_mapping).

    Raises:
        FormatError: for a weight that is missing or has another shape.
        InvalidArgument: if the width of the source is not config.d_source_model.
    """
    config = config or BitAxonConfig()
    if vocab_mapping is None:
        ids = {i: i for i in range(config.vocab_size)}
    else:
        ids = {int(old): int(new) for old, new in vocab_mapping.items()}
    outside = [new for new in ids.values() if not 0 <= new < config.vocab_size]
    if outside:
        raise InvalidArgument(
            f"vocab_mapping: expected ids below {config.vocab_size}, got {outside[0]}"
        )
    folder = tempfile.TemporaryDirectory(prefix="bit-axon-")
    source, output = Path(folder.name) / "source", Path(folder.name) / "model"
    source.mkdir()
    tensors = {name: _stored(name, array) for name, array in qwen_weights.items()}
    write_safetensors(source / "model.safetensors", tensors)
    engine.port(source, output, config_text(config), ids, checked_seed(seed, "seed"), expert_noise)
    (source / "model.safetensors").unlink()
    model = load_model(output, **load)
    # The model reads its files when a weight is needed.
    weakref.finalize(model, folder.cleanup)
    return model, ids


def _stored(name: str, array: Any) -> StoredTensor:
    values = as_numpy(array, name=name)
    if values.dtype not in (np.float16, np.float32):
        values = values.astype(np.float32)
    return StoredTensor.of(values)


def save_ported_model(
    model: BitAxonModel, output_path: StrPath, vocab_mapping: Mapping[int, int]
) -> None:
    """Writes the weights of a model and its mapping to a safetensors file. The folder of the file
    is made if it is missing.

    Args:
        model: The model.
        output_path: The file.
        vocab_mapping: The mapping, which the engine reads from the file's metadata.
    """
    if not isinstance(model, BitAxonModel) or adapters_of(model):
        raise InvalidArgument("model: expected a BitAxonModel without adapters")
    path = Path(output_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    mapping = engine.vocab_mapping_json({int(old): int(new) for old, new in vocab_mapping.items()})
    tensors = dict(stored_tensors(model))
    write_safetensors(path, tensors, {"format": "mlx", "vocab_mapping": mapping})
