"""The programs that the wheel carries, and their entry points."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn


def program(name: str) -> str:
    """Path of ``quired`` or ``quirectl``: the wheel's, else $QUIRE_BIN's."""
    folder = os.environ.get("QUIRE_BIN") or str(Path(__file__).parent / "bin")
    path = os.path.join(folder, name)
    if not os.access(path, os.X_OK):
        raise FileNotFoundError(f"{path}: no such program; QUIRE_BIN names the folder of a build")
    return path


def _become(name: str) -> NoReturn:
    os.execv(program(name), [name, *sys.argv[1:]])


def quired() -> NoReturn:
    """Becomes the daemon."""
    _become("quired")


def quirectl() -> NoReturn:
    """Becomes the operator's command."""
    _become("quirectl")
