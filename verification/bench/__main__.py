"""`make bench`: prints the program's time, its baseline, the ratio, and the memory of both."""

import argparse
import platform
import tempfile
from dataclasses import replace
from pathlib import Path

from verification.bench import (
    browsing,
    crediting,
    importing,
    intake_load,
    loop,
    pages,
    shop_load,
    starting,
    summing,
    verifying,
    workers,
)
from verification.bench.measuring import Case, Result, measure, run_once
from verification.bench.table import show

SUBJECTS = (crediting, loop, summing, verifying, importing, browsing, pages, intake_load, shop_load, starting, workers)


def _cases(*, full: bool) -> list[Case]:
    return [case for subject in SUBJECTS for case in subject.cases(full=full)]


def _measure_all(cases: list[Case]) -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        return [measure(case, Path(folder)) for case in cases]


def run(*, full: bool, only: str, rounds: int | None) -> None:
    """Measure the cases whose name begins with `only`, and print the table."""
    cases = [case for case in _cases(full=full) if case.name.startswith(only)]
    results = _measure_all([replace(case, rounds=rounds or case.rounds) for case in cases])
    show(results, title=f"Program and baseline, the best of each (Python {platform.python_version()})")
    if any(result.case.name == f"{crediting.CREDIT}, {crediting.ORDERED}" for result in results):
        print(crediting.memory(results))


def main() -> None:
    """Print the table, or run the one requested measurement."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--full", action="store_true", help="also measure the largest sizes; takes most of an hour")
    parser.add_argument("--only", metavar="NAME", default="", help="measure the cases whose name begins so")
    parser.add_argument("--rounds", metavar="N", type=int, help="measure each side so many times")
    parser.add_argument("--once", nargs=3, metavar=("CASE", "WHO", "FILE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        key, who, file = arguments.once
        [case, *_] = [case for full in (True, False) for case in _cases(full=full) if case.key == key]
        run_once(case, who, Path(file))
        return
    run(full=arguments.full, only=arguments.only, rounds=arguments.rounds)


if __name__ == "__main__":
    main()
