"""Without SGLang (install.sh says how it comes) nothing here is collected."""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec("sglang") is None:
    print("skipped: tests of SGLang, which is not installed here (sglang_engine/install.sh)")
    collect_ignore_glob = ["test_*.py"]
