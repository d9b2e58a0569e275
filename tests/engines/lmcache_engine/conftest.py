"""Without LMCache (install.sh says how it comes) nothing here is collected."""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec("lmcache") is None:
    print("skipped: tests of LMCache, which is not installed here (lmcache_engine/install.sh)")
    collect_ignore_glob = ["test_*.py"]
