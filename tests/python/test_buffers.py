"""Buffers of pages: what they look like, and that none outlives its lease unnoticed."""

from __future__ import annotations

import gc
import threading
import zlib

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import quire
from conftest import PAGE_BYTES, page_bytes, prompt
from quire.daemon import Daemon


def first_page(hit: quire.Hit) -> quire.Page:
    return hit.load()[0]


VIEWS = {
    "memoryview": memoryview,
    "frombuffer": lambda page: np.frombuffer(page, np.uint32),
    "asarray": np.asarray,
    "from_dlpack": np.from_dlpack,
    "view of a view": lambda page: np.frombuffer(page, np.uint8)[5:9].reshape(2, 2),
    "cast": lambda page: memoryview(page).cast("I"),
}


@pytest.mark.parametrize("make", VIEWS.values(), ids=VIEWS.keys())
def test_a_view_keeps_the_lease_and_release_says_so(stored: quire.Session, make, leases: Callable[[], int]) -> None:
    hit = stored.match()
    view = make(first_page(hit))

    with pytest.raises(quire.BufferInUseError, match="drop"):
        hit.release()

    assert bytes(np.asarray(view)) in page_bytes("span", 32, 0, PAGE_BYTES)
    assert leases() == 1
    del view
    gc.collect()
    assert leases() == 0
    hit.release()


@pytest.fixture
def leases(daemon: Daemon) -> Iterator[Callable[[], int]]:
    """How many leases the daemon has."""
    with quire.Client(daemon.socket_path, "leases") as other:
        yield lambda: other.status()["cache"]["leases"]


@pytest.mark.parametrize("make", VIEWS.values(), ids=VIEWS.keys())
def test_leaving_the_block_with_a_view_raises(stored: quire.Session, make) -> None:
    with pytest.raises(quire.BufferInUseError):
        with stored.match() as hit:
            view = make(first_page(hit))
    with pytest.raises(quire.ClosedError, match="released"):
        hit.load()
    del view


def test_an_error_in_the_block_is_not_hidden(stored: quire.Session, leases: Callable[[], int]) -> None:
    with pytest.raises(ZeroDivisionError):
        with stored.match() as hit:
            view = memoryview(first_page(hit))
            1 / 0
    assert leases() == 1
    del view
    assert leases() == 0


def test_a_view_keeps_hit_and_session_alive(
    client: quire.Client, layout: quire.Layout, stored: quire.Session, namespace: str, leases: Callable[[], int]) -> None:
    session = client.open_session(layout, namespace=namespace)
    session.append_tokens(prompt(100))
    view = np.frombuffer(session.match().load()[0], np.uint8)
    del session
    gc.collect()
    assert view.tobytes() == page_bytes("span", 32, 0, PAGE_BYTES)
    assert leases() == 1
    del view
    assert leases() == 0


def test_a_session_does_not_close_under_a_view(stored: quire.Session) -> None:
    view = memoryview(first_page(stored.match()))
    with pytest.raises(quire.BufferInUseError, match="session"):
        stored.close()
    assert stored.closed
    with pytest.raises(quire.ClosedError):
        view.obj and stored.match().load()
    assert bytes(view) == page_bytes("span", 32, 0, PAGE_BYTES)
    view.release()
    with pytest.raises(quire.ClosedError):
        stored.match()


def test_after_the_release_a_page_gives_no_buffer(stored: quire.Session) -> None:
    with stored.match() as hit:
        pages = hit.load()
        page = pages[0]
    for use in (lambda: memoryview(page), lambda: np.from_dlpack(page), lambda: page.verify(), lambda: pages[0]):
        with pytest.raises((quire.ClosedError, BufferError), match="released"):
            use()
    assert page.nbytes == PAGE_BYTES  # what it says of itself stays


def test_pages_are_read_only(stored: quire.Session) -> None:
    with stored.match() as hit:
        page = first_page(hit)
        with memoryview(page) as view, pytest.raises(TypeError):
            view[0] = 1
        with pytest.raises(ValueError):
            np.frombuffer(page, np.uint8)[0] = 1
        assert not np.from_dlpack(page).flags.writeable
        with pytest.raises(BufferError, match="read-only"):
            page.__dlpack__()  # before 1.0 nobody could be told


@pytest.mark.parametrize("wish", [{"copy": True}, {"dl_device": (2, 0)}])
def test_a_capsule_is_no_copy_and_on_no_other_device(stored: quire.Session, wish: dict) -> None:
    with stored.match() as hit:
        page = first_page(hit)
        with pytest.raises(BufferError, match="take the tensor"):
            page.__dlpack__(max_version=(1, 0), **wish)
        page.__dlpack__(max_version=(1, 0), copy=False, dl_device=page.__dlpack_device__())


def test_a_capsule_that_nobody_takes_is_a_view(stored: quire.Session, leases: Callable[[], int]) -> None:
    hit = stored.match()
    capsule = first_page(hit).__dlpack__(max_version=(1, 0))
    with pytest.raises(quire.BufferInUseError):
        hit.release()
    del capsule
    assert leases() == 0


def test_a_run_is_rows_of_pages(stored: quire.Session) -> None:
    with stored.match() as hit:
        for run in hit.load_runs(groups=1, checkpoint=False):
            rows = np.asarray(run)
            assert rows.shape == (run.page_count, run.page_bytes)
            assert rows.strides == (run.stride, 1)
            for i, row in enumerate(rows):
                end = (run.first_block + i + 1) * 32
                assert row.tobytes() == page_bytes("span", end, 0, PAGE_BYTES)
            del rows, row
        assert np.array_equal(np.from_dlpack(run), np.asarray(run))


def test_rows_that_lie_apart_are_given_with_strides_only(
    client: quire.Client, namespace: str
) -> None:
    odd = quire.Group("kv", "append", 5000, ((0, 0, 5000),))
    layout = quire.Layout.from_groups([odd], unit_tokens=32, block_tokens=32)
    with client.open_session(layout, namespace=namespace) as session:
        session.append_tokens(prompt(65))
        for end in (32, 64):
            with session.begin_fill("span", end) as fill:
                fill.pages[0].write(page_bytes("span", end, 0, 5000))
                fill.commit()
        with session.match() as hit:
            (run,) = hit.load_runs()
            assert run.page_count == 2 and run.stride > 5000
            both = page_bytes("span", 32, 0, 5000) + page_bytes("span", 64, 0, 5000)
            assert np.asarray(run).tobytes() == memoryview(run).tobytes() == bytes(run) == both
            with pytest.raises((BufferError, ValueError), match="contiguous"):
                np.frombuffer(run, np.uint8)
            with pytest.raises(quire.InvalidArgumentError, match="contiguous"):
                session.append_unit_hashes(run)
            with pytest.raises(BufferError, match="strides"):
                zlib.crc32(run)


def test_fill_pages_are_written_in_place(session: quire.Session) -> None:
    session.append_tokens(prompt(64))
    ways = [
        lambda page: np.frombuffer(page, np.uint8).__setitem__(slice(None), 7),
        lambda page: memoryview(page).__setitem__(slice(None), b"\7" * page.nbytes),
        lambda page: np.from_dlpack(page).fill(7),
        lambda page: page.write(np.full(page.nbytes // 4, 0x07070707, np.uint32)),
    ]
    for number, way in enumerate(ways):
        with session.begin_fill("span", 32) as fill:
            way(fill.pages[0])
            if number == len(ways) - 1:
                fill.commit()
    # Each wrote the same staging memory; the last one's is what was stored.
    with session.begin_fill("checkpoint", 32) as fill:
        fill.commit()
    with session.match() as hit:
        assert bytes(hit.load()[0]) == b"\7" * PAGE_BYTES


def test_a_fill_is_not_committed_under_a_view(session: quire.Session) -> None:
    session.append_tokens(prompt(64))
    fill = session.begin_fill("span", 32)
    array = np.frombuffer(fill.pages[0], np.uint8)
    for end in (fill.commit, fill.abort):
        with pytest.raises(quire.BufferInUseError, match="drop"):
            end()
    array[:] = 3
    del array
    assert fill.commit().visible
    with pytest.raises(quire.ClosedError, match="committed"):
        memoryview(fill.pages[0])
    with pytest.raises(quire.ClosedError):
        fill.commit()


def test_a_block_left_with_a_view_of_its_fill_raises_and_gives_up(session: quire.Session) -> None:
    session.append_tokens(prompt(64))
    with pytest.raises(quire.BufferInUseError):
        with session.begin_fill("span", 32) as fill:
            view = memoryview(fill.pages[0])
    view.release()
    with pytest.raises(quire.ClosedError):
        fill.commit()
    with session.begin_fill("span", 32) as again:
        assert not again.duplicate


@pytest.mark.parametrize(("data", "offset"), [(b"x" * 4097, 0), (b"x", 4096), (b"xx", 2**64 - 1)])
def test_writing_beyond_a_page_is_refused(session: quire.Session, data: bytes, offset: int) -> None:
    session.append_tokens(prompt(64))
    with session.begin_fill("span", 32) as fill:
        with pytest.raises(quire.InvalidArgumentError, match="do not fit"):
            fill.pages[0].write(data, offset)


def test_threads_take_turns_with_one_session(stored: quire.Session, leases: Callable[[], int]) -> None:
    wrong: list[object] = []

    def work() -> None:
        for _ in range(200):
            with stored.match() as hit:
                if bytes(hit.load()[1]) != page_bytes("span", 64, 0, PAGE_BYTES):
                    wrong.append(hit)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and leases() == 0
