"""Writes the results of the soak into docs/explanation/reliability.md between its marks; the prose is by hand."""

import os
import platform
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from verification.testbed.findings import Findings, all_losses

PAGE: Final = Path(__file__).parents[2] / "docs" / "explanation" / "reliability.md"
BEGIN: Final = "<!-- soak: written by `make soak` -->\n"
END: Final = "<!-- soak: end -->\n"
WITH_CHANGES: Final = " with changes"


def write_page(parts: Sequence[Findings], command: str, page: Path = PAGE) -> None:
    """Replace the text between the marks by these findings."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(before + BEGIN + "\n" + "\n".join(_lines(parts, command)) + "\n\n" + END + after, encoding="utf-8")


def _lines(parts: Sequence[Findings], command: str) -> Iterator[str]:
    seconds = sum(part.seconds for part in parts)
    yield f"`{command}`, {seconds:,.0f} s, commit {commit()}, {_machine()}."
    yield ""
    yield "| what was looked for | found |"
    yield "|---|---|"
    for what, found in verdict(parts):
        yield f"| {what} | **{found:,}** |"
    for part in parts:
        yield ""
        yield f"| {part.part} | {part.seconds:,.0f} s |"
        yield "|---|---|"
        yield from (f"| {what} | {count:,} |" for what, count in part.figures)


def verdict(parts: Sequence[Findings]) -> list[tuple[str, int]]:
    """Summarize the findings of everything that must not happen."""
    losses = all_losses(parts)
    return [
        ("double payments", losses.double_payments),
        ("cents lost", losses.lost_cents),
        ("direct messages lost", losses.lost_messages),
        ("violations of any kind", sum(len(part.violations) for part in parts)),
    ]


def _machine() -> str:
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()},"
        f" SQLite {sqlite3.sqlite_version}"
    )


def commit() -> str:
    """Name the commit of the code, and whether the code was changed since; the page's results do not count as code."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(PAGE.parent), *words]
        return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()  # noqa: S603 -- git

    changed = WITH_CHANGES if git("status", "--porcelain", ":/", f":(exclude,top)docs/{PAGE.name}") else ""
    return f"{git('rev-parse', '--short', 'HEAD') or 'unknown'}{changed}"
