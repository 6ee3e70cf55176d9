"""The shapes of the presets of bit-axon, so that the peers get the same ones."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Attention:
    heads: int
    kv_heads: int
    head_dim: int


@dataclass(frozen=True)
class Ssm:
    inner: int
    state: int
    conv: int
    rank: int


@dataclass(frozen=True)
class Shape:
    """A model. The layers in `attention_layers` have attention, the others have an SSM."""

    family: str
    parameters: int
    vocab: int
    hidden: int
    layers: int
    tied: bool
    attention_layers: tuple[int, ...] = ()
    attention: Attention | None = None
    ssm: Ssm | None = None
    feed_forward: int = 0


FAMILIES = {
    "qwen3-0.6b": "qwen3",
    "qwen3-4b": "qwen3",
    "falcon-mamba-7b": "falcon_mamba",
    "jamba-3b": "jamba",
}


def shape_of(preset: str, inspected: dict) -> Shape:
    """The shape of a preset, from what `bit-axon inspect --preset NAME --json` prints."""
    config = inspected["config"]
    common = {
        "family": FAMILIES[preset],
        "parameters": inspected["parameters"],
        "vocab": config["vocab_size"],
        "hidden": config["hidden_size"],
        "layers": config["num_hidden_layers"],
        "tied": config["tie_word_embeddings"],
    }
    if FAMILIES[preset] == "falcon_mamba":
        ssm = Ssm(config["intermediate_size"], config["state_size"], config["conv_kernel"],
                  config["time_step_rank"])
        return Shape(**common, ssm=ssm)
    heads = config["num_attention_heads"]
    attention = Attention(heads, config["num_key_value_heads"],
                          config.get("head_dim", config["hidden_size"] // heads))
    common |= {"attention": attention, "feed_forward": config["intermediate_size"]}
    layers = range(config["num_hidden_layers"])
    if FAMILIES[preset] == "qwen3":
        return Shape(**common, attention_layers=tuple(layers))
    ssm = Ssm(config["mamba_expand"] * config["hidden_size"], config["mamba_d_state"],
              config["mamba_d_conv"], config["mamba_dt_rank"])
    period, offset = config["attn_layer_period"], config["attn_layer_offset"]
    return Shape(**common, ssm=ssm,
                 attention_layers=tuple(i for i in layers if i % period == offset))
