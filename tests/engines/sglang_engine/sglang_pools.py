"""SGLang's own pools on torch's CPU, filled with random bits, and linkers over them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch

warnings.filterwarnings("ignore", message="Only CUDA")

from sglang.srt.configs.mamba_utils import (  # noqa: E402
    Mamba2CacheParams,
    Mamba2StateDType,
    Mamba2StateShape,
)
from sglang.srt.mem_cache.hicache_storage import (  # noqa: E402
    PoolHitPolicy,
    PoolName,
    PoolTransfer,
)
from sglang.srt.mem_cache.memory_pool import (  # noqa: E402
    HybridLinearKVPool,
    HybridReqToTokenPool,
    MHATokenToKVPool,
    MLATokenToKVPool,
)
from sglang.srt.mem_cache.swa_memory_pool import SWAKVPool  # noqa: E402
from sglang.srt.mem_cache.unified_cache.component_type import ComponentType  # noqa: E402

PAGE = 16
SLOTS = 512
FULL, SWA, MAMBA = ComponentType.FULL, ComponentType.SWA, ComponentType.MAMBA
COMMON: dict[str, Any] = {"device": "cpu", "enable_memory_saver": False}


@dataclass
class Pools:
    kvcache: Any
    components: set
    requests: Any = None

    def params(self, **more: Any) -> SimpleNamespace:
        allocator = SimpleNamespace(get_kvcache=lambda: self.kvcache)
        return SimpleNamespace(
            token_to_kv_pool_allocator=allocator,
            req_to_token_pool=self.requests,
            page_size=PAGE,
            **more,
        )


def mha(dtype: torch.dtype = torch.bfloat16) -> Pools:
    pool = MHATokenToKVPool(
        size=SLOTS, page_size=PAGE, dtype=dtype, head_num=2, head_dim=8, layer_num=3, **COMMON
    )
    return Pools(pool, {FULL})


def mla(dtype: torch.dtype = torch.bfloat16) -> Pools:
    pool = MLATokenToKVPool(
        size=SLOTS,
        page_size=PAGE,
        dtype=dtype,
        kv_lora_rank=16,
        qk_rope_head_dim=8,
        layer_num=3,
        **COMMON,
    )
    return Pools(pool, {FULL})


def swa(dtype: torch.dtype = torch.bfloat16) -> Pools:
    pool = SWAKVPool(SLOTS, SLOTS, PAGE, dtype, 2, 8, [0, 2], [1, 3], "cpu")
    return Pools(pool, {FULL, SWA})


def mamba(dtype: torch.dtype = torch.bfloat16) -> Pools:
    shape = Mamba2StateShape.create(
        tp_world_size=1,
        intermediate_size=32,
        n_groups=1,
        num_heads=4,
        head_dim=8,
        state_size=8,
        conv_kernel=4,
    )
    params = Mamba2CacheParams(
        shape=shape,
        layers=[0, 2],
        dtype=Mamba2StateDType(conv=torch.bfloat16, temporal=torch.float32),
    )
    requests = HybridReqToTokenPool(
        size=4,
        mamba_size=32,
        mamba_spec_state_size=0,
        max_context_len=256,
        cache_params=params,
        mamba_layer_ids=[0, 2],
        enable_mamba_extra_buffer=False,
        **COMMON,
    )
    pool = HybridLinearKVPool(
        size=SLOTS,
        dtype=dtype,
        page_size=PAGE,
        head_num=2,
        head_dim=8,
        full_attention_layer_ids=[1, 3],
        device="cpu",
        mamba_pool=requests.mamba_pool,
    )
    return Pools(pool, {FULL, MAMBA}, requests)


MAKERS = {"mha": mha, "mla": mla, "swa": swa, "mamba": mamba}


def fill_with_bits(linker: Any, seed: int) -> None:
    """Any bits, NaN and subnormal numbers too: a copy must not look at them."""
    random = torch.Generator().manual_seed(seed)
    for entry in linker.pools.values():
        for buffer in entry.kv_buffer:
            raw = torch.randint(
                0, 256, (buffer.numel() * buffer.element_size(),), dtype=torch.uint8, generator=random
            )
            buffer.copy_(raw.view(buffer.dtype).reshape(buffer.shape))


def page_bits(linker: Any, name: PoolName, indices: torch.Tensor) -> list[bytes]:
    """Of each buffer, read without the adapter."""
    entry = linker.pools[name]
    if entry._row_span == 1 and entry.page_size > 1:
        indices = indices[:: entry.page_size] // entry.page_size
    return [
        buffer[indices].contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        for buffer in entry.kv_buffer
    ]


def slots(first_page: int, count: int) -> torch.Tensor:
    return torch.arange(first_page * PAGE, (first_page + count) * PAGE, dtype=torch.int64)


def node(
    pools: Pools, keys: list[str], first_page: int, *, window_pages: int = 0, slot: int = 1
) -> list[PoolTransfer]:
    """What SGLang's components give for a node: all its KV pages, the window's last, one state."""
    transfers = [PoolTransfer(PoolName.KV, device_indices=slots(first_page, len(keys)), keys=keys)]
    if SWA in pools.components:
        kept = min(window_pages, len(keys))
        transfers.append(
            PoolTransfer(
                PoolName.SWA,
                device_indices=slots(first_page + len(keys) - kept, kept),
                keys=keys[-kept:],
                hit_policy=PoolHitPolicy.TRAILING_PAGES,
            )
        )
    if MAMBA in pools.components:
        transfers.append(
            PoolTransfer(
                PoolName.MAMBA,
                device_indices=torch.tensor([slot]),
                keys=[keys[-1]],
                hit_policy=PoolHitPolicy.TRAILING_PAGES,
            )
        )
    return transfers


def question(pools: Pools, keys: list[str], window_pages: int = 2) -> list[PoolTransfer]:
    """What SGLang asks a lookup: the tail's keys, and of windows and states the last ones."""
    asked = [PoolTransfer(PoolName.KV, keys=list(keys))]
    trailing = {SWA: (PoolName.SWA, window_pages), MAMBA: (PoolName.MAMBA, 1)}
    for component, (name, count) in trailing.items():
        if component in pools.components:
            policy = PoolHitPolicy.TRAILING_PAGES
            asked.append(PoolTransfer(name, keys=list(keys[-count:]), hit_policy=policy))
    return asked
