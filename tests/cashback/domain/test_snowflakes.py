"""Discord ids carry the moment of their creation."""

from datetime import UTC, datetime, timedelta

import pytest

from cashback.domain.snowflakes import fault_of, id_at, implausible

NOW = datetime(2026, 7, 3, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize("number", [1, 42, 5_000_000_001, 6_123_456_789_012, 10**16])
def test_small_numbers_are_no_accounts(number: int) -> None:
    assert fault_of(number, NOW) == "is too small for the id of a Discord account"
    assert implausible({number, 10**17}, NOW) == {number}


@pytest.mark.parametrize("number", [2 * 10**16, 53_905_483_156_684_800, 175_928_847_299_117_063, 10**18])
def test_ids_of_every_age_are_accepted(number: int) -> None:
    assert fault_of(number, NOW) is None
    assert implausible({number}, NOW) == set()


def test_id_of_the_future_is_refused_from_a_day_ahead() -> None:
    assert fault_of(id_at(NOW + timedelta(hours=23)), NOW) is None
    assert "in the future" in str(fault_of(id_at(NOW + timedelta(hours=25)), NOW))
    assert "in the future" in str(fault_of(2**63 - 1, NOW))
