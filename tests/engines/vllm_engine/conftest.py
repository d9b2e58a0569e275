"""Fixtures of the engine tests: a daemon each, tiny models once, rows of a report.

Without vLLM (install.sh says why) nothing here is collected.
"""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import pytest

if importlib.util.find_spec("vllm") is None:
    print("skipped: tests of vLLM, which is not installed here (vllm_engine/install.sh)")
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def daemon(tmp_path: Path):
    from quire_daemon import Daemon

    started = Daemon(tmp_path).start()
    yield started
    started.stop()


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def report():
    """Rows that tests add; printed, and written to $QUIRE_ENGINE_REPORT, at the end."""
    rows: list[dict] = []
    yield rows
    for row in rows:
        print("engine-row", json.dumps(row))
    if path := os.environ.get("QUIRE_ENGINE_REPORT"):
        Path(path).write_text(json.dumps(rows, indent=1))
