"""QuireConnector: vLLM's KV connector, over SchedulerHalf and WorkerHalf.

Written against vLLM 0.32. One object in the scheduler's process and one in each worker; this class
only hands calls on, and is the only place that knows which call of vLLM means what.
"""

from __future__ import annotations

import logging
from typing import Any

import quire
from quire.link import Link, connect_options
from vllm.distributed.kv_transfer.kv_connector.v1.base import (
    KVConnectorBase_V1,
    KVConnectorRole,
    KVConnectorTransferResults,
    SupportsHMA,
)
from vllm.v1.metrics.cache_hit_source import CacheHitSource

from . import scheduler as scheduler_half
from . import worker as worker_half
from .identity import hashes_are_reproducible, namespace
from .layout import Geometry, UnsupportedModel, derive_geometry
from .messages import Handshake, StepMeta
from .pages import CachePages, misplaced_layer, raw_cache
from .stats import QuirePromMetrics, QuireStats, take

log = logging.getLogger("vllm.quire")

_MIN_STAGING = 16 << 20
_MAX_STAGING = 512 << 20
_SPANS_STAGED = 32
_SOURCES = {
    "host": CacheHitSource.HOST,
    "disk": CacheHitSource.DISK,
    "p2p": CacheHitSource.P2P,
}


class QuireConnector(KVConnectorBase_V1, SupportsHMA):
    def __init__(self, vllm_config: Any, role: KVConnectorRole, kv_cache_config: Any = None):
        super().__init__(vllm_config, role, kv_cache_config)
        self._extra = dict(self._kv_transfer_config.kv_connector_extra_config or {})
        _check_parallelism(vllm_config.parallel_config)
        self._ranks = vllm_config.parallel_config.tensor_parallel_size
        self._geometry = derive_geometry(kv_cache_config, self._ranks, "vllm")
        self._scheduler: scheduler_half.SchedulerHalf | None = None
        self._worker: worker_half.WorkerHalf | None = None
        if role == KVConnectorRole.SCHEDULER:
            if not hashes_are_reproducible(vllm_config):
                log.warning(
                    "block hashes are random in each process: no other one can hit. "
                    "Set PYTHONHASHSEED, or --prefix-caching-hash-algo sha256"
                )
            if self._kv_transfer_config.kv_load_failure_policy != "recompute":
                log.warning(
                    'a load that fails would end its request: set "kv_load_failure_policy": '
                    '"recompute" in --kv-transfer-config'
                )

    # --- best effort ---------------------------------------------------------------------------

    @property
    def requires_kv_delivery(self) -> bool:
        return False  # a save that is dropped is a miss later

    @classmethod
    def requires_piecewise_for_cudagraph(cls, extra_config: dict[str, Any]) -> bool:
        return False  # nothing happens between layers

    # --- worker --------------------------------------------------------------------------------

    def register_kv_caches(self, kv_caches: dict[str, Any]) -> None:
        raw = raw_cache(kv_caches)
        layer = misplaced_layer(self._geometry, kv_caches, raw)
        if layer is not None:
            raise UnsupportedModel(f"the cache of {layer} does not lie where KVCacheConfig says")
        geometry = self._geometry
        link = self._link(self._staging_bytes(geometry))
        link.client()  # connected before the first request comes
        self._worker = worker_half.WorkerHalf(
            geometry,
            quire.Layout.parse(geometry.toml()),
            link,
            CachePages(geometry, raw, self._kv_cache_config.num_blocks),
            _tensor_rank(),
            worker_half.Options(
                load_deadline_ms=int(self._extra.get("load_deadline_ms", 10000)),
                save_budget_ms=float(self._extra.get("save_budget_ms", 500)),
                max_tokens=self._max_tokens(geometry),
            ),
        )

    def _staging_bytes(self, geometry: Geometry) -> int:
        """Some spans and a checkpoint of this rank, whatever request they are of."""
        if "staging_bytes" in self._extra:
            return int(self._extra["staging_bytes"])
        objects = geometry.span_bytes() * _SPANS_STAGED + geometry.checkpoint_bytes()
        smallest = geometry.span_bytes() + geometry.checkpoint_bytes() + (1 << 16)
        return max(min(max(objects, _MIN_STAGING), _MAX_STAGING), smallest)

    def _max_tokens(self, geometry: Geometry) -> int:
        return self._vllm_config.model_config.max_model_len + 2 * geometry.unit_tokens

    def _link(self, staging_bytes: int = 0) -> Link:
        options = connect_options(self._extra, f"vllm-{self.role.name.lower()}", staging_bytes)
        return Link(lambda: quire.Client(**options), logger=log)

    def get_handshake_metadata(self) -> Handshake | None:
        return Handshake(self._geometry)

    def start_load_kv(self, forward_context: Any, **kwargs: Any) -> None:
        if self._worker is not None and self.has_connector_metadata():
            self._worker.start_loads(self._meta())

    def wait_for_layer_load(self, layer_name: str) -> None:
        return  # loads are whole before a step that reads them

    def save_kv_layer(
        self, layer_name: str, kv_layer: Any, attn_metadata: Any, **kwargs: Any
    ) -> None:
        return  # saved at the step's end

    def wait_for_save(self) -> None:
        if self._worker is not None and self.has_connector_metadata():
            meta = self._meta()
            self._worker.save(meta)
            self._sent = getattr(self, "_sent", set()) | meta.saved_last

    def get_transfer_results(self, finished_req_ids: set[str]) -> KVConnectorTransferResults:
        if self._worker is None:
            return KVConnectorTransferResults()
        received, failed = self._worker.take_received()
        sent, self._sent = getattr(self, "_sent", set()), set()
        return KVConnectorTransferResults(sent, received, failed)

    def get_block_ids_with_load_errors(self) -> set[int]:
        return self._worker.take_bad_blocks() if self._worker is not None else set()

    def build_connector_worker_meta(self) -> Any:
        return self._worker.take_meta() if self._worker is not None else None

    def _meta(self) -> StepMeta:
        meta = self._get_connector_metadata()
        assert isinstance(meta, StepMeta)
        return meta

    # --- scheduler -----------------------------------------------------------------------------

    def set_xfer_handshake_metadata(self, metadata: dict[int, Any]) -> None:
        """The workers know the sizes of all layers; the scheduler's own config may not."""
        geometries = [m.geometry for m in metadata.values() if isinstance(m, Handshake)]
        if any(geometry != geometries[0] for geometry in geometries):
            raise UnsupportedModel("the ranks have KV caches of different shapes")
        if geometries:
            self._geometry = geometries[0]
            self._scheduler = None
            self._half().warm_up()

    def _half(self) -> scheduler_half.SchedulerHalf:
        if self._scheduler is None:
            geometry = self._geometry
            names = self._vllm_config, self._kv_cache_config, self._extra
            self._scheduler = scheduler_half.SchedulerHalf(
                geometry,
                quire.Layout.parse(geometry.toml()),
                self._link(),
                namespace(*names),
                self._scheduler_options(geometry),
                multi_group=len(self._kv_cache_config.kv_cache_groups) > 1,
            )
            log.info("Quire: %s, units of %d tokens", namespace(*names), geometry.unit_tokens)
        return self._scheduler

    def _scheduler_options(self, geometry: Geometry) -> scheduler_half.Options:
        known = scheduler_half.Options(max_tokens=self._max_tokens(geometry), ranks=self._ranks)
        for name in (
            "tenant",
            "load",
            "min_load_tokens",
            "match_wait_ms",
            "match_give_up_ms",
            "save",
            "save_output",
            "state_interval_tokens",
        ):
            if name in self._extra:
                setattr(known, name, type(getattr(known, name))(self._extra[name]))
        known.save = known.save and self._kv_transfer_config.is_kv_producer
        return known

    def get_num_new_matched_tokens(
        self, request: Any, num_computed_tokens: int
    ) -> tuple[int | None, bool]:
        return self._half().matched_tokens(request, num_computed_tokens)

    def update_state_after_alloc(
        self, request: Any, blocks: Any, num_external_tokens: int
    ) -> None:
        self._half().after_alloc(request, blocks, num_external_tokens)

    def get_external_cache_hit_sources(
        self, request: Any, num_external_tokens: int
    ) -> dict[CacheHitSource, int]:
        found = self._half().hit_sources(request, num_external_tokens)
        return {_SOURCES[name]: tokens for name, tokens in found.items()}

    def build_connector_meta(self, scheduler_output: Any) -> StepMeta:
        return self._half().build_meta(scheduler_output)

    def update_connector_output(self, connector_output: Any) -> None:
        self._half().heard(connector_output)

    def request_finished(
        self, request: Any, block_ids: list[int]
    ) -> tuple[bool, dict[str, Any] | None]:
        return self.request_finished_all_groups(request, (block_ids,))

    def request_finished_all_groups(
        self, request: Any, block_ids: tuple[list[int], ...]
    ) -> tuple[bool, dict[str, Any] | None]:
        return self._half().finished(request, block_ids), None

    def reset_cache(self) -> bool:
        """Called when weights changed: from now on under a name of its own."""
        self._half().forget()
        return True

    # --- both ----------------------------------------------------------------------------------

    def get_kv_connector_stats(self) -> QuireStats | None:
        if self._worker is not None:
            return take(self._worker.counts, "worker")
        if self._scheduler is not None:
            return take(self._scheduler.counts, "scheduler")
        return None

    @classmethod
    def build_kv_connector_stats(cls, data: dict[str, Any] | None = None) -> QuireStats:
        return QuireStats(data=data or {})

    @classmethod
    def build_prom_metrics(
        cls, vllm_config: Any, metric_types: Any, labelnames: Any, per_engine_labelvalues: Any
    ) -> QuirePromMetrics:
        return QuirePromMetrics(vllm_config, metric_types, labelnames, per_engine_labelvalues)

    def shutdown(self) -> None:
        if self._worker is not None:
            self._worker.shutdown()
        if self._scheduler is not None:
            self._scheduler.shutdown()


def _check_parallelism(parallel: Any) -> None:
    if getattr(parallel, "pipeline_parallel_size", 1) > 1:
        raise UnsupportedModel(
            "QuireConnector knows no pipeline parallelism yet: its stages hold different layers; "
            "use tensor parallelism alone"
        )
    if getattr(parallel, "decode_context_parallel_size", 1) > 1:
        raise UnsupportedModel("QuireConnector knows no decode context parallelism yet")


def _tensor_rank() -> int:
    from vllm.distributed.parallel_state import get_tensor_model_parallel_rank

    return get_tensor_model_parallel_rank()
