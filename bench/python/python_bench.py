"""What a call from Python costs: match + load of 256 pages + release, over a daemon of its own.

Usage: python_bench.py [--json] [--rounds N]. Needs quire (the wheel). Prints microseconds a call;
python_us.p50 is the figure with a target (<= 10).
"""

from __future__ import annotations

import argparse
import array
import json
import time
from collections.abc import Callable

import quire
from quire.daemon import Daemon

BLOCK = 256
PAGES = 256


def layout() -> quire.Layout:
    groups = [quire.Group("kv", "append", 4096, ((0, 0, 4096),))]
    return quire.Layout.from_groups(groups, unit_tokens=BLOCK, block_tokens=BLOCK)


def store(session: quire.Session) -> None:
    for end in range(BLOCK, PAGES * BLOCK + 1, BLOCK):
        with session.begin_fill("span", end) as fill:
            fill.pages[0].write(bytes(4096))
            fill.commit()


def figures(call: Callable[[], object], rounds: int) -> dict[str, float]:
    for _ in range(rounds // 10):
        call()
    took = []
    for _ in range(rounds):
        begin = time.perf_counter_ns()
        call()
        took.append(time.perf_counter_ns() - begin)
    took.sort()
    return {
        "p50": took[len(took) // 2] / 1000,
        "p99": took[len(took) * 99 // 100] / 1000,
        "min": took[0] / 1000,
    }


def measure(client: quire.Client, rounds: int) -> dict[str, dict[str, float]]:
    with client.open_session(layout(), namespace="bench") as session:
        session.append_tokens(array.array("I", range(PAGES * BLOCK + 1)))
        store(session)

        def hit_pages() -> None:
            with session.match() as hit:
                if len(hit.load()) != PAGES:
                    raise SystemExit("not all pages were there")

        def hit_runs() -> None:
            with session.match() as hit:
                if hit.load_runs().page_count != PAGES:
                    raise SystemExit("not all pages were there")

        def every_page() -> None:
            with session.match() as hit:
                for page in hit.load():
                    memoryview(page).release()

        def open_and_close() -> None:
            client.open_session(known, namespace="bench").close()

        known = layout()
        return {
            "python_us": figures(hit_pages, rounds),
            "python_runs_us": figures(hit_runs, rounds),
            "python_views_us": figures(every_page, rounds // 10),
            "noop_us": figures(session.noop, rounds),
            "token_count_us": figures(lambda: session.token_count, rounds),
            "open_us": figures(open_and_close, max(20, rounds // 100)),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=20_000)
    given = parser.parse_args()
    with Daemon(arguments=["--ram_bytes=256MiB"]) as daemon:
        with quire.Client(daemon.socket_path, "python_bench") as client:
            found = measure(client, given.rounds)
    if given.json:
        print(json.dumps(found))
        return
    for name, figure in found.items():
        print(f"{name:16} p50 {figure['p50']:8.2f}  p99 {figure['p99']:8.2f}  min {figure['min']:8.2f}")


if __name__ == "__main__":
    main()
