"""QuireLinker under SGLang's own UnifiedRadixCache and its linker wrapper, on a CPU.

The tree hashes pages, decides what is offloaded and asks for tails; only the scheduler and the model
are missing: tests insert what a forward pass would have computed.
"""

from __future__ import annotations

import itertools
import time
from array import array
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from quire.daemon import Daemon
from quire.sglang.linker import QuireLinker
from sglang.srt.mem_cache.allocator.paged import PagedTokenToKVPoolAllocator
from sglang.srt.mem_cache.base_prefix_cache import InsertParams, MatchPrefixParams
from sglang.srt.mem_cache.cache_init_params import CacheInitParams
from sglang.srt.mem_cache.hicache_storage import PoolName
from sglang.srt.mem_cache.memory_pool import ReqToTokenPool
from sglang.srt.mem_cache.radix_cache import RadixKey
from sglang.srt.mem_cache.unified_radix_cache import UnifiedRadixCache
from sglang_pools import COMMON, FULL, PAGE, SLOTS, fill_with_bits, mha, page_bits

NOTHING = torch.empty(0, dtype=torch.int64)

_names = itertools.count()


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(arguments=["--ram_bytes=128MiB"]) as running:
        yield running


@pytest.fixture
def model() -> str:
    return f"tree {next(_names)}"


class Tree:
    """A cache-owning worker: pool, allocator, tree and linker."""

    def __init__(self, socket: str, model: str, seed: int) -> None:
        kvcache = mha().kvcache
        self.allocator = PagedTokenToKVPoolAllocator(
            SLOTS, PAGE, torch.bfloat16, "cpu", kvcache, False
        )
        params = CacheInitParams(
            disable=False,
            req_to_token_pool=ReqToTokenPool(size=4, max_context_len=256, **COMMON),
            token_to_kv_pool_allocator=self.allocator,
            page_size=PAGE,
            tree_components=(FULL,),
        )
        self.cache = UnifiedRadixCache(params)
        extra = {"socket": socket, "model": model, "call_timeout_ms": 5000}
        self.linker = QuireLinker(
            None, params, components=set(self.cache.components), extra_config=extra
        )
        self.cache.init_cache_linker(self.linker)
        fill_with_bits(self.linker, seed)

    def insert(self, tokens: list[int], held: torch.Tensor = NOTHING) -> torch.Tensor:
        """As after a forward pass: `held` lies in the device already; ends when all is offloaded."""
        more = self.allocator.alloc(len(tokens) - len(held))
        return self.adopt(tokens, torch.cat([held, more.to(torch.int64)]), len(held))

    def adopt(self, tokens: list[int], slots: torch.Tensor, before: int) -> torch.Tensor:
        self.cache.insert(
            InsertParams(RadixKey(array("q", tokens)), slots, prev_prefix_len=before)
        )
        wrapper = self.cache.linker
        give_up = time.monotonic() + 30
        while wrapper.pending_offloads:
            assert time.monotonic() < give_up
            done = wrapper.num_completed_offloads()
            wrapper.commit_completed_offloads(wrapper.take_completed_offloads(done))
        return slots

    def match(self, tokens: list[int], extra_key: str | None = None) -> SimpleNamespace:
        """What the scheduler learns of a request: tokens in the device, and in Quire behind them."""
        key = RadixKey(array("q", tokens), extra_key=extra_key)
        request = SimpleNamespace(rid=f"r{next(_names)}", kv=None, swa_branching_seqlen=None)
        result = self.cache.linker.match(
            key, request, self.cache.match_prefix(MatchPrefixParams(key))
        )
        request.last_node = result.last_device_node
        request.device, request.external = result.device_prefix_len, result.host_hit_length
        return request

    def load(self, request: SimpleNamespace) -> torch.Tensor:
        """The slots that a matched request's tail was loaded into."""
        count, _ = self.cache.linker.load_back(request)
        if count == 0:
            return NOTHING
        self.cache.linker.start_layer_wise_loading()
        slots = self.cache.linker.private_load_indices[request.rid]
        assert self.cache.linker.finish_loads() == []
        return slots

    def bits(self, slots: torch.Tensor) -> list[bytes]:
        return page_bits(self.linker, PoolName.KV, slots)


def tokens(pages: int, begin: int = 0) -> list[int]:
    return list(range(begin, begin + pages * PAGE))


def test_another_tree_loads_what_two_nodes_hold(daemon, model) -> None:
    first = Tree(daemon.socket_path, model, seed=1)
    trunk = first.insert(tokens(6))
    whole = first.insert(tokens(6) + tokens(3, 5000), trunk)
    other = Tree(daemon.socket_path, model, seed=2)

    request = other.match(tokens(6) + tokens(3, 5000) + [7] * 10)

    assert (request.device, request.external) == (0, 9 * PAGE)
    assert other.bits(other.load(request)) == first.bits(whole)
    first.linker.close()
    other.linker.close()


def test_a_tail_behind_the_device(daemon, model) -> None:
    first = Tree(daemon.socket_path, model, seed=3)
    trunk = first.insert(tokens(6))
    left = first.insert(tokens(6) + tokens(2, 5000), trunk)
    right = first.insert(tokens(6) + tokens(4, 9000), trunk)
    other = Tree(daemon.socket_path, model, seed=4)
    begin = other.match(tokens(6) + tokens(2, 5000))
    other.adopt(tokens(6) + tokens(2, 5000), other.load(begin), 0)

    request = other.match(tokens(6) + tokens(4, 9000) + [7])

    # The trunk is in the device; the branch is Quire's, and was never asked for here.
    assert (request.device, request.external) == (6 * PAGE, 4 * PAGE)
    assert other.bits(other.load(request)) == first.bits(right[6 * PAGE :])
    assert len(left) == 8 * PAGE
    first.linker.close()
    other.linker.close()


def test_what_the_device_evicted_comes_back(daemon, model) -> None:
    from sglang.srt.mem_cache.base_prefix_cache import EvictParams

    tree = Tree(daemon.socket_path, model, seed=5)
    slots = tree.insert(tokens(8))
    before = tree.bits(slots)
    tree.cache.evict(EvictParams(num_tokens=8 * PAGE))

    request = tree.match(tokens(8) + [7])

    assert (request.device, request.external) == (0, 8 * PAGE)
    assert tree.bits(tree.load(request)) == before
    tree.linker.close()


def test_adapters_and_other_prompts_find_nothing(daemon, model) -> None:
    tree = Tree(daemon.socket_path, model, seed=6)
    tree.insert(tokens(4))

    assert tree.match(tokens(4) + [7], extra_key="adapter").external == 0
    assert tree.match(tokens(4, 5000) + [7]).external == 0
    tree.linker.close()


def test_without_a_daemon_the_tree_computes(model) -> None:
    with Daemon(arguments=["--ram_bytes=64MiB"]) as daemon:
        first = Tree(daemon.socket_path, model, seed=7)
        first.insert(tokens(4))
        other = Tree(daemon.socket_path, model, seed=8)
        request = other.match(tokens(4) + [7])
        assert request.external == 4 * PAGE
        daemon.kill()
        free = other.allocator.available_size()

        assert len(other.load(request)) == 0

        assert other.allocator.available_size() == free, "slots of a refused load are given back"
        assert other.match(tokens(4) + [7]).external == 0
        other.insert(tokens(4))
        assert other.match(tokens(4) + [7]).device == 4 * PAGE
        first.linker.close()
        other.linker.close()
