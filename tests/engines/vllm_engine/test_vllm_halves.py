"""Scheduler's and workers' halves against a real daemon: no model, each rule by itself."""

import signal
import time

import pytest
from fake_engine import FakeEngine
from fake_vllm import BLOCK, Blocks, Request, chunked, config, full, state, window

from quire_daemon import Daemon, grown, spoil

LENGTH = 10 * BLOCK + 5
WHOLE = 10 * BLOCK


@pytest.fixture
def engine(daemon):
    engines = []

    def make(cache, ranks=1, socket=None, **options):
        engines.append(FakeEngine(socket or daemon.socket, cache, ranks, **options))
        return engines[-1]

    yield make
    for one in engines:
        one.close()


def ask(name: str = "r", length: int = LENGTH, **more) -> Request:
    return Request(name, [(i * 7) % 1000 for i in range(length)], **more)


def eventually(true) -> None:
    """What was submitted and not waited for is carried out soon."""
    give_up = time.monotonic() + 20
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.005)


def save(made, request: Request, steps: int = 1, **more) -> None:
    assert made.load(request)[0] == 0
    left = request.num_tokens
    for _ in range(steps):
        count = min(left, -(-request.num_tokens // steps))
        made.compute(request, count, **more)
        left -= count
    made.finish(request)
    made.settle()


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("load", ["sync", "async"])
def test_another_engine_has_the_same_bytes(engine, daemon, ranks, load):
    cache = config([(full(), 3)])
    save(engine(cache, ranks), ask("first"))
    before = daemon.figures()
    assert before["spans"] == 10
    second, request = engine(cache, ranks, load=load), ask("second")
    tokens, asynchronous = second.load(request)
    assert (tokens, asynchronous) == (WHOLE, load == "async")
    second.compute(request, request.num_tokens - WHOLE)
    assert second.holds(request, WHOLE)
    assert not second.bad_blocks and not second.failed
    second.finish(request)
    found = grown(before, daemon.figures())
    assert found["delivered"] == WHOLE and found["spans"] == 0


@pytest.mark.parametrize("ranks", [1, 2])
def test_receipts_have_the_whole_prompt(engine, daemon, ranks):
    """Ranks match as far as they load; what comes behind it was asked for, and is computed."""
    cache = config([(full(), 3)])
    save(engine(cache, ranks), ask("first"))
    before = daemon.figures()
    second, request = engine(cache, ranks), ask("second", 3 * WHOLE)
    assert second.load(request)[0] == WHOLE
    second.compute(request, request.num_tokens - WHOLE)
    second.finish(request)
    second.settle()
    eventually(lambda: grown(before, daemon.figures())["turns"] == 1)
    found = grown(before, daemon.figures())
    assert (found["turn_prompts"], found["turn_hits"]) == (3 * WHOLE, WHOLE)


@pytest.mark.parametrize("ranks", [1, 2])
def test_windows_come_with_a_checkpoint(engine, daemon, ranks):
    cache = config([(full(), 2), (window(40), 2)])
    save(engine(cache, ranks), ask("first"))
    assert daemon.figures()["checkpoints"] == 1
    second, request = engine(cache, ranks), ask("second")
    assert second.load(request) == (WHOLE, True)
    assert second.holds(request, WHOLE)
    assert sum(block == 0 for block in second.tables["second"][1]) == 7  # 3 of 10 blocks and one


def test_window_that_is_gone_makes_no_checkpoint(engine, daemon):
    cache = config([(full(), 2), (window(40), 2)])
    made, request = engine(cache), ask()
    made.load(request)
    made.tables["r"][1][8] = 0  # of the last three one
    made.compute(request, request.num_tokens)
    made.finish(request)
    made.settle()
    assert daemon.figures()["checkpoints"] == 0 and daemon.figures()["spans"] == 10


def test_chunks_need_no_more_than_their_own_beginning(engine, daemon):
    cache = config([(full(), 2), (chunked(4 * BLOCK), 2)])
    made, request = engine(cache), ask("first")
    made.load(request)
    made.tables["first"][1][7] = 0  # of the chunk before the one that a resume at 10 blocks is in
    made.compute(request, request.num_tokens)
    made.finish(request)
    made.settle()
    assert daemon.figures()["checkpoints"] == 1
    second, again = engine(cache), ask("second")
    assert second.load(again) == (WHOLE, True)
    second.tables["second"][1][:8] = [0] * 8
    assert second.holds(again, WHOLE)


def test_states_are_taken_where_they_are_offered(engine, daemon):
    cache = config([(full(), 2), (state(), 2)])
    made, request = engine(cache), ask("first")
    made.load(request)
    leaf = request.block_hashes[9]
    for rank in made.ranks:
        rank.compute(1, 50, leaf)
    made.compute(request, request.num_tokens, offers={"first": [(1, 50, WHOLE), (1, 0, 32)]})
    made.finish(request)
    made.settle()
    assert daemon.figures()["checkpoints"] == 1
    second, again = engine(cache), ask("second")
    assert second.load(again) == (WHOLE, True)
    assert second.holds(again, WHOLE)


def test_what_the_engine_holds_is_not_loaded(engine, daemon):
    cache = config([(full(), 2)])
    save(engine(cache), ask("first"))
    before = daemon.figures()
    second, request = engine(cache), ask("second")
    assert second.load(request, held=4 * BLOCK)[0] == 6 * BLOCK
    second.compute(request, 5)
    assert second.holds(request, WHOLE, first=4 * BLOCK)
    assert not any(second.ranks[0].place("model.layers.0.attn", b).any() for b in (1, 2, 3, 4))
    second.finish(request)
    assert grown(before, daemon.figures())["delivered"] == 6 * BLOCK


def test_window_blocks_that_the_engine_holds_are_left_alone(engine, daemon):
    """Other requests may be reading them."""
    cache = config([(full(), 2), (window(40), 2)])
    save(engine(cache), ask("first"))
    second, request = engine(cache), ask("second")
    held = 9 * BLOCK
    assert second.ask(request, held)[0] == BLOCK
    second.load(request, held)
    table = second.tables["second"][1]
    layer = "model.layers.2.attn"
    assert all(table[7:10])
    assert not any(second.ranks[0].place(layer, block).any() for block in table[7:9])
    assert second.holds(request, WHOLE, first=held)


def test_what_the_engine_holds_and_the_daemon_lacks_is_saved(engine, daemon):
    cache = config([(full(), 2)])
    made, request = engine(cache), ask()
    assert made.ask(request, held=4 * BLOCK)[0] == 0
    made.allocate(request, request.num_tokens)
    for place in range(4):
        made.ranks[0].compute(0, made.tables["r"][0][place], request.block_hashes[place])
    request.num_computed_tokens = 4 * BLOCK
    made.compute(request, request.num_tokens - 4 * BLOCK)
    made.finish(request)
    made.settle()
    assert daemon.figures()["spans"] == 10
    second, again = engine(cache), ask("second")
    assert second.load(again)[0] == WHOLE and second.compute(again, 5) is None
    assert second.holds(again, WHOLE)


def test_output_is_saved_as_it_grows_and_at_the_end(engine, daemon):
    cache = config([(full(), 2), (window(40), 2)])
    made, request = engine(cache), ask(length=3 * BLOCK + 5)
    made.load(request)
    made.compute(request, request.num_tokens)
    made.allocate(request, 40 * BLOCK // 4)
    for token in range(3 * BLOCK):
        request.output.append(token)
        made.compute(request, 1)
    request.output.append(9)
    made.finish(request)
    made.settle()
    assert daemon.figures()["spans"] == request.num_computed_tokens // BLOCK


def test_chunks_save_once_each(engine, daemon):
    cache = config([(full(), 2)])
    save(engine(cache), ask(), steps=4)
    assert daemon.figures()["spans"] == 10


def test_salts_and_adapters_keep_apart(engine, daemon):
    cache = config([(full(), 2)])
    save(engine(cache), ask("plain"))
    made = engine(cache)
    assert made.ask(ask("salted", cache_salt="s" * 5000))[0] == 0
    lora = type("Lora", (), {"lora_name": "a", "lora_path": "/a"})()
    assert made.ask(ask("adapted", lora_request=lora))[0] == 0
    assert made.ask(ask("again"))[0] == WHOLE


def test_who_skips_the_cache_is_saved_all_the_same(engine, daemon):
    cache = config([(full(), 2)])
    save(engine(cache), ask("first"))
    made = engine(cache)
    assert made.ask(ask("second", skip_reading_prefix_cache=True)) == (0, False)


def test_asked_again_while_it_waits_for_blocks(engine, daemon):
    cache = config([(full(), 2)])
    save(engine(cache), ask("first"))
    made, request = engine(cache), ask("second")
    assert [made.ask(request)[0] for _ in range(3)] == [WHOLE] * 3
    assert daemon.figures()["leases"] == 1
    assert made.ask(request, held=2 * BLOCK)[0] == 8 * BLOCK
    assert made.ask(request, held=WHOLE)[0] == 0
    eventually(lambda: daemon.figures()["leases"] == 0)  # nothing to load: nothing to hold
    assert made.ask(request, held=WHOLE)[0] == 0


def test_changed_weights_hit_nothing_of_before(engine, daemon):
    cache = config([(full(), 2)])
    made = engine(cache)
    save(made, ask("first"))
    made.scheduler.forget()
    made._next_block = 1
    save(made, ask("second"))
    assert daemon.figures()["spans"] == 20
    assert engine(cache).ask(ask("third"))[0] == WHOLE


def test_lease_is_held_until_all_ranks_matched(engine, daemon):
    cache = config([(full(), 2)])
    save(engine(cache, 2), ask("first"))
    made, request = engine(cache, 2, load="sync"), ask("second")
    tokens, _ = made.ask(request)
    made.allocate(request, request.num_tokens)
    made.scheduler.after_alloc(request, Blocks(made.tables["second"]), tokens)
    assert daemon.figures()["leases"] == 1
    request.num_computed_tokens = tokens
    made.compute(request, 5)
    eventually(lambda: daemon.figures()["leases"] == 0)
    assert made.holds(request, WHOLE)


def test_preempted_request_is_loaded_again(engine, daemon):
    cache = config([(full(), 2)])
    made, request = engine(cache, load="sync"), ask()
    made.load(request)
    made.compute(request, request.num_tokens)
    made.committed(request, WHOLE)
    request.output.append(1)
    made.run({}, preempted={"r"})
    request.num_computed_tokens = 0
    assert made.load(request)[0] == WHOLE
    made.compute(request, request.num_tokens - WHOLE)
    assert made.holds(request, WHOLE)
    made.finish(request)
    made.settle()
    assert daemon.figures()["spans"] == 10


# --- what goes wrong ---------------------------------------------------------------------------


def test_no_daemon_is_a_miss_at_once(engine, tmp_path):
    made = engine(config([(full(), 2)]), socket=str(tmp_path / "none"))
    made.scheduler.warm_up()
    began = time.monotonic()
    for number in range(50):
        request = ask(f"r{number}")
        assert made.ask(request) == (0, False)
        made.allocate(request, BLOCK)
        made.compute(request, BLOCK)
        made.finish(request)
        made._next_block = 1
    assert time.monotonic() - began < 5
    assert made.scheduler.counts.down >= 49


def test_daemon_that_dies_is_found_again(engine, daemon):
    cache = config([(full(), 2)])
    made = engine(cache, save_budget_ms=20000)
    save(made, ask("first"))
    daemon.kill()
    gone = ask("gone")
    assert made.load(gone)[0] == 0
    made.compute(gone, gone.num_tokens)
    made.finish(gone)
    made._next_block = 1
    daemon.start()
    # Pauses grow with each try that was made meanwhile, so with the pace of the machine.
    for half in (made.scheduler, *made.workers):
        eventually(lambda: time.monotonic() >= half._link._next_try)
    save(made, ask("back"))
    assert daemon.figures()["spans"] == 10


@pytest.mark.parametrize("load", ["sync", "async"])
def test_failed_load_is_told_and_not_tried_again(engine, daemon, load):
    """The daemon goes between the scheduler's match and the worker's."""
    cache = config([(full(), 2)])
    save(engine(cache), ask("first"))
    made, request = engine(cache, load=load), ask("second")
    tokens, asynchronous = made.ask(request)
    assert tokens == WHOLE
    made.allocate(request, request.num_tokens)
    made.scheduler.after_alloc(request, Blocks(made.tables["second"]), tokens)
    daemon.kill()
    request.num_computed_tokens = tokens
    made.run({} if asynchronous else {"second": (request, 5)})
    if asynchronous:
        assert made.received == made.failed == {"second"} and not made.bad_blocks
    else:
        assert made.bad_blocks == set(made.tables["second"][0][:10]) and not made.failed
    daemon.start()
    request.num_computed_tokens = 0
    assert made.ask(request) == (0, False)
    made.compute(request, request.num_tokens)
    made.finish(request)
    assert daemon.figures()["spans"] == 0  # of a request that failed nothing more is saved


def test_nothing_is_saved_from_wrong_bytes(engine, daemon):
    """A synchronous load failed: the step went on with what was in the blocks."""
    cache = config([(full(), 2)])
    save(engine(cache), ask("first"))
    made, request = engine(cache, load="sync"), ask("second", length=LENGTH + 4 * BLOCK)
    made.load(request)
    worker = made.workers[0]
    other = ask("other", length=2 * BLOCK + 1, cache_salt="x")
    made.ask(other)
    made.allocate(other, other.num_tokens)
    worker._begin_load = lambda work, job: (
        setattr(work, "load", job.load),
        worker._load_failed(work, "injected"),
    )
    before = daemon.figures()
    made.run({"second": (request, 4 * BLOCK), "other": (other, other.num_tokens)})
    assert made.bad_blocks == set(made.tables["second"][0][:10])
    assert grown(before, daemon.figures())["spans"] == 0
    request.num_computed_tokens = 0
    assert made.ask(request) == (0, False)
    # The scheduler has heard of it: what comes now is right again, of others.
    fresh = ask("fresh", length=2 * BLOCK + 1, cache_salt="y")
    made.ask(fresh)
    made.allocate(fresh, fresh.num_tokens)
    made.compute(fresh, fresh.num_tokens)
    made.finish(fresh)
    made.settle()
    assert grown(before, daemon.figures())["spans"] == 2


def test_staging_that_is_full_makes_saves_wait_not_fail(engine, daemon):
    """More units in one step than the staging area has room for."""
    cache = config([(full(16), 8)], num_blocks=400)
    made = engine(cache)
    request = ask(length=300 * BLOCK)
    for worker in made.workers:
        worker.options.save_budget_ms = 20000
    save(made, request)
    assert daemon.figures()["spans"] == 300


def test_saves_that_take_too_long_are_given_up(engine, daemon):
    cache = config([(full(16), 8)], num_blocks=400)
    made = engine(cache, save_budget_ms=0)
    request = ask(length=200 * BLOCK)
    save(made, request)
    assert made.workers[0].counts.dropped_saves > 0
    assert daemon.figures()["spans"] < 200


def test_hung_daemon_costs_a_bounded_time(engine, daemon):
    cache = config([(full(), 2)])
    made = engine(cache, match_give_up_ms=50)
    made.ask(ask("first"))
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        for number in range(20):
            assert made.ask(ask(f"r{number}"))[0] == 0
        assert time.monotonic() - began < 3
    finally:
        daemon.process.send_signal(signal.SIGCONT)


def test_unreadable_pages_are_computed_and_saved_again(engine, tmp_path):
    folder = tmp_path / "ssd"
    folder.mkdir()
    daemon = Daemon(folder, f"--ssd_path={folder}/disk", "--ssd_bytes=256MiB").start()
    try:
        cache = config([(full(64), 2)])
        save(engine(cache, socket=daemon.socket), ask("first"))
        spoil(daemon, folder / "disk")
        made, request = engine(cache, socket=daemon.socket), ask("second")
        assert made.load(request) == (0, True)
        assert made.failed == {"second"}
        made.compute(request, request.num_tokens)
        made.finish(request)
        made.settle()
        third, again = engine(cache, socket=daemon.socket), ask("third")
        assert third.load(again)[0] == WHOLE
        third.compute(again, 5)
        assert third.holds(again, WHOLE)
    finally:
        daemon.stop()


def test_replicas_load_beside_the_steps(engine, daemon):
    cache = config([(full(), 2)], kv_tp_replicas=2)
    save(engine(cache, 2), ask("first"))
    assert daemon.figures()["spans"] == 10
    # Equal bytes: rank 1 reads what rank 0 wrote.
    made, request = engine(cache, 2, load="sync"), ask("second")
    assert made.load(request) == (WHOLE, True)
    reader = made.ranks[1]
    reader.rank = 0
    assert made.holds(request, WHOLE)


def test_sources_by_tier(engine, tmp_path):
    folder = tmp_path / "ssd"
    folder.mkdir()
    daemon = Daemon(folder, f"--ssd_path={folder}/disk", "--ssd_bytes=256MiB").start()
    try:
        cache = config([(full(), 2)])
        save(engine(cache, socket=daemon.socket), ask("first"))
        daemon.control("flush")
        daemon.control("evict", "ram", "--yes")
        made, request = engine(cache, socket=daemon.socket), ask("second")
        tokens, asynchronous = made.ask(request)
        assert (tokens, asynchronous) == (WHOLE, True)  # a device is waited for beside the steps
        made.allocate(request, request.num_tokens)
        made.scheduler.after_alloc(request, Blocks(made.tables["second"]), tokens)
        assert made.scheduler.hit_sources(request, tokens) == {"disk": WHOLE}
    finally:
        daemon.stop()
