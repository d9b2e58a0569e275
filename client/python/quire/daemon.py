"""A daemon of one's own: for demos, tests, and single processes that bring their cache along."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence

from ._errors import UnavailableError
from ._programs import program
from ._quire import Client


class Daemon:
    """A quired in a folder, until ``stop``. A context manager.

    folder: for its socket, log and SSD tier (``ssd=True``); None: a temporary one, removed at the end.
    arguments: further flags of quired, ``["--ram_bytes=2GiB"]``.
    """

    def __init__(
        self, folder: str | None = None, *, arguments: Sequence[str] = (), ssd: bool = False
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="quire-") if folder is None else None
        self.folder = self._temporary.name if self._temporary else str(folder)
        self.socket_path = os.path.join(self.folder, "quired.sock")
        self.log_path = os.path.join(self.folder, "quired.log")
        self._arguments = [f"--socket={self.socket_path}", *arguments]
        if ssd:
            self.ssd_path = os.path.join(self.folder, "ssd")
            os.makedirs(self.ssd_path, mode=0o700, exist_ok=True)
            self._arguments.append(f"--ssd_path={self.ssd_path}")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """0 when it does not run."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Starts it, also again, and returns when it serves. UnavailableError with its last words."""
        with open(self.log_path, "ab") as log:
            self._process = subprocess.Popen(
                [program("quired"), *self._arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            # A process that ends at once leaves nothing to wait for: asked between the tries.
            for _ in range(600):
                try:
                    Client(self.socket_path, "start", daemon_wait_ms=100).close()
                    return
                except UnavailableError:
                    if self._process.poll() is not None:
                        break
            raise UnavailableError(f"quired did not start: {self._last_words()}")
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Ends it in good order; again: nothing."""
        self._end(signal.SIGTERM)
        if self._temporary:
            self._temporary.cleanup()

    def kill(self) -> None:
        """Kills it at once (SIGKILL)."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        process.wait()

    def _last_words(self) -> str:
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            lines = log.read().strip().splitlines()
        return " | ".join(lines[-3:])
