"""A soak that was interrupted continues, with the same result as one that was not."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

import pytest

from verification.crash import __main__ as soak
from verification.crash.checkpoint import Kept, KeptError
from verification.crash.report import WITH_CHANGES
from verification.simulation.campaign import _run_part

COMMIT = "89abcde"
SEED, SEEDS = 3, 5
PARTS = ("kills", "server-kills", "crowds", "queue-kills", "inputs", "night-minutes")
SIZES = dict.fromkeys(PARTS, 0) | {"seeds": SEEDS, "seed": SEED}


def _run(monkeypatch: pytest.MonkeyPatch, file: Path) -> int:
    words = [f"--{name}={count}" for name, count in SIZES.items()]
    monkeypatch.setattr(sys, "argv", ["soak", *words, f"--keep={file}", "--no-page"])
    monkeypatch.setattr(soak, "commit", lambda: COMMIT)
    return soak.main()


def test_interrupted_soak_resumes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "soak.json"
    monkeypatch.setattr(soak, "SEEDS_BETWEEN_KEEPING", 2)

    def end_at_the_third(line: str) -> None:
        if line.startswith(("3", "4")):
            raise KeyboardInterrupt

    begun = Kept.of(file, commit=COMMIT, asked=SIZES)
    with pytest.raises(KeyboardInterrupt):
        soak._run_seeds(Namespace(seed=SEED, seeds=SEEDS, keep=file), begun, end_at_the_third)
    went_on = Kept.of(file, commit=COMMIT, asked=SIZES)
    assert went_on.seeds == _run_part(range(SEED, SEED + 2))

    assert _run(monkeypatch, file) == 0
    assert f"{_run_part(range(SEED, SEED + SEEDS)).commits:,}" in capsys.readouterr().out
    # What is done is not gone on with.
    assert not file.exists()


def test_soak_with_other_parameters_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "soak.json"
    Kept(commit="1234567", asked=SIZES).write(file)
    before = file.read_bytes()
    assert _run(monkeypatch, file) == 2
    said = capsys.readouterr().out
    assert "is a soak of commit 1234567 with --kills 0" in said
    assert said.count("\n") == 1
    assert file.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"[]", b'{"commit": 1}', b"\x00\xff"])
def test_foreign_file_is_refused_and_unchanged(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "soak.json"
    file.write_bytes(content)
    with pytest.raises(KeptError, match="is not a soak's progress"):
        Kept.of(file, commit="1234567", asked={})
    assert file.read_bytes() == content


def test_soak_does_not_resume_after_a_code_change(tmp_path: Path) -> None:
    file = tmp_path / "soak.json"
    changed = COMMIT + WITH_CHANGES
    Kept.of(file, commit=changed, asked=SIZES).write(file)
    with pytest.raises(KeptError, match="the code was changed"):
        Kept.of(file, commit=changed, asked=SIZES)


@pytest.mark.parametrize("name", [".", "missing/soak.json"])
def test_unwritable_progress_file_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert _run(monkeypatch, tmp_path / name) == 2
    said = capsys.readouterr().out
    assert "cannot be" in said
    assert said.count("\n") == 1
