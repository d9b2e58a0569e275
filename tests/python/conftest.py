"""What tests of the Python package share: a daemon, a small layout, and prompts that are stored."""

from __future__ import annotations

import array
import itertools
from collections.abc import Iterator

import pytest
import quire
from quire.daemon import Daemon

UNIT = 16
BLOCK = 32
PAGE_BYTES = 4096
WINDOW_BYTES = 1024

_names = itertools.count()


@pytest.fixture(scope="session")
def daemon() -> Iterator[Daemon]:
    """One for all tests that leave it alone: each has a namespace of its own."""
    with Daemon(arguments=["--ram_bytes=256MiB"]) as running:
        yield running


@pytest.fixture
def own_daemon() -> Iterator[Daemon]:
    """For tests that kill it."""
    with Daemon(arguments=["--ram_bytes=128MiB"]) as running:
        yield running


@pytest.fixture
def layout() -> quire.Layout:
    groups = [
        quire.Group("kv", "append", PAGE_BYTES, ((0, 0, PAGE_BYTES),)),
        quire.Group("window", "window", WINDOW_BYTES, ((1, 0, WINDOW_BYTES),), window_tokens=UNIT),
    ]
    return quire.Layout.from_groups(groups, unit_tokens=UNIT, block_tokens=BLOCK)


@pytest.fixture
def client(daemon: Daemon) -> Iterator[quire.Client]:
    with quire.Client(daemon.socket_path, "test") as connected:
        yield connected


@pytest.fixture
def namespace() -> str:
    return f"test {next(_names)}"


@pytest.fixture
def session(
    client: quire.Client, layout: quire.Layout, namespace: str
) -> Iterator[quire.Session]:
    opened = client.open_session(layout, namespace=namespace)
    yield opened
    opened.__exit__(KeyboardInterrupt)  # as a with block that raises: leaves buffers be


def prompt(count: int, seed: int = 0) -> array.array:
    return array.array("I", (seed * 1_000_000 + i for i in range(count)))


def page_bytes(kind: str, end_tokens: int, group: int, nbytes: int) -> bytes:
    """Different for each page of each object."""
    word = f"{kind}/{end_tokens}/{group}/".encode()
    return (word * (nbytes // len(word) + 1))[:nbytes]


def store(session: quire.Session, tokens: int) -> None:
    """Spans and a checkpoint of the first ``tokens`` tokens of the session's prompt."""
    ends = [("span", end) for end in range(BLOCK, tokens + 1, BLOCK)]
    ends.append(("checkpoint", session.layout.unit_floor(tokens)))
    for kind, end in ends:
        with session.begin_fill(kind, end) as fill:
            for page in fill.pages:
                page.write(page_bytes(kind, end, page.group, page.nbytes))
            assert fill.commit().visible


@pytest.fixture
def stored(session: quire.Session) -> quire.Session:
    """A session of 100 tokens, of which 96 can be resumed: 3 spans and a checkpoint."""
    session.append_tokens(prompt(100))
    store(session, 96)
    return session
