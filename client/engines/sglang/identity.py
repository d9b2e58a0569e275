"""Under which names SGLang's pages are stored: two engines share them only when these are equal.

SGLang's page keys cover all tokens before a page, and with them `extra_key` (adapters, images) and
`cache_salt`; so the names are of the model as it runs, and of the rank.
"""

from __future__ import annotations

from typing import Any

from quire.keyed import short_name


def namespace(facts: dict[str, Any], extra: dict[str, Any]) -> str:
    """`MODEL#DIGEST`, or extra_config's "namespace" in place of the first, which is in the digest too.

    Weights are not known to SGLang by a revision: name it in "namespace".
    """
    shown = str(extra.get("namespace") or facts.get("model") or "sglang")
    # A lookup asks without a session, and is told of a namespace without tenants too.
    return short_name(shown, {**facts, "namespace": shown, "tenant": str(extra.get("tenant", ""))})


def rank_facts(
    *, replicated: bool, rank: int, size: int, stage: int = 0, stages: int = 1
) -> dict[str, Any]:
    """Ranks that hold the same bytes share their pages."""
    tensor = [0, 1] if replicated else [rank, size]
    return {"tensor": tensor, "stage": [stage, stages]}
