"""QuireStorage: Quire as the third tier of SGLang's HiCache (HiCacheStorage, dynamic backend).

Written against SGLang 0.5.23. SGLang copies pages between the device and its own host pools; this class
copies between those and the daemon. Keys of one call are in the order of a prompt.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch
from sglang.srt.mem_cache.hicache_storage import (
    HiCacheStorage,
    HiCacheStorageConfig,
    HiCacheStorageExtraInfo,
    PoolHitPolicy,
    PoolName,
    PoolTransfer,
    PoolTransferResult,
)

import quire
from quire.keyed import KeyedPages
from quire.link import Link, connect_options

from .identity import namespace, rank_facts

log = logging.getLogger("sglang.quire")


class QuireStorage(HiCacheStorage):
    """Threads: any. Never raises for the daemon: a page is not there, or was not stored."""

    def __init__(
        self, storage_config: HiCacheStorageConfig, kwargs: dict[str, Any] | None = None
    ) -> None:
        self._config = storage_config
        self._extra = dict(storage_config.extra_config or {})
        if storage_config.attn_cp_size > 1 or storage_config.dcp_size > 1:
            raise ValueError("QuireStorage knows no context parallelism yet")
        options = connect_options(self._extra, "sglang-hicache")
        self._link = Link(lambda: quire.Client(**options))
        self.registered_pools: dict[Any, Any] = {}
        self._stores: dict[tuple[Any, int], KeyedPages] = {}

    def register_mem_pool_host(self, mem_pool_host: Any) -> None:
        super().register_mem_pool_host(mem_pool_host)
        self.registered_pools.setdefault(PoolName.KV, mem_pool_host)

    # --- one pool: get, set, exists, and v1 ----------------------------------------------------

    def exists(self, key: str) -> bool:
        return self.batch_exists([key]) == 1

    def batch_exists(
        self, keys: list[str], extra_info: HiCacheStorageExtraInfo | None = None
    ) -> int:
        """How many pages from the first on are there."""
        return _leading(self._store(PoolName.KV).find(keys, prefix=True))

    def get(
        self, key: str, target_location: Any = None, target_sizes: Any = None
    ) -> torch.Tensor | None:
        return self.batch_get([key], [target_location])[0]

    def batch_get(
        self, keys: list[str], target_locations: Any = None, target_sizes: Any = None
    ) -> list[torch.Tensor | None]:
        """Into `target_locations`, flat tensors of a page each; None for those that are not there."""
        targets = [_memory_of(target) for target in target_locations]
        if not targets:
            return []
        store = self._store(PoolName.KV, targets[0].nbytes)

        def take(index: int, page: np.ndarray) -> None:
            targets[index][...] = page

        if any(target.nbytes != store.page_bytes for target in targets):
            return [None] * len(keys)
        loaded = store.load(keys, take)
        return [t if done else None for t, done in zip(target_locations, loaded)]

    def set(
        self, key: str, value: Any = None, target_location: Any = None, target_sizes: Any = None
    ) -> bool:
        return self.batch_set([key], [value])

    def batch_set(
        self,
        keys: list[str],
        values: Any = None,
        target_locations: Any = None,
        target_sizes: Any = None,
    ) -> bool:
        sources = [_memory_of(value.contiguous()) for value in values]
        if not sources:
            return True
        store = self._store(PoolName.KV, sources[0].nbytes)
        if any(source.nbytes != store.page_bytes for source in sources):
            return False

        def fill(index: int, page: np.ndarray) -> None:
            page[...] = sources[index]

        return all(store.store(keys, fill))

    def batch_get_v1(
        self,
        keys: list[str],
        host_indices: torch.Tensor,
        extra_info: HiCacheStorageExtraInfo | None = None,
    ) -> list[bool]:
        return self._read(PoolName.KV, keys, host_indices)

    def batch_set_v1(
        self,
        keys: list[str],
        host_indices: torch.Tensor,
        extra_info: HiCacheStorageExtraInfo | None = None,
    ) -> list[bool]:
        return self._write(PoolName.KV, keys, host_indices)

    # --- several pools: v2 ------------------------------------------------------------------------

    def batch_exists_v2(
        self,
        keys: list[str],
        pool_transfers: list[PoolTransfer] | None = None,
        extra_info: HiCacheStorageExtraInfo | None = None,
    ) -> PoolTransferResult:
        whole = _leading(self._store(PoolName.KV).find(keys, prefix=True))
        hits: dict[str, int] = {PoolName.KV: whole} if whole else {}
        lengths = list(range(1, whole + 1))
        for transfer in pool_transfers or []:
            if not lengths:
                break
            if transfer.hit_policy == PoolHitPolicy.ALL_PAGES:
                found = self._store(transfer.name).find(keys[:whole], prefix=True)
                restorable = set(range(1, _leading(found) + 1))
            elif transfer.hit_policy == PoolHitPolicy.TRAILING_PAGES:
                found = self._store(transfer.name).find(keys[:whole])
                needed = max(1, len(transfer.keys or ()))
                restorable = {
                    n for n in range(1, whole + 1) if all(found[max(0, n - needed) : n])
                }
            else:
                # BLOCK_GROUPS never decides about the KV hit; of it nothing is kept.
                continue
            if restorable:
                hits[transfer.name] = max(restorable)
            lengths = [n for n in lengths if n in restorable]
        return PoolTransferResult(lengths[-1] if lengths else 0, hits, lengths)

    def batch_get_v2(
        self,
        transfers: list[PoolTransfer],
        extra_info: HiCacheStorageExtraInfo | None = None,
    ) -> dict[str, list[bool]]:
        return {t.name: self._read(t.name, list(t.keys or ()), t.host_indices) for t in transfers}

    def batch_set_v2(
        self,
        transfers: list[PoolTransfer],
        extra_info: HiCacheStorageExtraInfo | None = None,
    ) -> dict[str, list[bool]]:
        return {t.name: self._write(t.name, list(t.keys or ()), t.host_indices) for t in transfers}

    # --- pages of host pools -----------------------------------------------------------------------

    def _read(self, name: Any, keys: list[str], host_indices: Any) -> list[bool]:
        pool, places = self._places(name, keys, host_indices)
        if places is None:
            return [False] * len(keys)
        store = self._store(name)

        def take(index: int, page: np.ndarray) -> None:
            flat = pool.get_dummy_flat_data_page()
            _memory_of(flat)[...] = page
            pool.set_from_flat_data_page(places[index], flat)

        return store.load(keys, take)

    def _write(self, name: Any, keys: list[str], host_indices: Any) -> list[bool]:
        pool, places = self._places(name, keys, host_indices)
        if places is None:
            return [False] * len(keys)

        def fill(index: int, page: np.ndarray) -> None:
            page[...] = _memory_of(pool.get_data_page(places[index], flat=True).contiguous())

        return self._store(name).store(keys, fill)

    def _places(
        self, name: Any, keys: list[str], host_indices: Any
    ) -> tuple[Any, list[int] | None]:
        """The pool, and the first index of each key's page; None: they do not fit together."""
        pool = self.registered_pools.get(name)
        if pool is None:
            log.error("pool %s was never registered", name)
            return None, None
        page_size = getattr(pool, "page_size", 1) or 1
        if host_indices is None or host_indices.numel() != len(keys) * page_size:
            log.error("%s: %d pages need one page of indices each", name, len(keys))
            return pool, None
        return pool, host_indices[::page_size].tolist()

    def _store(self, name: Any, page_bytes: int = 0) -> KeyedPages:
        """Of a pool; `page_bytes` of a caller that brings its own memory."""
        pool = self.registered_pools.get(name)
        if not page_bytes:
            if pool is None:
                known = [store for (known, _), store in self._stores.items() if known == name]
                if known:
                    return known[-1]
                page_bytes = 8  # nothing was stored by this process: any size is as good as another
            else:
                flat = pool.get_dummy_flat_data_page()
                page_bytes = flat.numel() * flat.element_size()
        if (name, page_bytes) not in self._stores:
            self._stores[name, page_bytes] = self._make_store(name, pool, page_bytes)
        return self._stores[name, page_bytes]

    def _make_store(self, name: Any, pool: Any, page_bytes: int) -> KeyedPages:
        config = self._config
        # SGLang writes latent pages on one rank for all; a Mamba state is each rank's own.
        replicated = config.is_mla_model and name != PoolName.MAMBA
        facts = {
            "model": config.model_name or "",
            "hicache": str(getattr(pool, "layout", "")),
            "pool": str(name),
            "bytes": page_bytes,
            "dtype": str(getattr(pool, "dtype", "")),
            "page": int(getattr(pool, "page_size", 1) or 1),
            **rank_facts(
                replicated=replicated,
                rank=config.tp_rank,
                size=config.tp_size,
                stage=config.pp_rank,
                stages=config.pp_size,
            ),
        }
        return KeyedPages(
            self._link,
            page_bytes=page_bytes,
            page_tokens=facts["page"],
            namespace=namespace(facts, self._extra),
            tenant=str(self._extra.get("tenant", "")),
        )

    def clear(self) -> None:
        """What is stored stays: other engines may be using it."""

    def close(self) -> None:
        self._link.close()


def _leading(found: list[bool]) -> int:
    return found.index(False) if False in found else len(found)


def _memory_of(tensor: torch.Tensor) -> np.ndarray:
    """uint8 over a contiguous CPU tensor's own memory."""
    return tensor.reshape(-1).view(torch.uint8).numpy()
