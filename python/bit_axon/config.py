"""The configuration of a Bit-Axon model."""

from __future__ import annotations

from dataclasses import dataclass

from bit_axon._errors import InvalidArgument

__all__ = ["BitAxonConfig"]


@dataclass
class BitAxonConfig:
    """The shape of a Bit-Axon model. The defaults are the published 3.2B model.

    Attributes:
        vocab_size: Tokens of the vocabulary.
        hidden_dim: Width of the residual stream.
        num_layers: Layers: a third scans, a third attention with experts, a third scans with
            experts.
        num_heads: Heads of attention.
        d_source_model: Width of the embedding and of the head.
        ssm_d_state: Values of the recurrent state, per channel.
        ssm_d_conv: Taps of the causal convolution.
        ssm_expand: Channels of a scan, in units of hidden_dim.
        ssm_scan_step: Accepted and ignored: the engine chooses its own chunks.
        swa_window_size: The most positions that a token attends to, its own included.
        moe_num_experts: Experts of a layer, without the shared one.
        moe_top_k: Experts that a token chooses.
        moe_intermediate_dim: Width of an expert.
        moe_shared_expert: Whether there is an expert that every token uses.
        weight_tying: Whether the head uses the weights of the embedding.
        max_seq_len: The most tokens of a sequence.
        rms_norm_eps: Epsilon of every RMS norm.
    """

    vocab_size: int = 32000
    hidden_dim: int = 2560
    num_layers: int = 24
    num_heads: int = 32
    d_source_model: int = 2048
    ssm_d_state: int = 16
    ssm_d_conv: int = 4
    ssm_expand: int = 3
    ssm_scan_step: int = 64
    swa_window_size: int = 4096
    moe_num_experts: int = 8
    moe_top_k: int = 2
    moe_intermediate_dim: int = 4096
    moe_shared_expert: bool = True
    weight_tying: bool = True
    max_seq_len: int = 65536
    rms_norm_eps: float = 1e-6

    @property
    def head_dim(self) -> int:
        """Width of a head of attention.

        Raises:
            InvalidArgument: (a ValueError) if hidden_dim does not divide by num_heads.
        """
        if self.num_heads <= 0 or self.hidden_dim % self.num_heads:
            raise InvalidArgument(
                f"hidden_dim ({self.hidden_dim}) must be divisible by num_heads ({self.num_heads})"
            )
        return self.hidden_dim // self.num_heads

    @property
    def ssm_intermediate_dim(self) -> int:
        """Channels of a scan: hidden_dim * ssm_expand."""
        return self.hidden_dim * self.ssm_expand

    @classmethod
    def small(cls) -> BitAxonConfig:
        """A tiny model for tests: 4 layers of width 256."""
        return cls(
            vocab_size=1024,
            hidden_dim=256,
            num_layers=4,
            num_heads=4,
            d_source_model=128,
            ssm_d_state=4,
            ssm_d_conv=2,
            ssm_expand=2,
            swa_window_size=64,
            moe_num_experts=4,
            moe_intermediate_dim=512,
        )

    @classmethod
    def medium(cls) -> BitAxonConfig:
        """A model between small() and the published one: 12 layers of width 2048."""
        return cls(
            hidden_dim=2048,
            num_layers=12,
            num_heads=16,
            d_source_model=1536,
            ssm_d_state=12,
            moe_num_experts=6,
            moe_intermediate_dim=3072,
        )
