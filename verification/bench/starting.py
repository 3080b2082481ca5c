"""How soon a command answers, compared with a Python that starts and does nothing."""

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Final

from verification.bench.datasets import all_pending
from verification.bench.measuring import Case

SMALL: Final = 100
COMMAND: Final = Path(sys.executable).with_name("cashback")


def _run(*command: str) -> dict[str, float]:
    # As in an installation: compiled modules are kept from one start to the next.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)  # noqa: S603 -- ourselves
    return {"": time.perf_counter() - start}


def start_command(path: Path, *, arguments: tuple[str, ...]) -> dict[str, float]:
    """Run the command to its end."""
    return _run(str(COMMAND), "--database", str(path), *arguments)


def start_python(_path: Path) -> dict[str, float]:
    """Run nothing."""
    return _run(sys.executable, "-c", "pass")


def cases(*, full: bool) -> list[Case]:
    """Start the two commands with the most waiting users."""
    limits = {"--help": 0.25, "pending": 0.5}
    return [
        Case(
            name=f"cashback {argument}",
            rows=SMALL,
            prepare=all_pending,
            program=partial(start_command, arguments=(argument,)),
            baseline=start_python,
            seconds={"": limit},
            reads_only=True,
            rounds=10 if full else 5,
        )
        for argument, limit in limits.items()
    ]
