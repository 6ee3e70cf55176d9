"""Batches of pairs, as arrays, for compute_orpo_loss()."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import bit_axon._engine as engine
from bit_axon._errors import FormatError, InvalidArgument

__all__ = ["IGNORE_INDEX", "collate_orpo_batch", "iterate_orpo_batches"]

IGNORE_INDEX = -100

_Ids = npt.NDArray[np.int32]
Pair = Sequence[Sequence[int]]


def collate_orpo_batch(batch: Sequence[Pair], max_seq_len: int) -> tuple[_Ids, _Ids, _Ids, _Ids]:
    """Arrays of pairs, filled up with zeros to the longest text.

    Args:
        batch: (chosen_ids, chosen_mask, rejected_ids, rejected_mask) of each pair.
        max_seq_len: Longer texts are cut.

    Returns:
        (chosen_ids, chosen_labels, rejected_ids, rejected_labels), each int32 [batch, tokens]. A
        label is the id at the same place, and -100 where nothing is learned.
    """
    if not batch:
        raise InvalidArgument("batch: expected at least one pair, got none")
    longest = max(max(len(pair[0]), len(pair[2])) for pair in batch)
    shape = (len(batch), min(longest, max_seq_len))
    out = []
    for part in (0, 2):
        ids = np.zeros(shape, np.int32)
        labels = np.full(shape, IGNORE_INDEX, np.int32)
        for row, pair in enumerate(batch):
            tokens, mask = (np.asarray(pair[part + i], np.int32)[: shape[1]] for i in (0, 1))
            ids[row, : len(tokens)] = tokens
            labels[row, : len(tokens)] = np.where(mask != 0, tokens, IGNORE_INDEX)
        out += [ids, labels]
    return out[0], out[1], out[2], out[3]


def iterate_orpo_batches(
    dataset: Any,
    batch_size: int = 1,
    max_seq_len: int = 2048,
    shuffle: bool = True,
    loop: bool = True,
    seed: int | None = None,
) -> Iterator[tuple[_Ids, _Ids, _Ids, _Ids]]:
    """The pairs of an ORPODataset as batches. The last batch of an epoch may have fewer pairs.

    Args:
        dataset: Has a length, and (chosen_ids, chosen_mask, rejected_ids, rejected_mask) for each
            index.
        batch_size: The pairs of a batch.
        max_seq_len: Longer texts are cut.
        shuffle: Whether each epoch has another order.
        loop: Whether the batches never end.
        seed: The seed of the order. None takes another one each time.

    Yields:
        What collate_orpo_batch() returns.
    """
    if not len(dataset):
        raise FormatError("dataset: expected at least one pair, got none")
    seed = secrets.randbits(32) if seed is None else seed
    n, epoch = len(dataset), 0
    while True:
        order = engine.shuffled_order(n, seed, epoch) if shuffle else list(range(n))
        for first in range(0, n, batch_size):
            pairs = [dataset[index] for index in order[first : first + batch_size]]
            yield collate_orpo_batch(pairs, max_seq_len)
        if not loop:
            return
        epoch += 1
