"""A worker's half: pages into vLLM's blocks, and blocks into Quire's pages.

    register        the layout of the KV cache; a client whose sessions share one staging area
    start_loads     join the request's session, match (own lease), load; copied when they are there
    save            staging for units and checkpoints asked for, filled before the step ends;
                    their commits go on while the engine does
    finished        sessions are closed once their commits are in

Blocks are read and written within the step alone, so that vLLM may give them away as soon as the
step is over, also at preemption. A load that fails is told by request (asynchronous) or by block
(synchronous). After a synchronous failure this and the following steps compute on wrong bytes until
the scheduler heard of it: what they touch is never saved. Threads: one, the worker's.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy
import quire
import torch
from quire.link import Link

from .layout import Geometry
from .messages import LoadJob, RequestJob, SaveJob, StepMeta, WorkerMeta
from .pages import CachePages
from .stats import WorkerCounts

log = logging.getLogger("vllm.quire")

_RAM_WAIT_MS = 5  # for pages that need no device: a step more would take longer
_FILLS_BEGUN = 32  # at once; commits in flight are bounded by the staging area


@dataclass
class Options:
    """kv_connector_extra_config, as far as workers ask."""

    load_deadline_ms: int = 10000
    save_budget_ms: float = 500.0  # of one step; what is left then is not saved
    max_tokens: int = 1 << 20


@dataclass
class Work:
    """One request on this rank."""

    request_id: str
    session: Any = None
    units: int = 0
    lost: bool = False  # its session is over, or a unit was left out: nothing follows
    load: LoadJob | None = None
    load_request: int = 0  # submitted
    load_since: float = 0.0
    hit: Any = None
    in_ram: bool = False  # all that it loads
    begun: dict[int, SaveJob] = field(default_factory=dict)
    commits: set[int] = field(default_factory=set)
    closing_since: float = 0.0


class WorkerHalf:
    def __init__(
        self, geometry: Geometry, layout: Any, link: Link, pages: CachePages, rank: int,
        options: Options,
    ):
        self.geometry = geometry
        self.options = options
        self.counts = WorkerCounts()
        self._layout = layout
        self._link = link
        self._pages = pages
        self._shard = geometry.shard_of(rank)
        self._writes = geometry.writes(rank)
        self._mask = geometry.mask(self._shard)
        self._works: dict[str, Work] = {}
        self._closing: list[Work] = []
        self._received: set[str] = set()
        self._failed: set[str] = set()
        self._told_failed: set[str] = set()
        self._matched: dict[str, int] = {}
        self._bad_blocks: set[int] = set()
        self._unheard: set[str] = set()  # synchronous failures that the scheduler may not know of

    # --- loads -------------------------------------------------------------------------------

    def start_loads(self, meta: StepMeta) -> None:
        for job in meta.jobs:
            if job.load is not None:
                self._begin_load(self._work(job), job)
        for job in meta.jobs:
            if job.load is not None and job.load.synchronous:
                self._finish_now(self._works[job.request_id])

    def _work(self, job: RequestJob) -> Work:
        work = self._works.get(job.request_id)
        if work is None:
            work = self._works[job.request_id] = Work(job.request_id)
            self._join(work, job)
        new = job.hashes[(work.units - job.first_unit) * 32 :]  # a job is looked at twice
        if not work.lost and new:
            try:
                work.session.append_unit_hashes(new)
                work.units += len(new) // 32
            except quire.Error as error:
                self._lose(work, error)
        return work

    def _join(self, work: Work, job: RequestJob) -> None:
        client = self._link.client()
        if client is None or job.first_unit != 0:
            work.lost = True
            return
        pages = len(job.hashes) // 32 + 64
        try:
            work.session = client.join_session(
                job.token,
                self._layout,
                max_tokens=self.options.max_tokens,
                max_load_pages=max(256, 1 << (pages - 1).bit_length()),
            )
            self._link.worked()
        except quire.Error as error:
            if isinstance(error, (quire.UnavailableError, quire.DeadlineExceededError)):
                self._link.failed(error)
            self._lose(work, error)

    def _begin_load(self, work: Work, job: RequestJob) -> None:
        load = job.load
        work.load = load
        work.load_since = time.monotonic()
        if work.lost:
            self._load_failed(work, "no session")
            return
        try:
            # As far as the scheduler's own match went: its lease keeps that much.
            work.hit = work.session.match(
                load.end_tokens + 1, have_tokens=load.from_tokens, request_id=job.turn
            )
            self._matched[work.request_id] = 1
            if work.hit.exact_tokens != load.end_tokens:
                self._load_failed(work, f"{work.hit.exact_tokens} of {load.end_tokens} tokens")
                return
            tiers = work.hit.tier_tokens
            work.in_ram = tiers.get("ram", 0) == sum(tiers.values())
            unit = self.geometry.unit_tokens
            work.load_request = work.session.submit_load_runs(
                work.hit,
                groups=self._mask,
                first_block=load.from_tokens // unit,
                block_count=(load.end_tokens - load.from_tokens) // unit,
                checkpoint=self.geometry.has_checkpoints,
                deadline_ms=self.options.load_deadline_ms,
                max_runs=4096,
            )
            work.session.flush()
        except quire.Error as error:
            self._load_failed(work, error)

    def _finish_now(self, work: Work) -> None:
        give_up = time.monotonic() + self.options.load_deadline_ms / 1000
        while work.load is not None and not work.lost:
            left = give_up - time.monotonic()
            if left <= 0:
                self._load_failed(work, "the daemon does not answer")
                return
            try:
                if not self._poll(work):
                    work.session.wait(max(1, min(100, int(left * 1000))))
            except quire.DeadlineExceededError:
                continue
            except quire.Error as error:
                self._load_failed(work, error)
                self._lose(work, error)

    def _poll(self, work: Work) -> bool:
        """Whether anything came. Raises what ends the session."""
        completions = work.session.poll()
        for completion in completions:
            if completion.request == work.load_request:
                work.load_request = 0
                self._take_load(work, completion)
            elif completion.request in work.begun:
                self._take_fill(work, completion)
            elif completion.request in work.commits:
                work.commits.discard(completion.request)
                self._take_commit(work, completion)
        return bool(completions)

    def _take_load(self, work: Work, completion: Any) -> None:
        load = work.load
        if load is None:
            return
        try:
            runs = completion.take_runs()
            self._check_complete(load, runs)
            self._copy_in(load, runs)
            del runs
            self._release(work)
        except (quire.Error, ValueError) as error:
            self._load_failed(work, error)
            return
        tokens = load.end_tokens - load.from_tokens
        self.counts.loaded(tokens, time.monotonic() - work.load_since)
        work.load = None
        if not load.synchronous:
            self._received.add(work.request_id)

    def _check_complete(self, load: LoadJob, runs: Any) -> None:
        blocks = (load.end_tokens - load.from_tokens) // self.geometry.unit_tokens
        wanted = sum(g.kind != "append" for g in self.geometry.groups)
        if runs.block_count != blocks or runs.checkpoint_count != wanted:
            raise ValueError(
                f"{runs.block_count} of {blocks} blocks, {runs.checkpoint_count} of {wanted} "
                f"checkpoint pages ({runs.limited_by})"
            )

    def _copy_in(self, load: LoadJob, runs: Any) -> None:
        first = load.from_tokens // self.geometry.unit_tokens
        for run in runs:
            group = self.geometry.group_at(run.group)
            pages = _pages_of(run)
            if pages.shape[1] != group.page_bytes:
                raise ValueError(f"a page of {group.name} has {pages.shape[1]} bytes")
            for part in group.parts:
                ids = load.blocks[part.vllm_group]
                if group.kind == "append":
                    at = (run.first_block - first) * part.blocks
                    ids = ids[at : at + run.page_count * part.blocks]
                self._pages.put(group, part, pages, ids)
            self.counts.loaded_bytes += pages.numel()
            del pages

    def _release(self, work: Work) -> None:
        hit, work.hit = work.hit, None
        if hit is not None and hit.lease and work.session is not None:
            work.session.submit_release(hit)
            work.session.flush()

    def _load_failed(self, work: Work, why: Any) -> None:
        load, work.load = work.load, None
        work.load_request = 0
        if load is None:
            return
        log.warning("load of %s failed, it is computed: %s", work.request_id, why)
        self.counts.load_failures += 1
        self._told_failed.add(work.request_id)
        if load.synchronous:
            self._unheard.add(work.request_id)
            self._bad_blocks.update(b for ids in load.blocks.values() for b in ids if b)
        else:
            self._received.add(work.request_id)
            self._failed.add(work.request_id)
        try:
            self._release(work)
        except quire.Error as error:
            log.debug("releasing a lease: %s", error)
        if load.synchronous:
            self._lose(work, why)  # what this request computes from here on may be wrong

    # --- saves -------------------------------------------------------------------------------

    def save(self, meta: StepMeta) -> None:
        self._unheard -= meta.failures_heard
        give_up = time.monotonic() + self.options.save_budget_ms / 1000
        for job in meta.jobs:
            work = self._work(job)
            if not job.saves:
                continue
            if self._unheard:
                self._lose(work, "a load failed before this step")
            elif self._writes:
                self._save_job(work, job, give_up)
        for request_id in meta.finished:
            work = self._works.pop(request_id, None)
            if work is not None:
                work.closing_since = time.monotonic()
                self._closing.append(work)

    def _save_job(self, work: Work, job: RequestJob, give_up: float) -> None:
        todo = deque(job.saves)
        while (todo or work.begun) and not work.lost:
            try:
                self._begin_fills(work, todo)
                if not self._poll(work):
                    left_ms = (give_up - time.monotonic()) * 1000
                    if left_ms <= 0:
                        self.counts.dropped_saves += len(todo) + len(work.begun)
                        self._lose(work, "saving took longer than save_budget_ms")
                        return
                    work.session.wait(max(1, min(20, int(left_ms))))
            except quire.DeadlineExceededError:
                self._poll_commits()  # of others: they hold staging memory
            except quire.Error as error:
                self._lose(work, error)

    def _begin_fills(self, work: Work, todo: deque) -> None:
        began = False
        while todo and len(work.begun) < _FILLS_BEGUN:
            save = todo[0]
            try:
                request = work.session.submit_begin_fill(
                    "span" if save.reason is None else "checkpoint",
                    save.end_tokens,
                    groups=self._mask & self._kind_mask(save),
                    reason=save.reason or "turn_end",
                )
            except quire.BusyError:
                break  # staging or ring are full: commits make room
            work.begun[request] = save
            todo.popleft()
            began = True
        if began:
            work.session.flush()

    def _kind_mask(self, save: SaveJob) -> int:
        if save.reason is None:
            return self._layout.append_groups
        return self._layout.checkpoint_groups

    def _take_fill(self, work: Work, completion: Any) -> None:
        save = work.begun.pop(completion.request)
        fill = completion.take_fill()
        if fill.duplicate:
            self.counts.duplicates += 1
            return
        for page in fill.pages:
            group = self.geometry.group_at(page.group)
            memory = torch.frombuffer(memoryview(page), dtype=torch.uint8)
            for part in group.parts:
                self._pages.get(group, part, memory, save.blocks[part.vllm_group])
            self.counts.saved_bytes += page.nbytes
            del memory
        work.commits.add(work.session.submit_commit(fill))
        work.session.flush()

    def _take_commit(self, work: Work, completion: Any) -> None:
        try:
            completion.take_commit()
            self.counts.saved += 1
        except quire.Error as error:
            self._lose(work, error)

    def _poll_commits(self) -> None:
        for work in self._works.values():
            if work.commits and not work.lost:
                try:
                    self._poll(work)
                except quire.Error as error:
                    self._lose(work, error)
        self._poll_closing()

    def _poll_closing(self) -> None:
        """Sessions of finished requests, until their commits are in; 5 s at the longest."""
        left = []
        for work in self._closing:
            if not work.lost and (work.commits or work.load is not None):
                try:
                    self._poll(work)
                except quire.Error as error:
                    self._load_failed(work, error)
                    self._lose(work, error)
            open_yet = (work.commits or work.load is not None) and not work.lost
            if open_yet and time.monotonic() - work.closing_since < 5:
                left.append(work)
            else:
                self._load_failed(work, "the request is over")
                self._close(work)
        self._closing = left

    def _lose(self, work: Work, why: Any) -> None:
        if not work.lost:
            log.debug("nothing more of %s is saved: %s", work.request_id, why)
            self.counts.lost += 1
        work.lost = True
        if work.load is not None:
            self._load_failed(work, why)
        work.begun.clear()
        work.commits.clear()
        self._close(work)

    def _close(self, work: Work) -> None:
        work.hit = None
        session, work.session = work.session, None
        if session is not None:
            try:
                session.close()
            except quire.Error as error:
                log.debug("closing a session: %s", error)

    # --- what is told to the engine ------------------------------------------------------------

    def take_received(self) -> tuple[set[str], set[str]]:
        """(received, of these failed): asynchronous loads that ended."""
        for work in list(self._works.values()):
            if work.load is not None and not work.lost:
                try:
                    if not self._poll(work) and work.in_ram:
                        work.session.wait(_RAM_WAIT_MS)
                        self._poll(work)
                except quire.DeadlineExceededError:
                    pass
                except quire.Error as error:
                    self._load_failed(work, error)
                    self._lose(work, error)
                late = time.monotonic() - work.load_since
                if work.load is not None and late * 1000 > self.options.load_deadline_ms * 1.5:
                    self._load_failed(work, "the daemon does not answer")
                    self._lose(work, "the daemon does not answer")
        self._poll_commits()
        received, self._received = self._received, set()
        failed, self._failed = self._failed, set()
        return received, failed

    def take_bad_blocks(self) -> set[int]:
        bad, self._bad_blocks = self._bad_blocks, set()
        return bad

    def take_meta(self) -> WorkerMeta | None:
        if not (self._matched or self._told_failed):
            return None
        meta = WorkerMeta(self._matched, self._told_failed)
        self._matched, self._told_failed = {}, set()
        return meta

    def shutdown(self) -> None:
        give_up = time.monotonic() + 2
        self._closing += self._works.values()
        self._works.clear()
        while self._closing and time.monotonic() < give_up:
            self._poll_closing()
            time.sleep(0.001)
        for work in self._closing:
            self._close(work)
        self._closing.clear()
        self._link.close()


def _pages_of(run: Any) -> torch.Tensor:
    """uint8 [pages, page_bytes] over the daemon's memory, which must not be written."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch does not know of read-only memory
        return torch.from_numpy(numpy.asarray(memoryview(run)))
