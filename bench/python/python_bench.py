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
SERIES = 9


def layout() -> quire.Layout:
    groups = [quire.Group("kv", "append", 4096, ((0, 0, 4096),))]
    return quire.Layout.from_groups(groups, unit_tokens=BLOCK, block_tokens=BLOCK)


def store(session: quire.Session) -> None:
    for end in range(BLOCK, PAGES * BLOCK + 1, BLOCK):
        with session.begin_fill("span", end) as fill:
            fill.pages[0].write(bytes(4096))
            fill.commit()


def one_series(call: Callable[[], object], rounds: int) -> list[float]:
    took = []
    for _ in range(rounds):
        begin = time.perf_counter_ns()
        call()
        took.append((time.perf_counter_ns() - begin) / 1000)
    return sorted(took)


def figures(call: Callable[[], object], rounds: int) -> dict[str, float]:
    """Of SERIES series. On a busy machine a series is one of waiting for a processor, or it is not:
    `best` is of the one that waited least, p50 of the one in the middle."""
    one_series(call, rounds // 10)
    found = sorted((one_series(call, rounds // SERIES) for _ in range(SERIES)), key=lambda took: took[len(took) // 2])
    best, middle = found[0], found[SERIES // 2]
    return {
        "p50": middle[len(middle) // 2],
        "p99": middle[len(middle) * 99 // 100],
        "best": best[len(best) // 2],
        "best_p99": best[len(best) * 99 // 100],
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

        def nothing_loaded() -> None:
            session.match().release()

        known = layout()
        return {
            "python_us": figures(hit_pages, rounds),
            "python_match_us": figures(nothing_loaded, rounds),
            "python_runs_us": figures(hit_runs, rounds),
            "python_views_us": figures(every_page, rounds // 10),
            "noop_us": figures(session.noop, rounds),
            "token_count_us": figures(lambda: session.token_count, rounds),
            "open_us": figures(open_and_close, rounds // 20),
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
        print(f"{name:16}", "  ".join(f"{word} {value:9.2f}" for word, value in figure.items()))


if __name__ == "__main__":
    main()
