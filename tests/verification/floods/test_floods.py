"""The flood proof itself: it floods a real bot, and a promise that is broken is named."""

from __future__ import annotations

import pytest

from verification.floods.__main__ import PAYEES, Outcome, watch

pytestmark = pytest.mark.proof

KEPT = Outcome(
    kind="silent connections",
    connections=1_000,
    sent=100,
    answered=99,
    slowest_seconds=0.1,
    log_bytes=1_000,
    growth_kib=100,
    cpu_seconds=1.0,
    paid=PAYEES,
)


def changed(**values: int) -> Outcome:
    """Return the outcome with other numbers."""
    return Outcome(**{**{name: getattr(KEPT, name) for name in Outcome.__dataclass_fields__}, **values})


@pytest.mark.parametrize(
    ("values", "broken"),
    [
        ({}, []),
        ({"answered": 98}, ["requests"]),
        ({"paid": PAYEES - 1}, ["payouts"]),
        ({"log_bytes": 2_000_000}, ["log"]),
        ({"growth_kib": 100_000}, ["memory"]),
    ],
)
def test_broken_promise_is_named(values: dict[str, int], broken: list[str]) -> None:
    assert changed(**values).broken == broken


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_short_flood_beside_a_shop_and_a_batch_breaks_no_promise(
    anyio_backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verification.floods.__main__.PAYEES", 200)
    seen = await watch("slow bodies, invented key", 5, 5)
    assert seen.paid == 200
    assert seen.answered == seen.sent == 25
    assert seen.log_bytes < 1_000_000
