"""Libraries of npm's that only tests need, fetched when they are first asked for."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SECONDS = 90


def fetch(folder: Path, *packages: str) -> Path:
    """Install packages into a folder and return their place; skip the test if they cannot be had here."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"npm is not installed; it fetches {', '.join(packages)}")
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), *packages]
    try:
        fetched = subprocess.run(command, capture_output=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{', '.join(packages)} cannot be fetched within {SECONDS} seconds here")
    if fetched.returncode:
        pytest.skip(f"{', '.join(packages)} cannot be fetched from a registry here")
    return folder / "node_modules"
