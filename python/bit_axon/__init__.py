"""Bit-Axon language models on any GPU through Vulkan, and on the CPU.

    from bit_axon.inference import load_model, generate
    from bit_axon.tokenizer import QwenTokenizerWrapper

    model = load_model("skyoo2003/bit-axon", quantize=True)
    tokenizer = QwenTokenizerWrapper("skyoo2003/bit-axon")
    print(generate(model, tokenizer, "Explain a selective scan.").text)

Names are loaded at their first use, so the import is quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bit_axon._lazy import lazy_attribute

if TYPE_CHECKING:
    from bit_axon._devices import Device, build_info, devices
    from bit_axon._errors import (
        DeviceError,
        Error,
        FormatError,
        InternalError,
        Interrupted,
        InvalidArgument,
        IoError,
        NotFound,
        OutOfMemory,
        Unsupported,
    )
    from bit_axon.config import BitAxonConfig
    from bit_axon.model import BitAxonModel, LanguageModel, load
    from bit_axon.tokenizer import QwenTokenizerWrapper

__version__ = "0.1.0"

_MODULES = {
    "BitAxonConfig": "config",
    "BitAxonModel": "model",
    "Device": "_devices",
    "DeviceError": "_errors",
    "Error": "_errors",
    "FormatError": "_errors",
    "InternalError": "_errors",
    "Interrupted": "_errors",
    "InvalidArgument": "_errors",
    "IoError": "_errors",
    "LanguageModel": "model",
    "NotFound": "_errors",
    "OutOfMemory": "_errors",
    "QwenTokenizerWrapper": "tokenizer",
    "Unsupported": "_errors",
    "build_info": "_devices",
    "devices": "_devices",
    "load": "model",
}

__all__ = [
    "BitAxonConfig",
    "BitAxonModel",
    "Device",
    "DeviceError",
    "Error",
    "FormatError",
    "InternalError",
    "Interrupted",
    "InvalidArgument",
    "IoError",
    "LanguageModel",
    "NotFound",
    "OutOfMemory",
    "QwenTokenizerWrapper",
    "Unsupported",
    "__version__",
    "build_info",
    "devices",
    "load",
]


def __getattr__(name: str) -> Any:
    return lazy_attribute(__name__, _MODULES, name)


def __dir__() -> list[str]:
    return sorted(__all__)
