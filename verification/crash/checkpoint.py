"""A soak's results so far, kept in a file: a soak takes hours, and an interrupted one continues from it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter, ValidationError

from verification.crash.report import WITH_CHANGES
from verification.simulation.campaign import Tally
from verification.testbed.findings import Findings


class KeptError(Exception):
    """The file does not hold the beginning of the requested soak."""


@dataclass(slots=True, kw_only=True)
class Kept:
    """The progress of a soak: its commit, the requested amounts, the completed parts, and how many seeds were run."""

    commit: str
    asked: dict[str, int]
    parts: dict[str, Findings] = field(default_factory=dict)
    seeds: Tally = field(default_factory=Tally)
    seconds_of_seeds: float = 0.0

    @classmethod
    def of(cls, file: Path | None, *, commit: str, asked: dict[str, int]) -> Self:
        """Continue from a file; begin if there is no file. Raises KeptError if it is of another soak."""
        begun = cls(commit=commit, asked=asked)
        if file is None or not file.exists():
            return begun
        try:
            kept = TypeAdapter(cls).validate_json(file.read_bytes())
        except ValidationError as error:
            raise KeptError(f"{file} is not a soak's progress; remove it, or name another file.") from error
        except OSError as error:
            raise KeptError(f"{file} cannot be read ({error.strerror}); name another file.") from error
        if commit.endswith(WITH_CHANGES):
            raise KeptError(
                f"{file} is of commit {kept.commit}, and the code was changed since. Undo the"
                " changes to continue, or remove the file to start again."
            )
        if (kept.commit, kept.asked) != (commit, asked):
            sizes = " ".join(f"--{name} {count}" for name, count in kept.asked.items())
            raise KeptError(
                f"{file} is a soak of commit {kept.commit} with {sizes}; this is {commit}. Run the same command to"
                " continue, or remove the file to start again."
            )
        return kept

    def write(self, file: Path | None) -> None:
        """Write it to a file atomically; do nothing if no file is named. Raises KeptError if that fails."""
        if file is None:
            return
        try:
            new = file.with_name(f"{file.name}.new")
            new.write_bytes(TypeAdapter(type(self)).dump_json(self, indent=1))
            new.replace(file)
        except OSError as error:
            raise KeptError(f"{file} cannot be written ({error.strerror}); name another file.") from error
