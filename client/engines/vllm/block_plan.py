"""Which of a request's blocks a load fills, and a save reads: of the block tables, by part."""

from __future__ import annotations

from .layout import Geometry
from .messages import BlockIds

NULL_BLOCK = 0  # vLLM's own: "not there"


def load_blocks(geometry: Geometry, ids: tuple[list[int], ...], start: int, end: int) -> BlockIds:
    """For tokens [start, end), and for the windows and states of a resume at `end`."""
    blocks: BlockIds = {}
    for group in geometry.groups:
        for part in group.parts:
            table = ids[part.vllm_group]
            last = end // part.block_tokens
            if group.kind == "append":
                blocks[part.vllm_group] = table[start // part.block_tokens : last]
            else:
                # What the engine holds itself is left alone: others may be reading it.
                held = start // part.block_tokens
                blocks[part.vllm_group] = [
                    table[i] if held <= i < len(table) else NULL_BLOCK
                    for i in range(last - part.blocks, last)
                ]
    return blocks


def span_blocks(geometry: Geometry, ids: tuple[list[int], ...], end: int) -> BlockIds:
    """Of the unit that ends there."""
    blocks: BlockIds = {}
    for group in geometry.groups:
        if group.kind == "append":
            for part in group.parts:
                last = end // part.block_tokens
                blocks[part.vllm_group] = ids[part.vllm_group][last - part.blocks : last]
    return blocks


def checkpoint_blocks(
    geometry: Geometry, ids: tuple[list[int], ...], end: int, states: BlockIds
) -> BlockIds | None:
    """Of a checkpoint there; `states`: blocks that hold the state at `end`.

    None: the engine does not hold all of it any more.
    """
    blocks: BlockIds = {}
    for group in geometry.groups:
        for part in group.parts:
            if group.kind == "window":
                table = ids[part.vllm_group]
                last = end // part.block_tokens
                places = range(last - part.blocks, last)
                found = [table[i] if 0 <= i < len(table) else NULL_BLOCK for i in places]
                needed = found[part.first_needed(end) - places.start :]
                if NULL_BLOCK in needed:
                    return None
                blocks[part.vllm_group] = found
            elif group.kind == "state":
                if part.vllm_group not in states:
                    return None
                blocks[part.vllm_group] = states[part.vllm_group]
    return blocks
