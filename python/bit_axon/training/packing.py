"""Examples one after another in rows of one length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bit_axon._errors import InvalidArgument

__all__ = ["PackedBatch", "SequencePacker"]


@dataclass
class PackedBatch:
    """A row.

    Attributes:
        token_ids: max_seq_len ids.
        loss_mask: As many marks: 1 for a token that is learned, 0 for others, separators and
            padding.
    """

    token_ids: list[int]
    loss_mask: list[int]


class SequencePacker:
    """Joins examples, with a separator between them, and cuts rows of max_seq_len tokens off.

    A Trainer packs on its own, and by default lets no example see another
    (TrainingConfig.packing). This class is for loops of your own.

    Args:
        max_seq_len: The tokens of a row.
        eos_token_id: The separator.
    """

    def __init__(self, max_seq_len: int = 2048, eos_token_id: int = 151645) -> None:
        if max_seq_len < 1:
            raise InvalidArgument(f"max_seq_len: expected at least 1, got {max_seq_len}")
        self.max_seq_len = max_seq_len
        self.eos_token_id = eos_token_id
        self._ids: list[int] = []
        self._mask: list[int] = []

    def add_example(self, token_ids: Sequence[int], loss_mask: Sequence[int]) -> list[PackedBatch]:
        """Adds an example, cut to max_seq_len tokens, and returns the rows that became full."""
        if len(token_ids) != len(loss_mask):
            raise InvalidArgument(
                f"loss_mask: expected {len(token_ids)} marks, got {len(loss_mask)}"
            )
        if self._ids:
            self._ids.append(self.eos_token_id)
            self._mask.append(0)
        n = self.max_seq_len
        self._ids.extend(token_ids[:n])
        self._mask.extend(loss_mask[:n])
        rows = []
        while len(self._ids) >= n:
            rows.append(PackedBatch(self._ids[:n], self._mask[:n]))
            self._ids, self._mask = self._ids[n:], self._mask[n:]
        return rows

    def flush(self) -> PackedBatch | None:
        """The rest as a row, filled up with zeros. None if nothing is left."""
        if not self._ids:
            return None
        padding = [0] * (self.max_seq_len - len(self._ids))
        row = PackedBatch(self._ids + padding, self._mask + padding)
        self.reset()
        return row

    def reset(self) -> None:
        """Forgets what was added."""
        self._ids, self._mask = [], []
