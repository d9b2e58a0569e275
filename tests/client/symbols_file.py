"""libquire.so exports every symbol that configs/package/libquire1.symbols promises to programs that
were built before, under the same version, and none that is not written down there.

Usage: symbols_file.py LIBRARY SYMBOLS. Judged by Debian's own dpkg-gensymbols, as whoever builds
against the package will be. It also sees that one symbol too many in the file, which is what a
removed function looks like, is noticed. Exit status 1 when anything differs.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

LATER = "9999"


def judged(library, symbols):
    """The symbols that dpkg-gensymbols no longer finds, those that it finds more, and its complaint."""
    # A version that no symbol has: those that are new get it.
    run = subprocess.run(["dpkg-gensymbols", "-plibquire1", f"-v{LATER}", f"-e{library}",
                          f"-I{symbols}", "-O/dev/null", "-c4"],
                         capture_output=True, text=True, check=False)
    lines = run.stdout.splitlines()
    gone = {name for line in lines for name in re.findall(r"^\+#MISSING: \S+ (\S+)@", line)}
    new = {name for line in lines for name in re.findall(rf"^\+ (\S+)@\S+ {LATER}$", line)}
    return gone, new, run.stderr if run.returncode != 0 else ""


def main():
    library, symbols = sys.argv[1:3]
    gone, new, complaint = judged(library, symbols)
    for name in sorted(gone):
        print(f"{name}: programs that call it stop working. Keep it, or raise SOVERSION and rename the package")
    for name in sorted(new):
        print(f"{name}: is new. Write it into {symbols}, with the version that has it first")
    if gone or new or complaint:
        print(complaint)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        more = pathlib.Path(folder) / "symbols"
        more.write_text(pathlib.Path(symbols).read_text(encoding="utf-8") + " quire_removed@QUIRE_1 0.1.0\n",
                        encoding="utf-8")
        if judged(library, more)[0] != {"quire_removed"}:
            print("a symbol that the library lost is not noticed")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
