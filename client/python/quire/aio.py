"""Sessions for asyncio, over the descriptor that is readable when requests ended. No threads.

>>> async with aio.Session(await aio.open_session(client, layout, namespace="m")) as session:
...     hit = await session.match(...)
...     pages = await session.load(hit)
...     await session.release(hit)

Hits, pages and fills are those of :mod:`quire`, and what does not wait is done on them: ``session.native``
has the rest. A task that is cancelled gives back what its request got (lease, fill).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ._errors import DeadlineExceededError, Error
from ._quire import (
    Client,
    CommitResult,
    Completion,
    Fill,
    Hit,
    Layout,
    Located,
    Pages,
    Positions,
    Runs,
)
from ._quire import Session as NativeSession

if TYPE_CHECKING:
    from ._quire import FillKind, How

T = TypeVar("T")
# How often what no descriptor tells is asked for.
_ASK_SECONDS = 0.002


async def open_session(client: Client, layout: Layout, **options: Any) -> NativeSession:
    """``Client.open_session`` that waits for its reservation without blocking the loop."""
    ticket = client.request_session(layout, **options)
    while (session := ticket.poll()) is None:
        await asyncio.sleep(_ASK_SECONDS)
    return session


class Session:
    """A native session of this event loop. An asynchronous context manager: closes it at its end.

    Nobody else may poll the native session. Requests of one session are sent as they are made; errors
    are those of the blocking calls. When the daemon goes all that wait get UnavailableError.
    """

    def __init__(self, native: NativeSession) -> None:
        self.native = native
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, tuple[asyncio.Future[Any], Callable[[Completion], Any]]] = {}
        self._fileno = native.fileno()
        self._loop.add_reader(self._fileno, self._take_completions)

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._stop(None)
        self.native.__exit__(*exc)

    def close(self) -> None:
        """Ends the session; what waits is cancelled."""
        self._stop(None)
        self.native.close()

    async def match(self, prompt_tokens: int | None = None, **options: Any) -> Hit:
        """As ``quire.Session.match``."""
        return await self._run(self.native.submit_match(prompt_tokens, **options), Completion.take_match)

    async def load(self, hit: Hit, **options: Any) -> Pages:
        """As ``quire.Hit.load``."""
        return await self._run(self.native.submit_load(hit, **options), Completion.take_pages)

    async def load_runs(self, hit: Hit, **options: Any) -> Runs:
        """As ``quire.Hit.load_runs``."""
        return await self._run(self.native.submit_load_runs(hit, **options), Completion.take_runs)

    async def release(self, hit: Hit) -> None:
        """As ``quire.Hit.release``."""
        await self._run(self.native.submit_release(hit), Completion.check)

    async def begin_fill(self, kind: FillKind, end_tokens: int, **options: Any) -> Fill:
        """As ``quire.Session.begin_fill``."""
        request = self.native.submit_begin_fill(kind, end_tokens, **options)
        return await self._run(request, Completion.take_fill)

    async def commit(self, fill: Fill) -> CommitResult:
        """As ``quire.Fill.commit``."""
        return await self._run(self.native.submit_commit(fill), Completion.take_commit)

    async def reset(self, conversation: int = 0) -> None:
        """As ``quire.Session.reset``."""
        await self._run(self.native.submit_reset(conversation), Completion.check)

    async def resumed(self, how: How, resumed_tokens: int, **options: Any) -> None:
        """As ``quire.Session.resumed``, which answers with the usage too."""
        request = self.native.submit_resumed(how, resumed_tokens, **options)
        await self._run(request, Completion.check)

    async def positions(self, prompt_tokens: int | None = None, **options: Any) -> Positions:
        """As ``quire.Session.positions``."""
        request = self.native.submit_positions(prompt_tokens, **options)
        return await self._run(request, Completion.take_positions)

    async def locate(self, tokens: int | None = None) -> Located:
        """As ``quire.Session.locate``."""
        return await self._run(self.native.submit_locate(tokens), Completion.take_locate)

    async def noop(self) -> None:
        """A round trip through the ring."""
        await self._run(self.native.submit_noop(), Completion.check)

    async def wait_for_tokens(self, tokens: int, timeout_ms: int) -> None:
        """As ``quire.Session.wait_for_tokens``; looks at shared memory every 2 ms."""
        await self._look(self.native.wait_for_tokens, tokens, timeout_ms)

    async def wait_for_room(self, end_tokens: int, timeout_ms: int) -> None:
        """As ``quire.Session.wait_for_room``; looks at shared memory every 2 ms."""
        await self._look(self.native.wait_for_room, end_tokens, timeout_ms)

    async def _look(self, wait: Callable[[int, int], None], tokens: int, timeout_ms: int) -> None:
        deadline = self._loop.time() + timeout_ms / 1000
        while True:
            try:
                return wait(tokens, 0)
            except DeadlineExceededError:
                if self._loop.time() >= deadline:
                    raise
            await asyncio.sleep(_ASK_SECONDS)

    async def _run(self, request: int, take: Callable[[Completion], T]) -> T:
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting[request] = (future, take)
        self.native.flush()
        return await future

    def _take_completions(self) -> None:
        try:
            while completions := self.native.poll():
                for completion in completions:
                    self._settle(completion)
        except Error as error:
            self._stop(error)

    def _settle(self, completion: Completion) -> None:
        future, take = self._waiting.pop(completion.request, (None, None))
        if future is None or take is None:
            return
        try:
            result = take(completion)
        except Error as error:
            if not future.cancelled():
                future.set_exception(error)
        else:
            # Of one that was cancelled the result goes at once, and with it the lease or fill.
            if not future.cancelled():
                future.set_result(result)

    def _stop(self, error: Error | None) -> None:
        if self._fileno >= 0:
            self._loop.remove_reader(self._fileno)
            self._fileno = -1
        waiting, self._waiting = self._waiting, {}
        for future, _ in waiting.values():
            if future.done():
                continue
            if error is None:
                future.cancel()
            else:
                future.set_exception(error)
