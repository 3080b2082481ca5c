"""Amounts as people write them: read to the cent, or refused."""

from __future__ import annotations

import pytest

from cashback.domain.errors import CashbackError
from cashback.domain.money import LARGEST_DOLLARS_CENTS, dollars, parse_dollars


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        *(("0.00", 0), ("0.01", 1), ("0", 0), ("7", 700), ("7.5", 750), ("19.90", 1990), ("007.10", 710)),
        *(("9999999999.99", 999_999_999_999), ("10000000000.00", 10**12), ("00000000000000000001.00", 100)),
    ],
)
def test_amount_is_parsed_to_the_cent(text: str, cents: int) -> None:
    assert parse_dollars(text) == cents


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", ".50", "1.", "1.234", "1,50", "-1.00", "+1.00", " 1.00", "1 .00", "1. 0", "1.-1", "-.00"),
        *("1e5.00", "0x1.00", "1_0.00", "²2.00", "٣.٠٠", "1.٠٠", "NaN", "$1.00", "10000000000.01", "9" * 21),
    ],
)
def test_invalid_amount_is_refused(text: str) -> None:
    with pytest.raises(CashbackError, match="is not an amount in dollars"):
        parse_dollars(text)


@pytest.mark.parametrize("cents", [0, 1, 99, 100, 123_456, LARGEST_DOLLARS_CENTS])
def test_formatted_amount_is_parsed_back(cents: int) -> None:
    assert parse_dollars(dollars(cents).replace("$", "").replace(",", "")) == cents
