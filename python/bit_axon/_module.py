"""Modules: trees of named arrays, with the interface of MLX's modules."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bit_axon._arrays import Array, as_numpy
from bit_axon._errors import InvalidArgument, Unsupported
from bit_axon._parameter import Parameter, latest_version, next_version
from bit_axon._weights import StoredTensor, WeightSource, write_safetensors

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Module", "Parameter"]


def _is_array(value: object) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


class Module:
    """A layer, or a tree of layers.

    Attributes are parameters (arrays), other modules, or plain values. A parameter is read and set
    as an attribute. What is set is used from the next call on, also if an array of MLX or PyTorch
    is changed in place later. Arrays of numpy are kept as read-only copies.

    Gradients are not available: a call with an array that a library is tracing raises
    InvalidArgument.
    """

    def __init__(self) -> None:
        self.__dict__["_items"] = {}
        self.__dict__["_borrowed"] = set()
        self.__dict__["_own_version"] = next_version()
        self.__dict__["_seen"] = (-1, 0)
        self.__dict__["_made"] = None
        self.__dict__["training"] = True

    # Attributes

    def __setattr__(self, name: str, value: Any) -> None:
        items: dict[str, Parameter | Module] = self.__dict__["_items"]
        if isinstance(value, (Parameter, Module)):
            self.__dict__.pop(name, None)
            items[name] = value
            self._borrowed.discard(name)
            self.__dict__["_own_version"] = next_version()
            return
        item = items.get(name)
        if isinstance(item, Parameter):
            if name in self._borrowed:
                # The array of another module stays as it is. This module has its own from now on.
                own = Parameter(item.shape, kind=item.kind)
                own.set(value, f"{type(self).__name__}.{name}")
                setattr(self, name, own)
            else:
                item.set(value, f"{type(self).__name__}.{name}")
        elif item is not None:
            raise InvalidArgument(
                f"{type(self).__name__}.{name}: expected a module, got {type(value).__name__}"
            )
        elif _is_array(value):
            known = [key for key, item in items.items() if isinstance(item, Parameter)]
            raise AttributeError(
                f"{type(self).__name__} has no parameter {name!r}; its parameters are {known}"
            )
        else:
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        items = self.__dict__.get("_items", {})
        if name not in items:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        item = items[name]
        return item.get() if isinstance(item, Parameter) else item

    def __delattr__(self, name: str) -> None:
        if name in self._items:
            del self._items[name]
            self.__dict__["_own_version"] = next_version()
        else:
            object.__delattr__(self, name)

    def __contains__(self, name: str) -> bool:
        item = self._items.get(name)
        return item.present if isinstance(item, Parameter) else item is not None

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._items})

    def __repr__(self) -> str:
        lines = [
            f"  ({name}): " + repr(child).replace("\n", "\n  ")
            for name, child in self.children().items()
        ]
        return "\n".join([f"{type(self).__name__}(", *lines, ")"]) if lines else self._describe()

    def _describe(self) -> str:
        shapes = ", ".join(
            f"{name}={list(item.shape)}"
            for name, item in self._items.items()
            if isinstance(item, Parameter) and item.present
        )
        return f"{type(self).__name__}({shapes})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise Unsupported(
            f"{type(self).__name__}: cannot be pickled, because it holds memory of a device; save "
            "its weights with save_weights() and make a new module"
        )

    # The tree

    def children(self) -> dict[str, Module]:
        """The modules that are attributes of this one."""
        return {name: item for name, item in self._items.items() if isinstance(item, Module)}

    def named_modules(self) -> list[tuple[str, Module]]:
        """This module under the name "", and all modules below it under their paths."""
        return [("", self), *self._walk("")]

    def modules(self) -> list[Module]:
        """This module and all modules below it."""
        return [module for _, module in self.named_modules()]

    def leaf_modules(self) -> dict[str, Any]:
        """The modules without modules of their own, as a nested dict."""
        return {
            name: child.leaf_modules() if child.children() else child
            for name, child in self.children().items()
        }

    def apply_to_modules(self, function: Callable[[str, Module], Any]) -> Self:
        """Calls function(path, module) for every module."""
        for path, module in self.named_modules():
            function(path, module)
        return self

    def _walk(self, prefix: str) -> Iterator[tuple[str, Module]]:
        for name, child in self.children().items():
            yield prefix + name, child
            yield from child._walk(f"{prefix}{name}.")

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """The path and the Parameter of every array that is present. Nothing is made or read."""
        for name, item in self._items.items():
            if isinstance(item, Module):
                yield from item.named_parameters(f"{prefix}{name}.")
            elif item.present:
                yield prefix + name, item

    def parameters(self) -> dict[str, Any]:
        """All arrays, as a nested dict. Arrays that were not needed yet are made now."""
        out: dict[str, Any] = {}
        for name, item in self._items.items():
            if isinstance(item, Module):
                out[name] = item.parameters()
            elif item.present:
                out[name] = item.get()
        return out

    def trainable_parameters(self) -> dict[str, Any]:
        """The same as parameters(): nothing is frozen, because nothing is trained."""
        return self.parameters()

    # Changes

    @property
    def version(self) -> int:
        """A number that grows when a parameter below this module changes, or a module is replaced.

        Reading it takes a microsecond while nothing changes anywhere.
        """
        latest = latest_version()
        if self._seen[0] != latest:
            parts = [self._own_version]
            for item in self._items.values():
                parts.append(item.version)
            self.__dict__["_seen"] = (latest, max(parts))
        return int(self._seen[1])

    def assigned_parameters(self) -> dict[str, Parameter]:
        """The parameters that callers have set, by path."""
        return {path: item for path, item in self.named_parameters() if item.assigned}

    def bind(self, source: Callable[[str, tuple[int, ...]], Array]) -> None:
        """Lets source(path, shape) make every parameter when it is first read. The arrays that it
        returns belong to the module: they must not be changed later."""
        for path, parameter in self.named_parameters():
            parameter.lazy(lambda path=path, shape=parameter.shape: source(path, shape))  # type: ignore[misc]

    def share(self, name: str, owner: Module, owner_name: str | None = None) -> None:
        """Makes parameter `name` the parameter of another module. If it is set here later, this
        module gets an array of its own; if it is set there, both change."""
        setattr(self, name, owner._items[owner_name or name])
        self._borrowed.add(name)

    def update(self, parameters: Mapping[str, Any], strict: bool = True) -> Self:
        """Sets the arrays of a nested dict, as parameters() returns it.

        Raises:
            InvalidArgument: for an unknown name (if `strict`) and for an array that does not fit.
                Then nothing is changed.
        """
        return self._assign(dict(_flatten(parameters)), strict_names=strict, need_all=False)

    def load_weights(
        self,
        file_or_weights: str | os.PathLike[str] | Iterable[tuple[str, Array]],
        strict: bool = True,
    ) -> Self:
        """Sets arrays by their paths.

        Args:
            file_or_weights: A safetensors file, or pairs of a path such as "ssm.in_proj.weight" and
                an array.
            strict: Whether every array must have a place and every parameter must get one.

        Raises:
            InvalidArgument: if names (with `strict`) or shapes do not fit. Then nothing is changed.
            FormatError, IoError: if the file cannot be read.
        """
        if isinstance(file_or_weights, (str, os.PathLike)):
            weights = dict(WeightSource.of_files(file_or_weights))
        else:
            weights = dict(file_or_weights)
        return self._assign(weights, strict_names=strict, need_all=strict)

    def save_weights(self, file: str | os.PathLike[str]) -> None:
        """Writes all parameters to a safetensors file. The file appears when it is complete."""
        arrays = ((path, as_numpy(item.get())) for path, item in self.named_parameters())
        write_safetensors(file, {path: StoredTensor.of(array) for path, array in arrays})

    def _place_of(self, path: str) -> tuple[Module, str] | None:
        *parents, name = path.split(".")
        module: Module = self
        for parent in parents:
            child = module._items.get(parent)
            if not isinstance(child, Module):
                return None
            module = child
        return (module, name) if isinstance(module._items.get(name), Parameter) else None

    def _assign(self, weights: Mapping[str, Array], *, strict_names: bool, need_all: bool) -> Self:
        places = {path: self._place_of(path) for path in weights}
        unknown = [path for path, place in places.items() if place is None]
        if unknown and strict_names:
            raise InvalidArgument(
                f"received {len(unknown)} parameters not in {type(self).__name__}: {_some(unknown)}"
            )
        missing = [path for path, _ in self.named_parameters() if path not in weights]
        if missing and need_all:
            raise InvalidArgument(f"missing {len(missing)} parameters: {_some(missing)}")
        for path, place in places.items():
            if place is not None:
                place[0]._items[place[1]].check(weights[path], path)
        for path, place in places.items():
            if place is not None:
                setattr(place[0], place[1], weights[path])
        return self

    # What MLX's modules have beside this

    def train(self, mode: bool = True) -> Self:
        """Sets `training`, which changes nothing: these modules only infer."""
        self.training = mode
        return self

    def eval(self) -> Self:
        """The same as train(False)."""
        return self.train(False)

    def freeze(self, *_: Any, **__: Any) -> Self:
        """Does nothing: nothing is trained."""
        return self

    def unfreeze(self, *_: Any, **__: Any) -> Self:
        """Does nothing: nothing is trained."""
        return self


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Array]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        elif value is not None:
            yield prefix + name, value


def _some(names: list[str]) -> str:
    """The first three names."""
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
