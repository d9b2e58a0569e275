"""Real vLLM on a CPU, a real quired: a second process answers from what the first one computed.

Two gates for each model. Attribution: the daemon's own counters grow by exactly the tokens that
should have been delivered. Identity: greedy tokens and their logprobs equal, bit for bit, those of
a run without the connector; of a resumed prompt those of vLLM's own prefix hit, which computes the
same chunk (a whole prompt and a resumed one differ in rounding in vLLM itself).
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from engine_run import answer, cached, first_token_ms, run_engine, start_engine, tokens
from quire_daemon import Daemon, grown, spoil
from vllm_models import prompt, write_model

pytestmark = pytest.mark.timeout(1500)  # some starts of vLLM each

# Repetitions with another model run where QUIRE_ENGINES=all.
extra = pytest.mark.skipif(
    os.environ.get("QUIRE_ENGINES") != "all", reason="a repetition: QUIRE_ENGINES=all"
)

LONG = 7000
UNIT = 128
UNITS = {"qwen3_next": 256}  # where it is another
RESUMED = 6912  # the last whole unit of LONG
WARM_RESUMED = 256  # and of the prompt before it

WARM_UP = {"prompt": prompt(300, 99)}
ASK = {"prompt": prompt(LONG, 1)}
# The same last tokens behind another beginning: whoever ignored the cache would answer the same.
OTHER = {"prompt": prompt(LONG // 2, 2) + prompt(LONG, 1)[LONG // 2 :]}


def patient(socket: str, **more) -> dict:
    """The connector's options on a machine that may be busy: what is tested is not how long."""
    return {
        "socket": socket,
        "connect_timeout_ms": 20000,
        "match_give_up_ms": 20000,
        "save_budget_ms": 60000,
        **more,
    }


def two_ranks() -> dict:
    return {"tensor_parallel_size": 2, "environment": {"VLLM_CPU_OMP_THREADS_BIND": "0|1"}}


CASES = {
    "qwen3": ("qwen3", {}),
    "gemma3": ("gemma3", {}),
    "gpt_oss": ("gpt_oss", {}),
    "qwen3_next": ("qwen3_next", {}),
    "qwen3_tp2": ("qwen3", two_ranks()),
    "gemma3_tp2": ("gemma3", two_ranks()),
}


# Answers of a run without the connector: computed whole, and resumed from vLLM's own cache.
WARM, COLD, HIT, ELSE = range(4)


@pytest.fixture(scope="session")
def control_of(models, tmp_path_factory):
    """One run without the connector for each case."""
    seen: dict[str, dict] = {}

    def control(case: str) -> dict:
        if case not in seen:
            name, engine = CASES[case]
            folder = tmp_path_factory.mktemp("control") / case
            model = write_model(models, name)
            seen[case] = run_engine(folder, model, [WARM_UP, ASK, ASK, OTHER], **engine)
            # What stands before the last half of a prompt shows in what is answered.
            assert answer(seen[case], COLD) != answer(seen[case], ELSE)
            assert cached(seen[case], HIT) == RESUMED
        return seen[case]

    return control


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=extra) if c == "gemma3_tp2" else c for c in CASES]
)
def test_second_process_answers_from_quire(
    case, daemon, models, tmp_path, report, control_of
):
    name, engine = CASES[case]
    model = write_model(models, name)
    control = control_of(case)

    connector = patient(daemon.socket)
    first = run_engine(tmp_path / "first", model, [WARM_UP, ASK], connector, **engine)
    assert answer(first, 1) == answer(control, COLD)
    before = daemon.figures()
    assert before["delivered"] == 0
    unit = UNITS.get(case, UNIT)
    assert before["spans"] == 300 // unit + LONG // unit

    second = run_engine(tmp_path / "second", model, [WARM_UP, ASK, ASK, OTHER], connector, **engine)
    found = grown(before, daemon.figures())
    identical = answer(second, 1) == answer(control, HIT)
    report.append(
        {
            "engine": "vllm 0.32 cpu",
            "model": case,
            "hit": found["delivered"],
            "identical": identical,
            "cold_ms": round(first_token_ms(control, COLD), 1),
            "own_prefix_hit_ms": round(first_token_ms(control, HIT), 1),
            "quire_ms": round(first_token_ms(second, 1), 1),
        }
    )
    assert identical
    assert answer(second, 2) == answer(control, HIT)
    assert answer(second, 3) == answer(control, ELSE)
    assert cached(second, 1) == RESUMED
    assert found["delivered"] == RESUMED + WARM_RESUMED
    assert daemon.figures()["leases"] == 0


@pytest.mark.parametrize("name", [pytest.param("qwen3", marks=extra), "gemma3"])
def test_next_turn_resumes_behind_the_answer(name, daemon, models, tmp_path):
    """Prompt, answer and a little more: what was generated needs no computing either."""
    model = write_model(models, name)
    connector = patient(daemon.socket)
    begin = prompt(300, 5)
    first = run_engine(tmp_path / "first", model, [{"prompt": begin, "tokens": 400}], connector)
    turn = {"prompt": begin + tokens(first, 0) + prompt(100, 6)}
    before = daemon.figures()
    second = run_engine(tmp_path / "second", model, [turn], connector)
    behind = (300 + 400 - 1) // UNIT * UNIT
    assert grown(before, daemon.figures())["delivered"] == behind
    control = run_engine(tmp_path / "control", model, [turn])
    assert tokens(second, 0) == tokens(control, 0)


def test_dead_daemon_is_a_miss(models, tmp_path, control_of):
    control = control_of("qwen3")
    seen = run_engine(
        tmp_path / "alone",
        write_model(models, "qwen3"),
        [WARM_UP, ASK, ASK],
        {"socket": str(tmp_path / "none.sock")},
    )
    assert [answer(seen, i) for i in range(3)] == [answer(control, i) for i in range(3)]


@pytest.mark.parametrize("name", ["qwen3", pytest.param("gemma3", marks=extra)])
def test_daemon_killed_and_restarted_between(name, daemon, models, tmp_path, control_of):
    """Under the same engine: a miss while it is gone, and saved again to its successor."""
    control = control_of(name)
    pauses = [str(tmp_path / f"pause{i}") for i in range(2)]
    requests = [WARM_UP, dict(ASK, pause_file=pauses[0]), dict(OTHER, pause_file=pauses[1]), ASK]
    model = write_model(models, name)
    engine = start_engine(tmp_path / "engine", model, requests, patient(daemon.socket))
    reached(engine, pauses[0])
    daemon.kill()
    go_on(pauses[0])
    reached(engine, pauses[1])
    daemon.start()
    time.sleep(1)  # longer than the connector's first pause
    go_on(pauses[1])
    seen = engine.wait()
    assert answer(seen, 1) == answer(control, COLD)
    assert answer(seen, 2) == answer(control, ELSE)
    assert answer(seen, 3) == answer(control, HIT)
    # What vLLM still held itself was offered to the new daemon.
    assert daemon.figures()["spans"] == LONG // UNIT


def test_killed_engine_leaves_what_it_saved(daemon, models, tmp_path, control_of):
    control = control_of("qwen3")
    model = write_model(models, "qwen3")
    pause = str(tmp_path / "pause")
    connector = patient(daemon.socket)
    engine = start_engine(tmp_path / "killed", model, [dict(ASK, pause_file=pause)], connector)
    reached(engine, pause)
    os.killpg(engine.process.pid, signal.SIGKILL)
    engine.process.wait()
    before = daemon.figures()
    second = run_engine(tmp_path / "second", model, [ASK], connector)
    assert answer(second, 0) == answer(control, HIT)
    assert grown(before, daemon.figures())["delivered"] == RESUMED


@pytest.mark.parametrize(
    "name, load", [("qwen3", "sync"), ("qwen3", "async"), ("gemma3", "async")]
)
def test_load_failure_is_computed(name, load, models, tmp_path, control_of):
    """Pages spoiled on the device: the load fails, the prompt is computed, and asked once only."""
    control = control_of(name)
    model = write_model(models, name)
    disk = tmp_path / "disk"
    daemon = Daemon(tmp_path, f"--ssd_path={disk}", "--ssd_bytes=2GiB").start()
    try:
        connector = patient(daemon.socket, load=load)
        run_engine(tmp_path / "first", model, [ASK], connector)
        spoil(daemon, disk)
        seen = run_engine(tmp_path / "second", model, [WARM_UP, ASK, ASK], connector)
        log = (tmp_path / "second" / "log.txt").read_text()
        assert log.count("it is computed") == 1, log[-4000:]
        assert answer(seen, 1) == answer(control, COLD)
        assert answer(seen, 2) == answer(control, HIT)
    finally:
        daemon.stop()


def reached(engine, pause: str) -> None:
    give_up = time.monotonic() + 300
    while not os.path.exists(pause + ".reached"):
        assert engine.process.poll() is None and time.monotonic() < give_up, engine.log()
        time.sleep(0.05)


def go_on(pause: str) -> None:
    open(pause, "w").close()
