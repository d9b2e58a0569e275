"""Pages of SGLang's device pools as bytes, and bytes as pages.

What a pool's page is made of is SGLang's own description (DevicePoolEntry): its buffers, each with so
many rows a page. A page here is the rows of all buffers, one buffer behind the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sglang.srt.mem_cache.hicache_storage import PoolName
from sglang.srt.mem_cache.hybrid_cache.linker_pool_assembler import (
    DevicePoolEntry,
    DevicePoolGroup,
    _mha_device_pool_entry,
    resolve_hybrid_device_pool_group,
)
from sglang.srt.mem_cache.memory_pool import (
    HybridLinearKVPool,
    MambaPool,
    MHATokenToKVPool,
    MLATokenToKVPool,
)
from sglang.srt.mem_cache.swa_memory_pool import SWAKVPool
from sglang.srt.mem_cache.unified_cache.component_type import ComponentType


class UnsupportedPool(ValueError):
    """A pool whose pages this adapter does not know; the text says which."""


def device_pools(
    kvcache: Any, params: Any, page_size: int, components: set[ComponentType]
) -> DevicePoolGroup:
    """SGLang assembles some models' pools for linkers itself; plain, SWA and Mamba ones are done here."""
    full, swa, mamba = ComponentType.FULL, ComponentType.SWA, ComponentType.MAMBA
    drafts = getattr(params, "mtp_draft_device_pools", ()) or getattr(
        params, "sidecar_draft_device_pools", ()
    )
    if type(kvcache) in (MHATokenToKVPool, MLATokenToKVPool) and components == {full} and not drafts:
        layers = {layer: layer for layer in range(kvcache.layer_num)}
        return _group([_attention_entry(PoolName.KV, kvcache, layers, page_size)], kvcache)
    if type(kvcache) is SWAKVPool and components == {full, swa} and not drafts:
        full_layers, swa_layers = {}, {}
        for layer, (index, is_swa) in kvcache.layers_mapping.items():
            (swa_layers if is_swa else full_layers)[layer] = index
        entries = [
            _attention_entry(PoolName.KV, kvcache.full_kv_pool, full_layers, page_size),
            _attention_entry(PoolName.SWA, kvcache.swa_kv_pool, swa_layers, page_size),
        ]
        return _group(entries, kvcache.full_kv_pool)
    if type(kvcache) is HybridLinearKVPool and components == {full, mamba} and not drafts:
        pool = kvcache.full_kv_pool
        layers = _stage_layers(kvcache.full_attention_layer_id_mapping, kvcache.start_layer)
        entries = [
            _attention_entry(PoolName.KV, pool, layers, page_size),
            _state_entry(params.req_to_token_pool, kvcache.start_layer),
        ]
        return _group(entries, None)
    try:
        return resolve_hybrid_device_pool_group(
            kvcache=kvcache, page_size=page_size, params=params, components=components
        )
    except (AssertionError, ValueError) as error:
        name = type(kvcache).__name__
        raise UnsupportedPool(f"quire.sglang knows no pages of {name} here: {error}") from error


def _group(entries: list[DevicePoolEntry], attention: Any) -> DevicePoolGroup:
    layers = 1 + max(layer for entry in entries for layer in entry.layer_mapping)
    # Latent pages are the same on all tensor ranks.
    replicated = type(attention) is MLATokenToKVPool
    return DevicePoolGroup(entries, layers, entries[0].page_size, rank_replicated=replicated)


def _stage_layers(mapping: dict[int, int], start_layer: int) -> dict[int, int]:
    return {layer - start_layer: index for layer, index in mapping.items()}


def _attention_entry(
    name: PoolName, pool: Any, layers: dict[int, int], page_size: int
) -> DevicePoolEntry:
    if type(pool) is MHATokenToKVPool:
        if getattr(pool, "kv_cache_layout", "nhd") != "nhd":
            raise UnsupportedPool(f"quire.sglang knows no {pool.kv_cache_layout} KV layout")
        return _mha_device_pool_entry(name, pool, layers, page_size)
    if type(pool) is MLATokenToKVPool:
        return DevicePoolEntry(
            name=name,
            indices_from_pool=name,
            device_pool=pool,
            components=[pool.kv_buffer],
            layer_mapping=layers,
            page_size=page_size,
            rows_are_pages=False,
        )
    raise UnsupportedPool(f"quire.sglang knows no pages of {type(pool).__name__}")


def _state_entry(requests: Any, start_layer: int) -> DevicePoolEntry:
    """A row is the state of one slot, in each layer; a page is one row."""
    pool = requests.mamba_pool
    besides = (requests.mamba_ckpt_pool, requests.short_conv_pool.enabled, requests.ngram_pool.enabled)
    if type(pool) is not MambaPool or any(besides):
        raise UnsupportedPool(
            "quire.sglang knows states of MambaPool alone: no unified memory, int8 checkpoints, or side states"
        )
    cache = pool.mamba_cache
    layers = range(pool.num_mamba_layers)
    return DevicePoolEntry(
        name=PoolName.MAMBA,
        indices_from_pool=PoolName.MAMBA,
        device_pool=pool,
        components=[
            [state[layer] for layer in layers]
            for state in (cache.temporal, *cache.conv)
            if state.numel() > 0
        ],
        layer_mapping=_stage_layers(requests.mamba_map, start_layer),
        page_size=1,
        rows_are_pages=True,
    )


class PoolPages:
    """Of one pool: gathers pages into host memory, and scatters host memory into pages."""

    def __init__(self, entry: DevicePoolEntry) -> None:
        self.entry = entry
        self._buffers = entry.kv_buffer
        self._rows = entry._row_span
        self._sizes = [b.nbytes // b.shape[0] * self._rows for b in self._buffers]
        self.page_bytes = sum(self._sizes)

    @property
    def facts(self) -> dict[str, Any]:
        """All that a page's bytes depend on besides the model: types, shapes, and their order."""
        return {
            "pool": str(self.entry.name),
            "page": self.entry.page_size,
            "rows": self._rows,
            "buffers": [(str(b.dtype), list(b.shape[1:])) for b in self._buffers],
        }

    def gather(self, indices: torch.Tensor) -> np.ndarray:
        """uint8 [pages, page_bytes]. ValueError: indices that are no whole pages of this pool."""
        index = self._index(indices)
        pages = len(index) // self._rows
        parts = [
            buffer[index.to(buffer.device)].contiguous().reshape(pages, -1).view(torch.uint8).cpu()
            for buffer in self._buffers
        ]
        return torch.cat(parts, dim=1).numpy()

    def scatter(self, indices: torch.Tensor, pages: np.ndarray) -> None:
        index = self._index(indices)
        memory = torch.from_numpy(pages)
        offset = 0
        for buffer, size in zip(self._buffers, self._sizes):
            rows = memory[:, offset : offset + size].contiguous().view(buffer.dtype)
            rows = rows.reshape(len(index), *buffer.shape[1:])
            buffer[index.to(buffer.device)] = rows.to(buffer.device)
            offset += size

    def _index(self, indices: torch.Tensor) -> torch.Tensor:
        rows = torch.tensor(self.entry.prepare_locations(indices), dtype=torch.int64)
        return (rows[:, None] + torch.arange(self._rows)).reshape(-1)
