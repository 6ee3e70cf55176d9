"""Adapters for models: training, and merging into the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bit_axon._lazy import lazy_attribute

if TYPE_CHECKING:
    from bit_axon.training.checkpoint import (
        get_latest_checkpoint,
        load_checkpoint,
        save_adapter_only,
        save_checkpoint,
    )
    from bit_axon.training.collate import BatchCollator, iterate_batches
    from bit_axon.training.config import TrainingConfig
    from bit_axon.training.cooling import CoolingScheduler, ThermalPolicy, ThermalShutdownError
    from bit_axon.training.data import AlpacaDataset, CacheDataset, ORPODataset, SFTDataset
    from bit_axon.training.dora import DoRALinear
    from bit_axon.training.lora import LoRALinear, apply_lora_to_model
    from bit_axon.training.merging import (
        dequantize_model,
        load_and_merge,
        merge_adapters,
        quantize_model,
        save_merged_model,
    )
    from bit_axon.training.optimizer import AdamW
    from bit_axon.training.orpo_collate import collate_orpo_batch, iterate_orpo_batches
    from bit_axon.training.orpo_loss import compute_orpo_loss, get_logps
    from bit_axon.training.orpo_trainer import ORPOTrainer
    from bit_axon.training.packing import PackedBatch, SequencePacker
    from bit_axon.training.scheduler import build_lr_schedule
    from bit_axon.training.trainer import Trainer

_MODULES = {
    "AdamW": "optimizer",
    "AlpacaDataset": "data",
    "BatchCollator": "collate",
    "CacheDataset": "data",
    "CoolingScheduler": "cooling",
    "DoRALinear": "dora",
    "LoRALinear": "lora",
    "ORPODataset": "data",
    "ORPOTrainer": "orpo_trainer",
    "PackedBatch": "packing",
    "SFTDataset": "data",
    "SequencePacker": "packing",
    "ThermalPolicy": "cooling",
    "ThermalShutdownError": "cooling",
    "Trainer": "trainer",
    "TrainingConfig": "config",
    "apply_lora_to_model": "lora",
    "build_lr_schedule": "scheduler",
    "collate_orpo_batch": "orpo_collate",
    "compute_orpo_loss": "orpo_loss",
    "dequantize_model": "merging",
    "get_latest_checkpoint": "checkpoint",
    "get_logps": "orpo_loss",
    "iterate_batches": "collate",
    "iterate_orpo_batches": "orpo_collate",
    "load_and_merge": "merging",
    "load_checkpoint": "checkpoint",
    "merge_adapters": "merging",
    "quantize_model": "merging",
    "save_adapter_only": "checkpoint",
    "save_checkpoint": "checkpoint",
    "save_merged_model": "merging",
}

__all__ = [
    "AdamW",
    "AlpacaDataset",
    "BatchCollator",
    "CacheDataset",
    "CoolingScheduler",
    "DoRALinear",
    "LoRALinear",
    "ORPODataset",
    "ORPOTrainer",
    "PackedBatch",
    "SFTDataset",
    "SequencePacker",
    "ThermalPolicy",
    "ThermalShutdownError",
    "Trainer",
    "TrainingConfig",
    "apply_lora_to_model",
    "build_lr_schedule",
    "collate_orpo_batch",
    "compute_orpo_loss",
    "dequantize_model",
    "get_latest_checkpoint",
    "get_logps",
    "iterate_batches",
    "iterate_orpo_batches",
    "load_and_merge",
    "load_checkpoint",
    "merge_adapters",
    "quantize_model",
    "save_adapter_only",
    "save_checkpoint",
    "save_merged_model",
]


def __getattr__(name: str) -> Any:
    return lazy_attribute(__name__, _MODULES, name)


def __dir__() -> list[str]:
    return sorted(__all__)
