"""A real quired for a test: started, asked, killed, started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from quire._programs import program


class Daemon:
    def __init__(self, folder: Path, *flags: str):
        self.folder = folder
        self.flags = flags
        self.socket = str(folder / "quired.sock")
        self.process: subprocess.Popen | None = None

    def start(self) -> "Daemon":
        with open(self.folder / "quired.log", "ab") as log:
            self.process = subprocess.Popen(
                [
                    program("quired"),
                    f"--socket={self.socket}",
                    "--ram_bytes=1GiB",
                    *self.flags,
                ],
                stdout=log,
                stderr=log,
            )
        give_up = time.monotonic() + 30
        while time.monotonic() < give_up:
            if self.process.poll() is not None:
                raise RuntimeError((self.folder / "quired.log").read_text())
            if os.path.exists(self.socket) and self.control("status", check=False).returncode == 0:
                return self
            time.sleep(0.02)
        raise RuntimeError("quired does not answer")

    def control(self, *words: str, check: bool = True) -> subprocess.CompletedProcess:
        return subprocess.run(
            [program("quirectl"), "--socket", self.socket, *words],
            capture_output=True,
            text=True,
            check=check,
            timeout=60,
        )

    def status(self) -> dict:
        return json.loads(self.control("status", "-o", "json").stdout)

    def figures(self) -> dict[str, int]:
        """What the daemon itself counted: the gate of hit attribution."""
        status = self.status()
        tenants = status["tenants"]
        return {
            "delivered": sum(
                t["delivered_ram_tokens"] + t["delivered_ssd_tokens"] for t in tenants
            ),
            "delivered_ssd": sum(t["delivered_ssd_tokens"] for t in tenants),
            "turn_hits": sum(t["hit_tokens"] for t in tenants),
            "turns": sum(t["turns"] for t in tenants),
            "turn_prompts": sum(t["prompt_tokens"] for t in tenants),
            "spans": status["cache"]["committed_spans"],
            "checkpoints": status["cache"]["committed_checkpoints"],
            "leases": status["cache"]["leases"],
            "sessions": status["clients"]["sessions"],
        }

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def grown(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {name: after[name] - before[name] for name in after}


def spoil(daemon: Daemon, disk: Path) -> None:
    """Everything out of RAM, and a bit of each page on the device turned."""
    daemon.control("flush")
    daemon.control("evict", "ram", "--yes")
    for path in disk.rglob("*"):
        if path.is_file() and path.stat().st_size >= 1 << 20 and "data" in str(path):
            with open(path, "r+b") as file:
                size = path.stat().st_size
                for at in range(4096, size, 65536):
                    file.seek(at)
                    byte = file.read(1)
                    file.seek(at)
                    file.write(bytes([byte[0] ^ 0x10]))
                os.fsync(file.fileno())
