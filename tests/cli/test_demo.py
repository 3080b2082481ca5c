"""`cashback demo` shows the whole payout, and docs/reference/commands.md describes every command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import typer.main

from cli import app

ROOT = Path(__file__).parents[2]


def test_demo_needs_nothing_and_shows_the_whole_payout(folder: Path) -> None:
    (folder / "config.json").write_text("not even JSON")
    done = subprocess.run(
        [sys.executable, "-m", "cli", "demo"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CASHBACK_DATABASE": "nowhere/at/all.db"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for fact in (
        "Users Receiving Payment: 15",
        "Total Amount: $127.50",
        "Average Per User: $8.50",
        "- $25.00 (50 referrals)",
        "- $18.50 (37 referrals)",
        "- $15.25 (30 referrals)",
        "...and 5 more",
        "admin presses [Confirm]",
        "Total Distributed: $127.50",
        "💰 Referral Cashback Received!",
        "Amount Credited:",
        "From Referrals:",
        "New Wallet Balance:",
        "Apex Core • Batch ID: BATCH-",
        "…and 12 more: 15 delivered.",
        "batch_approved by @admin",
        "batch_finished by @admin",
        "The books balance",
        "No referral cashback is pending.",
        "referrer-01: /invite",
        "new-friend: /setref ",
        "new-friend: /shop show",
        "attributes[discord_id]=",
        "new-friend pays $40.00 there.",
        "The shop delivers order 1001: counted.",
        "15:00 UTC: nobody presses anything",
        "Amount Credited: $0.20",
        "Try it yourself: `python -m cli demo --serve`",
    ):
        assert fact in done.stdout, fact
    assert sorted(path.name for path in folder.iterdir()) == ["config.json"]


def test_every_command_and_option_is_in_the_docs() -> None:
    text = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    group = typer.main.get_command(app.app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        start = text.find(f"\n## {name}\n")
        assert start >= 0, f"docs/reference/commands.md has no chapter on {name}"
        end = text.find("\n## ", start + 1)
        chapter = text[start : end if end >= 0 else len(text)]
        assert f"cashback {name}" in chapter, f"docs/reference/commands.md shows no example of {name}"
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("--") and option not in {"--config", "--database", "--json", "--help"}:
                    assert option in chapter, f"docs/reference/commands.md does not mention {name} {option}"
