"""Layouts: from groups and TOML, and what follows from them."""

from __future__ import annotations

import pathlib

import pytest
import quire
from conftest import prompt

MODELS = pathlib.Path(__file__).parents[2] / "configs" / "models"


def test_groups_come_back_as_they_were_given() -> None:
    groups = (
        quire.Group("kv", "append", 8192, ((0, 0, 4096), (1, 4096, 4096)), shard=1, shard_count=2),
        quire.Group("w", "window", 512, ((0, 0, 512),), window_tokens=128, replay_tokens=256, replay_exact=True),
        quire.Group("s", "state", 64, ((2, 0, 64),), checkpoints="every", checkpoint_every_tokens=1024),
    )
    layout = quire.Layout.from_groups(groups, unit_tokens=64, block_tokens=256, name='a "name"')
    assert layout.groups == groups
    assert (layout.unit_tokens, layout.block_tokens) == (64, 256)
    assert (layout.append_groups, layout.checkpoint_groups) == (0b001, 0b110)


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.toml")), ids=lambda path: path.stem)
def test_the_layouts_of_models_are_read(path: pathlib.Path) -> None:
    layout = quire.Layout.load(str(path))
    assert quire.Layout.parse(path.read_text()).groups == layout.groups


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"page_bytes": 0}, "kv"),
        ({"kind": "appendix"}, "kind"),
        ({"name": "a\nb"}, "name"),
        ({"layers": ((0, 0, 9999),)}, "kv"),
        ({"shard": 3}, "shard"),
    ],
)
def test_a_wrong_group_is_named(change: dict, text: str) -> None:
    fields = {"name": "kv", "kind": "append", "page_bytes": 4096, "layers": ((0, 0, 4096),)}
    with pytest.raises((quire.InvalidLayoutError, quire.InvalidArgumentError), match=text):
        quire.Layout.from_groups([quire.Group(**{**fields, **change})], unit_tokens=16, block_tokens=16)


def test_groups_are_groups() -> None:
    with pytest.raises(quire.InvalidArgumentError, match="quire.Group, not dict"):
        quire.Layout.from_groups([{"name": "kv"}], unit_tokens=16, block_tokens=16)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(quire.Error, match="nowhere.toml"):
        quire.Layout.load("/nowhere.toml")


def test_boundaries(layout: quire.Layout) -> None:
    assert layout.unit_floor(47) == 32
    assert layout.block_floor(63) == 32
    assert layout.last_resume_point(96) == 80
    assert layout.has_tail(80) and not layout.has_tail(64)


def test_plans_say_where_pages_are_staged(layout: quire.Layout) -> None:
    span = layout.plan_pages("span", 64)
    assert [(page.group, page.tail, page.nbytes) for page in span] == [(0, False, 4096)]
    checkpoint = layout.plan_pages("checkpoint", 80)
    assert [(page.group, page.tail) for page in checkpoint] == [(1, False), (0, True)]
    assert layout.staging_bytes("checkpoint", 80) >= 4096 + 1024
    with pytest.raises(quire.InvalidArgumentError, match="there are span, checkpoint"):
        layout.plan_pages("spam", 64)


def test_wanted_checkpoints_by_a_policy(layout: quire.Layout) -> None:
    assert layout.wanted_checkpoints(0, 64, policy="all", tail_tokens=None)[0] == (16, "interval")
    assert layout.wanted_checkpoints(0, 64, policy="none") == []
    with pytest.raises(quire.InvalidArgumentError, match="every"):
        layout.wanted_checkpoints(0, 64, every_tokens=5)


def test_chain_hashes_are_of_whole_units(layout: quire.Layout) -> None:
    root = bytes(32)
    both = layout.chain_hashes(root, prompt(40))
    assert len(both) == 64
    rest = prompt(40)[16:]
    assert layout.chain_hashes(both[:32], rest, first_token=16) == both[32:]
    with pytest.raises(quire.InvalidArgumentError, match="32 bytes"):
        layout.chain_hashes(b"short", prompt(16))
    with pytest.raises(quire.InvalidArgumentError, match="unit begins"):
        layout.chain_hashes(root, prompt(16), first_token=3)
