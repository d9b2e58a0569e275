"""Copies between vLLM's KV cache and Quire's pages.

    cache:  block b of layer l at offset(l) + b * block_stride
    page:   for each part, for each layer: `blocks` blocks of `page_bytes` (layout.py)

Layers of one size that lie equally far apart are copied by one strided copy a block, or a run of
blocks with adjacent ids.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .layout import Geometry, LayerPlace, PageGroup, Part


@dataclass(frozen=True)
class _Stack:
    """Layers of one copy: cache[l, b] is the page of layer l in block b."""

    cache: torch.Tensor  # uint8 [layers, blocks, page_bytes]
    offset: int  # of the stack in a page
    blocks: int

    @property
    def layers(self) -> int:
        return self.cache.shape[0]

    @property
    def page_bytes(self) -> int:
        return self.cache.shape[2]

    def in_pages(self, pages: torch.Tensor) -> torch.Tensor:
        """[pages, layers, blocks, page_bytes] of uint8 [pages, bytes]."""
        size = self.page_bytes
        return pages.as_strided(
            (pages.shape[0], self.layers, self.blocks, size),
            (pages.stride(0), self.blocks * size, size, 1),
            pages.storage_offset() + self.offset,
        )


class CachePages:
    """The KV cache of one rank, by page groups."""

    def __init__(self, geometry: Geometry, raw: torch.Tensor, num_blocks: int):
        """`raw`: the whole allocation as uint8."""
        self.geometry = geometry
        self.num_blocks = num_blocks
        self._stacks: dict[tuple[str, int], list[_Stack]] = {}
        for group in geometry.groups:
            offset = 0
            for part in group.parts:
                self._stacks[group.name, part.vllm_group] = _stacks(part, raw, num_blocks, offset)
                offset += part.bytes

    def put(self, group: PageGroup, part: Part, pages: torch.Tensor, ids: list[int]) -> None:
        """Pages of uint8 [n, page_bytes] into blocks: n * part.blocks ids, 0 = left out."""
        for stack in self._stacks[group.name, part.vllm_group]:
            source = stack.in_pages(pages)
            for page, first, block, count in _runs(ids, stack.blocks):
                target = stack.cache[:, block : block + count]
                if stack.blocks == 1:
                    target.copy_(source[page : page + count, :, 0].transpose(0, 1))
                else:
                    target.copy_(source[page, :, first : first + count])

    def get(self, group: PageGroup, part: Part, page: torch.Tensor, ids: list[int]) -> None:
        """Blocks into one page, uint8 [page_bytes]; where an id is 0 the page becomes zeros."""
        for stack in self._stacks[group.name, part.vllm_group]:
            target = stack.in_pages(page.unsqueeze(0))[0]
            for index, block in enumerate(ids):
                if block == 0:
                    target[:, index].zero_()
            for _, first, block, count in _runs(ids, stack.blocks):
                target[:, first : first + count].copy_(stack.cache[:, block : block + count])


def _runs(ids: list[int], blocks: int):
    """(page, place in it, block, count): ids that follow each other; null blocks left out.

    Of pages of one block a run goes over several pages, of others it ends with its page.
    """
    at, end = 0, len(ids)
    while at < end:
        if ids[at] == 0:
            at += 1
            continue
        stop = end if blocks == 1 else (at // blocks + 1) * blocks
        count = 1
        while at + count < stop and ids[at + count] == ids[at] + count:
            count += 1
        yield at // blocks, at % blocks, ids[at], count
        at += count


def _stacks(part: Part, raw: torch.Tensor, num_blocks: int, offset: int) -> list[_Stack]:
    stacks = []
    for layers in _even_layers(part.layers):
        first = layers[0]
        gap = layers[1].offset - first.offset if len(layers) > 1 else 1
        cache = raw.as_strided(
            (len(layers), num_blocks, first.page_bytes),
            (gap, first.block_stride, 1),
            raw.storage_offset() + first.offset,
        )
        stacks.append(_Stack(cache, offset, part.blocks))
        offset += len(layers) * part.blocks * first.page_bytes
    return stacks


def _even_layers(layers: tuple[LayerPlace, ...]) -> list[list[LayerPlace]]:
    """Neighbours of equal sizes and equal distances; `layers` are sorted by size and place."""
    runs: list[list[LayerPlace]] = []
    for layer in layers:
        run = runs[-1] if runs else None
        if (
            run is not None
            and run[-1].page_bytes == layer.page_bytes
            and run[-1].block_stride == layer.block_stride
            and (len(run) < 2 or layer.offset - run[-1].offset == run[1].offset - run[0].offset)
        ):
            run.append(layer)
        else:
            runs.append([layer])
    return runs


def raw_cache(kv_caches: dict[str, object]) -> torch.Tensor:
    """All bytes of the allocation that the layers' views lie in, as uint8."""
    tensors = [_first_tensor(view) for view in kv_caches.values()]
    storages = {tensor.untyped_storage().data_ptr() for tensor in tensors}
    if len(storages) != 1:
        raise ValueError(f"the layers' caches lie in {len(storages)} allocations")
    storage = tensors[0].untyped_storage()
    return torch.empty(0, dtype=torch.uint8, device=tensors[0].device).set_(storage)


def _first_tensor(view: object) -> torch.Tensor:
    return view if isinstance(view, torch.Tensor) else view[0]


def misplaced_layer(
    geometry: Geometry, kv_caches: dict[str, object], raw: torch.Tensor
) -> str | None:
    """The first layer whose view does not begin where the geometry says; None: all do."""
    for group in geometry.groups:
        for part in group.parts:
            for layer in part.layers:
                view = kv_caches.get(layer.name)
                if view is None:
                    continue
                if _first_tensor(view).data_ptr() - raw.data_ptr() != layer.offset:
                    return layer.name
    return None
