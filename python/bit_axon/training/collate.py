"""Batches of packed rows, as arrays."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import bit_axon._engine as engine
from bit_axon._errors import FormatError, InvalidArgument
from bit_axon.training.packing import PackedBatch, SequencePacker

__all__ = ["BatchCollator", "iterate_batches"]

Batch = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]


class BatchCollator:
    """Makes arrays of rows: inputs are all tokens but the last, labels all but the first.

    Args:
        batch_size: The rows of a batch. If there are fewer, rows without targets are added.
        max_seq_len: The tokens of a row.
        ignore_index: The label where nothing is learned.
    """

    def __init__(
        self, batch_size: int = 1, max_seq_len: int = 2048, ignore_index: int = -100
    ) -> None:
        if batch_size < 1:
            raise InvalidArgument(f"batch_size: expected at least 1, got {batch_size}")
        self.batch_size = batch_size
        self.max_seq_len = max_seq_len
        self.ignore_index = ignore_index

    def collate(self, batches: Sequence[PackedBatch]) -> Batch:
        """(input_ids, labels), each int32 [batch_size, max_seq_len - 1]."""
        ids = np.zeros((max(self.batch_size, len(batches)), self.max_seq_len), np.int32)
        mask = np.zeros_like(ids)
        for row, batch in enumerate(batches):
            ids[row], mask[row] = batch.token_ids, batch.loss_mask
        labels = np.where(mask[:, 1:] == 1, ids[:, 1:], np.int32(self.ignore_index))
        return ids[:, :-1].copy(), labels.astype(np.int32)


def iterate_batches(
    dataset: Any,
    batch_size: int = 1,
    max_seq_len: int = 2048,
    shuffle: bool = True,
    loop: bool = False,
    seed: int | None = None,
    eos_token_id: int = 151645,
) -> Iterator[Batch]:
    """The examples of a data set, packed into rows, as batches for a loop of your own.

    Args:
        dataset: Has a length, and (token_ids, loss_mask) for each index.
        batch_size: The rows of a batch.
        max_seq_len: The tokens of a row.
        shuffle: Whether each epoch has another order. It is the order of a Trainer of this seed.
        loop: Whether the batches never end. An incomplete batch is then left out; otherwise it is
            filled up with rows without targets.
        seed: The seed of the order. None takes another one each time.
        eos_token_id: The token between two examples.

    Yields:
        (input_ids, labels), each int32 [batch_size, max_seq_len - 1]; a label is -100 where nothing
        is learned.

    Raises:
        FormatError: if `loop`, and a whole epoch fills no batch.
    """
    seed = secrets.randbits(32) if seed is None else seed
    collator = BatchCollator(batch_size, max_seq_len)
    epoch = 0
    while True:
        n_batches = 0
        for rows in _batches_of_epoch(dataset, collator, shuffle, seed, epoch, eos_token_id):
            if loop and len(rows) < batch_size:
                break
            n_batches += 1
            yield collator.collate(rows)
        if not loop:
            return
        if n_batches == 0:
            raise FormatError(
                f"dataset: expected examples for a batch of {batch_size} rows, got fewer"
            )
        epoch += 1


def _batches_of_epoch(
    dataset: Any, collator: BatchCollator, shuffle: bool, seed: int, epoch: int, eos: int
) -> Iterator[list[PackedBatch]]:
    n = len(dataset)
    order = engine.shuffled_order(n, seed, epoch) if shuffle else range(n)
    packer = SequencePacker(collator.max_seq_len, eos)
    rows: list[PackedBatch] = []
    for index in order:
        rows += packer.add_example(*dataset[index])
        while len(rows) >= collator.batch_size:
            yield rows[: collator.batch_size]
            rows = rows[collator.batch_size :]
    last = packer.flush()
    if last is not None:
        rows.append(last)
    if rows:
        yield rows
