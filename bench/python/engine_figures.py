"""All figures of `./dev bench engine`: those of the native bench, and what engines see of Quire.

Usage: engine_figures.py QUIRE_BENCH [--json] [--prompts N] [--model NAME] [--quick] [--lmcache].
Needs the environment that `./dev engines` makes, and measures the wheel installed there. Without
vLLM, or with --quick, what needs its processes is left out. --model: of vllm_models.py. --lmcache:
also the first token behind LMCache's server, which holds the prompts in its own memory.

    python_us          match, load of 256 pages, release (python_bench.py)
    scheduler_us       the connector's scheduler half, by tokens of the prompt (connector_time.py)
    load_of_memcpy     a bare copy of the same bytes over a worker's load, by tokens
    overhead_ratio     a prompt of 7,000 tokens that nobody has: with the connector over without
    ttft_ratio         first token of such a prompt in a fresh process that has it from Quire, over
                       vLLM's own hit within a process

The last two are of real vLLM processes on a CPU that take turns, request by request, so that what
else the machine does is in both sides of a ratio: of one median over the other. Beside each stands
the median of the pairs' own ratios (ttft_ratio_of_pairs, overhead_ratio_of_pairs).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench/python"), str(ROOT / "tests/engines/vllm_engine")]
sys.path.append(str(ROOT / "tests/engines/lmcache_engine"))

PROMPT_TOKENS = 7000
TURN_LIMIT_S = 400


class Paced:
    """A vLLM process that answers one request each time it is told to."""

    def __init__(
        self,
        folder: Path,
        model: Path,
        prompts: list[list[int]],
        connector: dict | None = None,
        **engine: object,
    ):
        from engine_run import start_engine

        self._gates = [str(folder) + f".turn{i}" for i in range(len(prompts))]
        requests = [{"prompt": p, "pause_file": g} for p, g in zip(prompts, self._gates)]
        self._engine = start_engine(folder, model, requests, connector, **engine)
        self._done = 0

    def wait_for_start(self) -> None:
        """Over the first request, which warms it."""
        self._wait_for(0)

    def take_turn(self) -> dict:
        """Answers the next request; what it saw of it."""
        Path(self._gates[self._done]).touch()
        self._done += 1
        self._wait_for(self._done)
        seen = json.loads((self._engine.folder / "out.json.part").read_text())
        return seen["requests"][self._done]

    def end(self) -> None:
        Path(self._gates[self._done]).touch()
        self._engine.wait()

    def kill(self) -> None:
        if self._engine.process.poll() is None:
            self._engine.process.kill()

    def _wait_for(self, place: int) -> None:
        give_up = time.monotonic() + TURN_LIMIT_S
        while not Path(self._gates[place] + ".reached").exists():
            if self._engine.process.poll() is not None or time.monotonic() > give_up:
                raise SystemExit("the engine does not answer\n" + self._engine.log())
            time.sleep(0.01)


def medians(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    return statistics.median(one for one, _ in pairs), statistics.median(other for _, other in pairs)


def ratio_of(pairs: list[tuple[float, float]]) -> float:
    one, other = medians(pairs)
    return round(one / other, 3)


def middle_ratio(pairs: list[tuple[float, float]]) -> float:
    """Of the pairs' own ratios: where single requests scatter, it and ratio_of() differ."""
    return round(statistics.median(one / other for one, other in pairs), 3)


def in_ms(pairs: list[tuple[float, float]]) -> list[list[float]]:
    return [[round(value * 1000, 1) for value in pair] for pair in pairs]


def lmcache_figures(folder: Path, prompt_count: int) -> dict:
    from test_lmcache_engine import lmcache_server
    from vllm_models import prompt, write_model

    model = write_model(folder, "qwen3")
    prompts = [prompt(300, 99)] + [prompt(PROMPT_TOKENS, 1 + i) for i in range(prompt_count)]
    with lmcache_server(folder / "lmcache", None, l1_gb=2) as port:
        transfer = {
            "kv_connector": "LMCacheMPConnector",
            "kv_role": "kv_both",
            "kv_connector_extra_config": {
                "lmcache.mp.host": "tcp://localhost",
                "lmcache.mp.port": port,
            },
        }
        seen = []
        for name in ("lmcache_first", "lmcache_second"):
            engine = Paced(folder / name, model, prompts, kv_transfer_config=transfer)
            try:
                engine.wait_for_start()
                seen = [engine.take_turn()["outputs"][0] for _ in range(prompt_count)]
                time.sleep(5)  # it stores behind the answer, and says nowhere when it is done
                engine.end()
            finally:
                engine.kill()
    return {
        "lmcache_first_token_ms": round(statistics.median(o["first_s"] for o in seen) * 1000, 1),
        "lmcache_hit_tokens": min(o["cached"] for o in seen),
    }


def vllm_figures(folder: Path, prompt_count: int, model_name: str) -> dict:
    from quire_daemon import Daemon
    from vllm_models import prompt, write_model

    model = write_model(folder, model_name)
    prompts = [prompt(300, 99)] + [prompt(PROMPT_TOKENS, 1 + i) for i in range(prompt_count)]
    daemon = Daemon(folder).start()
    engines: list[Paced] = []

    def begin(name: str, asked: list[list[int]], connector: dict | None) -> Paced:
        engines.append(Paced(folder / name, model, asked, connector))
        engines[-1].wait_for_start()
        return engines[-1]

    try:
        # All is saved, however busy the machine: what is left out would cost nothing.
        connector = {"socket": daemon.socket, "save_budget_ms": 60_000, "connect_timeout_ms": 20_000}
        plain = begin("plain", prompts + prompts[1:], None)
        saving = begin("saving", prompts, connector)
        cold = [in_turn(saving, plain, "seconds", i) for i in range(prompt_count)]
        saving.end()
        loading = begin("loading", prompts, connector)
        before = daemon.figures()["delivered"]
        hits = [in_turn(loading, plain, "first_s", i) for i in range(prompt_count)]
        # The last whole unit of each: a figure of what was not a hit would be none.
        expected = prompt_count * (PROMPT_TOKENS // 128 * 128)
        found = daemon.figures()["delivered"] - before
        if found != expected:
            raise SystemExit(f"{found} tokens came from Quire where {expected} should have")
        loading.end()
        plain.end()
    finally:
        for engine in engines:
            engine.kill()
        daemon.stop()
    return {
        "overhead_ratio": ratio_of(cold),
        "ttft_ratio": ratio_of(hits),
        "overhead_ratio_of_pairs": middle_ratio(cold),
        "ttft_ratio_of_pairs": middle_ratio(hits),
        "first_token_ms": dict(zip(("quire", "own_hit"), in_ms([medians(hits)])[0])),
        "cold_pairs_ms": in_ms(cold),
        "hit_pairs_ms": in_ms(hits),
    }


def in_turn(one: Paced, other: Paced, figure: str, number: int) -> tuple[float, float]:
    """The same prompt in both, whoever is first changing from one to the next."""
    order = (one, other) if number % 2 == 0 else (other, one)
    seen = {id(engine): engine.take_turn() for engine in order}
    values = [seen[id(engine)] for engine in (one, other)]
    if figure == "first_s":
        values = [value["outputs"][0] for value in values]
    return values[0][figure], values[1][figure]


def connector_figures(folder: Path) -> dict:
    from connector_time import measure
    from quire_daemon import Daemon

    folder.mkdir()
    daemon = Daemon(folder).start()
    try:
        rows = measure(daemon.socket)
    finally:
        daemon.stop()
    return {
        "scheduler_us": {str(row["tokens"]): row["scheduler_us"] for row in rows["scheduler"]},
        "load_of_memcpy": {str(row["tokens"]): row["load_of_memcpy"] for row in rows["load"]},
        "connector": rows,
    }


def python_figures(rounds: int) -> dict:
    import python_bench
    import quire
    from quire.daemon import Daemon

    with Daemon(arguments=["--ram_bytes=256MiB"]) as daemon:
        with quire.Client(daemon.socket_path, "engine_figures") as client:
            return {"python_us": python_bench.measure(client, rounds)["python_us"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bench")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--prompts", type=int, default=15)
    parser.add_argument("--model", default="qwen3")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--lmcache", action="store_true")
    given = parser.parse_args()
    native = subprocess.run([given.bench, "engine", "--json"], stdout=subprocess.PIPE, check=True)
    found = {**json.loads(native.stdout), **python_figures(20_000)}
    has_vllm = importlib.util.find_spec("vllm") is not None
    if not has_vllm:
        print("vLLM is not installed here: its figures are left out", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="quire-bench-") as name:
        if has_vllm:
            found.update(connector_figures(Path(name) / "connector"))
        if has_vllm and not given.quick:
            found.update(vllm_figures(Path(name), given.prompts, given.model))
        if has_vllm and given.lmcache:
            found.update(lmcache_figures(Path(name), given.prompts))
    if given.json:
        print(json.dumps(found))
        return
    for figure, value in found.items():
        print(f"{figure:16} {value if not isinstance(value, dict) else json.dumps(value)}")


if __name__ == "__main__":
    main()
