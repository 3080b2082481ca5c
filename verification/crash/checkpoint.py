"""What a soak has come to, kept in a file: a soak takes hours, and one that was ended goes on where it was."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter, ValidationError

from verification.crash.findings import Findings
from verification.crash.report import WITH_CHANGES
from verification.simulation.campaign import Tally


class KeptError(Exception):
    """What is in the file is not the beginning of the soak that is asked for."""


@dataclass(slots=True, kw_only=True)
class Kept:
    """How far a soak is: of which commit, how much is asked for, which parts are done, and how many seeds were run."""

    commit: str
    asked: dict[str, int]
    parts: dict[str, Findings] = field(default_factory=dict)
    seeds: Tally = field(default_factory=Tally)
    seconds_of_seeds: float = 0.0

    @classmethod
    def of(cls, file: Path | None, *, commit: str, asked: dict[str, int]) -> Self:
        """Go on with what a file holds; begin where there is no file. Raises KeptError where it is of another soak."""
        begun = cls(commit=commit, asked=asked)
        if file is None or not file.exists():
            return begun
        try:
            kept = TypeAdapter(cls).validate_json(file.read_bytes())
        except ValidationError as error:
            raise KeptError(f"{file} does not hold a soak; remove it, or name another file.") from error
        except OSError as error:
            raise KeptError(f"{file} cannot be read ({error.strerror}); name another file.") from error
        if commit.endswith(WITH_CHANGES):
            raise KeptError(
                f"{file} holds a soak of commit {kept.commit}, and the code was changed since its commit. Take the"
                " changes away to go on with it, or remove the file to begin anew."
            )
        if (kept.commit, kept.asked) != (commit, asked):
            sizes = " ".join(f"--{name} {count}" for name, count in kept.asked.items())
            raise KeptError(
                f"{file} holds a soak of commit {kept.commit} with {sizes}; this is {commit}. Ask for the same to go on"
                " with it, or remove the file to begin anew."
            )
        return kept

    def write(self, file: Path | None) -> None:
        """Put it into a file, whole or not at all; nowhere where none is named. Raises KeptError where it cannot."""
        if file is None:
            return
        try:
            new = file.with_name(f"{file.name}.new")
            new.write_bytes(TypeAdapter(type(self)).dump_json(self, indent=1))
            new.replace(file)
        except OSError as error:
            raise KeptError(f"{file} cannot be written ({error.strerror}); name another file.") from error
