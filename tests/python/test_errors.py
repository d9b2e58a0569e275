"""Bad input, closed handles, forks and dead daemons: a typed exception that says what to do."""

from __future__ import annotations

import array
import os
import pathlib
import subprocess
import sys
import traceback
from collections.abc import Callable

import numpy as np
import pytest
import quire
from conftest import prompt, store
from quire.daemon import Daemon

TOKENS = {
    "int64": (np.arange(32), "astype"),
    "int32": (np.arange(32, dtype=np.int32), "astype"),
    "float": (np.arange(32.0), "astype"),
    "bytes": (b"0123456789abcdef", "uint32"),
    "two dimensions": (np.zeros((2, 16), np.uint32), "2 dimensions"),
    "strided": (np.zeros(64, np.uint32)[::2], "contiguous"),
    "text": ("thirty-two tokens", "sequence of ints"),
    "negative": ([1, -1], "item 1"),
    "too large": ([2**32], "item 0"),
    "no numbers": ([1, "2"], "item 1"),
    "a set": ({1, 2}, "sequence of ints"),
    "no format": (np.zeros(0, "V4"), "uint32"),
    "other bytes' order": (np.arange(32, dtype=">u4"), "uint32"),
    "nothing": (None, "sequence of ints"),
    "a number": (5, "sequence of ints"),
}


@pytest.mark.parametrize(("tokens", "text"), TOKENS.values(), ids=TOKENS.keys())
def test_tokens_of_a_wrong_type_are_refused(session: quire.Session, tokens: object, text: str) -> None:
    with pytest.raises(quire.InvalidArgumentError, match=text):
        session.append_tokens(tokens)
    assert session.token_count == 0


@pytest.mark.parametrize(
    "tokens", [prompt(20), list(range(20)), tuple(range(20)), range(20), np.arange(20, dtype=np.uint32)]
)
def test_tokens_of_these_types_are_taken(session: quire.Session, tokens: object) -> None:
    session.append_tokens(tokens)
    assert session.token_count == 20


@pytest.mark.parametrize(
    ("hashes", "text"),
    [(b"x" * 33, "33"), ([b"short"], "item 0"), ([b"x" * 33], "item 0"), (["text"], "item 0"), (7, "bytes")],
)
def test_hashes_of_a_wrong_size_are_refused(session: quire.Session, hashes: object, text: str) -> None:
    with pytest.raises(quire.InvalidArgumentError, match=text):
        session.append_unit_hashes(hashes)


@pytest.mark.parametrize("key", [(b"x", 0), ("x", 0, 1), (b"x", -1, 1), (b"x", 0, 2**32), 5])
def test_wrong_keys_are_refused(session: quire.Session, key: object) -> None:
    with pytest.raises(quire.InvalidArgumentError, match="bytes, first token"):
        session.append_tokens(prompt(16), keys=[key])
    assert session.token_count == 0


def test_a_prompt_beyond_max_tokens_is_refused(
    client: quire.Client, layout: quire.Layout, namespace: str
) -> None:
    with client.open_session(layout, namespace=namespace, max_tokens=1024) as session:
        with pytest.raises(quire.InvalidArgumentError):
            session.append_tokens(prompt(2000))


WORDS: dict[str, Callable[[quire.Session], object]] = {
    "span": lambda s: s.begin_fill("page", 32),
    "turn_end": lambda s: s.begin_fill("span", 32, reason="because"),
    "exact": lambda s: s.resumed("there", 0),
    "prefetch": lambda s: s.advise("wait", 32),
}


@pytest.mark.parametrize(("word", "call"), WORDS.items(), ids=WORDS.keys())
def test_an_unknown_word_is_answered_with_those_there_are(
    session: quire.Session, word: str, call: Callable[[quire.Session], object]
) -> None:
    session.append_tokens(prompt(64))
    with pytest.raises(quire.InvalidArgumentError, match=word):
        call(session)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"tenant": 5}, "tenant"),
        ({"namespace": "a\0b"}, "namespace"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"load_class": "fast"}, "interactive"),
        ({"tenant": "x" * 5000}, "tenant"),
    ],
)
def test_a_wrong_option_is_named(
    client: quire.Client, layout: quire.Layout, options: dict, text: str
) -> None:
    with pytest.raises(quire.InvalidArgumentError, match=text):
        client.open_session(layout, **options)


def test_an_option_that_is_none_is_a_type_error(client: quire.Client, layout: quire.Layout) -> None:
    with pytest.raises(TypeError, match="tennant"):
        client.open_session(layout, tennant="x")
    with pytest.raises(quire.InvalidArgumentError, match="Layout"):
        client.open_session(None)


def test_a_token_of_nobody_is_refused(client: quire.Client, layout: quire.Layout) -> None:
    with pytest.raises(quire.NotFoundError):
        client.join_session(bytes(16), layout)
    with pytest.raises(quire.InvalidArgumentError, match="16 bytes"):
        client.join_session(b"short", layout)


def test_hand_over_without_a_cluster_says_so(stored: quire.Session) -> None:
    with pytest.raises(quire.UnavailableError, match="tier that hosts share"):
        stored.hand_over()
    with pytest.raises(quire.UnavailableError, match="tier that hosts share"):
        stored.follow(bytes(64))
    with stored.match() as hit:  # the session is as it was
        assert hit.exact_tokens == 96


def test_an_address_that_is_none_is_refused(stored: quire.Session) -> None:
    for address in (b"", bytes(63), bytes(65)):
        with pytest.raises(quire.InvalidArgumentError, match="64 bytes"):
            stored.follow(address, 32)
    with pytest.raises(TypeError):
        stored.follow("x" * 64, 32)


def test_a_prompt_that_is_not_appended_cannot_be_followed(stored: quire.Session) -> None:
    with pytest.raises(quire.InvalidArgumentError, match="follow"):
        stored.follow(bytes(64), 200)


def calls_of(session: quire.Session, hit: quire.Hit) -> dict[str, Callable[[], object]]:
    return {
        "append_tokens": lambda: session.append_tokens([1]),
        "append_unit_hashes": lambda: session.append_unit_hashes([b"x" * 16]),
        "match": session.match,
        "load": hit.load,
        "load_runs": hit.load_runs,
        "begin_fill": lambda: session.begin_fill("span", 32),
        "supersede": lambda: session.supersede(32),
        "advise": lambda: session.advise("prefetch", 32),
        "noop": session.noop,
        "resumed": lambda: session.resumed("nothing", 0),
        "reset": session.reset,
        "submit_reset": session.submit_reset,
        "wait_for_room": lambda: session.wait_for_room(32, 10),
        "tail_tokens": lambda: session.tail_tokens,
        "offer_tokens": lambda: session.offer_tokens,
        "positions": session.positions,
        "locate": session.locate,
        "progress": session.progress,
        "wait_for_tokens": lambda: session.wait_for_tokens(1, 10),
        "hand_over": session.hand_over,
        "follow": lambda: session.follow(bytes(64), 32),
        "submit_match": session.submit_match,
        "submit_load": lambda: session.submit_load(hit),
        "submit_begin_fill": lambda: session.submit_begin_fill("span", 32),
        "submit_noop": session.submit_noop,
        "poll": session.poll,
        "wait": lambda: session.wait(10),
        "flush": session.flush,
        "fileno": session.fileno,
        "token": lambda: session.token,
        "chain": session.chain,
        "staging": lambda: session.staging,
        "layer_ready_tokens": lambda: session.layer_ready_tokens(0),
        "wanted_checkpoints": lambda: session.wanted_checkpoints(0, 64),
    }


def test_every_call_of_a_closed_session_says_so(stored: quire.Session) -> None:
    hit = stored.match()
    stored.close()
    stored.close()
    for name, call in calls_of(stored, hit).items():
        with pytest.raises(quire.ClosedError, match="closed"):
            raise AssertionError(f"{name} answered {call()}")
    hit.release()


def test_every_call_of_a_closed_client_says_so(
    client: quire.Client, layout: quire.Layout, stored: quire.Session
) -> None:
    client.close()
    client.close()
    calls = (
        client.ping,
        client.status,
        client.progress,
        client.reconnect,
        client.fileno,
        lambda: client.daemon_epoch,
        lambda: client.open_session(layout),
        lambda: client.request_session(layout),
        lambda: client.join_session(bytes(16), layout),
        lambda: client.locate(layout, prompt(32)),
    )
    for call in calls:
        with pytest.raises(quire.ClosedError, match="closed"):
            call()
    with stored.match() as hit:  # a session may outlive its client
        assert hit.exact_tokens == 96


def in_a_child(body: Callable[[], None]) -> None:
    """Runs it in a fork of this process, which must end in good order."""
    pid = os.fork()
    if pid == 0:
        try:
            body()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_forked_child_is_told_and_may_connect(
    stored: quire.Session, client: quire.Client, layout: quire.Layout, daemon: Daemon, namespace: str
) -> None:
    hit = stored.match()
    pages = hit.load()
    fill = stored.begin_fill("checkpoint", 80)

    def body() -> None:
        calls = {**calls_of(stored, hit), "ping": client.ping, "open": lambda: client.open_session(layout)}
        for name, call in calls.items():
            with pytest.raises((quire.ForkedError, quire.ClosedError), match="fork|closed"):
                raise AssertionError(f"{name} answered {call()}")
        with pytest.raises(quire.ForkedError, match="connect a new quire.Client"):
            stored.match()
        for end in (hit.release, fill.abort, stored.close, client.close):
            end()
        with quire.Client(daemon.socket_path) as own, own.open_session(layout, namespace=namespace) as mine:
            mine.append_tokens(prompt(100))
            assert mine.match().exact_tokens == 96

    in_a_child(body)

    # The parent's handles are as they were.
    assert pages[0].verify() and bytes(pages[0])
    hit.release()
    fill.abort()
    client.ping()


def test_a_daemon_that_died_is_told_and_a_new_one_found(
    own_daemon: Daemon, layout: quire.Layout
) -> None:
    client = quire.Client(own_daemon.socket_path)
    epoch = client.daemon_epoch
    session = client.open_session(layout, namespace="m")
    session.append_tokens(prompt(100))
    store(session, 96)
    hit = session.match()
    page = hit.load()[0]
    view = memoryview(page)
    content = bytes(view)

    own_daemon.kill()

    for call in (client.ping, session.match, session.noop, lambda: hit.load(), lambda: session.begin_fill("span", 32)):
        with pytest.raises(quire.UnavailableError, match="Client.reconnect"):
            call()
    with pytest.raises(quire.UnavailableError, match="is quired running"):
        quire.Client(own_daemon.socket_path)
    assert bytes(view) == content  # mapped until the last view goes
    own_daemon.start()
    client.reconnect(10_000)
    assert client.daemon_epoch != epoch
    for call in (session.match, lambda: hit.load()):
        with pytest.raises((quire.StaleHandleError, quire.UnavailableError)):
            call()
    assert bytes(view) == content
    view.release()
    hit.release()
    session.close()
    with client.open_session(layout, namespace="m") as again:
        again.append_tokens(prompt(100))
        assert not again.match()
    client.close()


def test_a_socket_of_nobody_fails_at_once(tmp_path: pathlib.Path) -> None:
    with pytest.raises(quire.UnavailableError, match="nobody.sock"):
        quire.Client(str(tmp_path / "nobody.sock"))


def test_a_file_that_is_no_socket_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(quire.Error):
        quire.Client(str(tmp_path / "file"))


def test_an_observer_that_calls_back_is_told_not_to(
    daemon: Daemon, layout: quire.Layout, client: quire.Client, stored: quire.Session
) -> None:
    said: list[str] = []

    class Meddler:
        def mapped(self, segment: quire.Segment) -> None:
            for call in (client.ping, stored.match, lambda: quire.Client(daemon.socket_path)):
                try:
                    call()
                except quire.BusyError as error:
                    said.append(str(error))

        def unmapping(self, segment: quire.Segment) -> None: ...

    with quire.Client(daemon.socket_path, observer=Meddler()):
        pass
    assert len(said) >= 3 and all("observer" in text for text in said)


def test_an_observer_that_raises_ends_nothing(
    daemon: Daemon, layout: quire.Layout, stored: quire.Session, namespace: str
) -> None:
    code = """
import sys, array, quire
class Broken:
    def mapped(self, segment): 1 / 0
    def unmapping(self, segment): raise KeyError
with quire.Client(sys.argv[1], observer=Broken()) as client:
    with client.open_session(quire.Layout.parse(sys.stdin.read()), namespace=sys.argv[2]) as session:
        session.append_tokens(array.array("I", range(100)))
        with session.match() as hit:
            print(hit.exact_tokens, len(hit.load()))
"""
    toml = quire._layout.layout_toml(layout.groups, unit_tokens=16, block_tokens=32)
    command = [sys.executable, "-c", code, daemon.socket_path, namespace]
    done = subprocess.run(command, input=toml, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["96", "4"] and "ZeroDivisionError" in done.stderr


def test_handles_left_to_the_interpreters_end_are_no_failure(
    daemon: Daemon, layout: quire.Layout, stored: quire.Session, namespace: str
) -> None:
    code = """
import sys, array, quire
client = quire.Client(sys.argv[1])
session = client.open_session(quire.Layout.parse(sys.stdin.read()), namespace=sys.argv[2])
session.append_tokens(array.array("I", range(100)))
hit = session.match()
view = memoryview(hit.load()[0])
fill = session.begin_fill("checkpoint", 80)
cycle = [hit, fill]; cycle.append(cycle)
"""
    toml = quire._layout.layout_toml(layout.groups, unit_tokens=16, block_tokens=32)
    command = [sys.executable, "-c", code, daemon.socket_path, namespace]
    done = subprocess.run(command, input=toml, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_errors_are_the_builtin_ones_too() -> None:
    pairs = {
        quire.InvalidArgumentError: ValueError,
        quire.UnavailableError: ConnectionError,
        quire.DeadlineExceededError: TimeoutError,
        quire.NotFoundError: LookupError,
        quire.PermissionDeniedError: PermissionError,
        quire.IoError: OSError,
        quire.BufferInUseError: BufferError,
    }
    for error, builtin in pairs.items():
        assert issubclass(error, builtin) and issubclass(error, quire.Error)
    assert quire.BusyError("text").code == "busy"


def test_subclasses_of_native_types_are_refused() -> None:
    with pytest.raises(TypeError):
        type("Mine", (quire.Session,), {})
    with pytest.raises(TypeError):
        quire.Session()


def test_other_objects_are_refused_where_handles_are_needed(stored: quire.Session, session: quire.Session) -> None:
    for wrong in (None, 5, stored, array.array("I")):
        with pytest.raises(quire.InvalidArgumentError, match="Hit of this session"):
            stored.submit_load(wrong)
        with pytest.raises(quire.InvalidArgumentError, match="Fill of this session"):
            stored.submit_commit(wrong)
