"""Pages of one kind by their keys: which are there, put them in, get them out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

import quire
from quire.link import Link

from .chains import KEY_WORDS, Chain, Chains, tokens_of

log = logging.getLogger("quire.keyed")

Put = Callable[[int, np.ndarray], None]
"""(which key, uint8 memory of its page): writes the page there, or reads it from there. The memory is
the store's: nothing may keep it."""


@dataclass
class _PinnedRun:
    session: quire.Session
    hit: quire.Hit
    at: int  # place of its first page in the session
    first: int  # which of the keys that is
    count: int


class PinnedPages:
    """Pages that stay until `close`, each run under a lease of its own.

    Threads: any, one at a time; it needs no turn of its `KeyedPages`, so nobody waits for a take.
    """

    def __init__(self, store: KeyedPages) -> None:
        self.runs: list[_PinnedRun] = []
        self._store = store

    def take(self, take: Put) -> bool:
        """Gives the pages to `take`, in order. False: some could not be had after all."""
        try:
            for run in self.runs:
                if KeyedPages._take_runs(run.hit, run.at, run.first, run.count, take) < run.count:
                    return False
        except quire.Error as error:
            self._store._failed(error)
            return False
        return True

    def close(self) -> None:
        runs, self.runs = self.runs, []
        for run in runs:
            try:
                run.session.close()
            except quire.Error as error:
                log.debug("letting pages go: %s", error)


class KeyedPages:
    """Pages of equal size of one namespace, under keys that name a page and all before it.

    1. Nothing is raised for a daemon that is not there, or refuses: a page is not there, or not stored.
    2. A page is delivered whole, with the bytes that were stored under its key, or not at all.
    3. Keys stored in one call make a chain of `chain_pages` at most; a run that follows a page of a
       chain that has room goes on with that chain.
    Threads: any; calls take turns. Not for keys whose pages may differ: the first page stays.
    """

    def __init__(
        self,
        link: Link,
        *,
        page_bytes: int,
        page_tokens: int,
        namespace: str,
        tenant: str = "",
        salt: str = "",
        chain_pages: int = 128,
        chains: Chains | None = None,
    ) -> None:
        self.page_bytes = page_bytes
        self._link = link
        # A page stands for so many tokens in the daemon's figures; its key needs eight.
        self._page_tokens = max(page_tokens, KEY_WORDS)
        self._names = {"namespace": namespace, "tenant": tenant, "salt": salt}
        self._chain_pages = chain_pages
        self._chains = chains if chains is not None else Chains()
        self._lock = threading.Lock()
        group = quire.Group("pages", "append", page_bytes, ((0, 0, page_bytes),))
        self._layout = quire.Layout.from_groups(
            [group], unit_tokens=self._page_tokens, block_tokens=self._page_tokens, name="keyed"
        )

    def find(self, keys: Sequence[str], *, prefix: bool = False) -> list[bool]:
        """Which pages are there; pins nothing. `prefix`: no matter what follows the first miss."""
        found = [False] * len(keys)
        with self._lock:
            for _, _, first, count in self._runs(keys, prefix):
                found[first : first + count] = [True] * count
        return found

    def load(self, keys: Sequence[str], take: Put, *, prefix: bool = False) -> list[bool]:
        """Gives the pages that are there to `take`; True for those that it was given."""
        loaded = [False] * len(keys)
        with self._lock:
            for chain, at, first, count in self._runs(keys, prefix):
                done = self._load_run(chain, at, first, count, take)
                loaded[first : first + done] = [True] * done
                if prefix and done < count:
                    break
        return loaded

    def pin(self, keys: Sequence[str]) -> PinnedPages | None:
        """Keeps all of these pages where they are, to be taken later, on another thread too. None: not
        all of them are there. Copies nothing and reads nothing from a device."""
        pinned = PinnedPages(self)
        count = 0
        with self._lock:
            for run in self._runs(keys, True):
                if not self._pin_run(pinned, *run):
                    break
                count += run[3]
        if count == len(keys):
            return pinned
        pinned.close()
        return None

    def store(self, keys: Sequence[str], fill: Put) -> list[bool]:
        """Stores what is not there yet; True for pages that are there now."""
        stored = self.find(keys)
        with self._lock:
            first = 0
            while first < len(keys):
                if stored[first]:
                    first += 1
                    continue
                end = first
                while end < len(keys) and not stored[end]:
                    end += 1
                done = self._store_run(keys, first, end, fill)
                stored[first : first + done] = [True] * done
                first = first + done if done else end
        return stored

    # --- where pages lie -------------------------------------------------------------------------

    def _runs(self, keys: Sequence[str], prefix: bool) -> Iterator[tuple[Chain, int, int, int]]:
        """(chain, place of its first key, index of that key, how many): what is there, in order."""
        first = 0
        while first < len(keys):
            found = self._run_at(keys, first)
            if found is None:
                if prefix or self._link.client() is None:
                    return
                first += 1
                continue
            chain, at, count = found
            yield chain, at, first, count
            first += count

    def _run_at(self, keys: Sequence[str], first: int) -> tuple[Chain, int, int] | None:
        place = self._chains.place(keys[first])
        if place is not None:
            chain, at = place
            count = chain.common(at, keys, first)
            here = self._held(chain.keys[: at + count]) - at
            if here > 0:
                # The store's may go on further than was known here, or branch off.
                behind = keys[first + count : first + self._chain_pages - at]
                if here == count and behind:
                    longer = (*chain.keys[: at + count], *behind)
                    if (more := self._held(longer) - at) > here:
                        chain, here = Chain(longer[: at + more]), more
                        self._chains.note(chain)
                return chain, at, here
            self._chains.forget(keys[first])
        # Perhaps a chain begins here.
        candidate = keys[first : first + self._chain_pages]
        here = self._held(candidate)
        if here <= 0:
            return None
        chain = Chain(candidate[:here])
        self._chains.note(chain)
        return chain, 0, here

    def _held(self, keys: Sequence[str]) -> int:
        client = self._link.client()
        if client is None:
            return 0
        try:
            tokens = tokens_of(keys, self._page_tokens)
            located = client.locate(self._layout, tokens, **self._names)
            self._link.worked()
            return 0 if located is None else located.span_tokens // self._page_tokens
        except quire.Error as error:
            self._failed(error)
            return 0

    # --- bytes ----------------------------------------------------------------------------------

    def _session(self, client: quire.Client, chain: Sequence[str]) -> quire.Session:
        tokens = tokens_of(chain, self._page_tokens)
        session = client.open_session(
            self._layout,
            **self._names,
            max_tokens=len(tokens) + self._page_tokens,
            max_load_pages=max(256, len(chain)),
            tail_tokens=None,
        )
        try:
            session.append_tokens(tokens)
        except BaseException:
            session.close()
            raise
        return session

    def _pin_run(
        self, pinned: PinnedPages, chain: Chain, at: int, first: int, count: int
    ) -> bool:
        client = self._link.client()
        if client is None:
            return False
        session = hit = None
        try:
            session = self._session(client, chain.keys[: at + count])
            hit = session.match((at + count) * self._page_tokens + 1)
            self._link.worked()
        except quire.Error as error:
            self._failed(error)
        if session is not None and hit is None:
            session.close()
        if hit is None:
            return False
        pinned.runs.append(_PinnedRun(session, hit, at, first, count))
        return hit.exact_tokens >= (at + count) * self._page_tokens

    def _load_run(self, chain: Chain, at: int, first: int, count: int, take: Put) -> int:
        client = self._link.client()
        if client is None:
            return 0
        done = 0
        try:
            with self._session(client, chain.keys[: at + count]) as session:
                # One token more than there is: a match leaves one to compute.
                end = (at + count) * self._page_tokens
                with session.match(end + 1) as hit:
                    here = min(hit.exact_tokens // self._page_tokens - at, count)
                    if here > 0:
                        done = self._take_runs(hit, at, first, here, take)
            self._link.worked()
        except quire.Error as error:
            self._failed(error)
        return done

    @staticmethod
    def _take_runs(hit: quire.Hit, at: int, first: int, count: int, take: Put) -> int:
        runs = hit.load_runs(first_block=at, block_count=count)
        for run in runs:
            rows = np.asarray(run)
            for row in range(run.page_count):
                take(first + run.first_block - at + row, rows[row])
            # The lease cannot end while a view of it is left.
            del rows
        return min(runs.block_count, count)

    def _store_run(self, keys: Sequence[str], first: int, end: int, fill: Put) -> int:
        """How many pages from `first` on are stored now; of one chain at most."""
        if first > 0 and self._chain_pages > 1:
            place = self._chains.place(keys[first - 1])
            if place is not None and place[1] + 1 < self._chain_pages:
                chain, at = place
                done = self._fill_chain(chain.keys[: at + 1], keys, first, end, fill)
                if done:
                    return done
        return self._fill_chain((), keys, first, end, fill)

    def _fill_chain(
        self, before: Sequence[str], keys: Sequence[str], first: int, end: int, fill: Put
    ) -> int:
        client = self._link.client()
        if client is None:
            return 0
        end = min(end, first + self._chain_pages - len(before))
        chain = (*before, *keys[first:end])
        done = 0
        try:
            with self._session(client, chain) as session:
                for index in range(first, end):
                    span_end = (len(before) + done + 1) * self._page_tokens
                    with session.begin_fill("span", span_end) as span:
                        if not span.duplicate:
                            page = np.frombuffer(span.pages[0], np.uint8)
                            fill(index, page)
                            del page
                        span.commit()
                    done += 1
            self._link.worked()
        except quire.Error as error:
            self._failed(error)
        if done:
            self._chains.note(Chain(chain[: len(before) + done]))
        return done

    def _failed(self, error: quire.Error) -> None:
        log.debug("pages of %s: %s", self._names["namespace"], error)
        if isinstance(error, (quire.UnavailableError, quire.DeadlineExceededError)):
            self._link.failed(error)
            # Of a daemon's former life; the next one is connected to anew.
            self._link.close()
