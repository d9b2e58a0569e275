"""The native part of quire: libquire's C ABI (client/quire_c.h) as Python objects.

Import these names from ``quire``. Rules that hold everywhere:

* Positions and lengths are in tokens, memory in bytes, times in the unit that the name ends in.
* ``groups`` is a mask, bit g is group g of the layout; 0 means all of them.
* A call that waits releases the GIL. A client, and a session, is used by one thread at a time;
  calls of further threads wait for their turn. Different sessions go on at once.
* Every failure is a :class:`quire.Error`; the subclass says which.
* In a forked child every call raises :class:`quire.ForkedError`.
* Buffers (of pages, runs and fills) and the lease or fill they belong to: see :class:`Hit`.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, Protocol, final

from typing_extensions import Buffer

from ._layout import Group

__version__: str

FillKind = Literal["span", "checkpoint"]
Reason = Literal["turn_end", "interval", "branch", "before_tail", "offered"]
Tiers = dict[Literal["ram", "ssd", "cluster"], int]
How = Literal["exact", "span", "cut", "nothing"]
Tokens = Buffer | Sequence[int]
"""Token ids: a contiguous one-dimensional buffer of uint32 (``array('I')``, a NumPy ``uint32`` array),
or a sequence of ints. Other element types are refused, never converted: ``tokens.astype('uint32')``."""
UnitKey = tuple[bytes, int, int]
"""(bytes of any length, first token it covers, how many tokens; 2**32 - 1: to the end)."""

class Segment:
    """A piece of the daemon's memory as this process maps it, read-only."""

    daemon_epoch: int
    segment: int
    address: int
    nbytes: int

class SegmentObserver(Protocol):
    """Told of each segment before a page can lie in it, and before it is unmapped, on whichever
    thread does that. Must not call Quire. What it raises is printed and ignored."""

    def mapped(self, segment: Segment) -> None: ...
    def unmapping(self, segment: Segment) -> None: ...

@final
class Layout:
    """What a model's pages look like: groups, bytes, layers, checkpoint rules. Immutable."""

    @staticmethod
    def parse(toml: str) -> Layout:
        """From TOML as in configs/models. InvalidLayoutError names the group and the rule broken."""
    @staticmethod
    def load(path: str) -> Layout:
        """From a TOML file. IoError, InvalidLayoutError."""
    @staticmethod
    def from_groups(
        groups: Iterable[Group], *, unit_tokens: int, block_tokens: int, name: str = "python"
    ) -> Layout:
        """From :class:`quire.Group` objects. ``block_tokens`` is a multiple of ``unit_tokens``.
        InvalidLayoutError, or InvalidArgumentError, names the group and the rule broken."""
    @property
    def unit_tokens(self) -> int:
        """Tokens between two resume points."""
    @property
    def block_tokens(self) -> int:
        """Tokens of one page of an append group, which is what a span holds."""
    @property
    def groups(self) -> tuple[Group, ...]: ...
    @property
    def append_groups(self) -> int:
        """Mask of the groups that spans hold."""
    @property
    def checkpoint_groups(self) -> int:
        """Mask of the window and state groups that checkpoints hold."""
    def unit_floor(self, tokens: int) -> int: ...
    def block_floor(self, tokens: int) -> int:
        """The span end that a resume at ``tokens`` needs."""
    def last_resume_point(self, prompt_tokens: int) -> int:
        """The largest legal resume point of a prompt: one token at least is left to compute."""
    def has_tail(self, tokens: int) -> bool:
        """Whether a checkpoint there cuts a block and so holds tail pages of the append groups."""
    def plan_pages(self, kind: FillKind, end_tokens: int, groups: int = 0) -> list[PlannedPage]:
        """The pages of an object that ends at ``end_tokens``, in the order of ``Fill.pages`` and of
        a load's pages."""
    def staging_bytes(self, kind: FillKind, end_tokens: int, groups: int = 0) -> int:
        """Staging memory that such an object takes while it is written."""
    def wanted_checkpoints(
        self,
        from_tokens: int,
        end_tokens: int,
        *,
        branch_tokens: int = 0,
        tail_tokens: int | None = 256,
        policy: str = "default",
        every_tokens: int = 0,
    ) -> list[tuple[int, Reason]]:
        """Checkpoints wanted while computing (from_tokens, end_tokens], ascending, by a policy
        ("default", "none", "branch", "turn_ends", "every", "all"). A session has the operator's."""
    def chain_hashes(
        self, previous: bytes, tokens: Tokens, *, first_token: int = 0, keys: Iterable[UnitKey] = ()
    ) -> bytes:
        """Chain hashes of the whole units of ``tokens``, 32 bytes each, without a session.
        ``previous``: the 32 bytes before ``tokens[0]``, which begins a unit (Session.root at 0)."""

class PlannedPage:
    group: int
    tail: bool
    nbytes: int
    staging_offset: int

@final
class Client:
    """A connection to quired. A context manager: closes at its end; sessions may outlive it."""

    def __init__(
        self,
        socket_path: str | None = None,
        name: str = "python",
        *,
        connect_timeout_ms: int = 5000,
        call_timeout_ms: int = 30000,
        spin_us: int = 20,
        daemon_wait_ms: int = 0,
        lazy_segments: bool = False,
        staging_bytes: int = 0,
        observer: SegmentObserver | None = None,
    ) -> None:
        """Connects. ``socket_path`` None: $QUIRE_SOCKET, else /run/quire/quired.sock.

        connect_timeout_ms: for a daemon that is there, and for each verb of the socket.
        call_timeout_ms: blocking calls raise DeadlineExceededError after it.
        daemon_wait_ms: how long connecting and opening wait for a daemon that is not there. 0: they
            raise UnavailableError at once, so that an engine computes instead of waiting.
        staging_bytes: memory that fills are written to, shared by the client's sessions. 0: enough
            for two of the largest objects of the first session, at least 32 MiB.
        """
    def __enter__(self) -> Client: ...
    def __exit__(self, *exc: object) -> None: ...
    def close(self) -> None: ...
    @property
    def closed(self) -> bool: ...
    def ping(self) -> None:
        """A round trip through the daemon's core."""
    def status(self) -> dict[str, Any]:
        """The daemon's status document (docs/status.md)."""
    def open_session(
        self,
        layout: Layout,
        *,
        tenant: str = "",
        namespace: str = "",
        salt: str = "",
        weights_epoch: int = 0,
        conversation: int = 0,
        ring_entries: int = 256,
        max_tokens: int = 1 << 20,
        max_load_pages: int = 8192,
        load_class: Literal["interactive", "batch"] = "interactive",
        tail_tokens: int | Literal["learnt"] | None = "learnt",
        offer_tokens: int = 0,
        role: Literal["both", "prefill", "decode"] = "both",
        ahead_tokens: int = 0,
        admission_wait_ms: int = 0,
        reserve_bytes: int = 0,
        model: str = "",
        service_tier: str = "",
        retention: str = "",
        explicit_caching: bool = False,
    ) -> Session:
        """A session of one prompt. ``namespace``, ``tenant``, ``salt`` and ``weights_epoch`` are part
        of the identity of everything stored. ``conversation``: turns of one conversation supersede
        each other's checkpoints. ``tail_tokens``: how far before a prompt's end a second
        checkpoint stays; "learnt": as far as earlier prompts of the namespace were left by the next
        ones; None: none stays.
        ``offer_tokens``: how far apart checkpoints of reason "offered" are kept (0: as policy and
        layout say).
        ``role``: of this process where a prompt is handed from prefill to decode; ``ahead_tokens``:
        spans that prefill may commit beyond what decode has loaded (0: no bound).
        Waits ``admission_wait_ms`` at most for ``reserve_bytes``. Errors: UnavailableError,
        ResourceExhaustedError, DeadlineExceededError, InvalidArgumentError (names the field)."""
    def request_session(self, layout: Layout, **options: Any) -> Ticket:
        """``open_session`` without waiting for its reservation; the same options."""
    def join_session(self, token: bytes, layout: Layout, **options: Any) -> Session:
        """This process in another process's session. ``token``: its ``Session.token``; ``layout``:
        the one it was opened with. Tokens, or unit hashes, must be appended here too. A lease
        belongs to the process that matched. NotFoundError: that session is over."""
    def locate(
        self,
        layout: Layout,
        tokens: Tokens,
        *,
        domain: str | None = None,
        tenant: str = "",
        namespace: str = "",
        salt: str = "",
        weights_epoch: int = 0,
    ) -> Located | None:
        """How much of a prompt is in the store, without a session; pins nothing. None: nothing was
        stored, or asked for, under these names. ``tokens``: one whole unit at least."""
    def reconnect(self, timeout_ms: int = 5000) -> None:
        """After UnavailableError: tries again with back-off. Sessions of before are over."""
    @property
    def daemon_epoch(self) -> int:
        """Another number after the daemon's restart."""
    def fileno(self) -> int:
        """Readable when the daemon sent news or hung up: call ``progress``."""
    def progress(self) -> None:
        """Handles news without blocking. UnavailableError once the daemon is gone."""

@final
class Ticket:
    """A session that waits until what it reserves can be had. Dropped, it leaves the queue."""

    @property
    def position(self) -> int:
        """1: it is next; 0: it does not wait."""
    @property
    def estimate_ms(self) -> int | None:
        """Until its turn; None: nobody knows."""
    def poll(self, wait_ms: int = 0) -> Session | None:
        """The session, once, or None while it is queued. DeadlineExceededError: admission_wait_ms
        are over. After an error the ticket is of no use."""

class Located:
    span_tokens: int
    exact_tokens: int
    tier_tokens: Tiers
    load_estimate_us: int

class Position:
    tokens: int
    replay_tokens: int
    tier_tokens: Tiers
    load_estimate_us: int
    how: How
    replay_exact: bool

class Positions:
    """Resume positions, the deepest first."""

    span_tokens: int
    exact_tokens: int
    complete: bool
    """False: there may be more."""
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Position: ...

class Progress:
    committed_tokens: int
    checkpoint_tokens: int
    members: int
    handover: Literal["none", "running", "ended", "abandoned"]
    taken_tokens: int
    ahead_tokens: int

class CheckpointPolicy:
    word: Literal["none", "branch", "turn_ends", "every", "all"]
    every_tokens: int

class Usage:
    """Of the present turn: prompt = hit + replayed + missed."""

    prompt_tokens: int
    hit_tokens: int
    replayed_tokens: int
    missed_tokens: int
    output_tokens: int
    written_tokens: int
    def json(
        self,
        shape: Literal["deepseek", "openai", "responses", "anthropic"] = "openai",
        retention: str | None = None,
    ) -> str:
        """The ``usage`` object of an API of this shape, one JSON object."""

class CommitResult:
    visible: bool
    """Can be hit; False: it waits for other processes' groups."""
    duplicate: bool
    superseded: bool

@final
class Session:
    """One prompt's context in the store, and this process's rings. A context manager: closes at
    its end, which raises BufferInUseError while buffers of its hits or fills exist; the session
    then ends with the last of them. All properties but ``closed`` raise ClosedError afterwards."""

    def __enter__(self) -> Session: ...
    def __exit__(self, *exc: object) -> None: ...
    def close(self) -> None: ...
    @property
    def closed(self) -> bool: ...
    @property
    def layout(self) -> Layout: ...
    @property
    def id(self) -> int: ...
    @property
    def token(self) -> bytes:
        """16 bytes for ``Client.join_session`` in processes of the same user."""
    @property
    def root(self) -> bytes:
        """32 bytes: the hash before the first unit."""
    @property
    def token_count(self) -> int:
        """Tokens appended, those of a unit that is not whole included."""
    @property
    def staging(self) -> tuple[int, int]:
        """(address, bytes) of the memory that fills are written to, for a device."""
    def chain(self, first_unit: int = 0) -> bytes:
        """Chain hashes from ``first_unit`` on, 32 bytes a whole unit."""
    def append_tokens(self, tokens: Tokens, keys: Iterable[UnitKey] = ()) -> None:
        """Two contexts with equal hashes must have equal pages: what changes pages besides token ids
        (images, adapters) is given as ``keys``, or in the salt when it holds for all of them.
        InvalidArgumentError: wrong element type, more than max_tokens, a key in a unit that was
        hashed before. Nothing is appended then."""
    def append_unit_hashes(self, hashes: Buffer | Sequence[bytes]) -> None:
        """Instead of tokens the engine's own hashes, one a unit: a buffer of n x 32 bytes, or bytes
        objects of 16 to 32 bytes each, padded with zeros here. After tokens that ended inside a unit
        the first hash completes that unit."""

    def match(
        self,
        prompt_tokens: int | None = None,
        *,
        have_tokens: int = 0,
        prefill_us_per_ktoken: int = 0,
        prefill_us_per_ktoken_per_mtoken: int = 0,
        request_id: int = 0,
    ) -> Hit:
        """The longest prefix of the prompt that is here, pinned. None: of all tokens appended. A hit
        of nothing is false. ``have_tokens``: held by the engine already. Costs: for ``cut_tokens``.
        ``request_id``: the engine's number of its request; all processes of a session give the same.
        """
    def begin_fill(
        self,
        kind: FillKind,
        end_tokens: int,
        *,
        groups: int = 0,
        reason: Reason = "turn_end",
        unless_begun: bool = False,
    ) -> Fill:
        """Staging memory for one object. BusyError: the staging area is full of uncommitted fills,
        or another process writes these groups: begin again later, it may be a duplicate then.
        NoParentError: the span before it is not there. ResourceExhaustedError: no memory."""
    def supersede(self, end_tokens: int) -> bool:
        """Lets a checkpoint of this session go; whether there was one."""
    def advise(
        self,
        advice: Literal["prefetch", "pause_until", "done_with"],
        end_tokens: int,
        pause_ms: int = 0,
    ) -> None: ...
    def noop(self) -> None:
        """A round trip through the session's ring."""
    def reset(self, conversation: int = 0) -> None:
        """Goes on with another prompt, as if the session had just been opened for it: nothing is
        appended, the turn is closed and its receipt written; token, payer and reservation stay.
        ``conversation``: of the new prompt. BusyError while a hit, a fill or a request of the old one
        is open, or another process is in the session; then nothing has changed."""
    def resumed(
        self,
        how: How,
        resumed_tokens: int,
        *,
        replayed_tokens: int = 0,
        output_tokens: int = 0,
        request_id: int = 0,
    ) -> Usage:
        """Where the engine really went on; the last word before the next match counts."""
    def positions(
        self,
        prompt_tokens: int | None = None,
        *,
        have_tokens: int = 0,
        every_block: bool = False,
        max_positions: int = 256,
    ) -> Positions:
        """All positions at which the prompt could be resumed. Pins nothing."""
    def locate(self, tokens: int | None = None) -> Located:
        """How much of the first ``tokens`` is here. Pins nothing and is no use of it."""
    def progress(self) -> Progress:
        """How far all processes of the session have come, from shared memory."""
    def layer_ready_tokens(self, layer: int) -> int: ...
    def wait_for_tokens(self, tokens: int, timeout_ms: int) -> None:
        """Until spans or a checkpoint reach ``tokens``. DeadlineExceededError; UnavailableError when
        the session's prefill processes went before (what is committed stays)."""
    def wait_for_room(self, end_tokens: int, timeout_ms: int) -> None:
        """Of prefill: until decode has taken enough for a span that ends there to be begun.
        DeadlineExceededError."""
    def hand_over(self) -> bytes:
        """Gives the session to another host: from now on what it commits goes to the cluster at once.
        The 64 bytes are for ``follow`` there. UnavailableError: no cluster takes writes now."""
    def follow(self, address: bytes, prompt_tokens: int | None = None) -> None:
        """Follows a session that another host gave away, which works on the first ``prompt_tokens``
        tokens of this one (None: all that were appended): ``progress`` and ``wait_for_tokens`` tell
        what is here of it. InvalidArgumentError: not an address, or of another cluster, pool, tenant
        or model, or the prompt is not appended yet. UnavailableError: there is no cluster."""
    def checkpoint_policy(self) -> CheckpointPolicy:
        """What the operator asks of this session now: a word of shared memory."""
    @property
    def tail_tokens(self) -> int:
        """How far before a prompt's end its second checkpoint lies, as given or as learnt by now.
        0: there is none."""
    @property
    def offer_tokens(self) -> int:
        """How far apart checkpoints of reason "offered" are kept, by option, layout and the present
        policy. 0: none is."""
    def wanted_checkpoints(
        self, from_tokens: int, end_tokens: int, branch_tokens: int = 0
    ) -> list[tuple[int, Reason]]:
        """Checkpoints to write while computing (from_tokens, end_tokens], ascending, by the present
        policy: ask anew each turn. ``branch_tokens``: as the match answered."""

    def submit_match(
        self,
        prompt_tokens: int | None = None,
        *,
        have_tokens: int = 0,
        prefill_us_per_ktoken: int = 0,
        prefill_us_per_ktoken_per_mtoken: int = 0,
        request_id: int = 0,
    ) -> int:
        """Queues a match; ``flush`` makes everything queued visible. Returns the request id that its
        :class:`Completion` will have. So the other ``submit_*``. BusyError: the ring is full."""
    def submit_begin_fill(
        self,
        kind: FillKind,
        end_tokens: int,
        *,
        groups: int = 0,
        reason: Reason = "turn_end",
        unless_begun: bool = False,
    ) -> int: ...
    def submit_load(
        self,
        hit: Hit,
        *,
        groups: int = 0,
        first_block: int = 0,
        block_count: int = 0,
        checkpoint: bool = True,
        layer_major: bool = False,
        deadline_ms: int = 0,
        progress: bool = False,
    ) -> int:
        """As ``Hit.load``. ``progress``: for ``pages_so_far``."""
    def submit_load_runs(
        self,
        hit: Hit,
        *,
        groups: int = 0,
        first_block: int = 0,
        block_count: int = 0,
        checkpoint: bool = True,
        layer_major: bool = False,
        deadline_ms: int = 0,
        max_runs: int = 0,
    ) -> int: ...
    def submit_release(self, hit: Hit) -> int:
        """As ``Hit.release``: the hit is released from here on. BufferInUseError."""
    def submit_commit(self, fill: Fill) -> int:
        """As ``Fill.commit``; the fill must not be written any more. BufferInUseError."""
    def submit_reset(self, conversation: int = 0) -> int:
        """Until its completion was polled everything else raises BusyError."""
    def submit_resumed(
        self,
        how: How,
        resumed_tokens: int,
        *,
        replayed_tokens: int = 0,
        output_tokens: int = 0,
        request_id: int = 0,
    ) -> int: ...
    def submit_positions(
        self,
        prompt_tokens: int | None = None,
        *,
        have_tokens: int = 0,
        every_block: bool = False,
        max_positions: int = 256,
    ) -> int: ...
    def submit_locate(self, tokens: int | None = None) -> int: ...
    def submit_noop(self) -> int: ...
    def flush(self) -> None:
        """Makes everything queued visible to the daemon, and wakes it if it sleeps."""
    def poll(self, max_completions: int = 64) -> list[Completion]:
        """Finished requests, oldest first. Never blocks."""
    def wait(self, timeout_ms: int) -> None:
        """Until ``poll`` has something. DeadlineExceededError."""
    def pages_so_far(self, request: int) -> Pages:
        """What a load submitted with ``progress`` delivered so far. Never blocks. NotFoundError."""
    def fileno(self) -> int:
        """Readable when ``poll`` may have something, also because the daemon went."""

@final
class Completion:
    """The end of a submitted request. Each ``take_*`` once, for a completion of its kind
    (NotFoundError otherwise); it raises what the request failed with."""

    @property
    def request(self) -> int: ...
    @property
    def error(self) -> Exception | None:
        """What it failed with, a :class:`quire.Error`."""
    def check(self) -> None:
        """Raises ``error`` when there is one."""
    def take_match(self) -> Hit: ...
    def take_pages(self) -> Pages:
        """A load cut short has pages too: see ``Pages.limited_by``."""
    def take_runs(self) -> Runs: ...
    def take_fill(self) -> Fill: ...
    def take_commit(self) -> CommitResult: ...
    def take_positions(self) -> Positions: ...
    def take_locate(self) -> Located: ...

@final
class Hit:
    """What a match found, pinned by a lease. A context manager: releases at its end.

    Pages of a load lie in the daemon's memory and stay as they are while the lease is held. A
    buffer of one (a memoryview, an array or tensor made of it, a DLPack capsule) keeps the hit and
    its lease alive. ``release`` (and ``__exit__``, and closing the session) while such buffers
    exist raises BufferInUseError, and the lease ends with the last of them: copy what must outlive
    it, and drop the view. After a release ``load`` raises ClosedError, and a page gives no buffer.

    The memory is mapped read-only: memoryviews and NumPy arrays refuse to be written. A torch
    tensor does not know of read-only memory, and writing to one ends the process: copy it first.
    """

    def __enter__(self) -> Hit: ...
    def __exit__(self, *exc: object) -> None: ...
    def __bool__(self) -> bool:
        """Whether anything was found."""
    @property
    def lease(self) -> int:
        """0: nothing was found, or it was released."""
    @property
    def exact_tokens(self) -> int:
        """Where to resume without recomputing anything."""
    @property
    def span_tokens(self) -> int:
        """How far the append groups reach."""
    @property
    def cut_tokens(self) -> int:
        """Where to resume for the earliest first token; exact_tokens without a cost."""
    @property
    def replay_tokens(self) -> int:
        """Tokens to recompute before a resume at span_tokens; 0: not allowed."""
    @property
    def replay_exact(self) -> bool: ...
    @property
    def branch_tokens(self) -> int:
        """Where an earlier session left this prompt: a checkpoint is wanted there. 0: nowhere."""
    @property
    def limit(self) -> Literal["end_of_prompt", "no_span", "no_checkpoint", "group", "deadline"]: ...
    @property
    def limit_tokens(self) -> int: ...
    @property
    def limit_group(self) -> int: ...
    @property
    def load_estimate_us(self) -> int: ...
    @property
    def tier_tokens(self) -> Tiers:
        """Of exact_tokens, by the tier that they would come from."""
    def load(
        self,
        *,
        groups: int = 0,
        first_block: int = 0,
        block_count: int = 0,
        checkpoint: bool = True,
        layer_major: bool = False,
        deadline_ms: int = 0,
    ) -> Pages:
        """Pages of the hit, brought to RAM where they are below it. ``block_count`` 0: to the end of
        the hit. An error only when nothing was delivered: see ``Pages.limited_by``."""
    def load_runs(
        self,
        *,
        groups: int = 0,
        first_block: int = 0,
        block_count: int = 0,
        checkpoint: bool = True,
        layer_major: bool = False,
        deadline_ms: int = 0,
        max_runs: int = 0,
    ) -> Runs:
        """The same as runs of adjacent pages, the checkpoint's first. ResourceExhaustedError: memory
        is so fragmented that ``max_runs`` (0: 1,024) did not do."""
    def release(self) -> None:
        """Ends the lease; again: nothing. BufferInUseError. BusyError: a load is in flight."""

@final
class Page:
    """One page in shared memory: a read-only buffer of ``nbytes`` bytes."""

    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __dlpack__(self, **options: Any) -> object:
        """A DLPack capsule of uint8, marked read-only: for consumers of DLPack 1.0 on."""
    def __dlpack_device__(self) -> tuple[int, int]: ...
    @property
    def group(self) -> int: ...
    @property
    def of_checkpoint(self) -> bool: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def address(self) -> int:
        """Of its first byte; valid while the lease is held."""
    @property
    def segment(self) -> int:
        """Which segment of the observer it lies in; ``offset``: where."""
    @property
    def offset(self) -> int: ...
    @property
    def generation(self) -> int: ...
    @property
    def crc32c(self) -> int: ...
    def verify(self) -> bool:
        """Whether the bytes have the checksum that they were sealed with."""

@final
class Pages(Sequence[Page]):
    """Pages of one load: those of each block, or of each group (``layer_major``), in the order of
    the blocks; then the checkpoint's."""

    @property
    def block_count(self) -> int:
        """Whole blocks delivered."""
    @property
    def checkpoint_count(self) -> int:
        """The last so many pages are the checkpoint's."""
    @property
    def limited_by(self) -> Literal["deadline_exceeded", "io_error", "corrupt"] | None:
        """Why there is no more; None: everything asked for."""
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Page: ...  # type: ignore[override]
    def __iter__(self) -> Iterator[Page]: ...

@final
class Run:
    """Adjacent pages of one group: a read-only buffer of shape (page_count, page_bytes) and strides
    (stride, 1). ``contiguous()`` buffers (stride == page_bytes) suit torch.frombuffer too."""

    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __dlpack__(self, **options: Any) -> object: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...
    @property
    def group(self) -> int: ...
    @property
    def of_checkpoint(self) -> bool: ...
    @property
    def first_block(self) -> int:
        """Of the context; of a checkpoint's page its place among these."""
    @property
    def page_count(self) -> int: ...
    @property
    def page_bytes(self) -> int: ...
    @property
    def stride(self) -> int: ...
    @property
    def address(self) -> int: ...
    @property
    def segment(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def generation(self) -> int: ...

@final
class Runs(Sequence[Run]):
    """Runs of one load: the checkpoint's first, then those of each group in the order of blocks."""

    @property
    def page_count(self) -> int:
        """Of all runs."""
    @property
    def block_count(self) -> int: ...
    @property
    def checkpoint_count(self) -> int:
        """The first so many runs are the checkpoint's, a page each."""
    @property
    def limited_by(self) -> Literal["deadline_exceeded", "io_error", "corrupt"] | None: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Run: ...  # type: ignore[override]
    def __iter__(self) -> Iterator[Run]: ...

@final
class FillPage:
    """A page to be written: a writable buffer of ``nbytes`` bytes of staging memory."""

    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __dlpack__(self, **options: Any) -> object:
        """A writable DLPack capsule of uint8."""
    def __dlpack_device__(self) -> tuple[int, int]: ...
    def write(self, data: Buffer, offset: int = 0) -> None:
        """Copies a contiguous buffer of any type to ``offset``. InvalidArgumentError beyond the end."""
    @property
    def group(self) -> int: ...
    @property
    def tail(self) -> bool:
        """A partly filled page of an append group, part of a checkpoint."""
    @property
    def nbytes(self) -> int: ...
    @property
    def address(self) -> int: ...

@final
class Fill:
    """Staging memory of one object. A context manager: aborts at its end unless committed; so does
    dropping it. ``commit`` and ``abort`` raise BufferInUseError while buffers of its pages exist;
    nothing has happened then: drop them and call again."""

    def __enter__(self) -> Fill: ...
    def __exit__(self, *exc: object) -> None: ...
    @property
    def id(self) -> int: ...
    @property
    def kind(self) -> FillKind: ...
    @property
    def end_tokens(self) -> int: ...
    @property
    def duplicate(self) -> bool:
        """Present already: no pages, nothing to write or commit."""
    @property
    def unwanted(self) -> bool:
        """A duplicate of nothing: it was offered, and another checkpoint serves."""
    @property
    def incomplete(self) -> bool:
        """A duplicate of which other processes of the session have a part to write yet."""
    @property
    def pages(self) -> tuple[FillPage, ...]:
        """In the order of ``Layout.plan_pages``."""
    def commit(self) -> CommitResult:
        """Seals it. BusyError, DeadlineExceededError and InvalidArgumentError leave the fill to be
        committed again or aborted; any other outcome ends it. Of a duplicate: nothing happens."""
    def abort(self) -> None: ...
