"""Loads the output of `bit-axon quantize` in mlx-lm and in transformers.

Usage: quantized.py PROGRAM. Makes a small model with random weights of each family, quantizes it
in each layout, and compares the logits of the other program with those of `bit-axon logits`. Exits
with 1 if they differ.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file

transformers.utils.logging.disable_progress_bar()

IDS = [3, 17, 99, 4, 4, 120, 64, 1, 30, 77, 2, 51]
SIZES = {"vocab_size": 131, "hidden_size": 128, "num_hidden_layers": 2, "bos_token_id": 0,
         "eos_token_id": 0, "pad_token_id": 0}
ATTENTION = {"intermediate_size": 192, "num_attention_heads": 4, "num_key_value_heads": 2}
JAMBA = {"intermediate_size": 128, "num_attention_heads": 4, "num_key_value_heads": 2,
         "attn_layer_period": 2, "attn_layer_offset": 1, "mamba_dt_rank": 64, "mamba_expand": 1}
MODELS = {
    "qwen2": transformers.Qwen2Config(**SIZES, **ATTENTION, tie_word_embeddings=True),
    "qwen3": transformers.Qwen3Config(**SIZES, **ATTENTION, head_dim=32, tie_word_embeddings=True),
    "qwen3 untied": transformers.Qwen3Config(**SIZES, **ATTENTION, head_dim=32),
    "qwen3_moe": transformers.Qwen3MoeConfig(
        **SIZES, **ATTENTION, head_dim=32, num_experts=4, num_experts_per_tok=2,
        moe_intermediate_size=64, norm_topk_prob=True),
    "mamba": transformers.MambaConfig(**SIZES, intermediate_size=192, time_step_rank=64),
    "falcon_mamba": transformers.FalconMambaConfig(**SIZES, intermediate_size=192,
                                                   time_step_rank=64, tie_word_embeddings=False),
    "jamba": transformers.JambaConfig(**SIZES, **JAMBA, num_experts=1),
}
LAYOUTS = {"mlx, 4 bits": ["--format", "mlx"],
           "mlx, 8 bits": ["--format", "mlx", "--bits", "8"],
           "mlx, 4 bits, groups of 32": ["--format", "mlx", "-g", "32"],
           "nf4": ["--format", "nf4"],
           "nf4, double": ["--format", "nf4", "--double-quant"]}


def make_model(config, folder):
    torch.manual_seed(1)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1 and not name.endswith("A_log"):
                weight.copy_(torch.randn(weight.shape) * weight.shape[-1] ** -0.5)
    model.save_pretrained(folder)
    # mlx-lm reads the keys that transformers 4 wrote, as published files have them.
    file = folder / "config.json"
    written = json.loads(file.read_text())
    if "rope_parameters" in written:
        written["rope_theta"] = written["rope_parameters"]["rope_theta"]
    if "num_local_experts" in written:
        written["num_experts"] = written["num_local_experts"]
    file.write_text(json.dumps(written))


def logits_of_mlx(folder):
    import mlx.core as mx
    import mlx_lm.utils
    model, _ = mlx_lm.utils.load_model(folder)
    model.set_dtype(mx.float32)
    return torch.tensor(model(mx.array([IDS])).astype(mx.float32).tolist()[0])


def logits_of_transformers(folder):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    linears = [m for m in model.modules() if type(m).__name__ == "Linear4bit"]
    assert linears, "transformers found no quantized layer"
    for linear in linears:
        linear.support_avx512bf16_for_cpu = False  # a kernel that rounds to bfloat16
    with torch.no_grad():
        return model(torch.tensor([IDS]), use_cache=False).logits[0].float()


def logits_of(program, folder, out):
    subprocess.run([program, "logits", "-m", str(folder), "--device", "reference", "--quiet",
                    "--ids", ",".join(map(str, IDS)), "--out", str(out)], check=True)
    return load_file(out)["logits"]


def main(program):
    failures = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for family, config in MODELS.items():
            original = folder / family.replace(" ", "-")
            make_model(config, original)
            for layout, flags in LAYOUTS.items():
                if family == "qwen3_moe" and layout.startswith("nf4"):
                    continue  # transformers 5 does not give codes to experts
                quantized = folder / "quantized"
                subprocess.run(["rm", "-rf", str(quantized)], check=True)
                subprocess.run([program, "quantize", str(original), "--quiet", "-o",
                                str(quantized)] + flags, check=True, stdout=subprocess.DEVNULL)
                ours = logits_of(program, quantized, folder / "logits.safetensors")
                read = logits_of_mlx if layout.startswith("mlx") else logits_of_transformers
                try:
                    theirs = read(quantized)
                    error = float((ours - theirs).norm() / theirs.norm())
                    said = f"logits differ by {error:.1e}"
                    good = error < 1e-4
                except Exception as problem:
                    said, good = f"{type(problem).__name__}: {problem}", False
                failures += not good
                print(f"{'ok    ' if good else 'FAILED'} {family}, {layout}: {said}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
