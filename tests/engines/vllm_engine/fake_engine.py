"""The two halves of the connector between a fake vLLM and a real daemon, step by step."""

from __future__ import annotations

import time
from typing import Any

import quire
from quire.vllm.layout import derive_geometry
from quire.link import Link
from quire.vllm.messages import WorkerMeta
from quire.vllm.pages import CachePages
from quire.vllm.scheduler import Options as SchedulerOptions
from quire.vllm.scheduler import SchedulerHalf
from quire.vllm.worker import Options as WorkerOptions
from quire.vllm.worker import WorkerHalf

from fake_vllm import BLOCK, Blocks, Rank, Request, output, step


class FakeEngine:
    """Block ids are handed out in order and never reused, by group alike."""

    def __init__(self, socket: str, cache: Any, ranks: int = 1, **options: Any):
        self.cache = cache
        self.geometry = derive_geometry(cache, ranks)
        worker_options = {
            name: options.pop(name)
            for name in ("save_budget_ms", "load_deadline_ms")
            if name in options
        }
        layout = quire.Layout.parse(self.geometry.toml())
        self.scheduler = SchedulerHalf(
            self.geometry,
            layout,
            self._link(socket),
            "fake-model",
            SchedulerOptions(ranks=ranks, max_tokens=1 << 16, **options),
            multi_group=len(cache.kv_cache_groups) > 1,
        )
        self.ranks = [Rank(cache, rank) for rank in range(ranks)]
        self.workers = [
            WorkerHalf(
                self.geometry,
                layout,
                self._link(socket),
                CachePages(self.geometry, rank.raw, cache.num_blocks),
                rank.rank,
                WorkerOptions(max_tokens=1 << 16, **worker_options),
            )
            for rank in self.ranks
        ]
        self.tables: dict[str, tuple[list[int], ...]] = {}
        self._next_block = 1
        self.bad_blocks: set[int] = set()
        self.received: set[str] = set()
        self.failed: set[str] = set()
        self._arrived: dict[str, int] = {}  # ranks that have it, as vLLM's aggregator counts

    def _link(self, socket: str) -> Link:
        return Link(
            lambda: quire.Client(socket, "fake", connect_timeout_ms=500, call_timeout_ms=2000)
        )

    def allocate(self, request: Request, tokens: int, held: int = 0) -> None:
        """Blocks for so many tokens; windows and states have none for what is out of them."""
        tables = []
        for group in self.cache.kv_cache_groups:
            count = -(-tokens // BLOCK)
            first = self._first_needed(group.kv_cache_spec, held)
            ids = []
            for place in range(count):
                ids.append(self._next_block if place >= first else 0)
                self._next_block += place >= first
            tables.append(ids)
        assert self._next_block <= self.cache.num_blocks
        self.tables[request.request_id] = tuple(tables)

    @staticmethod
    def _first_needed(spec: Any, held: int) -> int:
        name = type(spec).__name__
        if name == "SlidingWindowSpec":
            return max(0, held - spec.sliding_window + 1) // BLOCK
        return max(0, held // BLOCK - 1) if name == "MambaSpec" else 0

    def ask(self, request: Request, held: int = 0) -> tuple[int, bool]:
        for _ in range(200):
            tokens, asynchronous = self.scheduler.matched_tokens(request, held)
            if tokens is not None:
                return tokens, asynchronous
        raise AssertionError("the daemon does not answer")

    def load(self, request: Request, held: int = 0) -> tuple[int, bool]:
        """What vLLM does with an answer: blocks, and a step in which the workers load."""
        tokens, asynchronous = self.ask(request, held)
        self.allocate(request, request.num_tokens, held + tokens)
        self.scheduler.after_alloc(request, Blocks(self.tables[request.request_id]), tokens)
        if tokens and asynchronous:
            self.run({})
            give_up = time.monotonic() + 20
            while request.request_id not in self.received and time.monotonic() < give_up:
                self.run({})
            assert request.request_id in self.received
            if request.request_id in self.failed:
                tokens = 0
        request.num_computed_tokens = held + tokens
        return tokens, asynchronous

    def compute(self, request: Request, tokens: int, **more: Any) -> None:
        """One step over so many tokens: blocks are written, and the connector saves."""
        before = request.num_computed_tokens
        self.run({request.request_id: (request, tokens)}, **more)
        request.num_computed_tokens = before + tokens

    def run(self, scheduled: dict[str, tuple[Request, int]], **more: Any) -> None:
        meta = self.scheduler.build_meta(step(scheduled, self.tables, **more))
        total = None
        received, failed = [], set()
        for rank, worker in zip(self.ranks, self.workers):
            worker.start_loads(meta)
            for request, count in scheduled.values():
                self._write(rank, request, count)
            worker.save(meta)
            got, lost = worker.take_received()
            received.append(got)
            failed |= lost
            self.bad_blocks |= worker.take_bad_blocks()
            one = worker.take_meta()
            if one is not None:
                total = one if total is None else total.aggregate(one)
        for name in [name for one in received for name in one]:
            self._arrived[name] = self._arrived.get(name, 0) + 1
        everywhere = {n for n, count in self._arrived.items() if count == len(self.workers)}
        self._arrived = {n: c for n, c in self._arrived.items() if n not in everywhere}
        self.received |= everywhere
        self.failed |= failed
        assert total is None or isinstance(total, WorkerMeta)
        self.scheduler.heard(
            output(
                kv_connector_worker_meta=total,
                finished_recving=everywhere,
                failed_recving=self.failed & everywhere,
                finished_sending=set(meta.saved_last),
            )
        )

    def _write(self, rank: Rank, request: Request, count: int) -> None:
        start = request.num_computed_tokens
        leaves = request.block_hashes
        for group in range(len(self.cache.kv_cache_groups)):
            table = self.tables[request.request_id][group]
            for place in range(start // BLOCK, min(start + count, request.num_tokens) // BLOCK):
                if place < len(leaves) and table[place]:
                    rank.compute(group, table[place], leaves[place])

    def finish(self, request: Request) -> None:
        tables = self.tables.get(request.request_id, ())
        if self.scheduler.finished(request, tables):
            self.run({})
        self.run({})

    def holds(self, request: Request, tokens: int, first: int = 0) -> bool:
        """Whether each rank has the right bytes in all blocks that it has for these tokens."""
        leaves = request.block_hashes
        return all(
            rank.holds(group, table[place], leaves[place])
            for rank in self.ranks
            for group, table in enumerate(self.tables[request.request_id])
            for place in range(first // BLOCK, tokens // BLOCK)
            if table[place]
        )

    def committed(self, request: Request, tokens: int) -> None:
        self.scheduler._turns[request.request_id].session.wait_for_tokens(tokens, 20000)

    def settle(self) -> None:
        """All commits in."""
        give_up = time.monotonic() + 20
        for worker in self.workers:
            while worker._closing and time.monotonic() < give_up:
                worker._poll_closing()
                time.sleep(0.0005)
            assert not worker._closing

    def close(self) -> None:
        for worker in self.workers:
            worker.shutdown()
        self.scheduler.shutdown()
