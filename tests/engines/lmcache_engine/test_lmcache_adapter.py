"""QuireL2Adapter as LMCache's factory makes it, with its own memory objects, and a real daemon."""

from __future__ import annotations

import itertools
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lmcache.v1.distributed.api import MemoryLayoutDesc, ObjectKey
from lmcache.v1.distributed.l2_adapters.factory import create_l2_adapter_from_registry
from lmcache.v1.distributed.l2_adapters.plugin_l2_adapter import PluginL2AdapterConfig
from lmcache.v1.memory_management import MemoryFormat, MemoryObjMetadata, TensorMemoryObj
from lmcache.v1.platform.event_notifier import consume_fd
from quire.daemon import Daemon

SHAPE = torch.Size([2, 3, 16, 8])
WAIT_MS = 30000

_names = itertools.count()


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(arguments=["--ram_bytes=128MiB"]) as running:
        yield running


@pytest.fixture
def model() -> str:
    return f"org/model-{next(_names)}"


def adapter_of(socket: str, **params: Any) -> Any:
    config = PluginL2AdapterConfig.from_dict(
        {
            "module_path": "quire.lmcache.adapter",
            "class_name": "QuireL2Adapter",
            "adapter_params": {"socket": socket, "call_timeout_ms": 5000, **params},
        }
    )
    return create_l2_adapter_from_registry(config)


def memory(seed: int | None, dtype: torch.dtype = torch.bfloat16) -> TensorMemoryObj:
    """Random bits; None: zeroes."""
    nbytes = SHAPE.numel() * dtype.itemsize
    raw = torch.zeros(nbytes, dtype=torch.uint8)
    if seed is not None:
        raw = torch.randint(
            0, 256, (nbytes,), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
        )
    metadata = MemoryObjMetadata(
        shape=SHAPE,
        dtype=dtype,
        address=0,
        phy_size=nbytes,
        ref_count=1,
        fmt=MemoryFormat.KV_2LTD,
        shapes=[SHAPE],
        dtypes=[dtype],
    )
    return TensorMemoryObj(raw, metadata, None)


def keys_of(model: str, count: int, **more: Any) -> list[ObjectKey]:
    named = {"kv_rank": 0, **more}
    return [ObjectKey(bytes([i]) * 32, model, **named) for i in range(count)]


def layouts(dtype: torch.dtype = torch.bfloat16) -> dict[int, MemoryLayoutDesc]:
    return {group: MemoryLayoutDesc([SHAPE], [dtype]) for group in range(2)}


def wait_for(fd: int) -> None:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    assert poll.poll(WAIT_MS), "no completion was signalled"
    consume_fd(fd)


def store(adapter: Any, keys: list[ObjectKey], objects: list[TensorMemoryObj]) -> Any:
    task = adapter.submit_store_task(keys, objects)
    wait_for(adapter.get_store_event_fd())
    return adapter.pop_completed_store_tasks()[task]


def lookup(adapter: Any, keys: list[ObjectKey], dtype: torch.dtype = torch.bfloat16) -> list[bool]:
    task = adapter.submit_lookup_and_lock_task(keys, layouts(dtype))
    wait_for(adapter.get_lookup_and_lock_event_fd())
    found = adapter.query_lookup_and_lock_result(task)
    assert adapter.query_lookup_and_lock_result(task) is None, "a result is given once"
    return [found.test(i) for i in range(len(keys))]


def load(adapter: Any, keys: list[ObjectKey], objects: list[TensorMemoryObj]) -> list[bool]:
    task = adapter.submit_load_task(keys, objects)
    wait_for(adapter.get_load_event_fd())
    loaded = adapter.query_load_result(task)
    return [loaded.test(i) for i in range(len(keys))]


def bits(objects: list[TensorMemoryObj]) -> list[bytes]:
    return [bytes(obj.byte_array) for obj in objects]


def test_another_adapter_brings_back_the_same_bits(daemon, model) -> None:
    keys, objects = keys_of(model, 5), [memory(i) for i in range(5)]
    mine = adapter_of(daemon.socket_path)
    result = store(mine, keys, objects)
    assert result.is_successful()
    assert result.bytes_transferred() == sum(len(b) for b in bits(objects))
    assert mine.get_usage().total_bytes_used == result.bytes_transferred()
    other = adapter_of(daemon.socket_path)
    targets = [memory(None) for _ in range(6)]
    asked = [*keys, ObjectKey(b"\xff" * 32, model, 0)]

    assert lookup(other, asked) == [True] * 5 + [False]
    assert load(other, asked, targets) == [True] * 5 + [False]

    assert bits(targets[:5]) == bits(objects)
    assert bits(targets[5:]) == bits([memory(None)])
    other.submit_unlock(keys)
    mine.close()
    other.close()


def test_each_chunk_stands_for_itself(daemon, model) -> None:
    keys, objects = keys_of(model, 6), [memory(i) for i in range(6)]
    adapter = adapter_of(daemon.socket_path)
    store(adapter, [keys[1], keys[4]], [objects[1], objects[4]])

    assert lookup(adapter, keys) == [False, True, False, False, True, False]

    targets = [memory(None), memory(None)]
    assert load(adapter, [keys[4], keys[1]], targets) == [True, True]
    assert bits(targets) == bits([objects[4], objects[1]])
    adapter.close()


def test_keys_differ_by_all_their_fields(daemon, model) -> None:
    adapter = adapter_of(daemon.socket_path)
    store(adapter, keys_of(model, 2), [memory(1), memory(2)])

    assert lookup(adapter, keys_of(model, 2)) == [True] * 2
    for other in (
        keys_of(model + "x", 2),
        keys_of(model, 2, kv_rank=1),
        keys_of(model, 2, object_group_id=1),
        keys_of(model, 2, cache_salt="user"),
    ):
        assert lookup(adapter, other) == [False] * 2
    assert lookup(adapter, keys_of(model, 2), torch.float32) == [False] * 2
    for more in ({"namespace": "rev 2"}, {"tenant": "t"}):
        named = adapter_of(daemon.socket_path, **more)
        assert lookup(named, keys_of(model, 2)) == [False] * 2
        named.close()
    adapter.close()


def test_descriptors_are_three(daemon) -> None:
    adapter = adapter_of(daemon.socket_path)
    fds = {
        adapter.get_store_event_fd(),
        adapter.get_lookup_and_lock_event_fd(),
        adapter.get_load_event_fd(),
    }
    assert len(fds) == 3
    assert adapter.report_status()["is_healthy"]
    adapter.close()


def test_a_killed_daemon_is_a_miss_and_its_successor_is_used(model) -> None:
    with Daemon(arguments=["--ram_bytes=64MiB"]) as daemon:
        keys, objects = keys_of(model, 2), [memory(1), memory(2)]
        adapter = adapter_of(daemon.socket_path)
        assert store(adapter, keys, objects).is_successful()
        daemon.kill()

        assert lookup(adapter, keys) == [False] * 2
        assert load(adapter, keys, [memory(None), memory(None)]) == [False] * 2
        assert not store(adapter, keys, objects).is_successful()
        assert not adapter.report_status()["is_healthy"]

        daemon.start()
        for lane in adapter._lanes():
            lane.stores.link._next_try = 0.0  # the pause after a failure is over
        assert lookup(adapter, keys) == [False] * 2
        assert store(adapter, keys, objects).is_successful()
        targets = [memory(None), memory(None)]
        assert load(adapter, keys, targets) == [True] * 2
        assert bits(targets) == bits(objects)
        assert adapter.report_status()["is_healthy"]
        adapter.close()


def test_another_process_reads_the_same_bits(daemon, model) -> None:
    adapter = adapter_of(daemon.socket_path)
    store(adapter, keys_of(model, 2), [memory(1), memory(2)])
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from test_lmcache_adapter import *;"
        "adapter = adapter_of(sys.argv[2]); targets = [memory(None), memory(None)];"
        "print(load(adapter, keys_of(sys.argv[3], 2), targets),"
        "bits(targets) == bits([memory(1), memory(2)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent), daemon.socket_path, model],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[True, True] True"
    adapter.close()
