"""Names that fit into a session, whatever an engine calls its models and tenants."""

from __future__ import annotations

import hashlib
import json
from typing import Any

MAX_NAME = 63  # of a namespace, as the daemon has it; longer ones are cut, their digest stays
DIGEST_DIGITS = 32


def short_name(shown: str, facts: dict[str, Any]) -> str:
    """`SHOWN#DIGEST`: the digest is of all facts, the first part is for people."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:DIGEST_DIGITS]
    shown = "".join(c if 32 < ord(c) < 127 else "_" for c in shown)
    return f"{shown[: MAX_NAME - DIGEST_DIGITS - 1]}#{digest}"
