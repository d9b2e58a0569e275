"""What the scheduler's half tells the workers' half each step, and what it hears from it.

Plain dataclasses: vLLM pickles them. Block ids are by vLLM group, only of the groups that Quire
holds, in the order of `Geometry.groups` and their parts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vllm.distributed.kv_transfer.kv_connector.v1.base import (
    KVConnectorHandshakeMetadata,
    KVConnectorMetadata,
    KVConnectorWorkerMetadata,
)

# vLLM group -> ids of blocks; 0 is vLLM's null block: "not there".
BlockIds = dict[int, list[int]]


@dataclass
class LoadJob:
    """Tokens [from_tokens, end_tokens) into the request's blocks."""

    from_tokens: int
    end_tokens: int
    blocks: BlockIds  # of blocks [from_tokens, end_tokens); of windows the last ones before the end
    synchronous: bool


@dataclass
class SaveJob:
    """One object: a unit of the append groups, or a checkpoint."""

    end_tokens: int
    blocks: BlockIds
    reason: str | None = None  # of a checkpoint; None: a span


@dataclass
class RequestJob:
    request_id: str
    turn: int  # number under which the daemon meters the turn
    token: bytes  # for join_session
    first_unit: int  # of `hashes`
    hashes: bytes = b""  # 32 each, those that the workers have not got yet
    load: LoadJob | None = None
    saves: list[SaveJob] = field(default_factory=list)


@dataclass
class StepMeta(KVConnectorMetadata):
    jobs: list[RequestJob] = field(default_factory=list)
    finished: set[str] = field(default_factory=set)  # their sessions may go
    saved_last: set[str] = field(default_factory=set)  # report these as sent after this step
    failures_heard: set[str] = field(default_factory=set)  # since the last step's meta


@dataclass
class WorkerMeta(KVConnectorWorkerMetadata):
    """From one rank, or added up over all of them."""

    matched: dict[str, int] = field(default_factory=dict)  # request -> ranks that hold a lease
    failed: set[str] = field(default_factory=set)  # requests whose load failed

    def aggregate(self, other: "WorkerMeta") -> "WorkerMeta":
        for request, ranks in other.matched.items():
            self.matched[request] = self.matched.get(request, 0) + ranks
        self.failed |= other.failed
        return self


@dataclass
class Handshake(KVConnectorHandshakeMetadata):
    """A worker's layout: the scheduler's KVCacheConfig does not have the sizes of all layers."""

    geometry: object  # layout.Geometry
    problem: str = ""
