"""What a DynamicCache is made of, and the layout that holds it.

A cache's tensors are parts of three kinds: rows that are only ever added to (one in so many tokens),
the last rows of a window, and states. Rows go to the append group's pages, a block of tokens each;
windows and states to pages of checkpoints. A part lies in its page as (outer, rows, inner), which is
its tensor's own order for a batch of one.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from transformers.cache_utils import DynamicCache

import quire

# A unit of 64 tokens at least: smaller ones make more objects than they save tokens.
_LEAST_UNIT_TOKENS = 64
# Layers whose tensors all are known. A subclass may keep more, so it is not taken for its parent.
_KNOWN_LAYERS = (
    "DynamicLayer",
    "DynamicIndexedLayer",
    "DynamicSlidingWindowLayer",
    "LinearAttentionLayer",
    "LinearAttentionAndFullAttentionLayer",
    "LinearAttentionAndSlidingWindowAttentionLayer",
    "DeepseekV4HCACache",
    "DeepseekV4CSACache",
)


class UnknownCacheError(quire.Error, TypeError):
    """A cache that cannot be stored; the text names the layer and the reason."""

    code = "invalid_argument"


@dataclass(frozen=True)
class Part:
    """One tensor of one layer.

    name: its attribute, and a key where that is a dict ("compressed_kv.indexer", "conv_states.0").
    shape: of a batch of one; -1 where rows are (rows and window parts).
    tokens_per_row: of rows parts. window_tokens: W of window parts, which keep W - 1 rows.
    alias: another attribute that is the same tensor ("values"), or "".
    """

    layer: int
    name: str
    kind: Literal["rows", "window", "state"]
    dtype: str
    shape: tuple[int, ...]
    tokens_per_row: int = 0
    window_tokens: int = 0
    alias: str = ""

    @property
    def torch_dtype(self) -> torch.dtype:
        return getattr(torch, self.dtype)

    @property
    def outer(self) -> int:
        return math.prod(self.shape[: self.shape.index(-1)]) if -1 in self.shape else 1

    @property
    def inner_bytes(self) -> int:
        inner = self.shape[self.shape.index(-1) + 1 :] if -1 in self.shape else self.shape
        return math.prod(inner) * self.torch_dtype.itemsize

    def rows_at(self, tokens: int) -> int:
        """How many rows the tensor has when the cache holds so many tokens."""
        if self.kind == "rows":
            return tokens // self.tokens_per_row
        return min(tokens, self.window_tokens - 1) if self.kind == "window" else 1

    def page_bytes(self, block_tokens: int) -> int:
        rows = self.rows_at(block_tokens) if self.kind == "rows" else self.rows_at(2**62)
        return self.outer * rows * self.inner_bytes

    def shape_at(self, tokens: int) -> tuple[int, ...]:
        rows = self.rows_at(tokens)
        return tuple(rows if extent == -1 else extent for extent in self.shape)


@dataclass(frozen=True)
class Place:
    """Where a part lies: its group's number, and the first of its bytes in the group's page."""

    part: Part
    group: int
    offset: int


def _key(name: str) -> tuple[str, Any]:
    attribute, _, key = name.partition(".")
    return attribute, int(key) if key.isdigit() else key


def get_tensor(layer: Any, name: str) -> torch.Tensor | None:
    attribute, key = _key(name)
    value = getattr(layer, attribute, None)
    return value if key == "" or value is None else value.get(key)


def set_tensor(layer: Any, name: str, tensor: torch.Tensor) -> None:
    attribute, key = _key(name)
    if key == "":
        setattr(layer, attribute, tensor)
    else:
        getattr(layer, attribute)[key] = tensor


class _LayerReader:
    """Parts of one live layer."""

    def __init__(self, index: int, layer: Any) -> None:
        self._index = index
        self._layer = layer

    def parts(self) -> Iterator[Part]:
        layer = self._layer
        if type(layer).__name__ not in _KNOWN_LAYERS:
            raise self._refused(f"is a {type(layer).__name__}; known are {', '.join(_KNOWN_LAYERS)}")
        if hasattr(layer, "conv_states"):
            yield from self._linear_parts()
        if hasattr(layer, "sliding_window"):
            yield from self._window_parts(layer.sliding_window)
        elif hasattr(layer, "keys"):
            yield from (self._rows(name, 2) for name in ("keys", "values"))
        if getattr(layer, "indexer_keys", None) is not None:
            yield self._rows("indexer_keys", 1)
        if hasattr(layer, "compressed_kv"):
            yield from self._compressor_parts()

    def _refused(self, text: str) -> UnknownCacheError:
        return UnknownCacheError(f"layer {self._index} of the cache {text}")

    def _tensor(self, name: str) -> torch.Tensor:
        tensor = get_tensor(self._layer, name)
        if tensor is None:
            raise self._refused(f"has no {name} yet: give a cache that a forward pass of at least "
                                "128 tokens has filled")
        if tensor.shape[0] != 1:
            raise self._refused(f"holds a batch of {tensor.shape[0]}: Quire keeps one prompt a session")
        return tensor

    def _part(self, name: str, kind: Any, axis: int | None, **fields: Any) -> Part:
        tensor = self._tensor(name)
        shape = tuple(-1 if i == axis else extent for i, extent in enumerate(tensor.shape))
        dtype = str(tensor.dtype).removeprefix("torch.")
        return Part(self._index, name, kind, dtype, shape, **fields)

    def _rows(self, name: str, axis: int, tokens_per_row: int = 1) -> Part:
        return self._part(name, "rows", axis, tokens_per_row=tokens_per_row)

    def _window_parts(self, window_tokens: int) -> Iterator[Part]:
        # V4's compressed layers keep one tensor under both names.
        shared = self._layer.values is self._layer.keys
        yield self._part("keys", "window", 2, window_tokens=window_tokens, alias="values" if shared else "")
        if not shared:
            yield self._part("values", "window", 2, window_tokens=window_tokens)

    def _linear_parts(self) -> Iterator[Part]:
        for i in range(self._layer.number_of_states):
            for name, known in (("conv_states", "is_conv_states_initialized"),
                                ("recurrent_states", "is_recurrent_states_initialized")):
                if getattr(self._layer, known)[i]:
                    yield self._part(f"{name}.{i}", "state", None)

    def _compressor_parts(self) -> Iterator[Part]:
        for name in sorted(self._layer.compressed_kv):
            yield self._rows(f"compressed_kv.{name}", 1, self._layer.compress_rate)
        for kind in ("overlap_kv", "overlap_gate"):
            for name in sorted(getattr(self._layer, kind, ())):
                yield self._part(f"{kind}.{name}", "state", None)


class CacheFormat:
    """Parts of a model's cache, where they lie in pages, and the layout of these. Immutable.

    unit_tokens: a cache can be saved whole (with windows and states) at its multiples; also the
        block of the append group. A multiple of every compressor's rate.
    """

    def __init__(self, parts: Sequence[Part], unit_tokens: int = 0) -> None:
        rates = [part.tokens_per_row for part in parts if part.kind == "rows"]
        least = math.lcm(_LEAST_UNIT_TOKENS, *rates) if unit_tokens == 0 else unit_tokens
        if any(least % rate for rate in rates):
            raise quire.InvalidArgumentError(
                f"unit_tokens: {least} is no multiple of the compressors' rates {sorted(set(rates))}"
            )
        self.parts = tuple(parts)
        self.unit_tokens = least
        self.places, groups = self._placed()
        self.layout = quire.Layout.from_groups(
            groups, unit_tokens=least, block_tokens=least, name="transformers"
        )

    @classmethod
    def of(cls, cache: DynamicCache, unit_tokens: int = 0) -> CacheFormat:
        """From a live cache. UnknownCacheError: it has layers of another kind, more than one prompt,
        or too few tokens to know all its tensors (128 are enough for every model known)."""
        parts = [part for i, layer in enumerate(cache.layers) for part in _LayerReader(i, layer).parts()]
        if not parts:
            raise UnknownCacheError("the cache has no layers yet: run the model on it first")
        return cls(parts, unit_tokens)

    @classmethod
    @torch.no_grad()
    def probe(cls, model: Any, unit_tokens: int = 0) -> CacheFormat:
        """From a model: a forward pass over 128 tokens fills a cache that is then thrown away."""
        cache = DynamicCache(config=model.config)
        ids = torch.zeros(1, 128, dtype=torch.long, device=model.device)
        model(input_ids=ids, past_key_values=cache, use_cache=True)
        return cls.of(cache, unit_tokens)

    @property
    def digest(self) -> str:
        """32 characters, of all that the bytes of pages mean, as dtypes: for a session's salt, so that
        equal layouts of other dtypes do not meet."""
        text = json.dumps([self.unit_tokens, *(asdict(part) for part in self.parts)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def _placed(self) -> tuple[tuple[Place, ...], list[quire.Group]]:
        windows = sorted({part.window_tokens for part in self.parts if part.kind == "window"})
        kinds = [("rows", "append", 0), *(("window", "window", w) for w in windows), ("state", "state", 0)]
        places: list[Place] = []
        groups: list[quire.Group] = []
        for part_kind, kind, window in kinds:
            own = [p for p in self.parts if p.kind == part_kind and p.window_tokens == window]
            if not own and kind != "append":
                continue
            name = f"window_{window}" if window else kind
            groups.append(self._group(own, len(groups), name, kind, places))
        return tuple(places), groups

    def _group(
        self, parts: Sequence[Part], number: int, name: str, kind: Any, places: list[Place]
    ) -> quire.Group:
        offset = 0
        layers = []
        for part in parts:
            size = part.page_bytes(self.unit_tokens)
            places.append(Place(part, number, offset))
            layers.append((part.layer, offset, size))
            offset += size
        # A model without growing tensors: spans still say which tokens a state is of.
        return quire.Group(
            name,
            kind,
            page_bytes=offset or 64,
            layers=tuple(layers) or ((0, 0, 64),),
            window_tokens=parts[0].window_tokens if kind == "window" else 0,
        )
