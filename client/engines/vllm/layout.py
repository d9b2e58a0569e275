"""What vLLM's KVCacheConfig means to Quire: which bytes of which block stand in which page.

    vLLM                                      Quire
    full attention, MLA       groups   -->    "append.rR"       one page a unit
    sliding window            groups   -->    "window<W>.rR"    one page a checkpoint
    chunked local attention   groups   -->    "chunk<C>.rR"     one page a checkpoint
    Mamba, GDN, linear        groups   -->    "state.rR"        one page a checkpoint

All groups of a kind (and window) are one Quire group of a rank, so that the 64 groups of a layout
do for many vLLM groups times many ranks. Groups that vLLM itself does not cache by prefix are left
out. The unit is the least common multiple of the cached groups' block sizes: vLLM takes no other
hit.

    page = for each part (vLLM group), for each layer: `blocks` blocks of `page_bytes`

Pure Python and no import of vLLM, so that each rule is tested on plain objects.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

MAX_GROUPS = 64


class UnsupportedModel(ValueError):
    """The model, or its parallelism, is none whose pages the connector can place."""


@dataclass(frozen=True)
class LayerPlace:
    """Block b of the layer lies at `offset + b * block_stride` of the cache's allocation."""

    name: str
    offset: int
    block_stride: int
    page_bytes: int


@dataclass(frozen=True)
class Part:
    """The blocks of one vLLM group in a Quire page."""

    vllm_group: int
    block_tokens: int
    blocks: int  # in a page; of a window the last ones before its end
    layers: tuple[LayerPlace, ...]
    chunk_tokens: int = 0  # attention does not look beyond multiples of it; 0: it does

    def first_needed(self, end_tokens: int) -> int:
        """The first block that a resume there looks at."""
        last = end_tokens // self.block_tokens
        chunk = end_tokens // self.chunk_tokens * self.chunk_tokens if self.chunk_tokens else 0
        return max(0, last - self.blocks, chunk // self.block_tokens)

    @property
    def bytes(self) -> int:
        return self.blocks * sum(layer.page_bytes for layer in self.layers)


@dataclass(frozen=True)
class PageGroup:
    """One Quire group, as each rank has it."""

    name: str
    kind: str  # append, window, state
    parts: tuple[Part, ...]
    window_tokens: int = 0

    @property
    def page_bytes(self) -> int:
        return sum(part.bytes for part in self.parts)


@dataclass(frozen=True)
class Geometry:
    """The groups of one rank, and the layout of all of them.

    `shard_count` ranks hold different bytes; each of these has `replicas` ranks with equal ones.
    """

    unit_tokens: int
    hash_tokens: int  # between two of vLLM's block hashes
    groups: tuple[PageGroup, ...]
    shard_count: int = 1
    replicas: int = 1
    name: str = "vllm"

    @property
    def has_checkpoints(self) -> bool:
        return any(group.kind != "append" for group in self.groups)

    @property
    def has_states(self) -> bool:
        return any(group.kind == "state" for group in self.groups)

    @property
    def hashes_per_unit(self) -> int:
        return self.unit_tokens // self.hash_tokens

    def span_bytes(self) -> int:
        return sum(g.page_bytes for g in self.groups if g.kind == "append")

    def checkpoint_bytes(self) -> int:
        return sum(g.page_bytes for g in self.groups if g.kind != "append")

    def shard_of(self, tp_rank: int) -> int:
        return tp_rank // self.replicas

    def writes(self, tp_rank: int) -> bool:
        """The first of the ranks that hold equal bytes writes them."""
        return tp_rank % self.replicas == 0

    def mask(self, shard: int) -> int:
        """Group bits of a shard: shard s has groups s * len(groups) and on."""
        return ((1 << len(self.groups)) - 1) << (shard * len(self.groups))

    def group_at(self, index: int) -> PageGroup:
        return self.groups[index % len(self.groups)]

    def toml(self) -> str:
        """The layout as `quire.Layout.parse` takes it."""
        lines = [
            f'name = "{self.name}"',
            f"unit_tokens = {self.unit_tokens}",
            f"block_tokens = {self.unit_tokens}",
        ]
        for shard in range(self.shard_count):
            for group in self.groups:
                lines += _group_toml(group, shard, self.shard_count)
        return "\n".join(lines) + "\n"


def _group_toml(group: PageGroup, shard: int, shard_count: int) -> list[str]:
    lines = [
        "",
        "[[groups]]",
        f'name = "{group.name}.r{shard}"',
        f'kind = "{group.kind}"',
        f"page_bytes = {group.page_bytes}",
        f"shard = {shard}",
        f"shard_count = {shard_count}",
    ]
    if group.kind == "window":
        lines.append(f"window_tokens = {group.window_tokens}")
    if group.kind != "append":
        lines.append('checkpoints = "turn_ends"')
    ranges = []
    offset = 0
    for part in group.parts:
        for position, layer in enumerate(part.layers):
            size = part.blocks * layer.page_bytes
            index = layer_index(layer.name, position)
            ranges.append(f"  {{first = {index}, offset = {offset}, bytes = {size}}},")
            offset += size
    return [*lines, "layers = [", *ranges, "]"]


def layer_index(name: str, default: int) -> int:
    """The first number of a layer's name, as in model.layers.12.self_attn.attn."""
    found = re.search(r"\.(\d+)(\.|$)", name)
    return int(found.group(1)) if found else default


# Physical orders in which a block's page is one run of bytes.
_COMPACT_ORDERS = {None, "LBHNC", "LBNHC", "BLHNC", "BLNHC"}


def derive_geometry(config: Any, tensor_parallel: int, name: str = "vllm") -> Geometry:
    """Raises UnsupportedModel, with what is not supported, and what to do about it."""
    order = getattr(config, "kv_cache_layout", None)
    if getattr(order, "name", order) not in _COMPACT_ORDERS:
        raise UnsupportedModel(
            f"the KV cache layout {order} scatters the bytes of a block; "
            "set VLLM_KV_CACHE_LAYOUT=LBNHC"
        )
    places = _layer_places(config)
    cached = [g for g in config.prefix_cacheable_group_ids]
    if not cached:
        raise UnsupportedModel("none of the model's KV cache groups is cached by prefix")
    unit = math.lcm(*(_block_tokens(config.kv_cache_groups[g]) for g in cached))
    hash_tokens = config.hash_block_size or unit
    if unit % hash_tokens:
        raise UnsupportedModel(
            f"block hashes every {hash_tokens} tokens do not divide the unit of {unit} tokens"
        )
    groups = _page_groups(config, cached, places, unit)
    replicas = max(1, getattr(config, "kv_tp_replicas", 1) or 1)
    if tensor_parallel % replicas:
        raise UnsupportedModel(f"{tensor_parallel} ranks are not a multiple of {replicas} replicas")
    shards = tensor_parallel // replicas
    if shards * len(groups) > MAX_GROUPS:
        raise UnsupportedModel(
            f"{len(groups)} groups times {shards} ranks are more than {MAX_GROUPS}"
        )
    return Geometry(unit, hash_tokens, tuple(groups), shards, replicas, name)


def _page_groups(config: Any, cached: list[int], places: dict, unit: int) -> list[PageGroup]:
    append: list[Part] = []
    windows: dict[tuple[str, int], list[Part]] = {}
    states: list[Part] = []
    for index in cached:
        group = config.kv_cache_groups[index]
        kind, window = spec_kind(group.kv_cache_spec)
        block = _block_tokens(group)
        if kind == "append":
            blocks = unit // block
        elif kind == "window":
            # A token at h sees the window - 1 tokens before it.
            blocks = max(1, -(-(window - 1) // block))
        elif kind == "chunk":
            blocks = -(-window // block)
        else:
            blocks = 1
        layers = _sorted_layers([places[layer] for layer in group.layer_names if layer in places])
        if not layers:
            continue
        part = Part(index, block, blocks, layers, window if kind == "chunk" else 0)
        if kind == "append":
            append.append(part)
        elif kind in ("window", "chunk"):
            windows.setdefault((kind, window), []).append(part)
        else:
            states.append(part)
    if not append:
        raise UnsupportedModel(
            "the model keeps nothing for each token (no full attention): "
            "its states alone are not cached"
        )
    groups = [PageGroup("append", "append", tuple(append))]
    for (kind, window), parts in sorted(windows.items()):
        groups.append(PageGroup(f"{kind}{window}", "window", tuple(parts), window))
    if states:
        groups.append(PageGroup("state", "state", tuple(states)))
    return groups


def _sorted_layers(layers: list[LayerPlace]) -> tuple[LayerPlace, ...]:
    """By size and place: copies then run over layers that are equally far apart."""
    return tuple(sorted(layers, key=lambda p: (p.page_bytes, p.block_stride, p.offset)))


def _layer_places(config: Any) -> dict[str, LayerPlace]:
    specs = {}
    for group in config.kv_cache_groups:
        for layer in group.layer_names:
            specs[layer] = _layer_spec(group.kv_cache_spec, layer)
    places = {}
    for tensor in config.kv_cache_tensors:
        if getattr(tensor, "host_resident", False):
            continue
        for position, layer in enumerate(tensor.layers):
            if layer not in specs:
                continue
            places[layer] = LayerPlace(
                layer,
                tensor.offset + position * tensor.layer_stride,
                tensor.block_stride,
                content_bytes(specs[layer]),
            )
    return places


def _layer_spec(spec: Any, layer: str) -> Any:
    by_layer = getattr(spec, "kv_cache_specs", None)
    return by_layer[layer] if by_layer else spec


def content_bytes(spec: Any) -> int:
    """Bytes of a block without the padding behind them."""
    for name in ("unpadded_page_size_bytes", "real_page_size_bytes"):
        size = getattr(spec, name, None)
        if size:
            return size
    return spec.page_size_bytes


def _block_tokens(group: Any) -> int:
    return group.kv_cache_spec.block_size


# Kinds whose blocks do not stand for tokens as those of their base class do.
_REFUSED = {"RSWASpec", "SinkFullAttentionSpec"}
_KIND_BY_CLASS = (
    # The more special class first; by name, so that nothing of vLLM is imported here.
    ("SlidingWindowMLASpec", "window"),
    ("SlidingWindowSpec", "window"),
    ("ChunkedLocalAttentionSpec", "chunk"),
    ("MambaSpec", "state"),
    ("MLAAttentionSpec", "append"),
    ("FullAttentionSpec", "append"),
)


def spec_kind(spec: Any) -> tuple[str, int]:
    """("append" | "window" | "chunk" | "state", tokens it sees). Raises UnsupportedModel."""
    by_layer = getattr(spec, "kv_cache_specs", None)
    if by_layer:
        kinds = {spec_kind(one) for one in by_layer.values()}
        if len(kinds) != 1:
            raise UnsupportedModel(f"layers of different kinds share a group: {sorted(kinds)}")
        return kinds.pop()
    names = [cls.__name__ for cls in type(spec).__mro__]
    for name, kind in () if _REFUSED & set(names) else _KIND_BY_CLASS:
        if name in names:
            mode = getattr(spec, "mamba_cache_mode", "align")
            if mode != "align":
                raise UnsupportedModel(
                    f"vLLM offers no states of prompts (mamba_cache_mode {mode}); "
                    "start it with --mamba-cache-mode align"
                )
            if kind == "chunk":
                return kind, spec.attention_chunk_size
            window = spec.sliding_window if kind == "window" else 0
            extra = getattr(spec, "extra_retained_tokens", 0) if kind == "window" else 0
            return kind, window + extra
    raise UnsupportedModel(f"KV cache of kind {names[0]} is not known to the connector")
