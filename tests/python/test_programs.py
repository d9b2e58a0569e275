"""The programs that the wheel carries: demo, daemon, and what runs them."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest
import quire
from quire._programs import program
from quire.daemon import Daemon


def test_the_demo_resumes_in_another_process_what_one_stored() -> None:
    command = [sys.executable, "-m", "quire", "demo", "--tokens", "3000"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "resumes at 2944 of 3000 tokens" in said and ", 0 differ" in said
    assert said.rstrip().endswith("bit for bit")


@pytest.mark.parametrize("name", ["quired", "quirectl"])
def test_a_command_becomes_its_program(name: str) -> None:
    code = f"import sys; sys.argv = ['{name}', '--version']; import quire._programs as p; p.{name}()"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert quire.__version__ in said.stdout


def test_a_program_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setenv("QUIRE_BIN", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="QUIRE_BIN"):
        program("quired")


def test_a_daemon_that_does_not_start_says_why() -> None:
    with pytest.raises(quire.UnavailableError, match="no_such_flag"):
        Daemon(arguments=["--no_such_flag=1"])


def test_a_daemon_starts_again_where_it_was(tmp_path: pathlib.Path) -> None:
    with Daemon(str(tmp_path), arguments=["--ram_bytes=128MiB"]) as daemon:
        with quire.Client(daemon.socket_path) as client:
            epoch = client.daemon_epoch
        daemon.kill()
        assert daemon.pid == 0
        daemon.start()
        with quire.Client(daemon.socket_path) as client:
            assert client.daemon_epoch != epoch
