"""Trains adapters of a model on pairs of answers."""

from __future__ import annotations

from typing import Any

from bit_axon.training.trainer import Trainer

__all__ = ["ORPOTrainer"]

_NAMES = {
    "chosen_logps": "chosen_logp",
    "rejected_logps": "rejected_logp",
    "reward_margin": "margin",
    "reward_accuracy": "accuracy",
}
_RESULT = ("chosen_reward", "rejected_reward", "reward_margin", "reward_accuracy")


class ORPOTrainer(Trainer):
    """Trains the adapters of a model to prefer the chosen answers of pairs, by ORPO.

    Arguments and attributes are those of Trainer. The data set is an ORPODataset, or any object with
    a length that has (chosen_ids, chosen_mask, rejected_ids, rejected_mask) for each index.

    The metrics also have chosen_logps and rejected_logps (mean log-probabilities of a token),
    chosen_reward and rejected_reward (these times config.beta), reward_margin (the mean difference
    of the log-probabilities) and reward_accuracy (the share of pairs whose chosen answer is likelier).
    train() returns {"step", "loss", "grad_norm", "chosen_reward", "rejected_reward",
    "reward_margin", "reward_accuracy"}.
    """

    _objective = "orpo"

    def evaluate(self) -> dict[str, float]:
        """Evaluates the model with its present adapters on val_dataset.

        Returns:
            {"loss"}: the mean over pairs. 0 without a val_dataset.
        """
        return {"loss": super().evaluate()["loss"]}

    def _with_names(self, metrics: dict[str, Any]) -> dict[str, Any]:
        return {**metrics, **{name: metrics[old] for name, old in _NAMES.items()}}

    def _result(self, found: dict[str, Any]) -> dict[str, Any]:
        latest = self._latest
        return {**super()._result(found), **{n: latest[n] for n in _RESULT if n in latest}}
