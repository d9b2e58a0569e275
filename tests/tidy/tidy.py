#!/usr/bin/env python3
"""The rules of the house, checked over the source tree.

  include law     a folder, and a room of one, includes itself and what stands on its list
                  (ARCHITECTURE.md)
  libraries       each third-party library is included by the few files named here
  length          a function is at most 70 lines, a file at most 600
  names           a source file's name is unique in the tree
  exceptions      nothing is thrown by us
  boundary        positions are rounded to units and blocks by model/boundary alone

Usage: tidy.py [ROOT]. Prints one line a fault, exits 1 when there is any.
"""
import pathlib
import re
import sys

FOLDERS = {
    "model": {"model"},
    "allocator": {"allocator", "model"},
    "cache": {"cache", "allocator", "model"},
    "tiering": {"tiering", "cache", "allocator", "model"},
    "server": {"server", "tiering", "cache", "allocator", "model"},
    "client": {"client", "model"},
    "tests": {"tests", "client", "server", "tiering", "cache", "allocator", "model"},
    "bench": {"bench", "client", "server", "tiering", "cache", "allocator", "model"},
}
# Rooms of a folder: each includes itself and what stands on its list, and nothing of the folder's
# top, which may include them all, but for the leaves.
ROOMS = {
    "model/prices": {"model"},
    "cache/accounts": set(),
    "cache/tree": {"cache/accounts"},
    "cache/objects": {"cache/accounts", "cache/tree"},
    "cache/eviction": {"cache/accounts", "cache/tree", "cache/objects"},
    "cache/ghosts": {"cache/accounts", "cache/tree", "cache/objects", "cache/eviction"},
    "cache/content": {"cache/accounts", "cache/tree", "cache/objects", "cache/eviction"},
    "cache/fill": {"cache/accounts", "cache/tree", "cache/objects", "cache/eviction"},
    "cache/serve": {"cache/accounts", "cache/tree", "cache/objects", "cache/eviction", "cache/fill"},
    "tiering/io": set(),
    "tiering/demotion": set(),
    "tiering/database": {"tiering/io"},
    "tiering/disk": {"tiering/database", "tiering/io"},
    "tiering/rebuild": {"tiering/disk", "tiering/database", "tiering/io"},
    "tiering/space": {"tiering/disk", "tiering/database", "tiering/io"},
    "tiering/transfer": {"tiering/space", "tiering/disk", "tiering/database", "tiering/io"},
    "tiering/restore": {"tiering/space", "tiering/disk", "tiering/database", "tiering/io"},
    "tiering/commit": {"tiering/transfer", "tiering/space", "tiering/disk", "tiering/database",
                       "tiering/io"},
    "tiering/ssd": {"tiering/commit", "tiering/restore", "tiering/transfer", "tiering/space",
                    "tiering/disk", "tiering/database", "tiering/io"},
    "tiering/cluster": {"tiering/transfer", "tiering/space", "tiering/disk", "tiering/database",
                        "tiering/io"},
    "server/start": set(),
    "server/runtime": set(),
    "server/rings": {"server/runtime"},
    "server/sessions": {"server/rings", "server/runtime"},
    "server/metering": {"server/rings", "server/runtime"},
    "server/events": {"server/runtime"},
    "server/control": {"server/metering", "server/status", "server/events", "server/sessions",
                       "server/rings", "server/runtime"},
    "server/http": {"server/status", "server/runtime"},
    "server/status": {"server/metering", "server/events", "server/sessions", "server/rings",
                      "server/runtime"},
}
LEAVES = {"server/start/options.h", "server/start/http_address.h", "server/start/live_config.h", "tiering/tier.h",
          "tiering/chain_search.h", "tiering/shared_notes.h", "tiering/job_table.h"}
# What a room may include of other folders, where that is less than its folder may.
ROOM_FOLDERS = {"tiering/io": {"tiering", "model"}, "tiering/database": {"tiering", "model"}}
# The attackers and their neighbour are programs that the tests and one bench start; benches look
# into a cache as tests do.
BENCHED_TESTS = ("tests/attacks/", "tests/support/inspector.h", "tests/support/manual_clock.h",
                 "tests/support/meddler.h",
                 "tests/support/object_maker.h", "tests/support/ssd_status.h")
# What a bench computes rather than measures is tested as a library is.
TESTED_BENCHES = "tests/bench/"
# The decoder's numerics know nothing of Quire; only its engine includes them.
REFERENCE_USERS = ("model/reference/", "client/engines/reference/", "tests/", "bench/")

# The library that engines link starts no thread of its own.
DAEMON_ONLY = ("model/helper_thread.h", "model/give_way.h")

LIBRARIES = {
    r"spdlog/": {"server/runtime/log.cc"},
    r"gflags/": {"server/start/flags.cc", "server/start/flag_registry.cc"},
    r"openssl/": {"model/chain_hash.cc"},
    r"toml\+\+/": {"model/toml_table.cc"},
    r"rocksdb/": {"tiering/database/rocks_status.h", "tiering/database/rocks_status.cc",
                  "tiering/database/rocks_files.cc", "tiering/database/rocks_store.cc",
                  "tiering/database/database_count.cc", "tiering/database/database_scan.cc"},
    r"liburing": {"tiering/io/uring_engine.cc", "tiering/io/uring_setup.cc", "bench/ssd_bench_raw.cc"},
    r"rados/": {"tiering/cluster/rados_pool.cc"},
    r"zmq\.h": {"server/events/zmq_sockets.cc"},
    r"lz4": {"tiering/io/byte_plane_codec.cc"},
    r"nanobind/": {"client/python/py_errors.h", "client/python/py_answers.cc", "client/python/py_client.cc",
                   "client/python/py_layout.cc", "client/python/py_module.cc",
                   "client/python/py_options.cc", "client/python/py_queries.cc",
                   "client/python/py_session.cc", "client/python/py_submissions.cc"},
    r"isa-l": {"tiering/io/crc_copy.cc", "client/quire_client.cc"},
    r"boost/json": {"model/json/boost_json.cc", "server/status/status_json.cc", "client/quirectl/config_json.cc",
                     "client/quirectl/whole_document.h",
                    "client/quirectl/status_output.cc", "client/quirectl/advice_output.cc",
                    "client/quirectl/answer_output.cc", "client/quirectl/doctor/redaction.cc",
                    "client/quirectl/status/status_facts.cc",
                    "client/quirectl/config_command.cc",
                    "client/quirectl/meter/bill_output.cc",
                    "client/quirectl/trace/trace_file.cc", "client/quirectl/why/why_output.cc",
                    "client/engines/reference/resident_table.cc"},
    r"boost/(asio|beast|system)": {"server/http/http_server.cc"},
    r"CLI/": {"client/quirectl/command_line.cc", "client/quirectl/config_command.cc", "client/quirectl/layout_command.cc",
              "client/quirectl/layout_command.h", "client/quirectl/daemon_command.cc",
              "client/quirectl/meter/meter_command.cc", "client/quirectl/meter/ledger_verbs.cc",
              "client/quirectl/option_types.h", "client/quirectl/trace/trace_command.cc",
              "client/quirectl/verb_words.h", "client/quirectl/status/status_command.cc",
              "client/quirectl/doctor/doctor_command.cc",
              "client/quirectl/manual/command_tree.cc",
              "client/quirectl/manual/manual_command.cc",
              "client/quirectl/why/why_command.cc",
              "client/quirectl/routing/routing_command.cc",
              "client/engines/reference/demo_main.cc"},
}
MAX_FUNCTION = 70
MAX_FILE = 600
# `x / per_block * per_block`, also over line ends and with the width spelled as an expression.
HAND_ROUNDED = re.compile(
    r"/\s*([\w.:>()\s-]*?(?:per_block_?|block_tokens_?|unit_tokens_?|unit_step|\bstep))\s*\*\s*\1\b")
BOUNDARY_HOME = "model/boundary.cc"
# Tests and benches ask what is in a cache through tests/support/inspector.h, but for the unit tests
# of the cache's parts.
INSIDE_OF_CACHE = re.compile(r"\bcache\(\)\.store\(\)|->store\(\)|\bObjectStore\b|\bcache::Node\b|\bStoreCounters\b")
INSIDERS = ("tests/cache/", "tests/support/inspector", "tests/support/meddler",
            "tests/support/memory_tier", "tests/support/object_maker",
            "tests/support/tree_inspector", "tests/tiering/tier_rig", "tests/ssd/mover_rig",
            "tests/cluster/cluster_rig")
INCLUDE = re.compile(r'^\s*#include\s+(["<])([^">]+)[">]')


def sources(root):
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".h", ".cc", ".c"):
                yield path


def strip(text):
    """Comments, strings and characters replaced, line structure kept."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', re.S)
    return pattern.sub(lambda m: "\n" * m.group(0).count("\n") or " ", text)


def room_of(name):
    room = "/".join(name.split("/")[:2])
    return room if room in ROOMS else name.split("/")[0]


def includes_by_law(name, target):
    top, folder = name.split("/")[0], target.split("/")[0]
    room, wanted = room_of(name), room_of(target)
    if folder != top or room not in ROOMS or target in LEAVES:
        return folder in ROOM_FOLDERS.get(room, FOLDERS[top])
    return wanted == room or wanted in ROOMS[room]


def check_includes(name, lines, faults):
    top = name.split("/")[0]
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quote, target = match.groups()
        if quote == '"':
            folder = target.split("/")[0]
            benched = top == "bench" and target.startswith(BENCHED_TESTS)
            benched = benched or (name.startswith(TESTED_BENCHES) and folder == "bench")
            if folder in FOLDERS and not includes_by_law(name, target) and not benched:
                faults.append(
                    f"{name}:{number}: {room_of(name)}/ must not include {room_of(target)}/ ({target})")
            if top == "client" and target in DAEMON_ONLY:
                faults.append(f"{name}:{number}: {target} is the daemon's")
            if "/" not in target:
                faults.append(f"{name}:{number}: include with the path from the root ({target})")
            if target.startswith("model/reference/") and not name.startswith(REFERENCE_USERS):
                faults.append(f"{name}:{number}: only its engine includes {target}")
            if name.startswith("model/reference/") and not target.startswith(
                    ("model/reference/", "model/check.h")):
                faults.append(f"{name}:{number}: the decoder knows nothing of {target}")
        if top in ("tests", "bench"):
            continue
        for library, users in LIBRARIES.items():
            if re.match(library, target) and name not in users:
                faults.append(f"{name}:{number}: {target} is included by {', '.join(sorted(users))} only")


def check_functions(name, text, faults):
    """Counts lines between the braces that open right after a parameter list."""
    depth_at_start = []
    for number, line in enumerate(text.split("\n"), 1):
        for index, char in enumerate(line):
            if char == "{":
                before = "\n".join(text.split("\n")[max(0, number - 6):number - 1]) + "\n" + line[:index]
                is_function = re.search(r"\)\s*(const|noexcept|override|final|->\s*[\w:<>,&*\s]+|\s)*"
                                        r"(:\s*[^;{}]*(\{[^{}]*\}[^;{}]*)*)?$", before.rstrip()) is not None
                depth_at_start.append((number, is_function))
            elif char == "}" and depth_at_start:
                start, is_function = depth_at_start.pop()
                if is_function and number - start + 1 > MAX_FUNCTION:
                    faults.append(f"{name}:{start}: a function of {number - start + 1} lines; at most {MAX_FUNCTION}")


def check_boundaries(name, text, faults):
    # Tests keep a model of their own, so that they can disagree with the code.
    if name == BOUNDARY_HOME or name.startswith(("tests/", "bench/")):
        return
    for match in HAND_ROUNDED.finditer(text):
        number = text.count("\n", 0, match.start()) + 1
        faults.append(f"{name}:{number}: a boundary written by hand; call {BOUNDARY_HOME[:-3]}.h")


def check_inspected(name, text, faults):
    if not name.startswith(("tests/", "bench/")) or name.startswith(INSIDERS):
        return
    for match in INSIDE_OF_CACHE.finditer(text):
        number = text.count("\n", 0, match.start()) + 1
        faults.append(f"{name}:{number}: looks into the cache; ask through tests/support/inspector.h")


def check(root):
    faults = []
    seen = {}
    for path in sources(root):
        name = str(path.relative_to(root))
        raw = path.read_text()
        lines = raw.split("\n")
        check_includes(name, lines, faults)
        text = strip(raw)
        check_functions(name, text, faults)
        check_boundaries(name, text, faults)
        check_inspected(name, text, faults)
        if len(lines) > MAX_FILE:
            faults.append(f"{name}: {len(lines)} lines; at most {MAX_FILE}")
        if path.name in seen:
            faults.append(f"{name}: the same file name as {seen[path.name]}")
        seen[path.name] = name
        for number, line in enumerate(text.split("\n"), 1):
            if re.search(r"\bthrow\b", line) and not name.startswith("tests/"):
                faults.append(f"{name}:{number}: nothing is thrown here; return a Result")
    return faults


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2]
    faults = check(root)
    for fault in faults:
        print(fault)
    print(f"tidy: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
