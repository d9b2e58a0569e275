"""libquire.so exports the functions that client/quire_c.h and what it includes of client/ declare,
and nothing else.

Usage: exported_symbols.py LIBRARY HEADER. Prints what differs; exit status 1 when anything does.
"""
import pathlib
import re
import subprocess
import sys


def declared(header):
    text = pathlib.Path(header).read_text(encoding="utf-8")
    names = set(re.findall(r"^QUIRE_API [^;(]*?\b(quire_\w+)\(", text, re.MULTILINE))
    root = pathlib.Path(header).parent.parent
    for part in re.findall(r'^#include "(client/\w+\.h)"', text, re.MULTILINE):
        names |= declared(root / part)
    return names


def exported(library):
    lines = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True,
                           text=True).stdout.splitlines()
    # "address kind name@@version"; kind A is the version's own name.
    symbols = [line.split() for line in lines]
    return {name.split("@")[0] for _, kind, name in symbols if kind != "A"}


def main():
    library, header = sys.argv[1:3]
    wanted, found = declared(header), exported(library)
    for name in sorted(wanted - found):
        print(f"{name}: declared in {header}, not exported by {library}")
    for name in sorted(found - wanted):
        print(f"{name}: exported by {library}, not declared in {header}")
    if not wanted:
        print(f"no function was found in {header}")
    return 0 if wanted and wanted == found else 1


if __name__ == "__main__":
    sys.exit(main())
