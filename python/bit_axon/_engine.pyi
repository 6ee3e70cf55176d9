"""The extension module. Its functions take and return plain values; other modules use them."""

import os
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Path: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]

# devices.cpp
def list_devices() -> list[dict[str, Any]]: ...
def build_info() -> dict[str, Any]: ...

# profiling.cpp
def cpu_temperature() -> float | None: ...
def memory_bytes() -> int: ...
def peak_memory_bytes() -> int: ...
def reset_peak_memory() -> None: ...

# rewrite.cpp
def quantize(
    *,
    model: str,
    output: str,
    format: str,
    bits: int,
    group_size: int,
    nested: bool,
    config: str,
    on_progress: Callable[[int, int], None] | None,
) -> dict[str, Any]: ...
def merge(
    *,
    base: str,
    adapter: str,
    output: str,
    scale: float | None,
    rank: int | None,
    re_quantize: bool,
    dtype: str | None,
    bits: int | None,
    group_size: int | None,
    config: str,
    on_progress: Callable[[int, int], None] | None,
) -> dict[str, Any]: ...

# model.cpp
class LoadedModel:
    def describe(self) -> dict[str, Any]: ...
    def layers(self) -> list[dict[str, Any]]: ...

def load_model(path: Path, config: str, options: dict[str, Any]) -> LoadedModel: ...
def random_model(config: str, seed: int, options: dict[str, Any]) -> LoadedModel: ...
def drain_all() -> None: ...

class Sequences:
    position: int
    def __init__(self, model: LoadedModel, n: int) -> None: ...
    def __len__(self) -> int: ...
    def forward(
        self, ids: npt.NDArray[np.int32], all_logits: bool = True
    ) -> npt.NDArray[np.float32]: ...
    def keep(self) -> None: ...
    def take_back(self, start: int | None = None) -> None: ...
    def fork(self) -> Sequences: ...
    def reset(self) -> None: ...
    def seen(self) -> list[int]: ...
    def save(self, index: int, path: Path) -> None: ...
    def load(self, index: int, path: Path) -> None: ...
    def to_bytes(self, index: int) -> bytes: ...
    def from_bytes(self, index: int, data: bytes) -> None: ...
    def layer_state(self, layer: int) -> list[npt.NDArray[np.float32]]: ...

# generation.cpp
class Stream:
    def __init__(
        self, sequences: Sequences, tokenizer: Tokenizer | None, options: dict[str, Any]
    ) -> None: ...
    def begin(self, prompt: list[int]) -> None: ...
    def next(self, single: bool, n_taken: int) -> tuple[list[int], str, bool]: ...
    def abandon(self) -> None: ...
    def run(self) -> None: ...
    def close(self) -> None: ...
    def result(self) -> dict[str, Any] | None: ...

def generate_batch(
    model: LoadedModel,
    tokenizer: Tokenizer | None,
    prompts: list[list[int]],
    options: list[dict[str, Any]],
) -> list[dict[str, Any]]: ...

# sampling.cpp
def sample(
    logits: npt.NDArray[np.float32], options: dict[str, Any], seen: list[int], position: int
) -> list[int]: ...

# tensors.cpp
class Tensors:
    def __init__(self, path: Path) -> None: ...
    def names(self) -> list[str]: ...
    def form(self, name: str) -> tuple[str, list[int]]: ...
    def read(self, name: str) -> npt.NDArray[np.uint8]: ...

class RandomTensors:
    def __init__(self, config: str, seed: int) -> None: ...
    def names(self) -> list[str]: ...
    def form(self, name: str) -> tuple[str, list[int]]: ...
    def read(self, name: str) -> npt.NDArray[np.uint8]: ...

def write_safetensors(
    path: Path,
    tensors: list[tuple[str, str, list[int], npt.NDArray[np.uint8]]],
    metadata: dict[str, str],
) -> None: ...
def resolve_model(name: Path) -> tuple[str, str]: ...

# tokenizer.cpp
class Tokenizer:
    vocab_size: int
    ends: list[int]
    def encode(
        self, text: str, add_special: bool = False, plain: list[tuple[int, int]] = []
    ) -> list[int]: ...
    def decode(self, ids: list[int], skip_special: bool = False) -> str: ...
    def token_id(self, token: str) -> int | None: ...

class ChatTemplate:
    origin: str
    def render(
        self,
        messages: str,
        tools: str,
        add_generation_prompt: bool,
        variables: list[tuple[str, str]],
    ) -> tuple[str, list[tuple[int, int]]]: ...
    def uses(self, name: str) -> bool: ...

def load_tokenizer(name: Path) -> tuple[Tokenizer, str]: ...
def byte_tokenizer() -> Tokenizer: ...
def chatml() -> ChatTemplate: ...
def find_chat_template(folder: Path, tokenizer: Tokenizer) -> ChatTemplate: ...
def encode_for(
    model: LoadedModel,
    tokenizer: Tokenizer,
    text: str,
    add_special: bool,
    plain: list[tuple[int, int]],
) -> list[int]: ...
def decode_for(model: LoadedModel, tokenizer: Tokenizer, ids: list[int]) -> str: ...
def ends_for(model: LoadedModel, tokenizer: Tokenizer) -> list[int]: ...

# eager.cpp
_Bytes: TypeAlias = npt.NDArray[np.uint8]
_Floats: TypeAlias = npt.NDArray[np.float32]

class EagerDevice:
    def __init__(self, selector: str, n_threads: int = 0) -> None: ...
    @property
    def name(self) -> str: ...

class PackedWeight: ...

class RowLayer:
    def run(self, n_rows: int, inputs: list[_Bytes]) -> _Floats: ...

class SsmLayer:
    def run(
        self, n_sequences: int, n_rows: int, x: _Floats, tail: _Floats | None, h: _Floats | None
    ) -> tuple[_Floats, _Floats, _Floats]: ...

class AttentionLayer:
    def run(
        self,
        n_sequences: int,
        n_rows: int,
        x: _Floats,
        n_cached: int,
        keys: _Floats,
        values: _Floats,
        /,
    ) -> tuple[_Floats, _Floats, _Floats]: ...

def pack(
    device: EagerDevice,
    name: str,
    shape: tuple[int, int, int],
    dtype: str,
    data: _Bytes,
    scales: _Bytes | None = None,
    biases: _Bytes | None = None,
    group_size: int = 0,
    bits: int = 4,
) -> PackedWeight: ...
def linear_layer(
    device: EagerDevice, weight: PackedWeight, bias: PackedWeight | None
) -> RowLayer: ...
def norm_layer(device: EagerDevice, weight: PackedWeight, eps: float, /) -> RowLayer: ...
def feed_forward_layer(
    device: EagerDevice, gate: PackedWeight, up: PackedWeight, down: PackedWeight, /
) -> RowLayer: ...
def experts_layer(
    device: EagerDevice,
    router: PackedWeight,
    gate: PackedWeight,
    up: PackedWeight,
    down: PackedWeight,
    shared_router: PackedWeight | None,
    shared_gate: PackedWeight | None,
    shared_up: PackedWeight | None,
    shared_down: PackedWeight | None,
    top_k: int,
) -> RowLayer: ...
def switch_layer(device: EagerDevice, weight: PackedWeight, /) -> RowLayer: ...
def switch_swiglu_layer(
    device: EagerDevice, gate: PackedWeight, up: PackedWeight, top_k: int, /
) -> RowLayer: ...
def ssm_layer(
    device: EagerDevice,
    in_proj: PackedWeight,
    conv_weight: PackedWeight,
    conv_bias: PackedWeight,
    x_proj: PackedWeight,
    dt_weight: PackedWeight,
    dt_bias: PackedWeight,
    a_log: PackedWeight,
    skip: PackedWeight,
    out_proj: PackedWeight,
    dt_least: float,
    dt_most: float,
    /,
) -> SsmLayer: ...
def attention_layer(
    device: EagerDevice,
    q: PackedWeight,
    k: PackedWeight,
    v: PackedWeight,
    o: PackedWeight,
    n_heads: int,
    window: int,
    /,
) -> AttentionLayer: ...

# quantize.cpp
def quantize_affine(
    data: _Bytes, dtype: str, rows: int, cols: int, group_size: int, bits: int
) -> tuple[_Bytes, _Bytes, _Bytes]: ...
def dequantize_affine(
    data: _Bytes,
    scales: _Bytes,
    biases: _Bytes,
    dtype: str,
    rows: int,
    cols: int,
    group_size: int,
    bits: int,
) -> _Floats: ...

# evaluation.cpp: predicted tokens, and the sums of their losses and of the squares of these
def score_sequences(
    model: LoadedModel, ids: npt.NDArray[np.int32], batch_size: int
) -> tuple[int, float, float]: ...
def score_text(model: LoadedModel, ids: list[int], seq_length: int) -> tuple[int, float, float]: ...
def score_answers(
    model: LoadedModel, prompt: list[int], answers: list[list[int]]
) -> list[float]: ...

# training_data.cpp
class Examples:
    def __len__(self) -> int: ...
    def place_of(self, index: int) -> str: ...
    def form_of(self, index: int) -> str: ...
    def encode(
        self, index: int
    ) -> tuple[list[int], list[int], list[int], list[int], list[int]]: ...

def open_examples(
    paths: list[str],
    tokenizer: Tokenizer,
    chat_template: ChatTemplate,
    mapping: str,
    options: dict[str, Any],
) -> Examples: ...
def shuffled_order(n: int, seed: int, epoch: int) -> list[int]: ...

# training.cpp
def train(
    model: dict[str, Any],
    options: dict[str, Any],
    training: Any,
    validation: Any,
    before_step: Callable[[int], object] | None,
    on_metrics: Callable[[str], object] | None,
    on_line: Callable[[str, str], object] | None,
) -> dict[str, Any]: ...
def setting_words() -> dict[str, list[str]]: ...
def evaluate_training(
    model: dict[str, Any], options: dict[str, Any], examples: Any
) -> tuple[float, int]: ...
def adapted_layers(config: str, settings: dict[str, Any]) -> list[str]: ...
def learning_rate_at(options: dict[str, Any], n_done: int) -> float: ...

# training_files.cpp: tensors with their values and both moments
_Trained: TypeAlias = list[tuple[str, _Floats, _Floats, _Floats]]

def write_checkpoint(
    root: Path,
    tensors: _Trained,
    about: dict[str, Any],
    learning_rate: float,
    loss: float,
    n_kept: int,
) -> str: ...
def write_adapter(file: Path, tensors: _Trained, about: dict[str, Any]) -> None: ...
def read_checkpoint(folder: Path) -> dict[str, Any]: ...
def read_adapter(file: Path) -> dict[str, Any]: ...
def latest_checkpoint(folder: Path) -> str | None: ...
def draw_lora_a(seed: int, layer: int, n_in: int, rank: int) -> _Floats: ...
def orpo_terms(
    chosen: float, rejected: float, beta: float, inside: bool
) -> tuple[float, float]: ...

class ThermalControl:
    def __init__(
        self,
        warm: float,
        pause: float,
        stop: float,
        poll_seconds: float,
        sensor: Callable[[], float | None],
        sleep: Callable[[float], object],
    ) -> None: ...
    @property
    def temperature(self) -> float | None: ...
    @property
    def paused_seconds(self) -> float: ...
    def is_too_hot(self) -> bool: ...

# porting.cpp
def build_vocab_mapping(
    tokenizer: Path, target_size: int, corpus: str | None
) -> dict[int, int]: ...
def truncated_tokenizer(tokenizer: Path, ids: dict[int, int]) -> str: ...
def vocab_mapping_json(ids: dict[int, int]) -> str: ...
def build_key_mappings(config: str) -> list[tuple[str, str, str]]: ...
def port(
    source: Path,
    output: Path,
    config: str,
    ids: dict[int, int],
    seed: int,
    expert_noise: float | None,
) -> None: ...
