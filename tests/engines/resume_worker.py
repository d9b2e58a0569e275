"""One process of a test: prefills a prompt with each tiny model, and goes on from there.

Usage: resume_worker.py SOCKET|- OUT.pt [MODEL...]. With "-" there is no Quire: the same forward passes,
computed. What it writes, by model: tokens loaded, logits of the rest of the prompt, greedy tokens.
"""

from __future__ import annotations

import sys
from typing import Any

import quire
import torch
from quire.transformers import CacheFormat, Store
from tiny_models import make_model, make_prompt
from transformers.cache_utils import DynamicCache

PROMPT_TOKENS = 1500
CHUNK_TOKENS = 512
NEW_TOKENS = 24


@torch.no_grad()
def computed(model: Any, prompt: torch.Tensor) -> DynamicCache:
    """What Store.prefill does, without a store."""
    layout = CacheFormat.probe(model).layout
    end = layout.last_resume_point(prompt.shape[1])
    wanted = [tokens for tokens, _ in layout.wanted_checkpoints(0, end)]
    cache = DynamicCache(config=model.config)
    first = 0
    for last in sorted({*range(CHUNK_TOKENS, end, CHUNK_TOKENS), *wanted, end}):
        model(input_ids=prompt[:, first:last], past_key_values=cache, use_cache=True)
        first = last
    return cache


@torch.no_grad()
def go_on(model: Any, prompt: torch.Tensor, cache: DynamicCache, tokens: int) -> dict[str, Any]:
    rest = model(input_ids=prompt[:, tokens:], past_key_values=cache, use_cache=True).logits
    logits = [rest]
    token = rest[:, -1:].argmax(-1)
    output = [token.item()]
    for _ in range(NEW_TOKENS - 1):
        step = model(input_ids=token, past_key_values=cache, use_cache=True).logits
        logits.append(step)
        token = step.argmax(-1)
        output.append(token.item())
    return {"logits": torch.cat(logits, 1), "output": output}


def one(client: quire.Client | None, name: str) -> dict[str, Any]:
    dtype = torch.bfloat16 if name.endswith("_bf16") else torch.float32
    model = make_model(name.removesuffix("_bf16"), dtype)
    prompt = make_prompt(PROMPT_TOKENS)
    if client is None:
        cache, loaded, tiers = computed(model, prompt), 0, {}
        tokens = CacheFormat.probe(model).layout.last_resume_point(PROMPT_TOKENS)
    else:
        store = Store(client, model, namespace=name, chunk_tokens=CHUNK_TOKENS)
        tokens = store.format.layout.last_resume_point(PROMPT_TOKENS)
        with store.session(prompt) as session, session.match() as hit:
            loaded, tiers = hit.exact_tokens, hit.tier_tokens
        cache = store.prefill(prompt)
    return {"loaded": loaded, "tiers": tiers, **go_on(model, prompt, cache, tokens)}


def main() -> None:
    socket, out, *names = sys.argv[1:]
    client = None if socket == "-" else quire.Client(socket, "resume_worker")
    torch.save({name: one(client, name) for name in names}, out)
    if client:
        client.close()


if __name__ == "__main__":
    main()
