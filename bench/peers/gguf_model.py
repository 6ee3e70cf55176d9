"""Writes GGUF files with random weights for llama.cpp."""

import os
from pathlib import Path

import gguf
import numpy as np

from shapes import Shape

F32 = gguf.GGMLQuantizationType.F32
FORMATS = {
    "q4_0": gguf.GGMLQuantizationType.Q4_0,
    "q4_k": gguf.GGMLQuantizationType.Q4_K,
}
ARCHITECTURES = {"qwen3": "qwen3", "falcon_mamba": "mamba", "jamba": "jamba"}
Q4_0_STD = 4.61  # of the codes -8 to 7
Q4_K_STD = 170.0  # of the products of a 6-bit scale and a 4-bit code, around their mean


def random_matrix(rng, rows: int, cols: int, kind) -> np.ndarray:
    """The bytes of a matrix whose products keep the size of activations: [rows, bytes of a row]."""
    block, size = gguf.GGML_QUANT_SIZES[kind]
    n_bytes = rows * cols // block * size
    words = rng.integers(0, 2**64, -(-n_bytes // 8), np.uint64)  # rng.bytes is twelve times slower
    blocks = words.view(np.uint8)[:n_bytes].reshape(-1, size)
    scales = cols**-0.5 * rng.uniform(0.5, 1.5, len(blocks))
    if kind == FORMATS["q4_0"]:
        blocks[:, :2] = (scales / Q4_0_STD).astype("<f2").view(np.uint8).reshape(-1, 2)
    else:
        # w = d * scale * code - dmin * minimum: the means of both terms are equal.
        scales = scales[:, None] / Q4_K_STD * np.array([1.0, 7.5])
        blocks[:, :4] = scales.astype("<f2").view(np.uint8).reshape(-1, 4)
    return blocks.reshape(rows, -1)


def layer_tensors(shape: Shape, layer: int):
    """The name of each tensor of a layer with its shape ("matrix"), or with its values."""
    at = f"blk.{layer}."
    hidden = shape.hidden
    yield at + "attn_norm.weight", np.ones(hidden)
    if layer in shape.attention_layers:
        heads = shape.attention
        yield at + "attn_q.weight", (heads.heads * heads.head_dim, hidden)
        yield at + "attn_k.weight", (heads.kv_heads * heads.head_dim, hidden)
        yield at + "attn_v.weight", (heads.kv_heads * heads.head_dim, hidden)
        yield at + "attn_output.weight", (hidden, heads.heads * heads.head_dim)
        if shape.family == "qwen3":
            yield at + "attn_q_norm.weight", np.ones(heads.head_dim)
            yield at + "attn_k_norm.weight", np.ones(heads.head_dim)
    else:
        yield from ssm_tensors(shape, at)
    if shape.feed_forward:
        yield at + "ffn_norm.weight", np.ones(hidden)
        yield at + "ffn_gate.weight", (shape.feed_forward, hidden)
        yield at + "ffn_up.weight", (shape.feed_forward, hidden)
        yield at + "ffn_down.weight", (hidden, shape.feed_forward)


def ssm_tensors(shape: Shape, at: str):
    ssm = shape.ssm
    yield at + "ssm_in.weight", (2 * ssm.inner, shape.hidden)
    yield at + "ssm_conv1d.weight", np.full((ssm.inner, ssm.conv), 1 / ssm.conv)
    yield at + "ssm_conv1d.bias", np.zeros(ssm.inner)
    yield at + "ssm_x.weight", (ssm.rank + 2 * ssm.state, ssm.inner)
    yield at + "ssm_dt.weight", (ssm.inner, ssm.rank)
    # softplus(-4) is 0.018, a usual time step. The file stores -exp(A_log), here -1 to -state.
    yield at + "ssm_dt.bias", np.full(ssm.inner, -4.0)
    yield at + "ssm_a", np.tile(-np.arange(1.0, ssm.state + 1), (ssm.inner, 1))
    yield at + "ssm_d", np.ones(ssm.inner)
    if shape.family == "jamba":  # Falcon's norms have no weights
        yield at + "ssm_dt_norm.weight", np.ones(ssm.rank)
        yield at + "ssm_b_norm.weight", np.ones(ssm.state)
        yield at + "ssm_c_norm.weight", np.ones(ssm.state)
    yield at + "ssm_out.weight", (shape.hidden, ssm.inner)


def tensors(shape: Shape):
    yield "token_embd.weight", (shape.vocab, shape.hidden)
    for layer in range(shape.layers):
        yield from layer_tensors(shape, layer)
    yield "output_norm.weight", np.ones(shape.hidden)
    if not shape.tied:
        yield "output.weight", (shape.vocab, shape.hidden)


def add_keys(writer: gguf.GGUFWriter, shape: Shape) -> None:
    writer.add_context_length(1 << 20)  # beyond what is measured
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_layer_norm_rms_eps(1e-5 if shape.family == "falcon_mamba" else 1e-6)
    writer.add_vocab_size(shape.vocab)
    # No program here turns text into ids, so the file needs no vocabulary.
    writer.add_tokenizer_model("none")
    heads = shape.attention
    writer.add_head_count(heads.heads if heads else 0)
    if heads:
        writer.add_head_count_kv(
            [heads.kv_heads if i in shape.attention_layers else 0 for i in range(shape.layers)])
        writer.add_key_length(heads.head_dim)
        writer.add_value_length(heads.head_dim)
    if shape.family == "qwen3":
        writer.add_rope_freq_base(1e6)
    if shape.ssm:
        writer.add_ssm_conv_kernel(shape.ssm.conv)
        writer.add_ssm_inner_size(shape.ssm.inner)
        writer.add_ssm_state_size(shape.ssm.state)
        writer.add_ssm_time_step_rank(shape.ssm.rank)
        writer.add_ssm_dt_b_c_rms(shape.family == "falcon_mamba")


def write_gguf(path: Path, shape: Shape, kind_name: str) -> None:
    """Writes the file under a temporary name and renames it. All matrices have one format, the
    embedding too, as `llama-quantize --pure` makes it."""

    def kind_of(cols: int):
        wanted = FORMATS[kind_name]
        return wanted if cols % gguf.GGML_QUANT_SIZES[wanted][0] == 0 else FORMATS["q4_0"]

    unfinished = path.with_suffix(".unfinished")
    writer = gguf.GGUFWriter(unfinished, ARCHITECTURES[shape.family])
    add_keys(writer, shape)
    for name, content in tensors(shape):
        if isinstance(content, tuple):
            rows, cols = content
            kind = kind_of(cols)
            block, size = gguf.GGML_QUANT_SIZES[kind]
            row_bytes = cols // block * size
            writer.add_tensor_info(name, (rows, row_bytes), np.dtype(np.uint8), rows * row_bytes,
                                   kind)
        else:
            writer.add_tensor_info(name, content.shape, np.dtype(np.float32), content.size * 4, F32)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    rng = np.random.default_rng(1)
    for _, content in tensors(shape):
        if isinstance(content, tuple):
            writer.write_tensor_data(random_matrix(rng, *content, kind_of(content[1])))
        else:
            writer.write_tensor_data(content.astype(np.float32))
    writer.close()
    os.replace(unfinished, path)
