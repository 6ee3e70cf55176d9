"""The layers of Bit-Axon, computed by the engine.

A layer takes and returns arrays of any library. It computes exactly (float32 or better) on the
device of set_device(). The weights are made at the first use, or set as attributes:

    layer = AxonSSM(BitAxonConfig.small())
    layer.in_proj.weight = array
    y, cache = layer(x)
"""

from __future__ import annotations

from bit_axon.layers._device import set_device, set_seed
from bit_axon.layers.axon_ssm import AxonSSM
from bit_axon.layers.block import AxonSSMBlock, AxonSSMMoEBlock, AxonSWAMoEBlock
from bit_axon.layers.linear import Conv1d, Embedding, Linear, QuantizedLinear
from bit_axon.layers.moe import (
    MLP,
    QuantizedSwitchLinear,
    SharedExpertMoE,
    SwitchGLU,
    SwitchLinear,
    swiglu,
)
from bit_axon.layers.rms_norm import RMSNorm
from bit_axon.layers.swa import SlidingWindowAttention

__all__ = [
    "MLP",
    "AxonSSM",
    "AxonSSMBlock",
    "AxonSSMMoEBlock",
    "AxonSWAMoEBlock",
    "Conv1d",
    "Embedding",
    "Linear",
    "QuantizedLinear",
    "QuantizedSwitchLinear",
    "RMSNorm",
    "SharedExpertMoE",
    "SlidingWindowAttention",
    "SwitchGLU",
    "SwitchLinear",
    "set_device",
    "set_seed",
    "swiglu",
]
