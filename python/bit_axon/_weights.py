"""The weights of a model, read one at a time from files or made from a seed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import bit_axon._engine as engine

__all__ = ["StoredTensor", "TemporaryModel", "WeightSource", "nested", "write_safetensors"]

_TYPES: dict[str, str] = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}
_NAMES = {np.dtype(name): key for key, name in _TYPES.items()}


def _to_array(raw: npt.NDArray[np.uint8], dtype: str, shape: list[int]) -> npt.NDArray[Any]:
    if dtype == "BF16":  # numpy has no such type
        wide = raw.view("<u2").astype(np.uint32)
        floats: npt.NDArray[Any] = (wide << np.uint32(16)).view(np.float32)
        return floats.reshape(shape)
    if dtype not in _TYPES:
        return raw  # types of less than a byte, and 8-bit floats
    return raw.view(_TYPES[dtype]).reshape(shape)


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as a file stores it.

    Attributes:
        dtype: The type in the spelling of safetensors, such as "BF16".
        shape: The shape.
        raw: The bytes, uint8 [n].
    """

    dtype: str
    shape: tuple[int, ...]
    raw: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, array: npt.NDArray[Any]) -> StoredTensor:
        """An array as it is stored."""
        little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        return cls(_NAMES[little.dtype], array.shape, little.reshape(-1).view(np.uint8))


class WeightSource(Mapping[str, npt.NDArray[Any]]):
    """The tensors of a model by name. Each look reads or makes the tensor.

    bfloat16 becomes float32, because numpy has no such type.
    """

    def __init__(self, tensors: engine.Tensors | engine.RandomTensors) -> None:
        self._tensors = tensors
        self._names = tensors.names()
        self._known = frozenset(self._names)

    @classmethod
    def of_files(cls, path: str | os.PathLike[str]) -> WeightSource:
        """The tensors of a folder or of a safetensors file."""
        return cls(engine.Tensors(path))

    @classmethod
    def of_seed(cls, config: str, seed: int) -> WeightSource:
        """Random weights of a model that a config.json describes."""
        return cls(engine.RandomTensors(config, seed))

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        if name not in self._known:
            raise KeyError(name)
        dtype, shape = self._tensors.form(name)
        return _to_array(self._tensors.read(name), dtype, shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, without reading it."""
        return tuple(self._tensors.form(name)[1])

    def stored(self, name: str) -> StoredTensor:
        """A tensor as it is stored."""
        dtype, shape = self._tensors.form(name)
        return StoredTensor(dtype, tuple(shape), self._tensors.read(name))


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Names with dots as nested dictionaries: {"a.b": x} becomes {"a": {"b": x}}."""
    out: dict[str, Any] = {}
    for name, value in flat.items():
        at = out
        *path, last = name.split(".")
        for part in path:
            at = at.setdefault(part, {})
        at[last] = value
    return out


def write_safetensors(
    path: str | os.PathLike[str],
    tensors: Mapping[str, StoredTensor],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes a safetensors file. It gets its name when it is complete."""
    entries = [(name, x.dtype, list(x.shape), x.raw) for name, x in tensors.items()]
    engine.write_safetensors(path, entries, dict(metadata or {}))


class TemporaryModel:
    """A model folder in memory, where the system has room for it there, else on disk."""

    def __init__(
        self,
        tensors: Iterable[tuple[str, StoredTensor]],
        config: str,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        held = dict(tensors)
        n_bytes = sum(tensor.raw.nbytes for tensor in held.values())
        self._folder = tempfile.TemporaryDirectory(
            prefix="bit-axon-", dir=_memory_folder(n_bytes + 2**20)
        )
        self.path = Path(self._folder.name)
        (self.path / "config.json").write_text(config, encoding="utf-8")
        write_safetensors(self.path / "model.safetensors", held, metadata)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def _memory_folder(n_bytes: int) -> str | None:
    """A folder in memory with room for `n_bytes`, or None."""
    folder = "/dev/shm"
    try:
        room = os.statvfs(folder)
    except OSError:
        return None
    fits = room.f_bavail * room.f_frsize >= n_bytes
    return folder if fits and os.access(folder, os.W_OK) else None
