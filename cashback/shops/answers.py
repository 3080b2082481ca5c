"""What an admin says about a file where the file leaves it open, and the question that asks for it."""

from dataclasses import dataclass, field
from typing import Final

from cashback.domain.errors import CashbackError

CENTS: Final = "cents"
DOLLARS: Final = "dollars"
ALWAYS: Final = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The options of an import; None or empty if the admin did not say.

    `amounts` is "dollars" or "cents", `decimal` is "point" or "comma", `day_order` is "dmy" or "mdy", `amount` is
    "subtotal" or "total".
    """

    ignored_columns: frozenset[str] = field(default_factory=frozenset)
    currency: str | None = None
    only_status: frozenset[str] = field(default_factory=frozenset)
    amounts: str | None = None
    decimal: str | None = None
    day_order: str | None = None
    amount: str | None = None
    sum_lines: bool = False
    referred_at: str | None = None
    """A day, or "always", for referrals without a date."""
    separate_orders: bool | str = False
    """Whether the orders of a new shop are others than those of `main` with the same id."""


class UnansweredError(CashbackError):
    """The file leaves something open that an admin must decide.

    `question` is for a terminal, `choices` are its answers, and `option` is the option's field of `Answers`.
    """

    def __init__(self, message: str, *, option: str, question: str, choices: tuple[str, ...]) -> None:
        super().__init__(message)
        self.option = option
        self.question = question
        self.choices = choices
