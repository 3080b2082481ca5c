"""`python -m verification.tampering` prints the catalogue's table: what refuses each edit of a file, or finds it."""

import shutil
import sys
import tempfile
from pathlib import Path

import anyio

from cashback.database import Database
from verification.tampering import story, trial
from verification.tampering.catalogue import EDITS, IN_A_FILE, NOT_FOUND, OF_GUARDS


def attempt(folder: Path, template: Path, name: str, edit: str) -> list[trial.Outcome]:
    """Try an edit on a copy with the guards, and on one whose guards are dropped and put back."""
    ways = [trial.with_guards] if name in OF_GUARDS else [trial.with_guards, trial.without_guards]
    outcomes = []
    for way in ways:
        shutil.copyfile(template, folder / "copy.db")
        outcomes.append(anyio.run(way, folder / "copy.db", edit))
        for left in folder.glob("copy.db*"):
            left.unlink()
    return outcomes


async def write_story(template: Path) -> None:
    """Make the ledger that is tampered with."""
    async with Database(template, clock=lambda: story.NOW) as database:
        await story.tell(database)


def table(folder: Path) -> int:
    """Try each edit on a file and print a row for it; return how many were not found without a listed reason."""
    template = folder / "template.db"
    anyio.run(write_story, template)
    edits = {**EDITS, **IN_A_FILE, **OF_GUARDS}
    missed = 0
    sys.stdout.write("| edit | with the guards | guards dropped and put back |\n|---|---|---|\n")
    for name, edit in edits.items():
        outcomes = attempt(folder, template, name, edit)
        missed += trial.Outcome.NOT_FOUND in outcomes and name not in NOT_FOUND
        sys.stdout.write(f"| {name} | {' | '.join(outcomes)} |\n")
    sys.stdout.write(f"\n{len(edits)} edits, {missed} not found\n")
    return missed


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        sys.exit(bool(table(Path(place))))
