"""Torch tensors of pages keep their lease, as every other buffer does."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import quire
import torch
from quire.daemon import Daemon

PAGE_BYTES = 4096
BLOCK = 64


@pytest.fixture(scope="module")
def client() -> Iterator[quire.Client]:
    with Daemon(arguments=["--ram_bytes=128MiB"]) as daemon:
        with quire.Client(daemon.socket_path) as connected:
            yield connected


@pytest.fixture
def session(client: quire.Client) -> Iterator[quire.Session]:
    group = quire.Group("kv", "append", PAGE_BYTES, ((0, 0, PAGE_BYTES),))
    layout = quire.Layout.from_groups([group], unit_tokens=BLOCK, block_tokens=BLOCK)
    opened = client.open_session(layout, namespace="torch")
    opened.append_tokens(torch.arange(BLOCK * 4 + 1, dtype=torch.int64).to(torch.uint32).numpy())
    for end in range(BLOCK, BLOCK * 4 + 1, BLOCK):
        with opened.begin_fill("span", end) as fill:
            if not fill.duplicate:
                torch.frombuffer(fill.pages[0], dtype=torch.float32).fill_(end)
            fill.commit()
    yield opened
    opened.__exit__(KeyboardInterrupt)


VIEWS = {
    "frombuffer": lambda page: torch.frombuffer(page, dtype=torch.float32),
    "a slice": lambda page: torch.frombuffer(page, dtype=torch.float32)[3:5],
    "from_dlpack": lambda page: torch.from_dlpack(page).view(torch.float32),
    "from_numpy": lambda page: torch.from_numpy(np.frombuffer(page, np.float32)),
}


@pytest.mark.parametrize("make", VIEWS.values(), ids=VIEWS.keys())
def test_a_tensor_keeps_its_lease(session: quire.Session, client: quire.Client, make) -> None:
    hit = session.match()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of memory that is not writable
        tensor = make(hit.load()[1])

    with pytest.raises(quire.BufferInUseError):
        hit.release()

    assert torch.equal(tensor, torch.full_like(tensor, 2 * BLOCK))
    assert client.status()["cache"]["leases"] == 1
    del tensor
    gc.collect()
    assert client.status()["cache"]["leases"] == 0


def test_a_run_is_a_tensor_of_pages(session: quire.Session) -> None:
    with session.match() as hit:
        for run in hit.load_runs():
            rows = torch.from_dlpack(run)
            assert rows.shape == (run.page_count, PAGE_BYTES)
            assert rows[:, 0:4].contiguous().view(torch.float32).flatten().tolist() == [
                (run.first_block + i + 1) * BLOCK for i in range(run.page_count)
            ]
            del rows


def test_a_fill_waits_for_tensors_of_its_pages(
    client: quire.Client, session: quire.Session
) -> None:
    with client.open_session(session.layout, namespace="torch fills") as other:
        other.append_tokens(range(BLOCK + 1))
        fill = other.begin_fill("span", BLOCK)
        tensor = torch.frombuffer(fill.pages[0], dtype=torch.float32)
        with pytest.raises(quire.BufferInUseError):
            fill.commit()
        tensor.fill_(1)
        del tensor
        assert fill.commit().visible


def test_tensors_are_no_tokens(session: quire.Session) -> None:
    with pytest.raises(quire.InvalidArgumentError, match="numpy"):
        session.append_tokens(torch.arange(4))
