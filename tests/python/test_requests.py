"""Requests that are submitted and polled, and asyncio over them."""

from __future__ import annotations

import asyncio
import select

import numpy as np
import pytest
import quire
from conftest import PAGE_BYTES, page_bytes, prompt, store
from quire import aio
from quire.daemon import Daemon


def ended(session: quire.Session, request: int) -> quire.Completion:
    session.flush()
    while True:
        session.wait(10_000)
        for completion in session.poll():
            if completion.request == request:
                return completion


def test_every_request_can_be_submitted(session: quire.Session) -> None:
    session.append_tokens(prompt(100))
    for kind, end in (("span", 32), ("checkpoint", 32)):
        fill = ended(session, session.submit_begin_fill(kind, end)).take_fill()
        assert (fill.kind, fill.end_tokens) == (kind, end)
        for page in fill.pages:
            page.write(page_bytes(kind, end, page.group, page.nbytes))
        assert ended(session, session.submit_commit(fill)).take_commit().visible
    hit = ended(session, session.submit_match()).take_match()
    assert hit.exact_tokens == 32
    pages = ended(session, session.submit_load(hit)).take_pages()
    assert bytes(pages[0]) == page_bytes("span", 32, 0, PAGE_BYTES)
    assert ended(session, session.submit_load_runs(hit)).take_runs().page_count == 2
    assert ended(session, session.submit_positions()).take_positions()[0].tokens == 32
    assert ended(session, session.submit_locate()).take_locate().span_tokens == 32
    ended(session, session.submit_resumed("exact", 32)).check()
    ended(session, session.submit_noop()).check()
    ended(session, session.submit_release(hit)).check()
    with pytest.raises(quire.ClosedError):
        hit.load()


def test_a_completion_carries_its_error(session: quire.Session) -> None:
    session.append_tokens(prompt(100))
    completion = ended(session, session.submit_begin_fill("span", 96))
    assert isinstance(completion.error, quire.NoParentError)
    with pytest.raises(quire.NoParentError):
        completion.take_fill()


def test_a_completion_is_taken_once_and_for_what_it_is(stored: quire.Session) -> None:
    completion = ended(stored, stored.submit_match())
    for take in (completion.take_pages, completion.take_runs, completion.take_fill):
        with pytest.raises(quire.NotFoundError):
            take()
    hit = completion.take_match()
    with pytest.raises(quire.NotFoundError, match="before"):
        completion.take_match()
    hit.release()


def test_a_release_with_views_is_not_submitted(stored: quire.Session) -> None:
    hit = stored.match()
    view = np.frombuffer(hit.load()[0], np.uint8)
    with pytest.raises(quire.BufferInUseError):
        stored.submit_release(hit)
    assert hit.load()[0].nbytes == view.nbytes  # still held


def test_a_fill_being_committed_gives_no_buffer(session: quire.Session) -> None:
    session.append_tokens(prompt(100))
    fill = session.begin_fill("span", 32)
    page = fill.pages[0]
    request = session.submit_commit(fill)
    with pytest.raises(quire.ClosedError, match="being committed"):
        memoryview(page)
    del fill, page
    assert ended(session, request).take_commit().visible


def test_a_hit_dropped_while_its_load_is_in_flight_is_released(
    stored: quire.Session, daemon: Daemon
) -> None:
    hit = stored.match()
    request = stored.submit_load(hit)
    del hit
    with pytest.raises(quire.NotFoundError):
        ended(stored, request).take_pages()
    stored.poll()
    with quire.Client(daemon.socket_path) as other:
        assert other.status()["cache"]["leases"] == 0


def test_progress_of_a_load_is_told(stored: quire.Session) -> None:
    hit = stored.match()
    request = stored.submit_load(hit, progress=True)
    completion = ended(stored, request)
    assert len(stored.pages_so_far(request)) == 4
    assert len(completion.take_pages()) == 4
    with pytest.raises(quire.NotFoundError):
        stored.pages_so_far(request)


def test_the_descriptor_is_readable_when_something_ended(stored: quire.Session) -> None:
    fd = stored.fileno()
    stored.submit_noop()
    stored.flush()
    assert select.select([fd], [], [], 10)[0] == [fd]
    assert len(stored.poll()) == 1


def test_asyncio_stores_and_resumes(
    client: quire.Client, layout: quire.Layout, namespace: str
) -> None:
    async def body() -> None:
        native = await aio.open_session(client, layout, namespace=namespace)
        async with aio.Session(native) as session:
            native.append_tokens(prompt(100))
            for kind, end in (("span", 32), ("span", 64), ("checkpoint", 64)):
                fill = await session.begin_fill(kind, end)
                for page in fill.pages:
                    page.write(page_bytes(kind, end, page.group, page.nbytes))
                assert (await session.commit(fill)).visible
            await session.wait_for_tokens(64, 1000)
            hit = await session.match()
            assert hit.exact_tokens == 64
            pages, runs = await asyncio.gather(session.load(hit), session.load_runs(hit))
            assert bytes(pages[1]) == page_bytes("span", 64, 0, PAGE_BYTES)
            assert runs.page_count == len(pages) == 3
            await session.release(hit)
            assert (await session.locate()).span_tokens == 64
            assert [p.tokens for p in await session.positions()] == [64]
            await session.resumed("exact", 64)
            with pytest.raises(quire.NoParentError):
                await session.begin_fill("checkpoint", 96)

    asyncio.run(body())


def test_asyncio_serves_many_tasks_of_one_session(stored: quire.Session) -> None:
    async def one(session: aio.Session) -> int:
        hit = await session.match()
        pages = await session.load(hit)
        found = len(pages)
        await session.release(hit)
        return found

    async def body() -> list[int]:
        async with aio.Session(stored) as session:
            return await asyncio.gather(*(one(session) for _ in range(50)))

    assert asyncio.run(body()) == [4] * 50


def test_a_cancelled_task_gives_its_lease_back(stored: quire.Session, daemon: Daemon) -> None:
    async def body() -> None:
        async with aio.Session(stored) as session:
            task = asyncio.ensure_future(session.match())
            await asyncio.sleep(0)
            task.cancel()
            await session.noop()
            with quire.Client(daemon.socket_path) as other:
                assert other.status()["cache"]["leases"] == 0
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(body())


def test_asyncio_tells_all_who_wait_that_the_daemon_went(
    own_daemon: Daemon, layout: quire.Layout
) -> None:
    async def body() -> None:
        with quire.Client(own_daemon.socket_path) as client:
            native = client.open_session(layout, namespace="m")
            native.append_tokens(prompt(100))
            store(native, 96)
            async with aio.Session(native) as session:
                own_daemon.kill()
                results = await asyncio.gather(
                    session.match(), session.noop(), return_exceptions=True
                )
        assert [type(result) for result in results] == [quire.UnavailableError] * 2

    asyncio.run(asyncio.wait_for(body(), 30))
