"""``python -m quire demo``: stores a prompt's pages in one process, and resumes them in another."""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import quire
from quire.daemon import Daemon

if TYPE_CHECKING:
    from quire._quire import FillKind

UNIT = 64
BLOCK = 256
PAGE_BYTES = 64 * 1024
STATE_BYTES = 16 * 1024


def _layout() -> quire.Layout:
    groups = [
        quire.Group("kv", "append", PAGE_BYTES, ((0, 0, PAGE_BYTES),)),
        quire.Group("state", "state", STATE_BYTES, ((1, 0, STATE_BYTES),)),
    ]
    return quire.Layout.from_groups(groups, unit_tokens=UNIT, block_tokens=BLOCK, name="demo")


def _page(kind: str, end_tokens: int, nbytes: int) -> bytes:
    """What a model would have computed: the same in every process, and different everywhere."""
    seed = hashlib.sha256(f"{kind} {end_tokens}".encode()).digest()
    return (seed * (nbytes // len(seed) + 1))[:nbytes]


def _store(session: quire.Session, tokens: int) -> None:
    ends: list[tuple[FillKind, int]] = [("span", end) for end in range(BLOCK, tokens + 1, BLOCK)]
    for kind, end in [*ends, ("checkpoint", session.layout.last_resume_point(tokens))]:
        with session.begin_fill(kind, end) as fill:
            for page in fill.pages:
                page.write(_page(f"{kind}{page.group}", end, page.nbytes))
            fill.commit()


def _write(socket_path: str, tokens: int) -> None:
    with quire.Client(socket_path, "demo writer") as client:
        with client.open_session(_layout(), namespace="demo") as session:
            session.append_tokens(range(tokens))
            _store(session, tokens)
            print(f"writer:  stored {session.locate().exact_tokens} of {tokens} tokens")


def _expected(page: quire.Page, index: int, exact_tokens: int) -> bytes:
    kind, end = ("checkpoint", exact_tokens) if page.of_checkpoint else ("span", (index + 1) * BLOCK)
    return _page(f"{kind}{page.group}", end, page.nbytes)


def _read(socket_path: str, tokens: int) -> None:
    with quire.Client(socket_path, "demo reader") as client:
        with client.open_session(_layout(), namespace="demo") as session:
            session.append_tokens(range(tokens))
            begin = time.perf_counter()
            with session.match() as hit:
                pages = hit.load()
                took_us = (time.perf_counter() - begin) * 1e6
                wrong = sum(
                    not page.verify() or bytes(page) != _expected(page, i, hit.exact_tokens)
                    for i, page in enumerate(pages)
                )
                print(f"reader:  resumes at {hit.exact_tokens} of {tokens} tokens ({hit.limit})")
                print(f"reader:  {len(pages)} pages in place after {took_us:.0f} us, {wrong} differ")
            print(f"reader:  {session.resumed('exact', hit.exact_tokens).json()}")
    if wrong or hit.exact_tokens == 0:
        raise SystemExit("the demo failed: the pages are not those that were stored")


def _demo(tokens: int) -> None:
    with Daemon(arguments=["--ram_bytes=256MiB"]) as daemon:
        print(f"daemon:  {daemon.socket_path}, process {daemon.pid}", flush=True)
        for part in ("write", "read"):
            command = [sys.executable, "-m", "quire", part, daemon.socket_path, str(tokens)]
            subprocess.run(command, check=True)
    print("done:    the pages of one process were read in another, bit for bit")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m quire", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    demo = verbs.add_parser("demo", help="everything, with a daemon of its own")
    demo.add_argument("--tokens", type=int, default=20_000)
    for name in ("write", "read"):
        part = verbs.add_parser(name, help=f"the demo's {name}r over a running daemon")
        part.add_argument("socket")
        part.add_argument("tokens", type=int)
    given = parser.parse_args()
    if given.verb == "demo":
        _demo(given.tokens)
    elif given.verb == "write":
        _write(given.socket, given.tokens)
    else:
        _read(given.socket, given.tokens)


if __name__ == "__main__":
    main()
