"""QuireL2Adapter: objects of LMCache's server in Quire (L2AdapterInterface, type "plugin").

Written against LMCache 0.5.6. Each object is a page under its key; LMCache puts objects of several
prompts into one task, so none of them is taken to follow another.
"""

from __future__ import annotations

import logging
import math
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
from lmcache.lmcache_native import Bitmap
from lmcache.v1.distributed.internal_api import L2StoreResult
from lmcache.v1.distributed.l2_adapters.base import L2AdapterInterface
from lmcache.v1.platform import create_event_notifier

import quire
from quire.keyed import KeyedPages, short_name
from quire.link import Link, connect_options

log = logging.getLogger("lmcache.quire")

_STORES_KEPT = 1024  # of models, ranks, groups, salts and sizes
_DEFAULT_CHUNK_TOKENS = 256


class _Lane:
    """One kind of tasks: a thread, a client, results, and the descriptor that says there are some."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self.notifier = create_event_notifier()
        self.stores = _Stores(Link(lambda: quire.Client(**options)))
        self._tasks: queue.Queue = queue.Queue()
        self._results: dict[int, Any] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"quire-{name}", daemon=True)
        self._thread.start()

    def submit(self, task_id: int, work: Callable[[], Any], failed: Any) -> None:
        """`failed`: the result when `work` raises, which it does for a defect alone."""
        self._tasks.put((task_id, work, failed))

    def take(self, task_id: int) -> Any:
        with self._lock:
            return self._results.pop(task_id, None)

    def take_all(self) -> dict[int, Any]:
        with self._lock:
            results, self._results = self._results, {}
        return results

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            task_id, work, failed = task
            try:
                result = work()
            except Exception:  # the thread must live, and each task have its result
                log.exception("a task failed")
                result = failed
            with self._lock:
                self._results[task_id] = result
            self.notifier.notify()

    def close(self) -> None:
        self._tasks.put(None)
        self._thread.join()
        self.stores.link.close()
        self.notifier.close()


class _Stores:
    """KeyedPages by what identifies an object besides its chunk; the least lately used go."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self._stores: OrderedDict[tuple[Any, ...], KeyedPages] = OrderedDict()

    def of(self, key: Any, nbytes: int, params: dict[str, Any]) -> KeyedPages:
        names = (key.model_name, key.kv_rank, key.object_group_id, key.cache_salt, nbytes)
        store = self._stores.get(names)
        if store is None:
            facts = dict(zip(("model", "rank", "group", "salt", "bytes"), names))
            shown = str(params.get("namespace") or key.model_name)
            # A lookup asks without a session, and is told of a namespace without tenants too.
            tenant = str(params.get("tenant", ""))
            store = self._stores[names] = KeyedPages(
                self.link,
                page_bytes=nbytes,
                page_tokens=int(params.get("chunk_tokens", _DEFAULT_CHUNK_TOKENS)),
                namespace=short_name(shown, {**facts, "namespace": shown, "tenant": tenant}),
                tenant=tenant,
                chain_pages=1,
            )
        self._stores.move_to_end(names)
        while len(self._stores) > _STORES_KEPT:
            self._stores.popitem(last=False)
        return store


class QuireL2Adapter(L2AdapterInterface):
    """Threads: any. Without a daemon lookups find nothing and stores fail; nothing is raised."""

    def __init__(self, params: dict[str, Any], **_: Any) -> None:
        super().__init__()
        self._params = dict(params)
        options = connect_options(self._params, "lmcache", int(params.get("staging_bytes", 0)))
        self._store_lane = _Lane("store", options)
        self._lookup_lane = _Lane("lookup", options)
        self._load_lane = _Lane("load", options)
        self._next_id = 0
        self._id_lock = threading.Lock()

    def _task_id(self) -> int:
        with self._id_lock:
            self._next_id += 1
            return self._next_id

    def get_store_event_fd(self) -> int:
        return self._store_lane.notifier.fileno()

    def get_lookup_and_lock_event_fd(self) -> int:
        return self._lookup_lane.notifier.fileno()

    def get_load_event_fd(self) -> int:
        return self._load_lane.notifier.fileno()

    # --- store -------------------------------------------------------------------------------------

    def submit_store_task(self, keys: list[Any], objects: list[Any]) -> int:
        task_id = self._task_id()
        failed = L2StoreResult(False, 0)
        self._store_lane.submit(task_id, lambda: self._store(keys, objects), failed)
        return task_id

    def _store(self, keys: list[Any], objects: list[Any]) -> L2StoreResult:
        sizes = []
        for key, obj in zip(keys, objects):
            memory = _memory_of(obj)
            store = self._store_lane.stores.of(key, memory.nbytes, self._params)

            def fill(_: int, page: np.ndarray, memory: np.ndarray = memory) -> None:
                page[...] = memory

            if not store.store([key.chunk_hash.hex()], fill)[0]:
                return L2StoreResult(False, 0)
            sizes.append(memory.nbytes)
        self._notify_keys_stored(keys, sizes)
        return L2StoreResult(True, sum(sizes))

    def pop_completed_store_tasks(self) -> dict[int, L2StoreResult]:
        return self._store_lane.take_all()

    # --- lookup ------------------------------------------------------------------------------------

    def submit_lookup_and_lock_task(
        self, keys: list[Any], group_layout_descs: dict[int, Any]
    ) -> int:
        """Locks nothing: a page that goes before its load makes that load's bit 0."""
        task_id = self._task_id()
        sizes = {group: _bytes_of(desc) for group, desc in group_layout_descs.items()}
        self._lookup_lane.submit(task_id, lambda: self._lookup(keys, sizes), Bitmap(len(keys)))
        return task_id

    def _lookup(self, keys: list[Any], sizes: dict[int, int]) -> Bitmap:
        found = Bitmap(len(keys))
        for index, key in enumerate(keys):
            nbytes = sizes.get(key.object_group_id, 0)
            if nbytes == 0:
                continue
            store = self._lookup_lane.stores.of(key, nbytes, self._params)
            if store.find([key.chunk_hash.hex()])[0]:
                found.set(index)
        return found

    def query_lookup_and_lock_result(self, task_id: int) -> Bitmap | None:
        return self._lookup_lane.take(task_id)

    def submit_unlock(self, keys: list[Any]) -> None:
        return

    # --- load --------------------------------------------------------------------------------------

    def submit_load_task(self, keys: list[Any], objects: list[Any]) -> int:
        task_id = self._task_id()
        self._load_lane.submit(task_id, lambda: self._load(keys, objects), Bitmap(len(keys)))
        return task_id

    def _load(self, keys: list[Any], objects: list[Any]) -> Bitmap:
        loaded = Bitmap(len(keys))
        for index, (key, obj) in enumerate(zip(keys, objects)):
            memory = _memory_of(obj)
            store = self._load_lane.stores.of(key, memory.nbytes, self._params)

            def take(_: int, page: np.ndarray, memory: np.ndarray = memory) -> None:
                memory[...] = page

            if store.load([key.chunk_hash.hex()], take)[0]:
                loaded.set(index)
        return loaded

    def query_load_result(self, task_id: int) -> Bitmap | None:
        return self._load_lane.take(task_id)

    # --- life --------------------------------------------------------------------------------------

    def report_status(self) -> dict[str, Any]:
        links = [lane.stores.link for lane in self._lanes()]
        return {"is_healthy": not any(link.down for link in links), "type": "QuireL2Adapter"}

    def _lanes(self) -> tuple[_Lane, ...]:
        return self._store_lane, self._lookup_lane, self._load_lane

    def close(self) -> None:
        for lane in self._lanes():
            lane.close()


def _memory_of(obj: Any) -> np.ndarray:
    """uint8 over the object's own bytes."""
    return np.frombuffer(obj.byte_array, np.uint8)


def _bytes_of(desc: Any) -> int:
    return sum(math.prod(shape) * dtype.itemsize for shape, dtype in zip(desc.shapes, desc.dtypes))
