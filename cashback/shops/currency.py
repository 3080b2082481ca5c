"""The ledger's currency in a shop's file: its code, and how it stands beside an amount."""

from cashback.domain.errors import CashbackError
from cashback.domain.money import DOLLARS, money_style
from cashback.shops.answers import Answers

DOLLAR_SIGNS = frozenset({"US$", "$US", "USD$"})


def own_code() -> str:
    """Return the code of the ledger's currency."""
    return money_style().currency


def is_own(sign: str, answers: Answers | None = None) -> bool:
    """Return whether a sign beside an amount, or none, is the ledger's currency; any other one is another currency.

    A sign that several currencies share, such as the $ of Canada, is taken only if the admin has named the currency.
    """
    style = money_style()
    signs = {"", *style.names, *(DOLLAR_SIGNS if style.currency == DOLLARS else ())}
    if answers is not None and answers.currency == style.currency:
        signs |= {name[-1] for name in style.names if not name[-1].isalpha()}
    return sign.strip().upper() in {each.upper() for each in signs}


def refuse_other(answers: Answers) -> None:
    """Raise CashbackError if the admin names another currency than the ledger's."""
    if answers.currency is not None and answers.currency != own_code():
        raise CashbackError(
            f"--currency {answers.currency}: cashback is paid in {own_code()}; other money cannot count."
        )
