"""Asks questions on the terminal. An answer that was given as an option is checked the same way, and not asked for."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import typer

from cashback.domain.errors import CashbackError
from cli.output import say

T = TypeVar("T")


class Choice(Protocol):
    """Something on Discord with a name."""

    @property
    def id(self) -> int:
        """Its Discord id."""

    @property
    def name(self) -> str:
        """Its name."""


C = TypeVar("C", bound=Choice)


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """Asks, or takes the suggestion of every question if `takes_suggestions`."""

    takes_suggestions: bool

    def value(self, question: str, suggestion: str, read: Callable[[str], T], *, option: str, given: str | None) -> T:
        """Ask for a value until `read` accepts it. Raises CashbackError for a wrong value that was given."""
        if given is not None or self.takes_suggestions:
            return read(suggestion if given is None else given)
        while True:
            typed = self._prompt(question, suggestion, option)
            try:
                return read(typed)
            except CashbackError as error:
                say(f"  {error}")

    def choice(
        self,
        question: str,
        choices: Sequence[C],
        suggested: C | None,
        *,
        new: str | None,
        option: str,
        given: str | None,
    ) -> C | None:
        """Ask for one of the choices, by number, name or id; None means that the new one named `new` is wanted."""

        def read(text: str) -> C | None:
            wanted = text.strip().lstrip("@#")
            if new is not None and wanted.casefold() in {last if given is None else "new", new.casefold()}:
                return None
            numbered = {str(place): each for place, each in enumerate(choices, start=1)} if given is None else {}
            found = [each for each in choices if wanted.casefold() == each.name.casefold() or wanted == str(each.id)]
            if wanted in numbered:
                return numbered[wanted]
            if len(found) != 1:
                wrong = "is not one of them" if not found else f"is the name of {len(found)} of them; give its id"
                names = ", ".join(each.name for each in choices) or "none"
                raise CashbackError(f"{wanted!r} {wrong} ({option}: {names}).")
            return found[0]

        last = str(len(choices) + 1)
        if given is None and not self.takes_suggestions:
            say("", f"{question}", *(f"  {place}  {each.name}" for place, each in enumerate(choices, start=1)))
            say(*[f"  {last}  create {new}"] if new is not None else [])
        place = str(choices.index(suggested) + 1) if suggested is not None else last
        if given is None and self.takes_suggestions:
            return suggested
        return self.value("Number or name", place, read, option=option, given=given)

    def confirmed(self, question: str, *, suggestion: bool, option: str, given: bool | None) -> bool:
        """Ask a question that is answered by yes or no."""

        def read(text: str) -> bool:
            if text.strip().lower() not in {"y", "yes", "n", "no"}:
                raise CashbackError("Answer y or n.")
            return text.strip().lower() in {"y", "yes"}

        if given is not None:
            return given
        return self.value(question, "y" if suggestion else "n", read, option=option, given=None)

    def secret(self, question: str, *, option: str) -> str:
        """Ask for a secret, which the terminal does not show."""
        if self.takes_suggestions or not sys.stdin.isatty():
            raise CashbackError(f"{question} is missing; give {option}.")
        return self._prompt(question, None, option)

    def _prompt(self, question: str, suggestion: str | None, option: str) -> str:
        try:
            answer = typer.prompt(question, default=suggestion, hide_input=suggestion is None)
        except (typer.Abort, EOFError) as error:
            if sys.stdin.isatty():
                raise KeyboardInterrupt from error
            say("")
            raise CashbackError(
                f"Nobody answered {question!r}; give {option}, or --yes to accept every suggestion."
            ) from error
        return str(answer)
