"""QuireStorage between SGLang's own host pools on a CPU and a real daemon."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from quire.daemon import Daemon
from quire.sglang.storage import QuireStorage
from sglang.srt.mem_cache.hicache_storage import (
    HiCacheStorageConfig,
    PoolHitPolicy,
    PoolName,
    PoolTransfer,
)
from sglang.srt.mem_cache.pool_host.mha import MHATokenToKVPoolHost
from sglang.srt.mem_cache.pool_host.mla import MLATokenToKVPoolHost
from sglang.srt.mem_cache.storage.backend_factory import StorageBackendFactory
from sglang_pools import PAGE, mha, mla, slots

_names = itertools.count()
HOST_TOKENS = 1024


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(arguments=["--ram_bytes=256MiB"]) as running:
        yield running


@pytest.fixture
def model() -> str:
    return f"org/model {next(_names)}"


def host_pool(kind: str, layout: str, dtype: torch.dtype = torch.bfloat16) -> Any:
    options = dict(
        host_to_device_ratio=2,
        host_size=0,
        page_size=PAGE,
        layout=layout,
        pin_memory=False,
        device_capacity_tokens=HOST_TOKENS // 2,
        start_layer=0,
        end_layer=3,
    )
    if kind == "mha":
        info = mha(dtype).kvcache._mha_buffer_info()
        return MHATokenToKVPoolHost(info, **options)
    info = mla(dtype).kvcache._mla_buffer_info()
    return MLATokenToKVPoolHost(info, target_layer_num=3, **options)


def fill_with_bits(pool: Any, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    memory = pool.kv_buffer
    raw = torch.randint(0, 256, (memory.nbytes,), dtype=torch.uint8, generator=random)
    memory.copy_(raw.view(memory.dtype).reshape(memory.shape))


def bits(pool: Any, first_page: int, count: int) -> list[bytes]:
    return [
        pool.get_data_page((first_page + i) * PAGE, flat=True)
        .contiguous()
        .view(torch.uint8)
        .numpy()
        .tobytes()
        for i in range(count)
    ]


def storage_of(
    socket: str, model: str, *pools: tuple[PoolName, Any], tp: tuple[int, int] = (0, 1), **more: Any
) -> QuireStorage:
    """As HiCache makes it: the factory, then the pools."""
    config = HiCacheStorageConfig(
        tp_rank=tp[0],
        tp_size=tp[1],
        pp_rank=0,
        pp_size=1,
        attn_cp_rank=0,
        attn_cp_size=1,
        is_mla_model=more.pop("is_mla_model", False),
        enable_storage_metrics=False,
        is_page_first_layout=pools[0][1].layout == "page_first",
        model_name=model,
        extra_config={
            "backend_name": "quire",
            "module_path": "quire.sglang.storage",
            "class_name": "QuireStorage",
            "socket": socket,
            "call_timeout_ms": 5000,
            **more,
        },
    )
    storage = StorageBackendFactory.create_backend("dynamic", config, pools[0][1])
    storage.register_mem_pool_host(pools[0][1])
    for name, pool in pools:
        storage.register_mem_host_pool_v2(pool, name)
    return storage


def keys_of(count: int, name: str = "k") -> list[str]:
    return [f"{name}{i:060x}" for i in range(count)]


POOLS = [(k, layout) for k in ("mha", "mla") for layout in ("layer_first", "page_first")]


@pytest.mark.parametrize(("kind", "layout"), POOLS)
def test_v1_brings_back_the_same_bits(daemon, model, kind, layout) -> None:
    keys = keys_of(5)
    mine, others = host_pool(kind, layout), host_pool(kind, layout)
    fill_with_bits(mine, 1)
    fill_with_bits(others, 2)
    first = storage_of(daemon.socket_path, model, (PoolName.KV, mine))
    other = storage_of(daemon.socket_path, model, (PoolName.KV, others))
    untouched = bits(others, 0, 20)

    assert first.batch_set_v1(keys, slots(3, 5)) == [True] * 5
    assert other.batch_exists([*keys, "beyond"]) == 5
    assert other.batch_get_v1(keys, slots(20, 5)) == [True] * 5

    assert bits(others, 20, 5) == bits(mine, 3, 5)
    assert bits(others, 0, 20) == untouched


def test_flat_pages_of_the_caller(daemon, model) -> None:
    keys, pool = keys_of(3), host_pool("mha", "layer_first")
    fill_with_bits(pool, 3)
    storage = storage_of(daemon.socket_path, model, (PoolName.KV, pool))
    pages = [pool.get_data_page(i * PAGE, flat=True) for i in range(3)]

    assert storage.batch_set(keys, pages)
    targets = [pool.get_dummy_flat_data_page() for _ in keys]
    got = storage.batch_get([*keys, "nobody"], [*targets, pool.get_dummy_flat_data_page()])

    assert got[3] is None
    for page, target in zip(pages, got):
        assert torch.equal(page.contiguous().view(torch.uint8), target.view(torch.uint8))
    assert storage.exists(keys[0]) and not storage.exists("nobody")
    assert storage.get(keys[1], targets[0]) is targets[0]
    assert storage.set("one", pages[0]) and storage.exists("one")


def test_existence_ends_at_the_first_hole(daemon, model) -> None:
    keys, pool = keys_of(6), host_pool("mha", "page_first")
    storage = storage_of(daemon.socket_path, model, (PoolName.KV, pool))
    storage.batch_set_v1(keys[:2], slots(0, 2))
    storage.batch_set_v1(keys[4:], slots(4, 2))

    assert storage.batch_exists(keys) == 2
    assert storage.batch_get_v1(keys, slots(8, 6)) == [True, True, False, False, True, True]


def test_v2_intersects_pools_at_each_length(daemon, model) -> None:
    keys = keys_of(8)
    kv, state = host_pool("mha", "page_first"), host_pool("mla", "page_first")
    fill_with_bits(state, 4)
    storage = storage_of(daemon.socket_path, model, (PoolName.KV, kv), (PoolName.SWA, state))
    windows = [keys[i] for i in (2, 3, 6)]
    done = storage.batch_set_v2(
        [
            PoolTransfer(PoolName.KV, host_indices=slots(0, 7), keys=keys[:7]),
            PoolTransfer(PoolName.SWA, host_indices=slots(10, 3), keys=windows),
        ]
    )
    assert done == {PoolName.KV: [True] * 7, PoolName.SWA: [True] * 3}

    def ask(policy: PoolHitPolicy, count: int):
        transfer = PoolTransfer(PoolName.SWA, keys=keys[-count:], hit_policy=policy)
        return storage.batch_exists_v2(keys, [transfer])

    one = ask(PoolHitPolicy.TRAILING_PAGES, 1)
    assert (one.kv_hit_pages, one.restorable_prefix_pages) == (7, [3, 4, 7])
    two = ask(PoolHitPolicy.TRAILING_PAGES, 2)
    assert (two.kv_hit_pages, two.restorable_prefix_pages) == (4, [4])
    everything = ask(PoolHitPolicy.ALL_PAGES, 8)
    assert (everything.kv_hit_pages, everything.restorable_prefix_pages) == (0, [])
    assert storage.batch_exists_v2(keys).restorable_prefix_pages == list(range(1, 8))

    got = storage.batch_get_v2([PoolTransfer(PoolName.SWA, host_indices=slots(20, 3), keys=windows)])
    assert got == {PoolName.SWA: [True] * 3}
    assert bits(state, 20, 3) == bits(state, 10, 3)


def test_ranks_share_what_is_the_same_on_all(daemon, model) -> None:
    keys, pool = keys_of(2), host_pool("mha", "page_first")
    latent = host_pool("mla", "page_first")
    storage_of(daemon.socket_path, model, (PoolName.KV, pool), tp=(0, 2)).batch_set_v1(
        keys, slots(0, 2)
    )
    storage_of(
        daemon.socket_path, model, (PoolName.KV, latent), tp=(0, 2), is_mla_model=True
    ).batch_set_v1(keys, slots(0, 2))

    other = storage_of(daemon.socket_path, model, (PoolName.KV, pool), tp=(1, 2))
    other_latent = storage_of(
        daemon.socket_path, model, (PoolName.KV, latent), tp=(1, 2), is_mla_model=True
    )

    assert other.batch_exists(keys) == 0
    assert other_latent.batch_exists(keys) == 2


def test_other_numbers_layouts_and_models_share_nothing(daemon, model) -> None:
    keys, pool = keys_of(2), host_pool("mha", "page_first")
    storage_of(daemon.socket_path, model, (PoolName.KV, pool)).batch_set_v1(keys, slots(0, 2))
    halves = host_pool("mha", "page_first", torch.float16)
    layers = host_pool("mha", "layer_first")

    for name, other, more in (
        (model, halves, {}),
        (model, layers, {}),
        (model + "'", pool, {}),
        (model, pool, {"namespace": "rev 2"}),
    ):
        storage = storage_of(daemon.socket_path, name, (PoolName.KV, other), **more)
        assert storage.batch_exists(keys) == 0
        assert storage.batch_get_v1(keys, slots(4, 2)) == [False, False]


def test_indices_that_do_not_fit_are_refused(daemon, model) -> None:
    keys, pool = keys_of(2), host_pool("mha", "page_first")
    storage = storage_of(daemon.socket_path, model, (PoolName.KV, pool))

    assert storage.batch_set_v1(keys, slots(0, 1)) == [False, False]
    assert storage.batch_get_v2([PoolTransfer(PoolName.MAMBA, keys=keys)]) == {
        PoolName.MAMBA: [False, False]
    }
    assert storage.batch_exists(keys) == 0


def test_a_killed_daemon_is_a_miss_and_its_successor_is_used(model) -> None:
    with Daemon(arguments=["--ram_bytes=64MiB"]) as daemon:
        keys, pool = keys_of(3), host_pool("mha", "page_first")
        fill_with_bits(pool, 5)
        storage = storage_of(daemon.socket_path, model, (PoolName.KV, pool))
        assert storage.batch_set_v1(keys, slots(0, 3)) == [True] * 3
        daemon.kill()

        assert storage.batch_exists(keys) == 0
        assert storage.batch_get_v1(keys, slots(8, 3)) == [False] * 3
        assert storage.batch_set_v1(keys, slots(0, 3)) == [False] * 3

        daemon.start()
        storage._link._next_try = 0.0  # the pause after a failure is over
        assert storage.batch_set_v1(keys, slots(0, 3)) == [True] * 3
        assert storage.batch_get_v1(keys, slots(8, 3)) == [True] * 3
        assert bits(pool, 8, 3) == bits(pool, 0, 3)


def test_another_process_reads_the_same_bits(daemon, model) -> None:
    import hashlib

    keys, pool = keys_of(4), host_pool("mha", "page_first")
    fill_with_bits(pool, 6)
    storage_of(daemon.socket_path, model, (PoolName.KV, pool)).batch_set_v1(keys, slots(1, 4))
    code = (
        "import sys, hashlib; sys.path.insert(0, sys.argv[1]);"
        "from test_sglang_storage import *;"
        "pool = host_pool('mha', 'page_first');"
        "storage = storage_of(sys.argv[2], sys.argv[3], (PoolName.KV, pool));"
        "print(storage.batch_get_v1(keys_of(4), slots(9, 4)),"
        "hashlib.sha256(b''.join(bits(pool, 9, 4))).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent), daemon.socket_path, model],
        capture_output=True,
        text=True,
        check=True,
    )
    digest = hashlib.sha256(b"".join(bits(pool, 1, 4))).hexdigest()
    assert done.stdout.splitlines()[-1] == f"[True, True, True, True] {digest}"


def test_faults_that_sglang_injects_are_its_own(daemon, model, monkeypatch) -> None:
    monkeypatch.setenv("SGLANG_TEST_HICACHE_BACKEND_RANDOM_FAILURE", "1.0")
    keys, pool = keys_of(2), host_pool("mha", "page_first")
    broken = storage_of(daemon.socket_path, model, (PoolName.KV, pool))
    assert not any(broken.batch_set_v1(keys, slots(0, 2)) or [])
    monkeypatch.delenv("SGLANG_TEST_HICACHE_BACKEND_RANDOM_FAILURE")

    whole = storage_of(daemon.socket_path, model, (PoolName.KV, pool))

    assert whole.batch_exists(keys) == 0
