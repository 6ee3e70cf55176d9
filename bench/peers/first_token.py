"""The time from the start of a process to its first token, with a model of 4 bits and 0.6 billion
parameters in the form in which it is published: safetensors, bfloat16 scales, a large tokenizer."""

import json
import os
import subprocess
import time
from pathlib import Path

import numpy as np

from processes import BUILD, PeersError
from shapes import Shape

GROUP = 64
N_TOKENS = 151643  # of the vocabulary without the added ones
ADDED = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *(f"<|added_{i}|>" for i in range(23))]
PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
           r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def bf16(values: np.ndarray) -> np.ndarray:
    """The upper halves of float32 values: bfloat16, rounded towards zero."""
    return (values.astype("<f4").view("<u4") >> 16).astype("<u2")


def model_tensors(rng, shape: Shape):
    """Yields (name, safetensors type, values), as mlx-community publishes this family."""

    def matrix(name: str, rows: int, cols: int):
        yield name + ".weight", "U32", rng.integers(0, 2**32, (rows, cols // 8), np.uint32)
        scales = np.full((rows, cols // GROUP), cols**-0.5 / 4.6)
        yield name + ".scales", "BF16", bf16(scales)
        yield name + ".biases", "BF16", bf16(-7.5 * scales)

    def norm(name: str, size: int):
        yield name + ".weight", "BF16", bf16(np.ones(size))

    heads = shape.attention
    yield from matrix("model.embed_tokens", shape.vocab, shape.hidden)
    for i in range(shape.layers):
        at = f"model.layers.{i}."
        yield from norm(at + "input_layernorm", shape.hidden)
        yield from matrix(at + "self_attn.q_proj", heads.heads * heads.head_dim, shape.hidden)
        yield from matrix(at + "self_attn.k_proj", heads.kv_heads * heads.head_dim, shape.hidden)
        yield from matrix(at + "self_attn.v_proj", heads.kv_heads * heads.head_dim, shape.hidden)
        yield from matrix(at + "self_attn.o_proj", shape.hidden, heads.heads * heads.head_dim)
        yield from norm(at + "self_attn.q_norm", heads.head_dim)
        yield from norm(at + "self_attn.k_norm", heads.head_dim)
        yield from norm(at + "post_attention_layernorm", shape.hidden)
        yield from matrix(at + "mlp.gate_proj", shape.feed_forward, shape.hidden)
        yield from matrix(at + "mlp.up_proj", shape.feed_forward, shape.hidden)
        yield from matrix(at + "mlp.down_proj", shape.hidden, shape.feed_forward)
    yield from norm("model.norm", shape.hidden)


def write_safetensors(path: Path, tensors: list) -> None:
    header, offset = {}, 0
    for name, kind, values in tensors:
        end = offset + values.nbytes
        header[name] = {"dtype": kind, "shape": values.shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, _, values in tensors:
            file.write(values.tobytes())


def byte_letters() -> list[str]:
    """The printable letter that byte-level vocabularies write for each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def tokenizer(rng) -> dict:
    """A byte-level vocabulary as large as the published one, with merges of random tokens."""
    tokens = byte_letters()
    known, merges = set(tokens), []
    letters = [ord(letter) for letter in "etaoinshrdlucmfwypvbgk"]
    common = [tokens[byte] for byte in (32, *letters)]
    while len(tokens) < N_TOKENS:
        # Half of the left parts are among the first tokens, so that tokens stay short.
        for left, right, short in rng.random((4096, 3)):
            pool = common if short < 0.5 else tokens
            pair = (pool[int(left * len(pool))], tokens[int(right * right * len(tokens))])
            merged = pair[0] + pair[1]
            if len(merged) <= 12 and merged not in known and len(tokens) < N_TOKENS:
                known.add(merged)
                tokens.append(merged)
                merges.append(pair)
    added = [{"id": N_TOKENS + i, "content": text, "single_word": False, "lstrip": False,
              "rstrip": False, "normalized": False, "special": True}
             for i, text in enumerate(ADDED)]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False,
                  "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated",
             "invert": False}
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
             "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False,
             "ignore_merges": False, "vocab": {token: i for i, token in enumerate(tokens)},
             "merges": merges}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
            "normalizer": {"type": "NFC"},
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
            "post_processor": byte_level, "decoder": byte_level, "model": model}


def config(shape: Shape) -> dict:
    quantization = {"group_size": GROUP, "bits": 4}
    return {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3",
            "vocab_size": shape.vocab, "hidden_size": shape.hidden,
            "num_hidden_layers": shape.layers, "intermediate_size": shape.feed_forward,
            "num_attention_heads": shape.attention.heads,
            "num_key_value_heads": shape.attention.kv_heads,
            "head_dim": shape.attention.head_dim, "hidden_act": "silu", "rms_norm_eps": 1e-6,
            "rope_theta": 1000000, "max_position_embeddings": 40960,
            "tie_word_embeddings": shape.tied, "attention_bias": False,
            "bos_token_id": N_TOKENS, "eos_token_id": N_TOKENS + 2, "torch_dtype": "bfloat16",
            "quantization": quantization, "quantization_config": quantization}


def model_folder(preset: str, shape: Shape) -> Path:
    """The folder of the model, written when it does not exist yet."""
    folder = BUILD / "models" / f"{preset}-4bit"
    if folder.exists():
        return folder
    unfinished = folder.with_name(folder.name + ".unfinished")
    unfinished.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    write_safetensors(unfinished / "model.safetensors", list(model_tensors(rng, shape)))
    texts = {
        "config.json": config(shape),
        "tokenizer.json": tokenizer(rng),
        "tokenizer_config.json": {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>",
                                  "bos_token": None, "add_bos_token": False},
    }
    for name, content in texts.items():
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (unfinished / name).write_text(text, encoding="utf-8")
    os.replace(unfinished, folder)
    return folder


def measure(program: Path, folder: Path, threads: int, rounds: int) -> list[float]:
    """Seconds from the start to the end of a process that prints one token. One run before the
    others brings the files into the page cache."""
    command = [str(program), "run", "--model", str(folder), "--device", "cpu", "--threads",
               str(threads), "--seed", "1", "--max-tokens", "1", "--quiet", "--prompt",
               "What is the meaning of this?"]
    seconds = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        seconds.append(time.perf_counter() - start)
        if done.returncode != 0:
            raise PeersError(f"status {done.returncode} from: {' '.join(command)}: "
                             f"{done.stderr.strip()}")
    return seconds[1:]
