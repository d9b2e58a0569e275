"""A client that comes and goes with its daemon: an engine never waits for Quire.

After a failure to connect, or to open, no further try is made for a while that doubles from
`FIRST_PAUSE_S` to `LAST_PAUSE_S`; until then the daemon counts as gone, and everything is a miss.
Threads: any. A client's calls take turns; its sessions may be used on different threads at once.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any, Callable

import quire

FIRST_PAUSE_S = 0.25
LAST_PAUSE_S = 10.0


class Link:
    """`logger`: the engine's own, whose handlers its user knows."""

    def __init__(
        self,
        connect: Callable[[], Any],
        clock: Callable[[], float] = time.monotonic,
        logger: logging.Logger = logging.getLogger("quire.link"),
    ):
        self._connect = connect
        self._clock = clock
        self._log = logger
        self._lock = threading.RLock()
        self._client: Any = None
        self._pause = 0.0
        self._next_try = 0.0

    def client(self) -> Any:
        """None while the daemon counts as gone."""
        with self._lock:
            if self._clock() < self._next_try:
                return None
            if self._client is None:
                try:
                    self._client = self._connect()
                except quire.Error as error:
                    self.failed(error)
            return self._client

    def failed(self, error: Exception) -> None:
        """Of connecting or opening; of a session that ended its daemon is not to blame."""
        with self._lock:
            if self._pause == 0.0:
                self._log.warning("Quire cannot be reached, prompts are computed: %s", error)
            self._pause = min(LAST_PAUSE_S, max(FIRST_PAUSE_S, self._pause * 2))
            self._next_try = self._clock() + self._pause

    def worked(self) -> None:
        with self._lock:
            if self._pause:
                self._log.warning("Quire can be reached again")
            self._pause = 0.0

    @property
    def down(self) -> bool:
        return self._pause > 0.0

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            try:
                client.close()
            except quire.Error as error:
                self._log.debug("closing the client: %s", error)


def connect_options(extra: dict[str, Any], name: str, staging_bytes: int = 0) -> dict[str, Any]:
    """Of `quire.Client`, from kv_connector_extra_config."""
    return {
        "socket_path": extra.get("socket"),
        "name": name,
        "connect_timeout_ms": int(extra.get("connect_timeout_ms", 250)),
        "call_timeout_ms": int(extra.get("call_timeout_ms", 1000)),
        "staging_bytes": staging_bytes,
    }
