"""Runs engine_process.py: one vLLM process each, with a time limit; what it saw, or its log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TIME_LIMIT_S = 400


@dataclass
class Engine:
    """A process that may still run."""

    folder: Path
    process: subprocess.Popen

    def wait(self) -> dict[str, Any]:
        try:
            self.process.wait(timeout=TIME_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"the engine took more than {TIME_LIMIT_S} s\n{self.log()}")
        out = self.folder / "out.json"
        assert out.exists(), self.log()
        return json.loads(out.read_text())

    def log(self) -> str:
        return (self.folder / "log.txt").read_text()[-6000:]


def start_engine(
    folder: Path,
    model: Path,
    requests: list[dict],
    connector: dict | None = None,
    environment: dict[str, str] | None = None,
    **engine: Any,
) -> Engine:
    folder.mkdir(parents=True)
    task = {"model": str(model), "connector": connector, "engine": engine, "requests": requests}
    (folder / "task.json").write_text(json.dumps(task))
    env = dict(os.environ, VLLM_CPU_KVCACHE_SPACE="1", VLLM_NO_USAGE_STATS="1")
    # vLLM counts its threads otherwise when there is a connector, and rounding follows them.
    env["VLLM_CPU_OMP_THREADS_BIND"] = "0"
    env.update(environment or {})
    with open(folder / "log.txt", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "engine_process.py"), "task.json", "out.json"],
            cwd=folder,
            env=env,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return Engine(folder, process)


def run_engine(*args: Any, **kwargs: Any) -> dict[str, Any]:
    return start_engine(*args, **kwargs).wait()


def tokens(seen: dict, request: int, prompt: int = 0) -> list[int]:
    return seen["requests"][request]["outputs"][prompt]["tokens"]


def answer(seen: dict, request: int, prompt: int = 0) -> tuple[list[int], list[dict]]:
    """Token ids and logprobs: equal only when each bit of what was computed is."""
    output = seen["requests"][request]["outputs"][prompt]
    return output["tokens"], output["logprobs"]


def first_token_ms(seen: dict, request: int, prompt: int = 0) -> float:
    return seen["requests"][request]["outputs"][prompt]["first_s"] * 1000


def cached(seen: dict, request: int, prompt: int = 0) -> int:
    return seen["requests"][request]["outputs"][prompt]["cached"]
