"""The scheduler's half: what is there, what to load into which blocks, what to save.

    get_num_new_matched_tokens    session opened, hashes appended, match (lease held)
    update_state_after_alloc      --> load of the next StepMeta
    build_connector_meta          loads, and units and checkpoints that this step completes
    update_connector_output       workers matched for themselves: lease released; failures kept
    request_finished              last units, output's checkpoint; session closed when they are
                                  handed over

Nothing here waits for the daemon longer than `match_wait_ms`, and nothing raises: whatever fails is
a miss, and the request is computed. A request whose load failed is not offered a load again.
Threads: one, the engine core's.
"""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import quire
from quire.link import Link

from .block_plan import NULL_BLOCK, checkpoint_blocks, load_blocks, span_blocks
from .identity import request_salt, turn_number
from .layout import Geometry
from .messages import BlockIds, LoadJob, RequestJob, SaveJob, StepMeta, WorkerMeta
from .stats import SchedulerCounts

log = logging.getLogger("vllm.quire")


@dataclass
class Options:
    """kv_connector_extra_config, as far as the scheduler asks."""

    tenant: str = ""
    load: str = "auto"  # auto, sync, async
    min_load_tokens: int = 1
    match_wait_ms: float = 2.0  # in one step; then the request is asked about again
    match_give_up_ms: float = 1000.0
    save: bool = True
    save_output: bool = True
    state_interval_tokens: int = 2048  # of states, which are offered at chunk ends only
    max_tokens: int = 1 << 20
    ranks: int = 1


@dataclass
class Turn:
    """What is known of one request."""

    request: Any
    session: Any = None
    token: bytes = b""
    units: int = 0  # hashes appended here
    sent_units: int = 0  # hashes that the workers have got
    saved_tokens: int = 0  # spans up to there are in the daemon, or on their way
    checkpoint_tokens: int = 0  # the last one taken, or resumed at
    start_tokens: int | None = None  # where computing began
    branch_tokens: int = 0
    wanted: dict[int, str] = field(default_factory=dict)
    hit: Any = None  # while its lease is held
    key: tuple[int, int] | None = None  # what was asked for last: tokens, of these computed
    found: int = 0  # and the answer
    asked: int = 0  # a match under way
    asked_at: float = 0.0
    answered: bool = False
    loading: bool = False  # asynchronously
    load: LoadJob | None = None
    no_load: bool = False
    no_save: bool = False
    last_saves: list[SaveJob] = field(default_factory=list)


class SchedulerHalf:
    def __init__(
        self,
        geometry: Geometry,
        layout: Any,
        link: Link,
        namespace: str,
        options: Options,
        multi_group: bool,
    ):
        self.geometry = geometry
        self.options = options
        self.counts = SchedulerCounts()
        self._layout = layout
        self._link = link
        self._namespace = namespace
        self._multi_group = multi_group
        self._turns: dict[str, Turn] = {}
        self._to_load: list[str] = []
        self._ended: set[str] = set()  # tell the workers
        self._last_saves: dict[str, Turn] = {}  # finished, their last units to be saved
        self._sending: dict[str, Turn] = {}  # finished, saves under way
        self._matched: dict[str, int] = {}
        self._failures_heard: set[str] = set()

    def warm_up(self) -> None:
        """Connects and makes the layout known, so that no request has to wait for it."""
        client = self._link.client()
        if client is None:
            return
        try:
            options = dict(namespace=self._namespace, tenant=self.options.tenant)
            client.open_session(self._layout, ring_entries=64, **options).close()
        except quire.Error as error:
            self._blame_daemon(error)
            log.warning("Quire: %s", error)

    # --- a request comes ---------------------------------------------------------------------

    def matched_tokens(self, request: Any, computed_tokens: int) -> tuple[int | None, bool]:
        turn = self._turn(request)
        if turn.session is None or turn.no_load or request.skip_reading_prefix_cache:
            return 0, False
        try:
            found = self._find(turn, computed_tokens)
        except quire.Error as error:
            self._lose(turn, error)
            return 0, False
        if found is None:
            return None, False
        gain = found - computed_tokens
        if gain < max(1, self.options.min_load_tokens):
            self._drop_hit(turn)  # the answer stays known, its pages need not stay in RAM
            return 0, False
        return gain, self._is_asynchronous(turn)

    def _turn(self, request: Any) -> Turn:
        turn = self._turns.get(request.request_id)
        if turn is None:
            turn = self._turns[request.request_id] = Turn(request)
        if turn.session is None and not turn.no_save:
            self._open(turn)
        return turn

    def _open(self, turn: Turn) -> None:
        if turn.request.num_tokens < self.geometry.unit_tokens and not self.options.save_output:
            return
        client = self._link.client()
        if client is None:
            self.counts.down += 1
            turn.no_save = turn.no_load = True
            return
        wish = getattr(turn.request, "kv_transfer_params", None) or {}
        try:
            turn.session = client.open_session(
                self._layout,
                namespace=self._namespace,
                tenant=str(wish.get("quire_tenant", self.options.tenant)),
                salt=request_salt(turn.request),
                conversation=int(wish.get("quire_conversation", 0)),
                max_tokens=self.options.max_tokens,
                ring_entries=64,
                max_load_pages=64,
                offer_tokens=self.options.state_interval_tokens,
            )
            turn.token = turn.session.token
            self._link.worked()
        except (quire.Error, ValueError, TypeError) as error:
            self._blame_daemon(error)
            log.warning("no session for %s: %s", turn.request.request_id, error)
            self.counts.lost += 1
            turn.no_save = turn.no_load = True

    def _append_hashes(self, turn: Turn) -> None:
        per_unit = self.geometry.hashes_per_unit
        units = len(turn.request.block_hashes) // per_unit
        if units > turn.units:
            turn.session.append_unit_hashes(self._hashes(turn, turn.units, units))
            turn.units = units

    def _find(self, turn: Turn, computed_tokens: int) -> int | None:
        """Tokens that can be had, from the prompt's start; None: not known yet."""
        key = (turn.request.num_tokens, computed_tokens)
        if not turn.asked and turn.key == key:
            return turn.found
        if not turn.asked:
            self._drop_hit(turn)
            self._append_hashes(turn)
            known = (turn.units + 1) * self.geometry.unit_tokens - 1
            turn.asked = turn.session.submit_match(
                min(turn.request.num_tokens, known),
                have_tokens=computed_tokens,
                request_id=turn_number(turn.request.request_id),
            )
            turn.key = key
            turn.asked_at = time.monotonic()
            turn.session.flush()
        if not self._hear_match(turn):
            if (time.monotonic() - turn.asked_at) * 1000 > self.options.match_give_up_ms:
                raise quire.DeadlineExceededError("the daemon did not answer a match")
            return None
        return turn.found

    def _hear_match(self, turn: Turn) -> bool:
        give_up = time.monotonic() + self.options.match_wait_ms / 1000
        while True:
            for completion in turn.session.poll():
                if completion.request == turn.asked:
                    turn.asked = 0
                    turn.hit = completion.take_match()
                    self._heed(turn)
                    return True
            left_ms = (give_up - time.monotonic()) * 1000
            if left_ms < 1:
                return False
            try:
                turn.session.wait(int(left_ms))
            except quire.DeadlineExceededError:
                return False

    def _heed(self, turn: Turn) -> None:
        """What the hit means for the request's saves."""
        hit = turn.hit
        turn.found = hit.exact_tokens
        if not turn.answered:
            turn.answered = True
            self.counts.matches += 1
            self.counts.prompt_tokens += turn.request.num_tokens
        turn.saved_tokens = max(turn.saved_tokens, hit.span_tokens)
        turn.checkpoint_tokens = max(turn.checkpoint_tokens, hit.exact_tokens)
        turn.branch_tokens = hit.branch_tokens

    def _is_asynchronous(self, turn: Turn) -> bool:
        if self._multi_group or self.options.load == "async":
            return True  # vLLM has no other way to hear of a failure
        if self.geometry.replicas > 1:
            return True  # the rank that writes would not know that another one has wrong bytes
        if self.options.load == "sync":
            return False
        tiers = turn.hit.tier_tokens
        return sum(tiers.values()) > tiers.get("ram", 0)

    def after_alloc(self, request: Any, blocks: Any, external_tokens: int) -> None:
        turn = self._turns.get(request.request_id)
        if turn is None or external_tokens <= 0 or turn.hit is None:
            return
        end = turn.hit.exact_tokens
        start = end - external_tokens
        ids = blocks.get_block_ids()
        asynchronous = self._is_asynchronous(turn)
        targets = load_blocks(self.geometry, ids, start, end)
        turn.load = LoadJob(start, end, targets, synchronous=not asynchronous)
        turn.loading = asynchronous
        self._to_load.append(request.request_id)
        self.counts.loads += 1
        self.counts.hit_tokens += external_tokens

    def hit_sources(self, request: Any, tokens: int) -> dict[str, int]:
        """host, disk, p2p: of the last tokens of the hit the slow tiers' first."""
        turn = self._turns.get(request.request_id)
        if turn is None or turn.hit is None or tokens <= 0:
            return {"host": tokens} if tokens > 0 else {}
        tiers = turn.hit.tier_tokens
        disk = min(tokens, tiers.get("ssd", 0))
        peer = min(tokens - disk, tiers.get("cluster", 0))
        found = {"host": tokens - disk - peer, "disk": disk, "p2p": peer}
        return {name: count for name, count in found.items() if count}

    # --- a step ------------------------------------------------------------------------------

    def build_meta(self, output: Any) -> StepMeta:
        meta = StepMeta(failures_heard=self._failures_heard)
        self._failures_heard = set()
        jobs: dict[str, RequestJob] = {}
        for request_id in self._to_load:
            turn = self._turns.get(request_id)
            if turn is not None and turn.load is not None:
                # Also when the session is over: the workers find out, and say that it failed.
                self._job(jobs, turn).load = turn.load
                turn.load = None
        self._to_load.clear()
        if self.options.save:
            self._plan_saves(output, jobs)
        for request_id, turn in self._last_saves.items():
            job = self._job(jobs, turn)
            job.saves += turn.last_saves
            meta.saved_last.add(request_id)
            self._sending[request_id] = turn
        self._last_saves.clear()
        meta.jobs = list(jobs.values())
        meta.finished, self._ended = self._ended, set()
        return meta

    def _job(self, jobs: dict[str, RequestJob], turn: Turn) -> RequestJob:
        request_id = turn.request.request_id
        job = jobs.get(request_id)
        if job is None:
            job = jobs[request_id] = RequestJob(
                request_id, turn_number(request_id), turn.token, turn.sent_units
            )
        job.hashes += self._hashes(turn, turn.sent_units, turn.units)
        turn.sent_units = turn.units
        return job

    def _hashes(self, turn: Turn, first: int, end: int) -> bytes:
        per_unit = self.geometry.hashes_per_unit
        hashes = turn.request.block_hashes
        return b"".join(
            _padded(h) for h in hashes[(first + 1) * per_unit - 1 : end * per_unit : per_unit]
        )

    def _plan_saves(self, output: Any, jobs: dict[str, RequestJob]) -> None:
        state = output.kv_connector_block_state
        if state is None:
            return
        gone = output.preempted_req_ids or ()
        for request_id, before in _computed_before(output):
            turn = self._turns.get(request_id)
            if turn is None or turn.session is None or turn.no_save or request_id in gone:
                continue
            if turn.start_tokens is None:
                turn.start_tokens = before
            end = min(before + output.num_scheduled_tokens[request_id], turn.request.num_tokens)
            if not self.options.save_output:
                end = min(end, turn.request.num_prompt_tokens)
            unit_end = end // self.geometry.unit_tokens * self.geometry.unit_tokens
            offers = state.boundary_state_offloads.get(request_id)
            if unit_end <= turn.saved_tokens and not offers:
                continue
            try:
                self._append_hashes(turn)
                saves = self._saves(turn, before, unit_end, state, offers)
            except quire.Error as error:
                self._lose(turn, error)
                continue
            if saves:
                self._job(jobs, turn).saves += saves

    def _saves(
        self, turn: Turn, before: int, end: int, state: Any, offers: Any
    ) -> list[SaveJob]:
        unit = self.geometry.unit_tokens
        end = min(end, turn.units * unit)
        ids = state.get_block_ids(turn.request.request_id)
        if ids is None:
            return []
        saves = [
            SaveJob(at, span_blocks(self.geometry, ids, at))
            for at in range(turn.saved_tokens + unit, end + 1, unit)
        ]
        self.counts.spans += len(saves)
        turn.saved_tokens = max(turn.saved_tokens, end)
        if not self.geometry.has_checkpoints:
            return saves
        if before < turn.request.num_prompt_tokens:
            self._ask_wanted(turn)
        if self.geometry.has_states:
            points = self._offered(turn, offers or (), end)
        else:
            points = {at: {} for at in turn.wanted if before < at <= end}
        for at, states in sorted(points.items()):
            blocks = checkpoint_blocks(self.geometry, ids, at, states)
            if blocks is not None:
                saves.append(SaveJob(at, blocks, turn.wanted.get(at, "interval")))
                turn.checkpoint_tokens = at
                self.counts.checkpoints += 1
        return saves

    def _ask_wanted(self, turn: Turn) -> None:
        """As the operator's word is now; what lies before the resume point is over."""
        wanted = turn.session.wanted_checkpoints(
            turn.start_tokens or 0, turn.request.num_prompt_tokens, turn.branch_tokens
        )
        turn.wanted = dict(wanted)

    def _offered(self, turn: Turn, offers: Any, end: int) -> dict[int, BlockIds]:
        """States exist where vLLM ends a chunk: whatever is wanted, and else some distance apart.

        The last of a prompt is always taken: it is what the next turn resumes at.
        """
        if not turn.wanted:
            return {}
        unit = self.geometry.unit_tokens
        by_place: dict[int, BlockIds] = {}
        for group, block, at in offers:
            if block != NULL_BLOCK and at % unit == 0 and at <= end:
                by_place.setdefault(at, {})[group] = [block]
        last = (turn.request.num_prompt_tokens - 1) // unit * unit
        taken: dict[int, BlockIds] = {}
        previous = turn.checkpoint_tokens
        # Ranks write one state together, so it is decided here for all of them.
        interval = turn.session.offer_tokens
        for at in sorted(by_place):
            if at <= previous or at > last:
                continue
            apart = interval > 0 and at - previous >= interval
            if at in turn.wanted or at == last or apart:
                taken[at] = by_place[at]
                previous = at
        return taken

    # --- what became of it -------------------------------------------------------------------

    def heard(self, output: Any) -> None:
        """`output`: vLLM's KVConnectorOutput."""
        meta = output.kv_connector_worker_meta
        if isinstance(meta, WorkerMeta):
            for request_id, ranks in meta.matched.items():
                self._matched[request_id] = self._matched.get(request_id, 0) + ranks
                if self._matched[request_id] >= self.options.ranks:
                    self._matched.pop(request_id)
                    self._release_lease(request_id)
            for request_id in meta.failed:
                self._load_failed(request_id)
            self._failures_heard |= meta.failed
        for request_id in output.failed_recving or ():
            self._load_failed(request_id)
        for request_id in output.finished_recving or ():
            turn = self._turns.get(request_id)
            if turn is not None:
                turn.loading = False
            self._release_lease(request_id)
        for request_id in output.finished_sending or ():
            turn = self._sending.pop(request_id, None)
            if turn is not None:
                self._close(turn)

    def _release_lease(self, request_id: str) -> None:
        turn = self._turns.get(request_id)
        if turn is not None:
            turn.key = None  # whoever asks again, after a preemption, is answered anew
            self._drop_hit(turn)

    def _load_failed(self, request_id: str) -> None:
        self._matched.pop(request_id, None)
        turn = self._turns.get(request_id)
        if turn is None or turn.no_load:
            return
        self.counts.load_failures += 1
        turn.no_load = True
        turn.start_tokens = None
        turn.saved_tokens = turn.checkpoint_tokens = 0  # what cannot be read is offered again
        self._drop_hit(turn)

    def _drop_hit(self, turn: Turn) -> None:
        hit, turn.hit = turn.hit, None
        if hit is not None and hit.lease and turn.session is not None:
            try:
                turn.session.submit_release(hit)
                turn.session.flush()
            except quire.Error as error:
                log.debug("releasing a lease: %s", error)

    def _lose(self, turn: Turn, error: Exception) -> None:
        """The session is of no use any more: the daemon went, or does not answer."""
        self._blame_daemon(error)
        log.debug("session of %s given up: %s", turn.request.request_id, error)
        self.counts.lost += 1
        turn.no_load = turn.no_save = True
        turn.asked = 0
        self._close(turn)

    def _blame_daemon(self, error: Exception) -> None:
        if isinstance(error, (quire.UnavailableError, quire.DeadlineExceededError)):
            self._link.failed(error)

    def finished(self, request: Any, ids: tuple[list[int], ...]) -> bool:
        """Whether the blocks are still needed, until `finished_sending` names the request."""
        turn = self._turns.pop(request.request_id, None)
        self._matched.pop(request.request_id, None)
        if turn is None:
            return False
        self._ended.add(request.request_id)
        if turn.session is None:
            return False
        try:
            self._tell_resumed(turn)
            turn.last_saves = self._final_saves(turn, ids)
        except quire.Error as error:
            self._lose(turn, error)
            return False
        self._drop_hit(turn)
        if turn.last_saves and not turn.loading:
            self._last_saves[request.request_id] = turn
            return True
        self._close(turn)
        return False

    def _tell_resumed(self, turn: Turn) -> None:
        if not turn.answered:
            return
        turn.session.submit_resumed(
            "exact" if turn.start_tokens else "nothing",
            turn.start_tokens or 0,
            output_tokens=turn.request.num_output_tokens,
            request_id=turn_number(turn.request.request_id),
        )
        turn.session.flush()

    def _final_saves(self, turn: Turn, ids: tuple[list[int], ...]) -> list[SaveJob]:
        """Units that the last steps completed, and the checkpoint of the output's end."""
        request = turn.request
        if turn.no_save or not (self.options.save and self.options.save_output):
            return []
        if not ids or not any(ids):
            return []
        unit = self.geometry.unit_tokens
        in_flight = getattr(request, "num_in_flight_tokens", 0)
        # The last token put out was never put in.
        computed = min(request.num_computed_tokens - in_flight, request.num_tokens - 1)
        end = computed // unit * unit
        self._append_hashes(turn)
        end = min(end, turn.units * unit)
        saves = [
            SaveJob(at, span_blocks(self.geometry, ids, at))
            for at in range(turn.saved_tokens + unit, end + 1, unit)
        ]
        turn.saved_tokens = max(turn.saved_tokens, end)
        if self.geometry.has_checkpoints and not self.geometry.has_states:
            wanted = turn.session.wanted_checkpoints(turn.checkpoint_tokens, request.num_tokens, 0)
            for at, reason in wanted:
                if turn.checkpoint_tokens < at <= end:
                    blocks = checkpoint_blocks(self.geometry, ids, at, {})
                    if blocks is not None:
                        saves.append(SaveJob(at, blocks, reason))
        return saves

    def _close(self, turn: Turn) -> None:
        self._drop_hit(turn)
        session, turn.session = turn.session, None
        if session is not None:
            try:
                session.close()
            except quire.Error as error:
                log.debug("closing a session: %s", error)

    def forget(self) -> None:
        """What was stored before is not this engine's any more: its weights have changed."""
        self._namespace = f"{self._namespace[:46]}~{uuid.uuid4().hex[:16]}"
        for turn in self._turns.values():
            turn.no_load = turn.no_save = True

    def shutdown(self) -> None:
        for turn in [*self._turns.values(), *self._sending.values(), *self._last_saves.values()]:
            self._close(turn)
        self._turns.clear()
        self._link.close()


def _padded(leaf: bytes) -> bytes:
    return leaf if len(leaf) == 32 else leaf.ljust(32, b"\0")


def _computed_before(output: Any):
    """(request id, tokens computed before this step) of all that are scheduled in it."""
    scheduled = output.num_scheduled_tokens
    for new in output.scheduled_new_reqs:
        if new.req_id in scheduled:
            yield new.req_id, new.num_computed_tokens
    cached = output.scheduled_cached_reqs
    for request_id, computed in zip(cached.req_ids, cached.num_computed_tokens):
        if request_id in scheduled:
            yield request_id, computed
