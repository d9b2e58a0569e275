"""Storing a prompt and resuming it, and what a session says of itself."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import quire
from conftest import BLOCK, PAGE_BYTES, UNIT, page_bytes, prompt, store
from quire.daemon import Daemon

RESUME = """
import sys, array, quire
socket, namespace = sys.argv[1:]
layout = quire.Layout.parse(sys.stdin.read())
with quire.Client(socket) as client, client.open_session(layout, namespace=namespace) as session:
    session.append_tokens(array.array("I", range(100)))
    with session.match() as hit:
        sys.stdout.buffer.write(b"".join(bytes(page) for page in hit.load()))
"""


def test_pages_come_back_in_another_process_bit_for_bit(
    stored: quire.Session, daemon: Daemon, namespace: str, layout: quire.Layout
) -> None:
    toml = quire._layout.layout_toml(layout.groups, unit_tokens=UNIT, block_tokens=BLOCK)
    command = [sys.executable, "-c", RESUME, daemon.socket_path, namespace]

    read = subprocess.run(command, input=toml.encode(), stdout=subprocess.PIPE, check=True).stdout

    spans = [page_bytes("span", end, 0, PAGE_BYTES) for end in (32, 64, 96)]
    assert read == b"".join(spans) + page_bytes("checkpoint", 96, 1, 1024)


def test_a_hit_says_what_it_found_and_why_no_more(stored: quire.Session) -> None:
    with stored.match() as hit:
        assert hit
        assert (hit.exact_tokens, hit.span_tokens, hit.cut_tokens) == (96, 96, 96)
        assert hit.tier_tokens == {"ram": 96, "ssd": 0, "cluster": 0}
        assert hit.limit == "end_of_prompt"
        assert hit.lease != 0
    assert hit.lease == 0


def test_a_match_of_nothing_is_false_and_has_nothing_to_load(session: quire.Session) -> None:
    session.append_tokens(prompt(64))
    hit = session.match()
    assert not hit and hit.exact_tokens == 0
    with pytest.raises(quire.ClosedError, match="found nothing"):
        hit.load()
    hit.release()


def test_runs_are_the_pages_of_a_load(stored: quire.Session) -> None:
    with stored.match() as hit:
        runs = hit.load_runs()
        assert runs.page_count == 4 and runs.block_count == 3 and runs.checkpoint_count == 1
        assert runs[0].of_checkpoint
        rows = [bytes(memoryview(run)) for run in runs if run.group == 0]
        assert b"".join(rows) == b"".join(page_bytes("span", e, 0, PAGE_BYTES) for e in (32, 64, 96))


def test_pages_are_a_sequence(stored: quire.Session) -> None:
    with stored.match() as hit:
        pages = hit.load()
        assert len(pages) == 4 and pages.block_count == 3 and pages.checkpoint_count == 1
        assert pages.limited_by is None
        assert [page.group for page in pages] == [0, 0, 0, 1]
        assert pages[-1].of_checkpoint and pages[-1].nbytes == 1024
        assert all(page.verify() for page in pages)
        with pytest.raises(IndexError):
            pages[4]


def test_load_takes_groups_and_blocks(stored: quire.Session) -> None:
    with stored.match() as hit:
        pages = hit.load(groups=1, first_block=1, block_count=1, checkpoint=False)
        assert [bytes(page) for page in pages] == [page_bytes("span", 64, 0, PAGE_BYTES)]


def test_a_fill_of_what_is_there_is_a_duplicate(stored: quire.Session) -> None:
    with stored.begin_fill("span", 32) as fill:
        assert fill.duplicate and fill.pages == ()
        assert fill.commit().duplicate


def test_a_fill_that_is_not_committed_is_given_up(session: quire.Session) -> None:
    session.append_tokens(prompt(64))
    with session.begin_fill("span", 32):
        pass
    assert session.locate().span_tokens == 0
    with session.begin_fill("span", 32) as again:  # would be busy were it not aborted
        assert not again.duplicate


def test_a_fill_without_its_parent_is_refused(session: quire.Session) -> None:
    session.append_tokens(prompt(96))
    with pytest.raises(quire.NoParentError):
        session.begin_fill("span", 96)


def test_unit_hashes_stand_for_tokens(
    client: quire.Client, layout: quire.Layout, namespace: str
) -> None:
    hashes = [bytes([i]) * 16 for i in range(1, 7)]
    padded = b"".join(one.ljust(32, b"\0") for one in hashes)
    with client.open_session(layout, namespace=namespace) as first:
        first.append_unit_hashes(hashes)
        assert first.token_count == 96
        store(first, 96)
    with client.open_session(layout, namespace=namespace) as second:
        second.append_unit_hashes(padded)
        with second.match() as hit:
            assert hit.span_tokens == 96


def test_keys_change_the_hashes_of_the_units_they_cover(
    client: quire.Client, layout: quire.Layout, namespace: str
) -> None:
    with client.open_session(layout, namespace=namespace) as plain:
        plain.append_tokens(prompt(64))
        hashes = plain.chain()
    with client.open_session(layout, namespace=namespace) as keyed:
        keyed.append_tokens(prompt(64), keys=[(b"an image", 20, 4)])
        assert keyed.chain()[:32] == hashes[:32]
        assert keyed.chain()[32:] != hashes[32:]
        from_layout = layout.chain_hashes(keyed.root, prompt(64), keys=[(b"an image", 20, 4)])
        assert keyed.chain() == from_layout and keyed.chain(3) == from_layout[-32:]


def test_resumed_says_what_the_turn_used(stored: quire.Session) -> None:
    with stored.match(request_id=7) as hit:
        hit.load()
        usage = stored.resumed("exact", hit.exact_tokens, output_tokens=5, request_id=7)
    assert (usage.prompt_tokens, usage.hit_tokens, usage.missed_tokens) == (100, 96, 4)
    assert json.loads(usage.json("openai"))["prompt_tokens_details"]["cached_tokens"] == 96
    assert json.loads(usage.json("anthropic"))["cache_read_input_tokens"] == 96


def test_positions_lists_where_to_resume(stored: quire.Session) -> None:
    found = stored.positions()
    assert [position.tokens for position in found] == [96]
    assert (found[0].how, found.span_tokens, found.exact_tokens) == ("exact", 96, 96)
    assert found.complete


def test_locate_needs_no_session(
    stored: quire.Session, client: quire.Client, layout: quire.Layout, namespace: str
) -> None:
    assert client.locate(layout, prompt(100), namespace=namespace).span_tokens == 96
    assert client.locate(layout, prompt(100), namespace="of nobody") is None


def test_another_process_joins_and_sees_progress(
    stored: quire.Session, client: quire.Client, layout: quire.Layout
) -> None:
    with client.join_session(stored.token, layout) as joined:
        progress = joined.progress()
        assert (progress.committed_tokens, progress.checkpoint_tokens, progress.members) == (96, 96, 2)
        joined.wait_for_tokens(96, timeout_ms=0)
        with pytest.raises(quire.DeadlineExceededError):
            joined.wait_for_tokens(128, timeout_ms=1)


def test_wanted_checkpoints_follow_the_operators_word(stored: quire.Session) -> None:
    assert stored.checkpoint_policy().word == "turn_ends"
    assert (1024, "turn_end") in stored.wanted_checkpoints(0, 1030)


def test_supersede_lets_a_checkpoint_go(stored: quire.Session) -> None:
    assert stored.supersede(96)
    assert stored.locate().exact_tokens == 0
    assert not stored.supersede(96)


def test_a_ticket_gives_its_session_once(
    client: quire.Client, layout: quire.Layout, namespace: str
) -> None:
    ticket = client.request_session(layout, namespace=namespace, reserve_bytes=1 << 20)
    session = ticket.poll()
    assert session is not None and ticket.position == 0
    session.close()
    with pytest.raises(quire.ClosedError):
        ticket.poll()


def test_status_and_ping(client: quire.Client) -> None:
    client.ping()
    assert client.status()["daemon_epoch"] == client.daemon_epoch


def test_an_observer_hears_of_segments_before_pages_lie_in_them(
    stored: quire.Session, daemon: Daemon, layout: quire.Layout, namespace: str
) -> None:
    mapped: dict[int, tuple[int, int]] = {}

    class Observer:
        def mapped(self, segment: quire.Segment) -> None:
            mapped[segment.segment] = (segment.address, segment.nbytes)

        def unmapping(self, segment: quire.Segment) -> None:
            del mapped[segment.segment]

    with quire.Client(daemon.socket_path, observer=Observer()) as observed:
        with observed.open_session(layout, namespace=namespace) as session:
            session.append_tokens(prompt(100))
            with session.match() as hit:
                for page in hit.load():
                    address, nbytes = mapped[page.segment]
                    assert page.address == address + page.offset
                    assert page.offset + page.nbytes <= nbytes
        del session, hit, page
    assert mapped == {}


def test_a_session_goes_on_with_another_prompt(
    client: quire.Client, layout: quire.Layout, namespace: str
) -> None:
    with client.open_session(layout, namespace=namespace) as session:
        session.append_tokens(prompt(100))
        store(session, 96)
        with session.match() as hit:
            with pytest.raises(quire.BusyError, match="release"):
                session.reset()
            assert hit.exact_tokens == 96
        session.reset(conversation=7)
        assert session.token_count == 0
        assert session.progress().committed_tokens == 0
        session.append_tokens(prompt(100))
        with session.match() as hit:
            assert hit.exact_tokens == 96


def test_offered_checkpoints_are_kept_some_distance_apart(
    client: quire.Client, layout: quire.Layout, namespace: str
) -> None:
    with client.open_session(layout, namespace=namespace, offer_tokens=64) as session:
        session.append_tokens(prompt(100))
        store(session, 96)
        assert session.offer_tokens == 64
        with session.begin_fill("checkpoint", 48, reason="offered") as fill:
            assert not fill.duplicate
            for page in fill.pages:
                page.write(bytes(page.nbytes))
            fill.commit()
        with session.begin_fill("checkpoint", 80, reason="offered") as fill:
            assert fill.unwanted and fill.duplicate


def test_prefill_waits_for_decode(
    client: quire.Client, layout: quire.Layout, namespace: str
) -> None:
    with client.open_session(
        layout, namespace=namespace, role="prefill", ahead_tokens=32
    ) as session:
        session.append_tokens(prompt(100))
        with session.begin_fill("span", 32) as fill:
            fill.pages[0].write(bytes(fill.pages[0].nbytes))
            fill.commit()
        with pytest.raises(quire.BusyError, match="wait_for_room"):
            session.begin_fill("span", 64)
        with pytest.raises(quire.DeadlineExceededError):
            session.wait_for_room(64, timeout_ms=1)
        with client.join_session(session.token, layout, role="decode") as decode:
            decode.append_tokens(prompt(100))
            with decode.match() as hit:
                hit.load(block_count=1, checkpoint=False)
            session.wait_for_room(64, timeout_ms=1000)
            assert session.progress().taken_tokens == 32
            session.close()
            with pytest.raises(quire.UnavailableError, match="32 of 64"):
                decode.wait_for_tokens(64, timeout_ms=1000)
            assert decode.progress().handover == "ended"
