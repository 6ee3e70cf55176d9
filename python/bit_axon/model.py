"""Models: token ids in, logits out."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import bit_axon._engine as engine
from bit_axon._arrays import Array, as_ids, library_of, like
from bit_axon._caches import ModelCache
from bit_axon._errors import InvalidArgument, IoError, NotFound, Unsupported
from bit_axon._model_tree import ModelTree, layer_type, quantize_when_read
from bit_axon._options import Progress, checked_seed, config_of, config_text, load_options
from bit_axon._reload import reloaded
from bit_axon._weights import WeightSource, nested
from bit_axon.config import BitAxonConfig

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["BitAxonModel", "LanguageModel", "load"]


class LanguageModel:
    """A model of any family on a device.

    All methods may be called from several threads: calls on one model run one after the other. A
    call releases the interpreter's lock. KeyboardInterrupt ends it at once and leaves the states
    as they were; the step under way ends in the background, and the next call waits for it.
    """

    _loaded: engine.LoadedModel | None

    def __init__(
        self, loaded: engine.LoadedModel | None, source: WeightSource, folder: str
    ) -> None:
        self._loaded = loaded
        self._source = source
        self._folder = folder
        self._facts: dict[str, Any] | None = None
        self._closed = False

    def _ready(self) -> engine.LoadedModel:
        """The engine's model."""
        if self._closed:
            raise InvalidArgument("model: expected an open model, got one that was closed")
        assert self._loaded is not None
        return self._loaded

    @property
    def info(self) -> dict[str, Any]:
        """Facts about the loaded model: name, family, device, precision, context, bytes, notes."""
        loaded = self._ready()
        if self._facts is None:
            self._facts = dict(loaded.describe())
        return self._facts

    def __repr__(self) -> str:
        state = "closed" if self._closed else "not loaded yet" if self._loaded is None else None
        if state is not None:
            return f"<{type(self).__name__}: {state}>"
        return f"<{type(self).__name__}: {self.info['name']} on {self.info['backend']}>"

    def __call__(
        self,
        input_ids: Array,
        cache: list[Any] | None = None,
        *,
        logits: Literal["all", "last"] = "all",
    ) -> tuple[Array, ModelCache]:
        """Feeds tokens to a batch of sequences.

        Args:
            input_ids: Token ids [batch, tokens], an array of any library.
            cache: The caches that an earlier call has returned, which continue in place. None
                begins new sequences.
            logits: "all" returns the logits of every token, "last" those of the last one.

        Returns:
            (logits, caches): logits float32 [batch, tokens or 1, vocab_size], an array of the
            library of `input_ids`, and a list with an entry for each layer.

        Raises:
            InvalidArgument: for ids outside the vocabulary, other shapes, a cache of another model
                or batch, and more tokens than the context holds. Nothing has changed then.
        """
        if logits not in ("all", "last"):
            raise InvalidArgument(f'logits: expected "all" or "last", got {logits!r}')
        ids = as_ids(input_ids)
        if ids.ndim != 2 or 0 in ids.shape:
            raise InvalidArgument(
                f"input_ids: expected a shape [batch, tokens], got {list(ids.shape)}"
            )
        state = self._cache_of(cache)
        state.returns_arrays_of(library_of(input_ids))
        states = state.sequences(ids.shape[0])
        states.keep()
        try:
            result = states.forward(ids, logits == "all")
            return like(result, input_ids), state
        except BaseException:
            # KeyboardInterrupt may come between the engine's return and this function's.
            states.take_back()
            raise

    def _cache_of(self, cache: list[Any] | None) -> ModelCache:
        if cache is None:
            return self.new_cache()
        if not isinstance(cache, list):
            raise InvalidArgument(
                f"cache: expected the list that a call has returned, got {type(cache).__name__}"
            )
        loaded = self._ready()
        found = cache if isinstance(cache, ModelCache) else ModelCache.of_entries(cache)
        if found is None or not found.is_whole():
            raise InvalidArgument(
                "cache: expected a list that this model has returned, with all entries in their "
                "order; a copy of a list without KVCache objects has lost its state"
            )
        if not found.belongs_to(loaded):
            raise InvalidArgument(
                "cache: expected caches of this model, got those of another model"
            )
        return found

    def new_cache(self) -> ModelCache:
        """Empty caches for a call."""
        return ModelCache(self._ready())

    def parameters(self) -> dict[str, Any]:
        """The weights as they are stored, as nested dictionaries of arrays. Reads all of them."""
        return nested(self._source)

    @property
    def weights(self) -> Mapping[str, Any]:
        """The weights by name. Each look reads one."""
        return self._source

    @property
    def vocab_size(self) -> int:
        """The number of token ids."""
        return int(self.info["vocab_size"])

    @property
    def context(self) -> int:
        """The most tokens of a sequence."""
        return int(self.info["context"])

    @property
    def family(self) -> str:
        """The family of the model, such as "bit_axon" or "qwen3"."""
        return str(self.info["family"])

    @property
    def device(self) -> str:
        """The device that the model runs on."""
        return f"{self.info['backend']} ({self.info['device']})"

    @property
    def precision(self) -> str:
        """ "exact" or "fast"."""
        return str(self.info["precision"])

    def generation_defaults(self) -> dict[str, Any]:
        """The sampling parameters that the model's generation_config.json names."""
        path = Path(self._folder) / "generation_config.json"
        if not self._folder or not path.is_file():
            return {}
        try:
            named = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InvalidArgument(f"{path}: expected JSON: {error}") from None
        keys = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
        found = {key: named[key] for key in keys if named.get(key) is not None}
        if named.get("do_sample") is False:
            found["temperature"] = 0.0
        return found

    def close(self) -> None:
        """Frees the model. Caches that still exist keep their memory until they are freed."""
        self._closed = True
        self._loaded = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise Unsupported(
            "model: cannot be pickled, because it is memory of a device; pass its path and load it "
            "in the other process"
        )


def _is_quantized(source: WeightSource) -> bool:
    marks = (".scales", ".absmax", ".SCB", "_scales")
    return any(name.endswith(marks) for name in source)


def _find(path: str | os.PathLike[str]) -> tuple[str, str]:
    """The weights and the folder of a model that a path or a hub id names."""
    try:
        return engine.resolve_model(path)
    except IoError as error:
        if not os.path.exists(path):
            raise NotFound(str(error)) from None
        raise


def load(
    path: str | os.PathLike[str],
    *,
    config: BitAxonConfig | Mapping[str, Any] | None = None,
    quantize: bool | str = False,
    bits: int = 4,
    group_size: int = 64,
    device: str = "auto",
    precision: str | None = None,
    context: int | None = None,
    parallel: int | None = None,
    threads: int = 0,
    progress: Progress | None = None,
    adapter: str | os.PathLike[str] | None = None,
    lora_scale: float | None = None,
) -> LanguageModel:
    """Loads a model of any family.

    Args:
        path: A model folder, a safetensors file, or the id of a model in the local Hugging Face
            cache, which `bit-axon download` fills. "" is the default model.
        config: Used in place of the model's config.json.
        quantize: Quantizes matrices while they are read: True or "mlx" for affine codes, "nf4" for
            NF4. A model that is stored in codes stays as it is.
        bits: Bits of affine codes, 4 or 8.
        group_size: Codes that share a scale: 32, 64 or 128.
        device: "auto", "cpu", "reference", or "vulkan" with a number or a part of a name
            ("vulkan:0").
        precision: "exact" or "fast". None: fast for weights of 16 bits and less.
        context: The most tokens of a sequence. None: as many as the model and the memory allow.
        parallel: States that the device holds at a time. More states wait in host memory.
        threads: Threads of the CPU device. 0: one per core.
        progress: Called with a number from 0 to 1 while weights are read, in another thread.
        adapter: A LoRA or DoRA adapter that the model runs with: its safetensors file, with or
            without its ending, or its folder, such as a checkpoint of a training.
        lora_scale: The factor of the adapter's product. None: what its files say, else 20.

    Returns:
        A BitAxonModel for the family Bit-Axon, else a LanguageModel.

    Raises:
        NotFound: (a FileNotFoundError) if there is no such model.
        FormatError: if a file is damaged or a tensor is missing.
        OutOfMemory: (a MemoryError) before anything is loaded, if the model does not fit.
        Unsupported: for unknown families and formats, and devices that cannot be used.
    """
    options = load_options(
        quantize,
        bits,
        group_size,
        device,
        precision,
        context,
        parallel,
        threads,
        progress,
        adapter,
        lora_scale,
    )
    weights, folder = _find(path)
    text = "" if config is None else config_text(config)
    source = WeightSource.of_files(weights)
    if quantize and _is_quantized(source):
        options["quantize"] = ""
    loaded = engine.load_model(path, text, options)
    facts = loaded.describe()
    if facts["family"] == "bit_axon":
        shape = config_of(json.loads(facts["config"]))
        place = {
            "path": os.path.abspath(path) if os.path.exists(path) else os.fspath(path) or weights,
            "config": text,
            "quantize": options["quantize"],
            "seed": 0,
            "mapping": facts["vocab_mapping"],
        }
        return BitAxonModel._of_files(shape, loaded, source, folder, options, place)
    return LanguageModel(loaded, source, folder)


class BitAxonModel(ModelTree, LanguageModel):
    """A Bit-Axon model: an embedding, layers, and a head.

    A call runs the whole model on its device. The modules (`embed_tokens`, `layer_0`, ...) have the
    weights and may be called one by one. Their arrays are read from the files when they are needed.
    A weight that is set is used from the next call on; caches from before do not fit any more.

    Args:
        config: The shape of the model. Its weights are random.
        seed: The seed of the weights. None takes another one each time.
        device, precision, context, parallel, threads: As for load(). The precision is exact unless
            another one is named.

    Attributes:
        config: The shape of the model.
    """

    def __init__(
        self,
        config: BitAxonConfig,
        *,
        seed: int | None = None,
        device: str = "auto",
        precision: str | None = "exact",
        context: int | None = None,
        parallel: int | None = None,
        threads: int = 0,
    ) -> None:
        if not isinstance(config, BitAxonConfig):
            raise InvalidArgument(f"config: expected a BitAxonConfig, got {type(config).__name__}")
        options = load_options(
            device=device, precision=precision, context=context, parallel=parallel, threads=threads
        )
        chosen, text = checked_seed(seed, "seed"), config_text(config)
        place = {"path": "", "config": text, "quantize": "", "seed": chosen, "mapping": ""}
        self._set_up(config, None, WeightSource.of_seed(text, chosen), "", options, place)

    def _set_up(
        self,
        config: BitAxonConfig,
        loaded: engine.LoadedModel | None,
        source: WeightSource,
        folder: str,
        options: dict[str, Any],
        place: dict[str, Any],
    ) -> None:
        ModelTree.__init__(self, config, source)
        LanguageModel.__init__(self, loaded, source, folder)
        self.config = config
        self._options = options
        self._place = place
        if options["quantize"] == "mlx":
            quantize_when_read(self, source, options["group_size"], options["bits"])
        self._loaded_version = self.version

    @classmethod
    def _of_files(
        cls,
        config: BitAxonConfig,
        loaded: engine.LoadedModel,
        source: WeightSource,
        folder: str,
        options: dict[str, Any],
        place: dict[str, Any],
    ) -> BitAxonModel:
        made = cls.__new__(cls)
        made._set_up(config, loaded, source, folder, options, place)
        return made

    def _ready(self) -> engine.LoadedModel:
        if not self._closed:
            is_changed = self.version != self._loaded_version and self.assigned_parameters()
            if self._loaded is None or is_changed:
                self._loaded, self._facts = reloaded(self), None
            self._loaded_version = self.version
        return super()._ready()

    def _unload(self) -> None:
        """Frees the memory of the device. The next call loads the model again."""
        self._loaded = self._facts = None

    def resize_vocab(self, target_vocab_size: int) -> None:
        """Adds rows of zeros to embedding and head. Does nothing for fewer rows than there are."""
        if target_vocab_size > self.config.vocab_size:
            self._grow_vocab(target_vocab_size)
            self.config = replace(self.config, vocab_size=target_vocab_size)

    __repr__ = LanguageModel.__repr__
    __reduce_ex__ = LanguageModel.__reduce_ex__

    @staticmethod
    def _get_layer_type(layer_idx: int, total_layers: int) -> str:
        """The kind of a layer: "ssm", "swa_moe" or "ssm_moe"."""
        return layer_type(layer_idx, total_layers)

    def _create_caches(self) -> ModelCache:
        """Empty caches: a KVCache for each layer with attention, None for the others."""
        return self.new_cache()
