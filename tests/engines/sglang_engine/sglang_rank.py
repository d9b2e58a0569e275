"""One of two tensor ranks: sglang_rank.py RANK SOCKET MODEL RENDEZVOUS_FILE.

Rank 0 offloads four pages, rank 1 two. Prints what each lookup and load answered.
"""

from __future__ import annotations

import sys

import torch
from quire.sglang.linker import QuireLinker
from sglang_pools import fill_with_bits, mha, node, question


def main() -> None:
    rank, socket, model, rendezvous = int(sys.argv[1]), *sys.argv[2:5]
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2
    )
    pools, keys = mha(), [f"k{i:060x}" for i in range(4)]
    linker = QuireLinker(
        None,
        pools.params(tp_cache_group=torch.distributed.group.WORLD),
        components=pools.components,
        extra_config={"socket": socket, "model": model, "call_timeout_ms": 5000},
    )
    fill_with_bits(linker, seed=rank)
    assert linker.offload(node(pools, keys[: 4 - 2 * rank], 0))
    linker.reset()
    torch.distributed.barrier()
    lengths = linker.lookup("r", question(pools, keys))
    both = linker.load("a", node(pools, keys[:2], 8))
    one = linker.load("b", node(pools, keys, 16))
    print(lengths, both, one)
    linker.close()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
