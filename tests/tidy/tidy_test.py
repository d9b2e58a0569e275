#!/usr/bin/env python3
"""Breaks each rule once and expects tidy to see it."""
import pathlib
import sys
import tempfile

import tidy

LONG_BODY = "\n".join("  step();" for _ in range(71))
CASES = {
    "include law": ("cache/a.h", '#include "server/core.h"\n', "must not include server/"),
    "law of rooms": ("cache/tree/l.h", '#include "cache/serve/m.h"\n', "must not include cache/serve/"),
    "a room and its folder": ("server/rings/m.h", '#include "server/core.h"\n', "must not include server/"),
    "a room that knows less": ("tiering/io/n.h", '#include "cache/cache.h"\n', "must not include cache/"),
    "client stays outside": ("client/b.cc", '#include "allocator/pool.h"\n', "must not include allocator/"),
    "client starts no thread": ("client/n.cc", '#include "model/helper_thread.h"\n', "is the daemon's"),
    "library": ("cache/c.cc", "#include <spdlog/spdlog.h>\n", "is included by"),
    "long function": ("cache/d.cc", f"int f(int a) {{\n{LONG_BODY}\n}}\n", "a function of"),
    "long file": ("cache/e.cc", "\n" * 601, "lines; at most 600"),
    "exception": ("cache/f.cc", "void g() { throw 1; }\n", "nothing is thrown"),
    "path from the root": ("cache/g.cc", '#include "a.h"\n', "path from the root"),
    "boundary": ("cache/i.cc", "auto b = units / per_block * per_block;\n", "a boundary written by hand"),
    "boundary over lines": ("server/j.cc", "auto b = units / root(id).layout->units_per_block *\n"
                            "    root(id).layout->units_per_block;\n", "a boundary written by hand"),
    "boundary of a member": ("tiering/k.cc", "bool b = object.units / step * step == parent;\n",
                             "a boundary written by hand"),
    "inside of the cache": ("tests/ssd/o.cc", "auto n = d.cache().store().counters().spans;\n",
                            "looks into the cache"),
    "inside from a bench": ("bench/p.cc", "const cache::ObjectStore& s = f();\n", "looks into the cache"),
    "numerics alone": ("model/reference/h.cc", '#include "model/layout.h"\n', "knows nothing of"),
}


def main():
    failed = []
    for rule, (name, text, expected) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True)
            path.write_text(text)
            if not any(expected in fault for fault in tidy.check(pathlib.Path(folder))):
                failed.append(rule)
    with tempfile.TemporaryDirectory() as folder:
        for place in ("cache", "server"):
            path = pathlib.Path(folder) / place / "same.h"
            path.parent.mkdir(parents=True)
            path.write_text("int x();  // throw in a comment is no fault\n"
                            "int y(int n, int unit_tokens) { return n / unit_tokens * page_bytes; }\n")
        faults = tidy.check(pathlib.Path(folder))
        if len(faults) != 1 or "the same file name" not in faults[0]:
            failed.append("unique names, and nothing else")
    print("failed: " + ", ".join(failed) if failed else "tidy finds every kind of fault")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
