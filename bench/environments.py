"""Environments for what is only compared with, one for each lock, of exactly the packages and hashes it pins."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

ENVIRONMENTS = Path(__file__).resolve().parent.parent / "build"


def interpreter(pins: Path, place: Path) -> Path:
    """The interpreter of the environment at a place, made where it is absent or other packages were pinned.

    Raises CalledProcessError where it cannot be made; pip has said why.
    """
    stamp = place / "pins.sha256"
    python = place / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    digest = hashlib.sha256(pins.read_bytes()).hexdigest()
    if not (stamp.is_file() and stamp.read_text() == digest):
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        install = "-m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r"
        subprocess.run([python, *install.split(), pins], check=True)
        stamp.write_text(digest)
    return python
