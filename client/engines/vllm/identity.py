"""Under which names pages are stored: two engines share them only when these are equal.

The namespace is of the model as it runs (weights, numbers, placement of bytes); the salt is of the
request. vLLM's block hashes cover tokens, cache_salt, adapter name and multimodal content.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

MAX_NAME = 63  # of a namespace, as the daemon has it; longer ones are cut, their digest stays
SALT_DIGITS = 48  # 192 bits; a salt has at most 63 bytes


def namespace(vllm_config: Any, kv_cache_config: Any, extra: dict[str, Any]) -> str:
    """`MODEL@REVISION#DIGEST`, or kv_connector_extra_config's "namespace" in place of the first."""
    facts = model_facts(vllm_config, kv_cache_config)
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]
    shown = extra.get("namespace") or f"{facts['model']}@{facts['revision'] or 'default'}"
    shown = "".join(c if 32 < ord(c) < 127 else "_" for c in str(shown))
    return f"{shown[: MAX_NAME - 33]}#{digest}"


def model_facts(vllm_config: Any, kv_cache_config: Any) -> dict[str, Any]:
    """All that the bytes of a page depend on besides the request."""
    model = vllm_config.model_config
    cache = vllm_config.cache_config
    parallel = vllm_config.parallel_config
    load = getattr(vllm_config, "load_config", None)
    dummy = str(getattr(load, "load_format", "")) == "dummy"
    return {
        "model": str(model.model),
        "revision": str(getattr(model, "revision", None) or ""),
        "config": _digest_of_config(getattr(model, "hf_config", None)),
        "dtype": str(model.dtype),
        "quantization": str(getattr(model, "quantization", None) or ""),
        "kv_dtype": str(cache.cache_dtype),
        "block": int(cache.block_size),
        "layout": str(getattr(kv_cache_config, "kv_cache_layout", None) or ""),
        "device": str(getattr(getattr(vllm_config, "device_config", None), "device_type", "")),
        "tensor_parallel": int(parallel.tensor_parallel_size),
        "replicas": int(getattr(kv_cache_config, "kv_tp_replicas", 1) or 1),
        "hash": _hash_facts(cache),
        "speculative": _speculative_facts(getattr(vllm_config, "speculative_config", None)),
        # Random weights are the seed's.
        "seed": int(getattr(model, "seed", 0) or 0) if dummy else None,
    }


def _digest_of_config(config: Any) -> str:
    """A folder may hold other weights under the same path; other shapes are noticed at least."""
    if config is None or not hasattr(config, "to_json_string"):
        return ""
    return hashlib.sha256(config.to_json_string().encode()).hexdigest()


def _hash_facts(cache: Any) -> str:
    algorithm = str(getattr(cache, "prefix_caching_hash_algo", "sha256"))
    seed = os.environ.get("PYTHONHASHSEED", "")
    if algorithm.startswith("xxhash") and not seed:
        # vLLM draws a seed for each process then: nobody else's hashes are equal.
        return f"{algorithm}:process"
    return f"{algorithm}:{seed}"


def _speculative_facts(speculative: Any) -> str:
    if speculative is None:
        return ""
    draft = getattr(speculative, "draft_model_config", None)
    return f"{getattr(speculative, 'method', '')}:{getattr(draft, 'model', '')}"


def hashes_are_reproducible(vllm_config: Any) -> bool:
    """False: another process can never hit; PYTHONHASHSEED or sha256 would do."""
    return not _hash_facts(vllm_config.cache_config).endswith(":process")


def request_salt(request: Any) -> str:
    """Of the adapter's path and the cache_salt, hashed: neither has a length limit in vLLM.

    Both are in vLLM's hashes already (the adapter by its name alone).
    """
    parts = []
    lora = getattr(request, "lora_request", None)
    if lora is not None:
        parts.append(f"lora:{lora.lora_name}:{getattr(lora, 'lora_path', '')}")
    salt = getattr(request, "cache_salt", None)
    if salt:
        parts.append(f"salt:{salt}")
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return digest[:SALT_DIGITS] if parts else ""


def turn_number(request_id: str) -> int:
    """The engine's request id as the daemon's number; never 0."""
    return int.from_bytes(hashlib.sha256(request_id.encode()).digest()[:8], "little") | 1
