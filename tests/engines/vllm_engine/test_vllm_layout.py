"""Which bytes of which block stand in which page, for the shapes of cache that vLLM makes."""

import pytest
import quire
from quire.vllm.layout import UnsupportedModel, derive_geometry, layer_index, spec_kind
from quire.vllm.pages import CachePages
from vllm.v1.kv_cache_interface import (
    KVCacheGroupSpec,
    MLAAttentionSpec,
    RSWASpec,
    UniformTypeKVCacheSpecs,
)

import torch

from fake_vllm import BLOCK, Rank, config, full, state, window


def layout_of(geometry) -> quire.Layout:
    return quire.Layout.parse(geometry.toml())


def test_full_attention_is_one_append_group():
    geometry = derive_geometry(config([(full(), 4)]), 1)
    assert [g.name for g in geometry.groups] == ["append"]
    assert geometry.unit_tokens == BLOCK
    assert geometry.span_bytes() == 4 * full().page_size_bytes
    assert layout_of(geometry).groups[0].page_bytes == geometry.span_bytes()


def test_windows_of_one_size_are_one_group_of_a_rank():
    cache = config([(full(), 2), (window(40), 2), (window(40), 2), (window(100), 1)])
    geometry = derive_geometry(cache, 1)
    assert [g.name for g in geometry.groups] == ["append", "window40", "window100"]
    # 39 tokens before the next one touch at most 3 whole blocks that end at a boundary.
    assert [part.blocks for part in geometry.groups[1].parts] == [3, 3]
    assert geometry.groups[2].parts[0].blocks == 7
    assert layout_of(geometry).checkpoint_groups == 0b110


def test_states_leave_their_padding_out():
    geometry = derive_geometry(config([(full(), 1), (state(), 3)]), 1)
    assert geometry.groups[1].page_bytes == 3 * state().real_page_size_bytes
    assert geometry.groups[1].page_bytes < 3 * state().page_size_bytes
    assert geometry.has_states


def test_ranks_are_shards():
    geometry = derive_geometry(config([(full(), 2), (window(40), 2)]), 4)
    layout = layout_of(geometry)
    assert len(layout.groups) == 8
    assert geometry.mask(1) == 0b1100
    assert [geometry.shard_of(rank) for rank in range(4)] == [0, 1, 2, 3]
    assert layout.groups[3].name == "window40.r1"


def test_ranks_with_equal_bytes_share_a_shard():
    latent = MLAAttentionSpec(
        block_size=BLOCK, num_kv_heads=1, head_size=576, dtype=torch.bfloat16
    )
    geometry = derive_geometry(config([(latent, 2)], kv_tp_replicas=4), 4)
    assert geometry.shard_count == 1
    assert [geometry.shard_of(rank) for rank in range(4)] == [0, 0, 0, 0]
    assert [geometry.writes(rank) for rank in range(4)] == [True, False, False, False]


def test_layers_of_one_group_may_differ_in_size():
    small, large = full(1), full(2)
    cache = config([(large, 2)])
    names = cache.kv_cache_groups[0].layer_names
    cache.kv_cache_groups[0] = KVCacheGroupSpec(
        layer_names=names,
        kv_cache_spec=UniformTypeKVCacheSpecs(
            block_size=BLOCK, kv_cache_specs={names[0]: small, names[1]: large}
        ),
    )
    geometry = derive_geometry(cache, 1)
    assert geometry.span_bytes() == small.page_size_bytes + large.page_size_bytes


def test_unit_is_the_least_common_multiple():
    cache = config([(full(), 1)])
    other = window(40)
    object.__setattr__(other, "block_size", 24)
    cache.kv_cache_groups.append(KVCacheGroupSpec(layer_names=["x.1"], kv_cache_spec=other))
    cache.hash_block_size = 8
    geometry = derive_geometry(cache, 1)
    assert (geometry.unit_tokens, geometry.hashes_per_unit) == (48, 6)


def test_groups_that_are_not_transferred_are_left_out():
    cache = config([(full(), 2), (window(40), 2)])
    cache.kv_cache_groups[1].enable_kv_transfer = False
    assert [g.name for g in derive_geometry(cache, 1).groups] == ["append"]


@pytest.mark.parametrize(
    "cache, ranks, words",
    [
        (config([(state(), 1)]), 1, "no full attention"),
        (config([(full(), 1), (state("none"), 1)]), 1, "--mamba-cache-mode align"),
        (config([(full(), 1), (window(40), 1)]), 33, "more than 64"),
        (config([(full(), 1)], kv_tp_replicas=2), 3, "replicas"),
        (config([(full(), 1)], hash_block_size=12), 1, "do not divide"),
    ],
)
def test_refuses_what_it_cannot_place(cache, ranks, words):
    with pytest.raises(UnsupportedModel, match=words):
        derive_geometry(cache, ranks)


def test_refuses_scattered_blocks():
    cache = config([(full(), 1)])
    cache.kv_cache_layout = "LHBNC"
    with pytest.raises(UnsupportedModel, match="VLLM_KV_CACHE_LAYOUT=LBNHC"):
        derive_geometry(cache, 1)


def test_refuses_kinds_whose_blocks_are_not_tokens():
    spec = RSWASpec(
        block_size=BLOCK, num_kv_heads=1, head_size=8, dtype=torch.bfloat16, rswa_window=64
    )
    with pytest.raises(UnsupportedModel, match="RSWASpec"):
        spec_kind(spec)


def test_layer_numbers():
    assert layer_index("model.layers.12.self_attn.attn", 3) == 12
    assert layer_index("something", 3) == 3


@pytest.mark.parametrize("block_outermost", [False, True])
def test_pages_come_back_as_they_were(block_outermost):
    """Also where ids do not follow each other, and where a block is not there."""
    cache = config([(full(), 3), (window(40), 2), (state(), 2)], block_outermost=block_outermost)
    geometry = derive_geometry(cache, 1)
    writer, reader = Rank(cache, 0), Rank(cache, 0)
    tables = {0: [5], 1: [7, 8, 0], 2: [11]}
    elsewhere = {0: [1], 1: [3, 20, 21], 2: [2]}
    for group, ids in tables.items():
        for place, block in enumerate(ids):
            if block:
                writer.compute(group, block, bytes([group, place]))
    reader.raw.fill_(0x55)
    from_cache = CachePages(geometry, writer.raw, cache.num_blocks)
    to_cache = CachePages(geometry, reader.raw, cache.num_blocks)
    for group in geometry.groups:
        page = torch.full((group.page_bytes,), 0xEE, dtype=torch.uint8)
        for part in group.parts:
            from_cache.get(group, part, page, tables[part.vllm_group])
            pairs = zip(tables[part.vllm_group], elsewhere[part.vllm_group])
            to_cache.put(group, part, page.unsqueeze(0), [b if a else 0 for a, b in pairs])
    assert reader.holds(0, 1, bytes([0, 0]))
    assert reader.holds(1, 3, bytes([1, 0])) and reader.holds(1, 20, bytes([1, 1]))
    for layer in range(7):
        assert (reader.place(f"model.layers.{layer}.attn", 0) == 0x55).all()
    assert (reader.place("model.layers.3.attn", 21) == 0x55).all()
    assert reader.holds(2, 2, bytes([2, 0]))


def test_pages_with_room_between_them():
    """Runs of the daemon's memory lie further apart than they are long."""
    cache = config([(full(), 2)])
    geometry = derive_geometry(cache, 1)
    group, part = geometry.groups[0], geometry.groups[0].parts[0]
    rank = Rank(cache, 0)
    backing = torch.zeros(3, group.page_bytes + 64, dtype=torch.uint8)
    pages = backing[:, : group.page_bytes]
    names = cache.kv_cache_groups[0].layer_names
    for index in range(3):
        pages[index] = torch.cat([rank.content(name, bytes([index])) for name in names])
    CachePages(geometry, rank.raw, cache.num_blocks).put(group, part, pages, [9, 10, 4])
    assert all(rank.holds(0, block, bytes([i])) for i, block in enumerate([9, 10, 4]))
