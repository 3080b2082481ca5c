"""Prometheus' own tool, on series that a real bot produced: which alert rules fire at a moment."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

PROMTOOL = shutil.which("promtool")
ALERTS = Path(__file__).parents[1] / "deploy" / "alerts.yml"
MOMENT = "timestamp_seconds"
HALF_A_DAY = 12 * 60
MOST_MINUTES = 5
"""Prometheus takes a series for gone five minutes after its last sample."""

needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed; Debian has it in the package prometheus"
)

Series = Mapping[str, float]
"""Values by name and labels, as in Prometheus' text format."""


@dataclass(frozen=True)
class Phase:
    """What a process answered, held for so many minutes; no series means that it did not answer."""

    minutes: int
    series: Series


def series_in(text: str) -> dict[str, float]:
    """Read an answer of /metrics."""
    lines = [line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def firing(
    folder: Path, instances: Mapping[str, Sequence[Phase]], *, minutes: Sequence[int], since: float
) -> list[set[str]]:
    """Return the alerts that fire at each of some minutes, in their order: one run of the tool answers for all.

    Over days, Prometheus scrapes and evaluates every five minutes.

    Prometheus' clock begins at 0 in such a test: `since` is the moment, in seconds, at which the first phase began.
    """
    rules = ALERTS.read_text(encoding="utf-8")
    is_long = any(sum(phase.minutes for phase in phases) > HALF_A_DAY for phases in instances.values())
    step = MOST_MINUTES if is_long else 1
    inputs = [
        {"series": _labelled(name, instance), "values": _values(name, phases, since, step)}
        for instance, phases in instances.items()
        for name in sorted({name for phase in phases for name in phase.series})
        # The tool's time goes by series, too: what no rule reads cannot ring.
        if name.partition("{")[0] in rules
    ]
    query = 'max by (alertname) (ALERTS{alertstate="firing"})'
    # The tool compares with what is expected, and prints what it found instead.
    nothing = [{"labels": "nothing", "value": -1}]
    expected = [{"expr": query, "eval_time": f"{minute}m", "exp_samples": nothing} for minute in minutes]
    content = {
        "rule_files": [str(ALERTS)],
        "evaluation_interval": f"{step}m",
        "tests": [{"interval": f"{step}m", "input_series": inputs, "promql_expr_test": expected}],
    }
    file = folder / "alerts-test.yml"
    file.write_text(json.dumps(content))
    assert PROMTOOL is not None
    found = subprocess.run([PROMTOOL, "test", "rules", str(file)], capture_output=True, text=True, check=False)
    answers = (found.stdout + found.stderr).split("got:")[1:]
    assert len(answers) == len(minutes), found.stdout + found.stderr
    return [set(re.findall(r'alertname=\\*"(\w+)', answer.partition("expr:")[0])) for answer in answers]


def rule_names() -> list[str]:
    """Return the names of all rules."""
    return re.findall(r"- alert: (\w+)", ALERTS.read_text(encoding="utf-8"))


def _labelled(name: str, instance: str) -> str:
    """Add the labels that Prometheus adds at a scrape."""
    added = f'instance="{instance}",job="cashback"'
    return f"{name[:-1]},{added}}}" if name.endswith("}") else f"{name}{{{added}}}"


def _values(name: str, phases: Sequence[Phase], since: float, step: int) -> str:
    parts = []
    for phase in phases:
        value, count = phase.series.get(name), phase.minutes // step
        if value is None:
            parts.append(f"_x{count}")
        elif math.isnan(value):
            parts.append(" ".join(["NaN"] * count))
        else:
            shown = value - since if name.endswith(MOMENT) else value
            parts.append(f"{shown:.3f}+0x{count - 1}")
    return " ".join(parts)
