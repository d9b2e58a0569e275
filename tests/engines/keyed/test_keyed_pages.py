"""Pages under an engine's own keys, over a real daemon."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import quire
from quire.daemon import Daemon
from quire.keyed import KeyedPages
from quire.link import Link

PAGE = 4096
_names = itertools.count()


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(arguments=["--ram_bytes=128MiB"]) as running:
        yield running


@pytest.fixture
def namespace() -> str:
    return f"keyed {next(_names)}"


def pages_of(socket: str, namespace: str, **options) -> KeyedPages:
    """As another process has them: it knows nothing of what this one stored."""
    link = Link(lambda: quire.Client(socket, connect_timeout_ms=250, call_timeout_ms=2000))
    return KeyedPages(link, page_bytes=PAGE, page_tokens=16, namespace=namespace, **options)


def bytes_of(key: str) -> np.ndarray:
    return np.frombuffer((key.encode() * PAGE)[:PAGE], np.uint8)


def store(pages: KeyedPages, keys: list[str]) -> list[bool]:
    def fill(index: int, page: np.ndarray) -> None:
        page[...] = bytes_of(keys[index])

    return pages.store(keys, fill)


def load(pages: KeyedPages, keys: list[str]) -> list[bool]:
    """Which came; each that came has the bytes of its key."""
    taken = {}

    def take(index: int, page: np.ndarray) -> None:
        taken[index] = page.copy()

    loaded = pages.load(keys, take)
    for index, done in enumerate(loaded):
        assert done == (index in taken)
        if done:
            assert np.array_equal(taken[index], bytes_of(keys[index]))
    return loaded


def keys_of(name: str, count: int) -> list[str]:
    return [f"{name}/{i}" for i in range(count)]


def test_what_was_stored_comes_back(daemon: Daemon, namespace: str) -> None:
    keys = keys_of("a", 20)
    assert store(pages_of(daemon.socket_path, namespace), keys) == [True] * 20

    other = pages_of(daemon.socket_path, namespace)

    assert other.find([*keys, "beyond"]) == [True] * 20 + [False]
    assert load(other, keys) == [True] * 20


def test_chains_end_where_they_are_full_and_go_on(daemon: Daemon, namespace: str) -> None:
    keys = keys_of("long", 23)
    store(pages_of(daemon.socket_path, namespace, chain_pages=5), keys)

    other = pages_of(daemon.socket_path, namespace, chain_pages=5)

    assert load(other, keys) == [True] * 23


def test_a_tail_is_found_by_who_looked_up_its_begin(daemon: Daemon, namespace: str) -> None:
    keys = keys_of("tail", 12)
    store(pages_of(daemon.socket_path, namespace), keys)
    other = pages_of(daemon.socket_path, namespace)
    assert other.find(keys[5:], prefix=True) == [False] * 7  # inside a chain: nobody can tell

    other.find(keys)

    assert other.find(keys[5:], prefix=True) == [True] * 7
    assert load(other, keys[5:]) == [True] * 7


def test_nodes_stored_one_by_one_are_one_chain(daemon: Daemon, namespace: str) -> None:
    keys = keys_of("nodes", 9)
    mine = pages_of(daemon.socket_path, namespace)
    mine.find(keys)
    for first in range(0, 9, 3):
        store(mine, keys[first : first + 3])
        # As an engine's: a node is offloaded alone, and linked by its lookup before.
        mine.find(keys[: first + 3])

    assert load(pages_of(daemon.socket_path, namespace), keys) == [True] * 9


def test_holes_are_found_around(daemon: Daemon, namespace: str) -> None:
    keys = keys_of("holes", 10)
    mine = pages_of(daemon.socket_path, namespace)
    store(mine, keys[:3])
    store(mine, keys[5:7])
    expected = [True] * 3 + [False] * 2 + [True] * 2 + [False] * 3

    other = pages_of(daemon.socket_path, namespace)

    assert other.find(keys) == expected
    assert load(other, keys) == expected
    assert other.find(keys, prefix=True) == [True] * 3 + [False] * 7


def test_what_is_there_is_not_stored_again(daemon: Daemon, namespace: str) -> None:
    keys = keys_of("again", 6)
    store(pages_of(daemon.socket_path, namespace), keys[:4])
    filled = []

    def fill(index: int, page: np.ndarray) -> None:
        filled.append(index)
        page[...] = bytes_of(keys[index])

    assert pages_of(daemon.socket_path, namespace).store(keys, fill) == [True] * 6
    assert filled == [4, 5]


def test_branches_share_their_begin(daemon: Daemon, namespace: str) -> None:
    left = keys_of("trunk", 4) + keys_of("left", 3)
    right = keys_of("trunk", 4) + keys_of("right", 3)
    mine = pages_of(daemon.socket_path, namespace)
    store(mine, left)
    store(mine, right)

    other = pages_of(daemon.socket_path, namespace)

    assert load(other, left) == [True] * 7
    assert load(other, right) == [True] * 7
    assert load(mine, left) == [True] * 7


def test_other_names_have_other_pages(daemon: Daemon, namespace: str) -> None:
    keys = keys_of("names", 3)
    store(pages_of(daemon.socket_path, namespace, salt="a"), keys)

    assert pages_of(daemon.socket_path, namespace, salt="b").find(keys) == [False] * 3
    assert pages_of(daemon.socket_path, namespace + "!", salt="a").find(keys) == [False] * 3


def test_evicted_pages_are_misses() -> None:
    with Daemon(arguments=["--ram_bytes=64MiB"]) as daemon:
        first = keys_of("first", 64)
        mine = pages_of(daemon.socket_path, "evicted")
        store(mine, first)
        assert all(mine.find(first))
        for batch in range(400):
            if not any(mine.find(first)):
                break
            store(pages_of(daemon.socket_path, "evicted"), keys_of(f"flood {batch}", 128))

        loaded = load(mine, first)

        assert not all(loaded)
        assert loaded == sorted(loaded, reverse=True), "leaf first: a begin is left, or nothing"
        assert all(store(mine, first))
        assert all(load(mine, first))


def test_a_dead_daemon_is_a_miss_and_the_next_one_works() -> None:
    with Daemon(arguments=["--ram_bytes=64MiB"]) as daemon:
        now = [0.0]
        link = Link(lambda: quire.Client(daemon.socket_path), clock=lambda: now[0])
        pages = KeyedPages(link, page_bytes=PAGE, page_tokens=16, namespace="dead")
        keys = keys_of("dead", 4)
        store(pages, keys)
        daemon.kill()

        assert pages.find(keys) == [False] * 4
        assert load(pages, keys) == [False] * 4
        assert store(pages, keys) == [False] * 4

        daemon.start()
        now[0] += 60.0  # the pause after a failure is over
        assert pages.find(keys) == [False] * 4
        assert store(pages, keys) == [True] * 4
        assert load(pages, keys) == [True] * 4


def test_another_process_loads_the_same_bytes(daemon: Daemon, namespace: str) -> None:
    keys = keys_of("process", 5)
    store(pages_of(daemon.socket_path, namespace), keys)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from test_keyed_pages import *;"
        "print(load(pages_of(sys.argv[2], sys.argv[3]), keys_of('process', 5)))"
    )
    folder = __file__.rpartition("/")[0]
    done = subprocess.run(
        [sys.executable, "-c", code, folder, daemon.socket_path, namespace],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str([True] * 5)


def test_pinned_pages_are_taken_later_on_another_thread(daemon, namespace) -> None:
    keys = [f"key {i}" for i in range(200)]  # of two chains
    pages = pages_of(daemon.socket_path, namespace)
    assert all(store(pages, keys))
    reader = pages_of(daemon.socket_path, namespace)
    pinned = reader.pin(keys)
    taken: dict[int, np.ndarray] = {}

    def take(index: int, page: np.ndarray) -> None:
        taken[index] = page.copy()

    said: list[bool] = []
    thread = threading.Thread(target=lambda: said.append(pinned.take(take)))
    thread.start()
    thread.join()

    assert said == [True]
    assert all(np.array_equal(taken[i], bytes_of(key)) for i, key in enumerate(keys))
    pinned.close()
    pinned.close()


def test_pages_of_which_one_is_missing_are_not_pinned(daemon, namespace) -> None:
    pages = pages_of(daemon.socket_path, namespace)
    assert all(store(pages, ["a", "b"]))

    assert pages.pin(["a", "b", "c"]) is None
    assert pages.pin(["c"]) is None
    pinned = pages.pin(["a", "b"])
    assert pinned is not None
    pinned.close()
