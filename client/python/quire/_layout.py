"""A layout from Python: groups as objects, and the TOML text that libquire reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ._errors import InvalidArgumentError


@dataclass(frozen=True)
class Group:
    """One kind of pages of a layout; the rules are those of configs/models.

    layers: (layer, offset in the page, bytes) each, ordered by offset, not overlapping.
    page_bytes: of a block (append) or of a checkpoint (window, state).
    checkpoints: when a checkpoint with this group is wanted; "every" goes with
        checkpoint_every_tokens, a multiple of the layout's unit.
    replay_tokens: tokens that rebuild a missing window or state; 0: it cannot be rebuilt.
    """

    name: str
    kind: Literal["append", "window", "state"]
    page_bytes: int
    layers: tuple[tuple[int, int, int], ...] = ()
    window_tokens: int = 0
    shard: int = 0
    shard_count: int = 1
    checkpoints: Literal["turn_ends", "all", "every", "none"] = "turn_ends"
    checkpoint_every_tokens: int = 0
    replay_tokens: int = 0
    replay_exact: bool = False


def _quoted(text: str) -> str:
    # What TOML's basic strings cannot hold as it is; libquire refuses other names by itself.
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _group_lines(group: Group) -> list[str]:
    lines = ["[[groups]]", f"name = {_quoted(group.name)}", f"kind = {_quoted(group.kind)}"]
    lines.append(f"page_bytes = {int(group.page_bytes)}")
    if group.kind != "append":
        lines.append(f"checkpoints = {_quoted(group.checkpoints)}")
    for field in ("window_tokens", "shard", "checkpoint_every_tokens", "replay_tokens"):
        if value := getattr(group, field):
            lines.append(f"{field} = {int(value)}")
    if group.shard_count != 1:
        lines.append(f"shard_count = {int(group.shard_count)}")
    if group.replay_exact:
        lines.append("replay_exact = true")
    ranges = ", ".join(
        f"{{first = {int(layer)}, count = 1, offset = {int(offset)}, bytes = {int(size)}}}"
        for layer, offset, size in group.layers
    )
    lines.append(f"layers = [{ranges}]")
    return lines


def layout_toml(
    groups: Iterable[Group], *, unit_tokens: int, block_tokens: int, name: str = "python"
) -> str:
    """The layout's text, as ``Layout.parse`` takes it."""
    lines = [
        f"name = {_quoted(name)}",
        f"unit_tokens = {int(unit_tokens)}",
        f"block_tokens = {int(block_tokens)}",
    ]
    for group in groups:
        if not isinstance(group, Group):
            raise InvalidArgumentError(f"groups: each is a quire.Group, not {type(group).__name__}")
        lines += ["", *_group_lines(group)]
    return "\n".join(lines) + "\n"
