"""What the connector counts, for vLLM's log line and its Prometheus endpoint.

Each half adds to plain numbers; vLLM takes what came since it asked last, adds up the ranks, and
hands the sums to `QuirePromMetrics` in the API server's process.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from vllm.distributed.kv_transfer.kv_connector.v1.metrics import (
    KVConnectorPromMetrics,
    KVConnectorStats,
)


@dataclass
class SchedulerCounts:
    matches: int = 0
    prompt_tokens: int = 0  # of these
    hit_tokens: int = 0  # offered to, and taken by, the engine
    loads: int = 0
    load_failures: int = 0
    spans: int = 0  # asked of the workers
    checkpoints: int = 0
    lost: int = 0  # sessions that ended before their request
    down: int = 0  # requests that came while the daemon counted as gone


@dataclass
class WorkerCounts:
    """Of one rank. `loaded_tokens` of several ranks are the same tokens."""

    loaded_tokens: int = 0
    loaded_bytes: int = 0
    load_seconds: float = 0.0
    load_failures: int = 0
    saved: int = 0
    saved_bytes: int = 0
    duplicates: int = 0
    dropped_saves: int = 0
    lost: int = 0

    def loaded(self, tokens: int, seconds: float) -> None:
        self.loaded_tokens += tokens
        self.load_seconds += seconds


def take(counts: Any, prefix: str) -> "QuireStats | None":
    """Since the last time; None: nothing."""
    data = {}
    for field in fields(counts):
        value = getattr(counts, field.name)
        if value:
            data[f"{prefix}_{field.name}"] = value
            setattr(counts, field.name, type(value)())
    return QuireStats(data=data) if data else None


class QuireStats(KVConnectorStats):
    """Counters by name; all of them are sums."""

    def reset(self) -> None:
        self.data = {}

    def aggregate(self, other: KVConnectorStats) -> KVConnectorStats:
        for name, value in other.data.items():
            self.data[name] = self.data.get(name, 0) + value
        return self

    def reduce(self) -> dict[str, int | float]:
        return dict(self.data)

    def is_empty(self) -> bool:
        return not self.data


_HELP = {
    "scheduler_matches": "prompts that were looked up",
    "scheduler_prompt_tokens": "tokens of these prompts",
    "scheduler_hit_tokens": "tokens that were taken from Quire instead of being computed",
    "scheduler_loads": "requests that loaded from Quire",
    "scheduler_load_failures": "loads that failed; their requests were computed",
    "scheduler_spans": "units handed to the workers to be saved",
    "scheduler_checkpoints": "checkpoints handed to the workers to be saved",
    "scheduler_lost": "requests whose session ended early",
    "scheduler_down": "requests that came while the daemon could not be reached",
    "worker_loaded_tokens": "tokens loaded, of each rank",
    "worker_loaded_bytes": "bytes loaded",
    "worker_load_seconds": "time from a load's begin to its last byte",
    "worker_load_failures": "loads that failed, of each rank",
    "worker_saved": "units and checkpoints written",
    "worker_saved_bytes": "bytes written",
    "worker_duplicates": "units and checkpoints that were there already",
    "worker_dropped_saves": "units and checkpoints given up for time",
    "worker_lost": "requests of which nothing more was saved",
}


class QuirePromMetrics(KVConnectorPromMetrics):
    """vllm:quire_<name>_total, by engine."""

    def __init__(
        self, vllm_config: Any, metric_types: Any, labelnames: Any, per_engine_labelvalues: Any
    ):
        super().__init__(vllm_config, metric_types, labelnames, per_engine_labelvalues)
        self._counters = {}
        for name, text in _HELP.items():
            counter = self._counter_cls(
                name=f"vllm:quire_{name}", documentation=f"Quire: {text}.", labelnames=labelnames
            )
            self._counters[name] = {
                engine: counter.labels(*values)
                for engine, values in per_engine_labelvalues.items()
            }

    def observe(self, transfer_stats_data: dict[str, Any], engine_idx: int = 0) -> None:
        for name, value in transfer_stats_data.items():
            counters = self._counters.get(name)
            if counters is not None and value > 0:
                counters[engine_idx].inc(value)
