"""Quire as vLLM's KV cache outside the engine (docs/vllm.md).

    vllm serve MODEL --kv-transfer-config \\
      '{"kv_connector":"QuireConnector","kv_role":"kv_both","kv_load_failure_policy":"recompute"}'
"""

from __future__ import annotations

from typing import Any


def register() -> None:
    """Entry point `vllm.general_plugins`: makes the name known to vLLM, and loads nothing."""
    from vllm.distributed.kv_transfer.kv_connector.factory import KVConnectorFactory

    if "QuireConnector" not in KVConnectorFactory._registry:
        KVConnectorFactory.register_connector(
            "QuireConnector", "quire.vllm.connector", "QuireConnector"
        )


def __getattr__(name: str) -> Any:
    if name == "QuireConnector":
        from .connector import QuireConnector

        return QuireConnector
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
