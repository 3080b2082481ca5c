"""What the bot imports at its start: what only some configurations need stays out of its memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ONLY_IF_NEEDED = {
    "babel",
    "cashback.dashboard",
    "jinja2",
    "matplotlib",
    "prometheus_client",
    "rich",
    "sqlalchemy.dialects.postgresql",
}


def test_bot_imports_nothing_that_only_some_configurations_need() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, bot; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    imported = set(done.stdout.split())
    assert "cashback.extension.wiring" in imported
    assert imported & ONLY_IF_NEEDED == set()
