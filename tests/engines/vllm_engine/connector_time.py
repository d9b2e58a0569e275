"""What the connector costs beside vLLM, against a real daemon: figures of `bench engine`.

    python connector_time.py SOCKET

    scheduler_us     all that the engine core does for a request that hits, up to its StepMeta:
                     session (open_us), hashes, match, load planned (rest_us); close_us: its end
    load_of_memcpy   a bare copy of the same bytes, over a worker's load of them from its first call
                     (join_us: it joins the session) to the last byte in vLLM's blocks

Medians; `cpu` is the time that this thread itself ran, which other load on the machine changes
less. vLLM's own objects are stood in for. A unit stands for 128 tokens, as on a CPU.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Callable

import torch
from fake_engine import FakeEngine
from fake_vllm import BLOCK, Blocks, Request, config, full, step

ROUNDS = 60
UNIT = 128


class HashedRequest(Request):
    """vLLM keeps the hashes; making them is not part of what is measured."""

    kept: list[bytes]

    @property
    def block_hashes(self) -> list[bytes]:
        return self.kept

    @property
    def num_tokens(self) -> int:
        return len(self.prompt)


def request_of(name: str, tokens: int) -> HashedRequest:
    """A request of so many tokens in vLLM: a block of BLOCK tokens is a unit here."""
    prompt = [i % 1000 for i in range(tokens * BLOCK // UNIT)]
    request = HashedRequest(name, prompt)
    request.kept = Request(name, prompt).block_hashes
    return request


def timed(call: Callable[[], None]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.thread_time()
    call()
    return (time.perf_counter() - wall) * 1e6, (time.thread_time() - cpu) * 1e6


def median(values: list[tuple[float, float]], place: int = 0) -> float:
    return round(statistics.median(value[place] for value in values), 1)


def store(engine: FakeEngine, tokens: int) -> list[bytes]:
    request = request_of(f"first{tokens}", tokens)
    engine._next_block = 1
    engine.load(request)
    engine.compute(request, request.num_tokens - request.num_computed_tokens)
    engine.finish(request)
    engine.settle()
    return request.kept


def open_time(engine: FakeEngine) -> dict:
    """Of a session alone, which the others contain."""
    client = engine.scheduler._link.client()
    times = [
        timed(lambda: client.open_session(engine.scheduler._layout, namespace="open").close())
        for _ in range(ROUNDS)
    ]
    return {"open_close_us": median(times), "open_close_cpu_us": median(times, 1)}


def scheduler_time(engine: FakeEngine, tokens: int) -> dict:
    store(engine, tokens)
    opens, begins, ends, found = [], [], [], 0
    for number in range(ROUNDS):
        request = request_of(f"r{number}", tokens)
        tables = {request.request_id: ([1 + i for i in range(len(request.prompt) // BLOCK + 1)],)}
        scheduler = engine.scheduler

        def begin() -> None:
            nonlocal found
            found, _ = engine.ask(request)
            scheduler.after_alloc(request, Blocks(tables[request.request_id]), found)
            scheduler.build_meta(step({}, tables))

        opens.append(timed(lambda: scheduler._turn(request)))
        begins.append(timed(begin))
        ends.append(timed(lambda: scheduler.finished(request, ())))
        scheduler.build_meta(step({}, {}))
    return {
        "tokens": tokens,
        "hit_tokens": found // BLOCK * UNIT,
        "scheduler_us": round(median(opens) + median(begins), 1),
        "open_us": median(opens),
        "open_cpu_us": median(opens, 1),
        "rest_us": median(begins),
        "rest_cpu_us": median(begins, 1),
        "close_us": median(ends),
    }


def load_time(engine: FakeEngine, tokens: int) -> dict:
    store(engine, tokens)
    joins, loads, copies, size = [], [], [], 0
    source = target = torch.zeros(0, dtype=torch.uint8)
    for number in range(ROUNDS // 3):
        request = request_of(f"l{number}", tokens)
        found, _ = engine.ask(request)
        engine._next_block = 1
        engine.allocate(request, request.num_tokens, found)
        engine.scheduler.after_alloc(request, Blocks(engine.tables[request.request_id]), found)
        meta = engine.scheduler.build_meta(step({}, engine.tables))
        worker = engine.workers[0]
        before = worker.counts.loaded_bytes
        joins.append(timed(lambda: worker._work(meta.jobs[0])))
        loads.append(timed(lambda: worker.start_loads(meta)))
        worker.take_received()
        size = worker.counts.loaded_bytes - before
        engine.scheduler.finished(request, ())
        worker.save(engine.scheduler.build_meta(step({}, {})))
        if source.numel() != size:  # as long there, and as long not looked at, as what loads copy
            source = torch.ones(size, dtype=torch.uint8)
            target = torch.ones(size, dtype=torch.uint8)
        copies.append(timed(lambda: target.copy_(source)))
    return {
        "tokens": tokens,
        "bytes": size,
        "join_us": median(joins),
        "load_us": median(loads),
        "load_cpu_us": median(loads, 1),
        "copy_us": median(copies),
        "load_of_memcpy": round(median(copies) / (median(joins) + median(loads)), 3),
    }


def measure(socket: str) -> dict:
    torch.set_num_threads(1)
    rows = {}
    engine = FakeEngine(socket, config([(full(), 1)], num_blocks=1024))
    allow_much(engine)
    rows["open"] = open_time(engine)
    rows["scheduler"] = [scheduler_time(engine, tokens) for tokens in (7000, 100000)]
    engine.close()
    # 4 layers of 64 KiB a block.
    engine = FakeEngine(socket, config([(full(128), 4)], num_blocks=1024), load="sync")
    allow_much(engine)
    rows["load"] = [load_time(engine, tokens) for tokens in (7000, 64000)]
    engine.close()
    return rows


def allow_much(engine: FakeEngine) -> None:
    for worker in engine.workers:
        worker.options.save_budget_ms = 60000


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1]), indent=1))
