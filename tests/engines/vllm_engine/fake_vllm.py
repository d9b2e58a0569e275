"""vLLM as its connector sees it, without a model: requests, block tables, steps, a KV cache.

"Computing" a token writes bytes into its block that follow from the request's tokens alone, so that
a test knows what each block must hold, whoever filled it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import torch
from vllm.v1.kv_cache_interface import (
    ChunkedLocalAttentionSpec,
    FullAttentionSpec,
    KVCacheConfig,
    KVCacheGroupSpec,
    KVCacheTensor,
    MambaSpec,
    SlidingWindowSpec,
)

BLOCK = 16


def full(heads: int = 1) -> FullAttentionSpec:
    return FullAttentionSpec(
        block_size=BLOCK, num_kv_heads=heads, head_size=8, dtype=torch.bfloat16
    )


def window(tokens: int, heads: int = 1) -> SlidingWindowSpec:
    return SlidingWindowSpec(
        block_size=BLOCK,
        num_kv_heads=heads,
        head_size=8,
        dtype=torch.bfloat16,
        sliding_window=tokens,
    )


def chunked(tokens: int) -> ChunkedLocalAttentionSpec:
    return ChunkedLocalAttentionSpec(
        block_size=BLOCK,
        num_kv_heads=1,
        head_size=8,
        dtype=torch.bfloat16,
        attention_chunk_size=tokens,
    )


def state(mode: str = "align") -> MambaSpec:
    return MambaSpec(
        block_size=BLOCK,
        shapes=((3, 8), (4, 4)),
        dtypes=(torch.bfloat16, torch.float32),
        mamba_cache_mode=mode,
        page_size_padded=512,
    )


def config(
    groups: list[tuple[Any, int]], num_blocks: int = 64, block_outermost: bool = False, **more: Any
) -> KVCacheConfig:
    """Groups of (spec, layers), overlaid as vLLM does it: layer i of each group at one place."""
    deepest = max(layers for _, layers in groups)
    page = max(spec.page_size_bytes for spec, _ in groups)
    layer_stride = page if block_outermost else page * num_blocks
    block_stride = page * deepest if block_outermost else page
    tensors, specs, number = [], [], 0
    for spec, layers in groups:
        names = [f"model.layers.{number + i}.attn" for i in range(layers)]
        number += layers
        tensors.append(
            KVCacheTensor(
                size=page * num_blocks * deepest,
                layers=names,
                layer_stride=layer_stride,
                block_stride=block_stride,
            )
        )
        specs.append(KVCacheGroupSpec(layer_names=names, kv_cache_spec=spec))
    more.setdefault("hash_block_size", BLOCK)
    return KVCacheConfig(
        num_blocks=num_blocks,
        kv_cache_tensors=tensors,
        kv_cache_groups=specs,
        kv_cache_layout="BLNHC" if block_outermost else "LBNHC",
        **more,
    )


def memory(cache: KVCacheConfig) -> torch.Tensor:
    return torch.zeros(cache.kv_cache_tensors[0].size, dtype=torch.uint8)


@dataclass
class Request:
    request_id: str
    prompt: list[int]
    cache_salt: str | None = None
    lora_request: Any = None
    skip_reading_prefix_cache: bool = False
    kv_transfer_params: dict | None = None
    output: list[int] = field(default_factory=list)
    num_computed_tokens: int = 0
    num_in_flight_tokens: int = 0

    @property
    def tokens(self) -> list[int]:
        return self.prompt + self.output

    @property
    def num_tokens(self) -> int:
        return len(self.tokens)

    @property
    def num_prompt_tokens(self) -> int:
        return len(self.prompt)

    @property
    def num_output_tokens(self) -> int:
        return len(self.output)

    @property
    def block_hashes(self) -> list[bytes]:
        hashes, last = [], (self.cache_salt or "").encode()
        for at in range(0, self.num_tokens - BLOCK + 1, BLOCK):
            last = hashlib.sha256(last + repr(self.tokens[at : at + BLOCK]).encode()).digest()
            hashes.append(last)
        return hashes


class Blocks:
    def __init__(self, tables: tuple[list[int], ...]):
        self._tables = tables

    def get_block_ids(self) -> tuple[list[int], ...]:
        return tuple(list(table) for table in self._tables)


class Rank:
    """One worker's cache, and the bytes that computing puts there."""

    def __init__(self, cache: KVCacheConfig, rank: int):
        self.cache = cache
        self.rank = rank
        self.raw = memory(cache)

    def place(self, layer: str, block: int) -> torch.Tensor:
        for tensor in self.cache.kv_cache_tensors:
            if layer in tensor.layers:
                at = tensor.offset + tensor.layers.index(layer) * tensor.layer_stride
                at += block * tensor.block_stride
                return self.raw[at : at + self._bytes(layer)]
        raise KeyError(layer)

    def _bytes(self, layer: str) -> int:
        for group in self.cache.kv_cache_groups:
            if layer in group.layer_names:
                spec = group.kv_cache_spec
                return getattr(spec, "real_page_size_bytes", spec.page_size_bytes)
        raise KeyError(layer)

    def content(self, layer: str, leaf: bytes) -> torch.Tensor:
        seed = hashlib.sha256(f"{layer}/{self.rank}".encode() + leaf).digest()
        size = self._bytes(layer)
        return torch.tensor(list((seed * (size // 32 + 1))[:size]), dtype=torch.uint8)

    def compute(self, group: int, block: int, leaf: bytes) -> None:
        for layer in self.cache.kv_cache_groups[group].layer_names:
            self.place(layer, block).copy_(self.content(layer, leaf))

    def holds(self, group: int, block: int, leaf: bytes) -> bool:
        return all(
            torch.equal(self.place(layer, block), self.content(layer, leaf))
            for layer in self.cache.kv_cache_groups[group].layer_names
        )


def step(
    scheduled: dict[str, tuple[Request, int]],
    tables: dict[str, tuple[list[int], ...]],
    offers: dict[str, list[tuple[int, int, int]]] | None = None,
    preempted: set[str] | None = None,
) -> SimpleNamespace:
    """SchedulerOutput: of each request, how many tokens from its num_computed_tokens on."""
    return SimpleNamespace(
        num_scheduled_tokens={name: count for name, (_, count) in scheduled.items()},
        scheduled_new_reqs=[
            SimpleNamespace(req_id=name, num_computed_tokens=request.num_computed_tokens)
            for name, (request, _) in scheduled.items()
        ],
        scheduled_cached_reqs=SimpleNamespace(req_ids=[], num_computed_tokens=[]),
        preempted_req_ids=preempted or set(),
        kv_connector_block_state=SimpleNamespace(
            get_block_ids=lambda name: tables.get(name),
            boundary_state_offloads=offers or {},
        ),
    )


def output(**more: Any) -> SimpleNamespace:
    """KVConnectorOutput."""
    known = dict(
        kv_connector_worker_meta=None,
        finished_recving=set(),
        failed_recving=set(),
        finished_sending=set(),
        invalid_block_ids=set(),
    )
    known.update(more)
    return SimpleNamespace(**known)
