"""QuireLinker over SGLang's own pools on a CPU, and a real daemon."""

from __future__ import annotations

import itertools
import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from quire.daemon import Daemon
from quire.sglang.device_pages import UnsupportedPool
from quire.sglang.linker import QuireLinker
from sglang.srt.mem_cache.hicache_storage import PoolName, PoolTransfer
from sglang.srt.mem_cache.unified_cache.linker_factory import create_unified_cache_linker
from sglang_pools import MAKERS, PAGE, Pools, fill_with_bits, mha, node, page_bits, question, slots

_names = itertools.count()


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(arguments=["--ram_bytes=256MiB"]) as running:
        yield running


@pytest.fixture
def model() -> str:
    return f"model {next(_names)}"


def linker_of(pools: Pools, socket: str, model: str, **extra: object) -> QuireLinker:
    """As SGLang's worker makes it, by the flags' names."""
    config = {
        "linker": "QuireLinker",
        "linker_module_path": "quire.sglang.linker",
        "linker_extra_config": {
            "socket": socket,
            "model": model,
            "call_timeout_ms": 5000,
            **extra,
        },
    }
    return create_unified_cache_linker(
        None, pools.params(), backend="dynamic", config=config, components=pools.components
    )


def offload(linker: QuireLinker, transfers: list[PoolTransfer]) -> bool:
    assert linker.offload(transfers, session_id="s")
    give_up = time.monotonic() + 30
    while not linker.num_completed_offloads():
        assert time.monotonic() < give_up
    return linker.pop_completed_offload()


def load(linker: QuireLinker, transfers: list[PoolTransfer]) -> bool:
    if not linker.load("r", transfers):
        return False
    index = linker.start_layer_wise_loading()
    linker.layer_done_counter.set_consumer(index)
    for layer in range(linker.layer_done_counter.num_layers):
        linker.layer_done_counter.wait_until(layer)
    return linker.finish_layer_wise_loading(index)


@contextlib.contextmanager
def loading_held(linker: QuireLinker) -> Iterator[None]:
    """The thread that brings loads is busy with something slow, until the end of this."""
    go_on = threading.Event()
    linker._loads.put(go_on.wait)
    try:
        yield
    finally:
        go_on.set()


def keys_of(count: int, name: str = "k") -> list[str]:
    return [f"{name}{i:060x}" for i in range(count)]


@pytest.mark.parametrize("kind", MAKERS)
def test_other_slots_of_another_engine_get_the_same_bits(daemon, model, kind) -> None:
    pools, keys = MAKERS[kind](), keys_of(6)
    first = linker_of(pools, daemon.socket_path, model)
    fill_with_bits(first, seed=1)
    stored = node(pools, keys, 3, window_pages=2, slot=5)
    assert offload(first, stored)
    other_pools = MAKERS[kind]()
    other = linker_of(other_pools, daemon.socket_path, model)
    fill_with_bits(other, seed=2)
    wanted = node(other_pools, keys, 11, window_pages=2, slot=2)
    untouched = page_bits(other, PoolName.KV, slots(0, 11))

    assert other.lookup("r", question(other_pools, keys))[-1] == 6
    assert load(other, wanted)

    for put, got in zip(stored, wanted):
        assert page_bits(first, put.name, put.device_indices) == page_bits(
            other, got.name, got.device_indices
        )
    assert page_bits(other, PoolName.KV, slots(0, 11)) == untouched
    first.close()
    other.close()


def test_all_lengths_of_a_plain_model_are_resumable(daemon, model) -> None:
    pools, keys = mha(), keys_of(8)
    linker = linker_of(pools, daemon.socket_path, model)
    assert offload(linker, node(pools, keys[:5], 0))

    assert linker.lookup("r", question(pools, keys)) == [1, 2, 3, 4, 5]
    linker.close()


@pytest.mark.parametrize(
    ("kind", "lengths"),
    # Windows of two pages are kept at nodes' ends: of 4, 7 and 9 pages.
    [("swa", [4, 7, 8, 9]), ("mamba", [4, 7, 9])],
)
def test_lengths_of_a_hybrid_model_are_sparse(daemon, model, kind, lengths) -> None:
    pools, keys = MAKERS[kind](), keys_of(12)
    linker = linker_of(pools, daemon.socket_path, model)
    for slot, (begin, end) in enumerate([(0, 4), (4, 7), (7, 9)]):
        assert offload(linker, node(pools, keys[begin:end], begin, window_pages=2, slot=slot))
    other = linker_of(MAKERS[kind](), daemon.socket_path, model)

    # Of the node of 7 to 9 both pages are a window's, and with 6's also that of 8.
    assert linker.lookup("r", question(pools, keys)) == lengths
    assert other.lookup("r", question(pools, keys)) == lengths
    linker.close()
    other.close()


def test_a_state_without_its_pages_is_no_length(daemon, model) -> None:
    pools, keys = MAKERS["mamba"](), keys_of(6)
    linker = linker_of(pools, daemon.socket_path, model)
    states = [t for t in node(pools, keys[:4], 0) if t.name == PoolName.MAMBA]
    assert offload(linker, [*node(mha(), keys[:2], 0), *states])

    assert linker.lookup("r", question(pools, keys)) == []
    linker.close()


def test_a_tail_behind_what_the_device_holds(daemon, model) -> None:
    pools, keys = mha(), keys_of(9)
    linker = linker_of(pools, daemon.socket_path, model)
    fill_with_bits(linker, seed=3)
    linker.lookup("r", question(pools, keys))
    assert offload(linker, node(pools, keys[:4], 0))
    assert offload(linker, node(pools, keys[4:9], 4))
    before = page_bits(linker, PoolName.KV, slots(6, 3))

    assert linker.lookup("r", question(pools, keys[6:])) == [1, 2, 3]
    assert load(linker, node(pools, keys[6:], 20))

    assert page_bits(linker, PoolName.KV, slots(20, 3)) == before
    linker.close()


def test_other_numbers_share_nothing(daemon, model) -> None:
    pools, keys = mha(torch.bfloat16), keys_of(3)
    linker = linker_of(pools, daemon.socket_path, model)
    assert offload(linker, node(pools, keys, 0))

    same_size = linker_of(mha(torch.float16), daemon.socket_path, model)
    other_model = linker_of(mha(), daemon.socket_path, model + "'")
    other_weights = linker_of(mha(), daemon.socket_path, model, namespace="rev 2")
    other_tenant = linker_of(mha(), daemon.socket_path, model, tenant="t")

    for other in (same_size, other_model, other_weights, other_tenant):
        assert other.lookup("r", question(pools, keys)) == []
        assert not other.load("r", node(pools, keys, 0))
        other.close()
    linker.close()


def test_keys_of_another_adapter_or_salt_are_other_keys(daemon, model) -> None:
    """SGLang seeds its hashes with both; here that its keys are all that is asked."""
    from sglang.srt.mem_cache.radix_cache import RadixKey
    from sglang.srt.mem_cache.utils import get_storage_hash_str

    tokens = list(range(4 * PAGE))
    plain, adapter, salted = (
        get_storage_hash_str(RadixKey(tokens, extra_key=extra, **salt), page_size=PAGE)
        for extra, salt in ((None, {}), ("lora", {}), (None, {"cache_salt": "s"}))
    )
    pools = mha()
    linker = linker_of(pools, daemon.socket_path, model)
    assert offload(linker, node(pools, plain, 0))

    assert linker.lookup("r", question(pools, plain)) == [1, 2, 3, 4]
    assert linker.lookup("r", question(pools, adapter)) == []
    assert linker.lookup("r", question(pools, salted)) == []
    linker.close()


def test_what_went_after_the_lookup_is_computed(model) -> None:
    with Daemon(arguments=["--ram_bytes=64MiB"]) as daemon:
        pools, keys = mha(), keys_of(8)
        linker = linker_of(pools, daemon.socket_path, model)
        fill_with_bits(linker, seed=4)
        assert offload(linker, node(pools, keys, 0))
        assert linker.lookup("r", question(pools, keys))[-1] == 8
        for batch in range(2000):
            flood = keys_of(24, f"flood {batch} ")
            if not linker.offload(node(pools, flood, 0)):
                linker.reset()
            if batch % 50 == 49:
                linker.reset()
                if 8 not in linker.lookup("r", question(pools, keys)):
                    break
        untouched = page_bits(linker, PoolName.KV, slots(16, 8))

        assert not linker.load("r", node(pools, keys, 16))

        assert linker.start_layer_wise_loading() == -1
        assert page_bits(linker, PoolName.KV, slots(16, 8)) == untouched
        linker.close()


def test_a_killed_daemon_is_a_miss_and_its_successor_is_used(model) -> None:
    with Daemon(arguments=["--ram_bytes=64MiB"]) as daemon:
        pools, keys = mha(), keys_of(4)
        linker = linker_of(pools, daemon.socket_path, model)
        fill_with_bits(linker, seed=5)
        assert offload(linker, node(pools, keys, 0))
        daemon.kill()

        assert linker.lookup("r", question(pools, keys)) == []
        assert not linker.load("r", node(pools, keys, 8))
        assert not offload(linker, node(pools, keys, 0))

        daemon.start()
        for link in (linker._read_link, linker._write_link):
            link._next_try = 0.0  # the pause after a failure is over
        assert linker.lookup("r", question(pools, keys)) == []
        assert offload(linker, node(pools, keys, 0))
        assert load(linker, node(pools, keys, 8))
        assert page_bits(linker, PoolName.KV, slots(8, 4)) == page_bits(
            linker, PoolName.KV, slots(0, 4)
        )
        linker.close()


def test_the_scheduler_does_not_wait_for_bytes(daemon, model) -> None:
    pools, keys = mha(), keys_of(4)
    linker = linker_of(pools, daemon.socket_path, model)
    fill_with_bits(linker, seed=8)
    assert offload(linker, node(pools, keys, 0))
    with loading_held(linker):
        assert linker.load("r", node(pools, keys, 8))
        index = linker.start_layer_wise_loading()
        assert linker.lookup("s", question(pools, keys))[-1] == 4
        assert not any(layer.done() for layer in linker.layer_done_counter.futures[index])
    assert linker.finish_layer_wise_loading(index)
    assert page_bits(linker, PoolName.KV, slots(8, 4)) == page_bits(
        linker, PoolName.KV, slots(0, 4)
    )
    linker.close()


def test_what_was_promised_is_there_when_the_thread_comes_to_it(model) -> None:
    with Daemon(arguments=["--ram_bytes=64MiB"]) as daemon:
        pools, keys = mha(), keys_of(8)
        linker = linker_of(pools, daemon.socket_path, model)
        fill_with_bits(linker, seed=9)
        assert offload(linker, node(pools, keys, 0))
        witness, gone = linker_of(mha(), daemon.socket_path, model), keys_of(2, "gone")
        assert offload(linker, node(pools, gone, 0))
        with loading_held(linker):
            assert linker.load("r", node(pools, keys, 16))
            for batch in range(2000):
                flood = keys_of(24, f"flood {batch} ")
                if not witness.offload(node(pools, flood, 0)):
                    witness.reset()
                if batch % 50 == 49:
                    witness.reset()
                    if not witness.lookup("r", question(pools, gone)):
                        break
            index = linker.start_layer_wise_loading()
        assert linker.finish_layer_wise_loading(index)
        assert page_bits(linker, PoolName.KV, slots(16, 8)) == page_bits(
            linker, PoolName.KV, slots(0, 8)
        )
        linker.close()
        witness.close()


def test_a_daemon_that_dies_under_a_load_fails_its_batch(model) -> None:
    with Daemon(arguments=["--ram_bytes=64MiB"]) as daemon:
        pools, keys = mha(), keys_of(4)
        linker = linker_of(pools, daemon.socket_path, model)
        fill_with_bits(linker, seed=10)
        assert offload(linker, node(pools, keys, 0))
        untouched = page_bits(linker, PoolName.KV, slots(8, 4))
        with loading_held(linker):
            assert linker.load("r", node(pools, keys, 8))
            index = linker.start_layer_wise_loading()
            daemon.kill()
        assert not linker.finish_layer_wise_loading(index)
        assert page_bits(linker, PoolName.KV, slots(8, 4)) == untouched
        linker.close()


def test_a_cancelled_load_writes_nothing(daemon, model) -> None:
    pools, keys = mha(), keys_of(2)
    linker = linker_of(pools, daemon.socket_path, model)
    fill_with_bits(linker, seed=6)
    assert offload(linker, node(pools, keys, 0))
    untouched = page_bits(linker, PoolName.KV, slots(8, 2))
    assert linker.load("r", node(pools, keys, 8))

    assert linker.cancel_queued_load("r")

    assert not linker.cancel_queued_load("r")
    assert linker.start_layer_wise_loading() == -1
    assert page_bits(linker, PoolName.KV, slots(8, 2)) == untouched
    linker.close()


def test_another_process_reads_the_same_bits(daemon, model) -> None:
    pools, keys = mha(), keys_of(5)
    linker = linker_of(pools, daemon.socket_path, model)
    fill_with_bits(linker, seed=7)
    assert offload(linker, node(pools, keys, 2))
    code = (
        "import sys, hashlib; sys.path.insert(0, sys.argv[1]);"
        "from test_sglang_linker import *;"
        "pools = mha(); linker = linker_of(pools, sys.argv[2], sys.argv[3]); keys = keys_of(5);"
        "print(linker.lookup('r', question(pools, keys)), load(linker, node(pools, keys, 9)),"
        "hashlib.sha256(b''.join(page_bits(linker, PoolName.KV, slots(9, 5)))).hexdigest())"
    )
    import hashlib

    bits = hashlib.sha256(b"".join(page_bits(linker, PoolName.KV, slots(2, 5)))).hexdigest()
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent), daemon.socket_path, model],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == f"[1, 2, 3, 4, 5] True {bits}"
    linker.close()


def test_ranks_have_their_own_pages_and_answer_loads_alike(daemon, model, tmp_path) -> None:
    script = str(Path(__file__).with_name("sglang_rank.py"))
    words = [daemon.socket_path, model, str(tmp_path / "rendezvous")]
    ranks = [
        subprocess.Popen(
            [sys.executable, script, str(rank), *words], stdout=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    said = [rank.communicate(timeout=200)[0].splitlines()[-1] for rank in ranks]

    assert said == ["[1, 2, 3, 4] True False", "[1, 2] True False"]


def test_indices_that_are_no_pages_fail_their_offload_alone(daemon, model) -> None:
    pools, keys = mha(), keys_of(2)
    linker = linker_of(pools, daemon.socket_path, model)
    crooked = PoolTransfer(PoolName.KV, device_indices=slots(0, 2) + 1, keys=keys)

    assert not offload(linker, [crooked])

    assert linker.lookup("r", question(pools, keys)) == []
    assert offload(linker, node(pools, keys, 0))
    linker.close()


def test_pools_that_are_not_known_are_refused_by_name(daemon, model) -> None:
    pools = mha()
    pools.kvcache.__class__ = type("StrangePool", (type(pools.kvcache),), {})
    with pytest.raises(UnsupportedPool, match="StrangePool"):
        linker_of(pools, daemon.socket_path, model)
