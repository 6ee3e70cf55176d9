"""The caches that a model returns and continues."""

from __future__ import annotations

import os
import struct
from typing import Any

import numpy as np

import bit_axon._engine as engine
from bit_axon._arrays import Array, to_library
from bit_axon._errors import FormatError, InvalidArgument, Unsupported
from bit_axon.utils.cache import KVCache

__all__ = ["LayerCache", "ModelCache"]

_MAGIC = b"bit-axon states\0"


def _cannot_be_pickled() -> Unsupported:
    return Unsupported(
        "cache: cannot be pickled, because it is memory of a device; use to_bytes() and "
        "from_bytes() of the list that the model has returned"
    )


class _Shared:
    """What a ModelCache and its entries share: the states, and the library of their arrays."""

    def __init__(
        self,
        model: engine.LoadedModel,
        layers: list[dict[str, Any]],
        states: engine.Sequences | None = None,
        library: str = "numpy",
    ) -> None:
        self.model, self.layers, self.states, self.library = model, layers, states, library

    def fork(self) -> _Shared:
        states = None if self.states is None else self.states.fork()
        return _Shared(self.model, self.layers, states, self.library)

    @property
    def position(self) -> int:
        return 0 if self.states is None else self.states.position


class LayerCache(KVCache):
    """Keys and values of a layer of a model. The model fills it; reading `k` and `v` copies."""

    def __init__(self, shared: _Shared, layer: int) -> None:
        # No call of KVCache.__init__: k and v are properties here.
        facts = shared.layers[layer]
        self.window_size = facts["window"]
        self._shared, self._layer = shared, layer
        self._shape = (facts["n_kv_heads"], facts["head_dim"])

    def _is_of(self, shared: _Shared, layer: int) -> bool:
        return self._shared is shared and self._layer == layer

    def __deepcopy__(self, memo: dict[int, Any]) -> LayerCache:
        # Entries that are copied together stay together.
        shared = memo.get(id(self._shared))
        if shared is None:
            shared = memo[id(self._shared)] = self._shared.fork()
        return LayerCache(shared, self._layer)

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise _cannot_be_pickled()

    @property
    def offset(self) -> int:  # type: ignore[override]
        """The tokens that were fed."""
        return self._shared.position

    def _read(self, part: int) -> Array | None:
        states = self._shared.states
        if states is None or states.position == 0:
            return None
        rows = states.layer_state(self._layer)[part].reshape(len(states), -1, *self._shape)
        return to_library(np.ascontiguousarray(rows.transpose(0, 2, 1, 3)), self._shared.library)

    @property
    def k(self) -> Array | None:  # type: ignore[override]
        """Keys [batch, heads, tokens, head_dim], oldest first, or None."""
        return self._read(0)

    @property
    def v(self) -> Array | None:  # type: ignore[override]
        """Values of the same shape, or None."""
        return self._read(1)

    def update_and_fetch(self, xk: Array, xv: Array) -> tuple[Array, Array]:
        """Is not possible: the model fills its own caches."""
        raise InvalidArgument("cache: expected a cache of a layer, got one that a model fills")


class ModelCache(list[Any]):
    """The state of a batch of sequences, with an entry for each layer of the model.

    The entries of layers with attention are KVCache objects, the others are None. The recurrent
    state has no entry; it belongs to the list and to each of its KVCache objects. A model that gets
    the list back continues the sequences, in place.
    """

    def __init__(self, model: engine.LoadedModel) -> None:
        super().__init__()
        self._share(_Shared(model, list(model.layers())))

    def _share(self, shared: _Shared) -> None:
        self._shared = shared
        self[:] = [
            LayerCache(shared, index) if layer["mixer"] == "attention" else None
            for index, layer in enumerate(shared.layers)
        ]

    @classmethod
    def of_entries(cls, entries: list[Any]) -> ModelCache | None:
        """The cache whose entries a list has, in their order. None if it is another list."""
        found = [entry for entry in entries if entry is not None]
        if not found or not isinstance(found[0], LayerCache):
            return None
        made = cls.__new__(cls)
        list.__init__(made, entries)
        made._shared = found[0]._shared
        return made if made.is_whole() else None

    def is_whole(self) -> bool:
        """Whether every entry is the one of its layer, and none is missing."""
        layers = self._shared.layers
        return len(self) == len(layers) and all(
            (isinstance(entry, LayerCache) and entry._is_of(self._shared, index))
            if layer["mixer"] == "attention"
            else entry is None
            for index, (entry, layer) in enumerate(zip(self, layers, strict=True))
        )

    def copy(self) -> ModelCache:
        """The same as fork()."""
        return self.fork()

    def belongs_to(self, model: engine.LoadedModel) -> bool:
        """Whether the states are those of this model."""
        return self._shared.model is model

    @property
    def position(self) -> int:
        """The tokens that each sequence was fed."""
        return self._shared.position

    @property
    def batch_size(self) -> int | None:
        """The number of sequences. None before the first tokens."""
        return None if self._shared.states is None else len(self._shared.states)

    def sequences(self, batch_size: int) -> engine.Sequences:
        """The states, which are made at the first call. Empty states fit every batch."""
        states = self._shared.states
        if states is None or (states.position == 0 and len(states) != batch_size):
            states = self._shared.states = engine.Sequences(self._shared.model, batch_size)
        return states

    def returns_arrays_of(self, library: str) -> None:
        """Sets the library of the arrays `k` and `v`."""
        self._shared.library = library

    def fork(self) -> ModelCache:
        """A second state after the same tokens. Both may continue with different tokens."""
        twin = ModelCache.__new__(ModelCache)
        list.__init__(twin)
        twin._share(self._shared.fork())
        return twin

    __copy__ = fork

    def __deepcopy__(self, memo: dict[int, Any]) -> ModelCache:
        return self.fork()

    def reset(self) -> None:
        """Returns to position 0."""
        if self._shared.states is not None:
            self._shared.states.reset()

    def _started(self) -> engine.Sequences:
        states = self._shared.states
        if states is None or states.position == 0:
            raise InvalidArgument("cache: expected a state after at least one token, got none")
        return states

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the state of one sequence to a file, as `bit-axon run --save-state` does.

        Raises:
            InvalidArgument: for an empty state, and for a batch of several sequences.
            IoError: if the file cannot be written.
        """
        states = self._started()
        if len(states) != 1:
            raise InvalidArgument(
                f"cache: expected one sequence to save to a file, got {len(states)}; use to_bytes()"
            )
        states.save(0, path)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Replaces the state by a state that save() or the program has written.

        Raises:
            IoError: if the file cannot be read.
            FormatError: if it is damaged or belongs to another model or precision.
        """
        if self.batch_size not in (None, 1):
            raise InvalidArgument(
                f"cache: expected one sequence to load from a file, got {self.batch_size}"
            )
        self.sequences(1).load(0, path)

    def to_bytes(self) -> bytes:
        """The state as bytes, for from_bytes() of the same model.

        For one sequence, these are the bytes of the file that save() writes.
        """
        states = self._started()
        parts = [states.to_bytes(index) for index in range(len(states))]
        if len(parts) == 1:
            return parts[0]
        head = _MAGIC + struct.pack("<Q", len(parts))
        return head + b"".join(struct.pack("<Q", len(part)) + part for part in parts)

    def from_bytes(self, data: bytes) -> None:
        """Replaces the state by one that to_bytes() has returned.

        Raises:
            FormatError: if the bytes are damaged or belong to another model or precision.
            InvalidArgument: if they hold another number of sequences than this cache.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise InvalidArgument(f"cache: expected bytes, got {type(data).__name__}")
        data = bytes(data)
        parts = _split(data) if data.startswith(_MAGIC) else [data]
        if self.batch_size not in (None, len(parts)):
            raise InvalidArgument(
                f"cache: expected the bytes of {self.batch_size} sequences, got {len(parts)}"
            )
        fresh = engine.Sequences(self._shared.model, len(parts))
        for index, part in enumerate(parts):
            fresh.from_bytes(index, part)
        self._shared.states = fresh

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise _cannot_be_pickled()


def _split(data: bytes) -> list[bytes]:
    problem = FormatError("cache: expected bytes that to_bytes() has returned, got other bytes")
    at = len(_MAGIC) + 8
    if len(data) < at:
        raise problem
    (n_parts,) = struct.unpack_from("<Q", data, len(_MAGIC))
    parts = []
    for _ in range(n_parts):
        if len(data) < at + 8:
            raise problem
        (size,) = struct.unpack_from("<Q", data, at)
        part = data[at + 8 : at + 8 + size]
        if len(part) != size:
            raise problem
        parts.append(part)
        at += 8 + size
    if at != len(data) or not parts:
        raise problem
    return parts
