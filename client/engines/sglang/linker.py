"""QuireLinker: SGLang's device pools straight to Quire, without a host tier (UnifiedCacheLinker).

Written against SGLang 0.5.23. One object in each worker. A queued load is pinned in the daemon, so that
a miss is an answer ("compute it") and never a batch that fails; its pages are brought by a thread, which
begins at once and writes the device pages when the batch has started. The scheduler waits for neither:
a lookup and a pin are round trips, whatever a load reads from the SSD meanwhile.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from sglang.srt.mem_cache.hicache_storage import PoolHitPolicy, PoolName, PoolTransfer
from sglang.srt.mem_cache.unified_cache.unified_cache_linker import (
    LayerWiseLoadCounter,
    UnifiedCacheLinker,
)

import quire
from quire.keyed import Chains, KeyedPages, PinnedPages
from quire.link import Link, connect_options

from .device_pages import PoolPages, UnsupportedPool, device_pools
from .identity import namespace, rank_facts

log = logging.getLogger("sglang.quire")

_OFFLOADS_QUEUED = 256  # each keeps pages of the device locked


@dataclass
class _Part:
    """A request's pages of one pool."""

    pages: PoolPages
    indices: torch.Tensor
    pinned: PinnedPages
    memory: np.ndarray


@dataclass
class _Load:
    """A request's load: pinned, fetched by the loading thread, then scattered by it, or cancelled."""

    parts: list[_Part] = field(default_factory=list)
    cancelled: bool = False
    whole: bool = False  # all of its bytes are in `memory`

    def fetch(self) -> None:
        try:
            self.whole = not self.cancelled and all(self._fetch(part) for part in self.parts)
        finally:
            self.let_go()

    @staticmethod
    def _fetch(part: _Part) -> bool:
        def take(index: int, page: np.ndarray) -> None:
            part.memory[index] = page

        return part.pinned.take(take)

    def let_go(self) -> None:
        for part in self.parts:
            part.pinned.close()


class QuireLinker(UnifiedCacheLinker):
    """Threads: the scheduler's calls all; of its own one brings loads, and one stores what is offloaded."""

    def __init__(
        self,
        server_args: Any,
        params: Any,
        *,
        components: set[Any],
        extra_config: dict[str, Any],
        forward_stream: Any = None,
    ) -> None:
        self.forward_stream = forward_stream
        extra = dict(extra_config or {})
        if getattr(params, "attn_cp_size", 1) > 1:
            raise UnsupportedPool("QuireLinker knows no context parallelism yet")
        kvcache = params.token_to_kv_pool_allocator.get_kvcache()
        self._group = device_pools(kvcache, params, params.page_size, components)
        self.pools = self._group.entry_map
        self.layer_done_counter = LayerWiseLoadCounter(self._group.num_layers)
        if PoolName.MAMBA in self.pools:
            params.req_to_token_pool.register_layer_transfer_counter(self.layer_done_counter)
        self._ranks = _ranks_of(params)
        self._pages = {name: PoolPages(entry) for name, entry in self.pools.items()}
        self._on_cpu = all(
            buffer.device.type == "cpu" for entry in self.pools.values() for buffer in entry.kv_buffer
        )
        options = connect_options(extra, "sglang")
        # Of its own, so that a lookup never waits until an offload is written.
        self._read_link = Link(lambda: quire.Client(**options))
        self._write_link = Link(lambda: quire.Client(**options))
        chains = {name: Chains() for name in self._pages}
        self._read = self._stores(self._read_link, chains, params, extra)
        self._write = self._stores(self._write_link, chains, params, extra)
        self._pending: dict[str, _Load] = {}
        self._loads: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._offloads: queue.Queue = queue.Queue(_OFFLOADS_QUEUED)
        self._results: queue.Queue[bool] = queue.Queue()
        self._threads = [
            threading.Thread(target=work, name=name, daemon=True)
            for work, name in (
                (self._bring_loads, "quire-load"),
                (self._store_offloads, "quire-offload"),
            )
        ]
        for thread in self._threads:
            thread.start()

    def _stores(
        self, link: Link, chains: dict[Any, Chains], params: Any, extra: dict[str, Any]
    ) -> dict[Any, KeyedPages]:
        rank, size, _ = self._ranks
        facts = {
            "model": _model_name(extra),
            **rank_facts(
                replicated=self._group.rank_replicated,
                rank=rank,
                size=size,
                stage=getattr(params, "pp_rank", 0),
                stages=getattr(params, "pp_size", 1),
            ),
            "eagle": bool(getattr(params, "is_eagle", False)),
        }
        return {
            name: KeyedPages(
                link,
                page_bytes=pages.page_bytes,
                page_tokens=params.page_size,
                namespace=namespace({**facts, **pages.facts}, extra),
                tenant=str(extra.get("tenant", "")),
                chains=chains[name],
            )
            for name, pages in self._pages.items()
        }

    # --- lookup ----------------------------------------------------------------------------------

    def lookup(self, rid: str, transfers: list[PoolTransfer]) -> list[int]:
        """All lengths, in pages, at which every pool has what a resume there needs; ascending."""
        expanded = self._group.resolve_transfers(transfers)
        keys = next((list(t.keys or ()) for t in transfers if t.name == PoolName.KV), [])
        if not expanded or not keys:
            return []
        lengths = range(1, len(keys) + 1)
        for transfer in sorted(expanded, key=lambda t: t.hit_policy != PoolHitPolicy.ALL_PAGES):
            if not lengths:
                return []
            held = keys[: lengths[-1]]
            if transfer.hit_policy == PoolHitPolicy.ALL_PAGES:
                found = self._read[transfer.name].find(held, prefix=True)
                whole = found.index(False) if False in found else len(found)
                lengths = range(1, whole + 1)
                continue
            found = self._read[transfer.name].find(held)
            needed = max(1, len(transfer.keys))
            lengths = [n for n in lengths if all(found[max(0, n - needed) : n])]
        return list(lengths)

    # --- loads -----------------------------------------------------------------------------------

    def load(self, rid: str, transfers: list[PoolTransfer]) -> bool:
        """False: not all of it is there any more, on some rank; the engine computes it."""
        expanded = self._group.resolve_transfers(
            transfers, allow_partial=True, allow_missing_kv=True
        )
        load = _Load()
        for transfer in expanded:
            pinned = self._read[transfer.name].pin(transfer.keys)
            if pinned is None:
                break
            pages = self._pages[transfer.name]
            memory = np.empty((len(transfer.keys), pages.page_bytes), np.uint8)
            load.parts.append(_Part(pages, transfer.host_indices.clone(), pinned, memory))
        mine = bool(expanded) and len(load.parts) == len(expanded)
        if not self._all_ranks(mine):
            load.let_go()
            return False
        self._pending[rid] = load
        self._loads.put(load.fetch)
        return True

    def _all_ranks(self, mine: bool) -> bool:
        """Ranks must answer alike, or their batches differ."""
        _, size, group = self._ranks
        if size == 1:
            return mine
        word = torch.tensor([int(mine)], dtype=torch.int)
        torch.distributed.all_reduce(word, torch.distributed.ReduceOp.MIN, group=group)
        return bool(word.item())

    def start_layer_wise_loading(self) -> int:
        if not self._pending:
            return -1
        loads, self._pending = list(self._pending.values()), {}
        index = self.layer_done_counter.update_producer()
        # Its pages may have been another request's, which the device still reads.
        ready = [] if self._on_cpu else self.record_offload_ready()
        self._loads.put(lambda: self._scatter(index, loads, ready))
        return index

    def _scatter(self, index: int, loads: list[_Load], ready: list[Any]) -> None:
        """On the loading thread, behind the fetches of these."""
        try:
            if not all(load.whole for load in loads):
                raise RuntimeError("pages that were there could not be read")
            for event in ready:
                event.synchronize()
            for load in loads:
                for part in load.parts:
                    part.pages.scatter(part.indices, part.memory)
            self._wait_for_device()
        except Exception as error:
            # What the engine reads is as it was before, or in part: it must not use it.
            log.exception("pages could not be brought to the device")
            self.layer_done_counter.fail(index, error)
            return
        for layer in range(self._group.num_layers):
            self.layer_done_counter.complete(index, layer)

    def _bring_loads(self) -> None:
        while (task := self._loads.get()) is not None:
            try:
                task()
            except Exception:  # the thread must live; a load that is not whole fails its batch
                log.exception("a load failed")
            finally:
                self._loads.task_done()
        self._loads.task_done()

    def _wait_for_device(self) -> None:
        if not self._on_cpu:
            torch.accelerator.current_stream().synchronize()

    def finish_layer_wise_loading(self, counter_index: int) -> bool:
        return self.layer_done_counter.finish(counter_index)

    def cancel_queued_load(self, rid: str) -> bool:
        load = self._pending.pop(rid, None)
        if load is None:
            return False
        # Its pages go when the thread comes to it: nothing of it is fetched from here on.
        load.cancelled = True
        return True

    # --- offloads --------------------------------------------------------------------------------

    def offload(self, transfers: list[PoolTransfer], session_id: str | None = None) -> bool:
        """False: not taken; the engine may offer the node again."""
        expanded = self._group.resolve_transfers(transfers, allow_partial=True)
        if not expanded:
            return False
        ready = [] if self._on_cpu else self.record_offload_ready()
        try:
            self._offloads.put_nowait((expanded, ready))
        except queue.Full:
            return False
        return True

    def _store_offloads(self) -> None:
        while (task := self._offloads.get()) is not None:
            try:
                self._results.put(self._store(*task))
            except Exception:  # the thread must live, and each task have its result
                log.exception("an offload failed")
                self._results.put(False)
            finally:
                self._offloads.task_done()
        self._offloads.task_done()

    def _store(self, transfers: list[PoolTransfer], ready: list[Any]) -> bool:
        """Windows and states before the KV pages: a lookup finds none or all, whoever is cut off."""
        for event in ready:
            event.synchronize()
        whole = True
        for transfer in sorted(transfers, key=lambda t: t.name == PoolName.KV):
            memory = self._pages[transfer.name].gather(transfer.host_indices)

            def fill(index: int, page: np.ndarray, memory: np.ndarray = memory) -> None:
                page[...] = memory[index]

            whole = all(self._write[transfer.name].store(transfer.keys, fill)) and whole
        return whole

    def num_completed_offloads(self) -> int:
        return self._results.qsize()

    def pop_completed_offload(self) -> bool:
        return self._results.get_nowait()

    # --- life ------------------------------------------------------------------------------------

    def reset(self) -> None:
        """What is stored stays: a flush of the engine's cache is not one of Quire's."""
        for rid in list(self._pending):
            self.cancel_queued_load(rid)
        self._loads.join()
        self._offloads.join()
        while not self._results.empty():
            self._results.get_nowait()
        self.layer_done_counter.reset()

    def close(self) -> None:
        if not self._threads:
            return
        self.reset()
        self._loads.put(None)
        self._offloads.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []
        self._read_link.close()
        self._write_link.close()


def _ranks_of(params: Any) -> tuple[int, int, Any]:
    group = getattr(params, "tp_cache_group", None)
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return 0, 1, None
    return torch.distributed.get_rank(group), torch.distributed.get_world_size(group), group


def _model_name(extra: dict[str, Any]) -> str:
    """SGLang keeps it in its runtime context, which a process outside the engine does not have."""
    if "model" in extra:
        return str(extra["model"])
    from sglang.srt.runtime_context import get_model

    return str(get_model().model_path)
