"""Names that pages are stored under, a daemon that comes and goes, figures, how vLLM finds us."""

import copy
import importlib.metadata
from dataclasses import fields
from types import SimpleNamespace

import prometheus_client
import pytest
import quire
from prometheus_client import Counter, Gauge, Histogram
from quire.vllm import identity, stats
from quire.link import Link

CONFIG = SimpleNamespace(
    model_config=SimpleNamespace(
        model="org/a-model",
        revision="r1",
        dtype="bfloat16",
        quantization=None,
        seed=0,
        hf_config=None,
    ),
    cache_config=SimpleNamespace(
        cache_dtype="auto", block_size=16, prefix_caching_hash_algo="sha256"
    ),
    parallel_config=SimpleNamespace(tensor_parallel_size=2),
    load_config=SimpleNamespace(load_format="auto"),
    device_config=SimpleNamespace(device_type="cuda"),
    speculative_config=None,
)
CACHE = SimpleNamespace(kv_cache_layout="LBNHC", kv_tp_replicas=1)


def name(change=None, **extra) -> str:
    config, cache = copy.deepcopy(CONFIG), copy.deepcopy(CACHE)
    if change:
        change(config, cache)
    return identity.namespace(config, cache, extra)


CHANGES = {
    "revision": lambda c, k: setattr(c.model_config, "revision", "r2"),
    "model": lambda c, k: setattr(c.model_config, "model", "org/b-model"),
    "dtype": lambda c, k: setattr(c.model_config, "dtype", "float16"),
    "quantization": lambda c, k: setattr(c.model_config, "quantization", "fp8"),
    "kv_dtype": lambda c, k: setattr(c.cache_config, "cache_dtype", "fp8"),
    "block": lambda c, k: setattr(c.cache_config, "block_size", 32),
    "ranks": lambda c, k: setattr(c.parallel_config, "tensor_parallel_size", 4),
    "layout": lambda c, k: setattr(k, "kv_cache_layout", "LBHNC"),
    "replicas": lambda c, k: setattr(k, "kv_tp_replicas", 2),
    "device": lambda c, k: setattr(c.device_config, "device_type", "cpu"),
    "shape": lambda c, k: setattr(
        c.model_config, "hf_config", SimpleNamespace(to_json_string=lambda: "{}")
    ),
    "draft": lambda c, k: setattr(c, "speculative_config", SimpleNamespace(method="eagle")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_pages_changes_the_name(change):
    assert name(CHANGES[change]) != name()


def test_a_seed_counts_where_weights_are_random(monkeypatch):
    reseed = lambda c, k: setattr(c.model_config, "seed", 5)
    assert name(reseed) == name()

    def dummy(config, cache):
        config.load_config.load_format = "dummy"

    assert name(lambda c, k: (dummy(c, k), reseed(c, k))) != name(dummy)
    monkeypatch.setenv("PYTHONHASHSEED", "1")
    assert name() != name(namespace="x")


def test_names_fit():
    long = lambda c, k: setattr(c.model_config, "model", "/path/" + "x" * 300)
    assert len(name(long)) <= 63 and len(name(namespace="n" * 300)) <= 63
    request = SimpleNamespace(cache_salt="s" * 10000, lora_request=None)
    assert 0 < len(identity.request_salt(request)) <= 63


def test_random_hashes_are_noticed(monkeypatch):
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    config = copy.deepcopy(CONFIG)
    assert identity.hashes_are_reproducible(config)
    config.cache_config.prefix_caching_hash_algo = "xxhash"
    assert not identity.hashes_are_reproducible(config)
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    assert identity.hashes_are_reproducible(config)


def test_a_dead_daemon_is_tried_more_and_more_rarely():
    now, tries = [0.0], []

    def connect():
        tries.append(now[0])
        raise quire.UnavailableError("no daemon")

    link = Link(connect, clock=lambda: now[0])
    while now[0] < 60:
        assert link.client() is None
        now[0] += 0.05
    gaps = [b - a for a, b in zip(tries, tries[1:])]
    assert gaps[0] < 0.5 and 9.5 < gaps[-1] < 10.5 and len(tries) < 14
    assert link.down


def test_every_count_has_a_figure():
    names = {f"scheduler_{f.name}" for f in fields(stats.SchedulerCounts)}
    names |= {f"worker_{f.name}" for f in fields(stats.WorkerCounts)}
    assert names == set(stats._HELP)


def test_figures_are_told_once_and_added_up():
    counts = stats.WorkerCounts()
    counts.loaded(128, 0.5)
    taken = stats.take(counts, "worker")
    assert stats.take(counts, "worker") is None
    taken.aggregate(stats.QuireStats(data={"worker_loaded_tokens": 128}))
    figures = stats.QuirePromMetrics(
        SimpleNamespace(kv_transfer_config=None),
        {Counter: Counter, Gauge: Gauge, Histogram: Histogram},
        ["model_name", "engine"],
        {0: ["m", "0"]},
    )
    figures.observe(taken.data, 0)
    text = prometheus_client.generate_latest().decode()
    assert 'vllm:quire_worker_loaded_tokens_total{engine="0",model_name="m"} 256.0' in text


def test_vllm_knows_the_name():
    points = importlib.metadata.entry_points(group="vllm.general_plugins")
    assert "quire" in {point.name for point in points}
    from vllm.distributed.kv_transfer.kv_connector.factory import KVConnectorFactory
    from vllm.distributed.kv_transfer.kv_connector.v1.base import supports_hma
    from vllm.plugins import load_general_plugins

    load_general_plugins()
    connector = KVConnectorFactory.get_connector_class_by_name("QuireConnector")
    assert supports_hma(connector)  # or vLLM would switch its hybrid manager off without a word
