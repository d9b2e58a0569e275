"""vLLM on a CPU behind LMCache's own server, whose second tier is Quire: two engines, two servers."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import quire
from quire.daemon import Daemon

HERE = Path(__file__).resolve().parent
PROMPT_TOKENS = 1500
CHUNK = 256
LIMIT_S = 400

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("vllm") is None, reason="vLLM is not installed here"
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def lmcache_server(folder: Path, quire_socket: str | None, l1_gb: float = 0.5) -> Iterator[int]:
    """A new one: its first tier is empty. Without a socket that is all it has. Gives its port once
    it serves."""
    folder.mkdir(parents=True)
    port, http_port = free_port(), free_port()
    adapter = {
        "type": "plugin",
        "module_path": "quire.lmcache.adapter",
        "class_name": "QuireL2Adapter",
        "adapter_params": {"socket": quire_socket, "call_timeout_ms": 10000},
    }
    words = ["server", "--port", str(port), "--http-port", str(http_port)]
    words += ["--supported-transfer-mode", "engine_driven", "--l1-size-gb", str(l1_gb)]
    words += ["--eviction-policy", "LRU", "--chunk-size", str(CHUNK)]
    if quire_socket is not None:
        words += ["--l2-adapter", json.dumps(adapter)]
    program = str(Path(sys.executable).with_name("lmcache"))
    with open(folder / "server.log", "wb") as log:
        server = subprocess.Popen(
            [program, *words],
            stdout=log,
            stderr=log,
            env=dict(os.environ, LMCACHE_DISABLE_BANNER="1", LMCACHE_TRACK_USAGE="false"),
        )
    try:
        wait_until(lambda: serves(http_port), server, folder / "server.log", 120)
        yield port
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def serves(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("localhost", port), 1):
        return True
    return False


def wait_until(ready, process: subprocess.Popen, log: Path, seconds: float) -> None:
    give_up = time.monotonic() + seconds
    while not ready():
        assert process.poll() is None, log.read_text()[-4000:]
        assert time.monotonic() < give_up, log.read_text()[-4000:]
        time.sleep(0.1)


def engine(folder: Path, model: Path, port: int, stored) -> dict:
    """One vLLM process from start to end; ends when `stored` says so."""
    out = folder / "out.json"
    env = dict(os.environ, VLLM_CPU_KVCACHE_SPACE="1", VLLM_NO_USAGE_STATS="1")
    env.update(VLLM_CPU_OMP_THREADS_BIND="0", LMCACHE_TRACK_USAGE="false")
    words = [str(HERE / "lmcache_process.py"), str(model), str(port), str(out), str(PROMPT_TOKENS)]
    with open(folder / "engine.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, *words], stdin=subprocess.PIPE, stdout=log, stderr=log, env=env
        )
    try:
        wait_until(out.exists, process, folder / "engine.log", LIMIT_S)
        wait_until(stored, process, folder / "engine.log", 60)
    finally:
        with contextlib.suppress(BrokenPipeError, subprocess.TimeoutExpired):
            process.communicate(b"\n", timeout=60)
        process.kill()
        process.wait()
    return json.loads(out.read_text())


@pytest.mark.timeout(1200)  # two engines after each other
def test_another_engine_behind_another_server_hits_in_quire(tmp_path: Path) -> None:
    sys.path.insert(0, str(HERE.parent / "vllm_engine"))
    from vllm_models import write_model

    model = write_model(tmp_path / "models", "qwen3")
    whole_chunks = PROMPT_TOKENS // CHUNK
    with Daemon(arguments=["--ram_bytes=512MiB"]) as daemon, quire.Client(daemon.socket_path) as client:

        def spans() -> int:
            return client.status()["cache"]["committed_spans"]

        with lmcache_server(tmp_path / "first", daemon.socket_path) as port:
            stored = engine(tmp_path / "first", model, port, lambda: spans() >= whole_chunks)
        assert stored["cached"] == 0
        with lmcache_server(tmp_path / "second", daemon.socket_path) as port:
            loaded = engine(tmp_path / "second", model, port, lambda: True)

    print("lmcache-row", json.dumps({"stored": stored, "loaded": loaded}))
    assert loaded["cached"] == whole_chunks * CHUNK
    # Logprobs differ in their last bits: one prompt is computed in one pass, the other from chunk 5 on.
    assert loaded["tokens"] == stored["tokens"]
