"""The three kinds of blocks of a Bit-Axon model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bit_axon._arrays import Array, as_numpy, library_of, like
from bit_axon._module import Module
from bit_axon.config import BitAxonConfig
from bit_axon.layers.axon_ssm import AxonSSM
from bit_axon.layers.moe import SharedExpertMoE
from bit_axon.layers.rms_norm import RMSNorm
from bit_axon.layers.swa import SlidingWindowAttention

__all__ = ["AxonSSMBlock", "AxonSSMMoEBlock", "AxonSWAMoEBlock"]


def _add(x: Array, y: Array) -> Array:
    """The residual connection, in the library of the arrays, so that the library sees it."""
    if library_of(x) == library_of(y) != "numpy":
        return x + y
    return like(as_numpy(x, np.float32) + as_numpy(y, np.float32), x, y)


def _norm(config: BitAxonConfig) -> RMSNorm:
    return RMSNorm(config.hidden_dim, config.rms_norm_eps)


def _experts(config: BitAxonConfig) -> SharedExpertMoE:
    moe = SharedExpertMoE(
        config.hidden_dim, config.moe_intermediate_dim, config.moe_num_experts, config.moe_top_k
    )
    if not config.moe_shared_expert:
        del moe.shared_expert, moe.shared_expert_gate
    return moe


class AxonSSMBlock(Module):
    """x + ssm(input_norm(x))."""

    input_norm: Any
    ssm: Any

    def __init__(self, config: BitAxonConfig) -> None:
        super().__init__()
        self.input_norm = _norm(config)
        self.ssm = AxonSSM(config)

    def __call__(
        self, x: Array, cache: Sequence[Array | None] | None = None
    ) -> tuple[Array, list[Array]]:
        """x [batch, rows, hidden_dim] to the same shape, and the cache of AxonSSM."""
        y, new_cache = self.ssm(self.input_norm(x), cache)
        return _add(x, y), new_cache


class AxonSWAMoEBlock(Module):
    """x = x + attention(input_norm(x)), then x + moe(post_attention_norm(x))."""

    input_norm: Any
    attention: Any
    post_attention_norm: Any
    moe: Any

    def __init__(self, config: BitAxonConfig) -> None:
        super().__init__()
        self.input_norm = _norm(config)
        self.attention = SlidingWindowAttention(
            config.hidden_dim, config.num_heads, config.swa_window_size
        )
        self.post_attention_norm = _norm(config)
        self.moe = _experts(config)

    def __call__(self, x: Array, cache: Any = None) -> tuple[Array, Any]:
        """x [batch, rows, hidden_dim] to the same shape, and the cache (a KVCache or None)."""
        y, new_cache = self.attention(self.input_norm(x), cache=cache)
        x = _add(x, y)
        return _add(x, self.moe(self.post_attention_norm(x))), new_cache


class AxonSSMMoEBlock(Module):
    """x = x + ssm(input_norm(x)), then x + moe(post_ssm_norm(x))."""

    input_norm: Any
    ssm: Any
    post_ssm_norm: Any
    moe: Any

    def __init__(self, config: BitAxonConfig) -> None:
        super().__init__()
        self.input_norm = _norm(config)
        self.ssm = AxonSSM(config)
        self.post_ssm_norm = _norm(config)
        self.moe = _experts(config)

    def __call__(
        self, x: Array, cache: Sequence[Array | None] | None = None
    ) -> tuple[Array, list[Array]]:
        """x [batch, rows, hidden_dim] to the same shape, and the cache of AxonSSM."""
        y, new_cache = self.ssm(self.input_norm(x), cache)
        x = _add(x, y)
        return _add(x, self.moe(self.post_ssm_norm(x))), new_cache
