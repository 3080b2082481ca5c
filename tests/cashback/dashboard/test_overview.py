"""The overview answers whether anything waits for an admin, and with one button what is to be paid."""

from __future__ import annotations

import re

import pytest

from cashback.dashboard.bar_chart import HEIGHT, chart
from cashback.dashboard.setting_names import NAMES
from cashback.domain.model import PaidWeek
from cashback.settings import Settings
from tests.cashback.dashboard.conftest import DashboardFixture
from tests.cashback.dashboard.test_batches import finished, refuse_wallets
from tests.conftest import FRIDAY

pytestmark = pytest.mark.anyio


async def overview(site: DashboardFixture) -> str:
    """Load the overview as an admin."""
    async with site.signed_in() as browser:
        return (await browser.get("/"))[1]


async def test_empty_ledger_has_nothing_waiting_and_says_what_comes_next(site: DashboardFixture) -> None:
    text = await overview(site)
    assert "Nothing is waiting for a decision." in text
    assert "No cashback is pending" in text
    assert "Nothing was paid in the last twelve weeks" in text
    assert "There are no batches yet" in text
    assert "propose-button" not in text


async def test_one_button_leads_to_the_review_of_what_is_pending(site: DashboardFixture) -> None:
    await site.ledger.earn_all([(5, 8_000), (6, 826)])
    assert "Review payout: $88.26 to 2" in await overview(site)
    async with site.signed_in() as browser:
        assert await browser.post("/batches") == (303, "/batches/1")
        assert "Confirm: pay $88.26 to 2 referrers" in (await browser.get("/batches/1"))[1]
        text = (await browser.get("/"))[1]
    assert re.search(r'<a href="/batches/1">Decide on batch 1</a>: \$88.26 to 2 referrers', text)
    assert "Nothing is waiting" not in text


async def test_failed_payouts_wait_until_they_are_abandoned(site: DashboardFixture) -> None:
    await site.ledger.earn_all([(5, 100), (6, 200)])
    refuse_wallets(site, 5)
    async with site.signed_in() as browser:
        await browser.post("/batches")
        # The page of a batch that has just been approved has no button.
        token = await browser.batch_token("/batches/1")
        await browser.post("/batches/1/confirm", batch_token=token)
        await finished(site, 1)
        _, text = await browser.get("/")
        assert "Retry or abandon 1 failed payout" in text
        address = re.findall(r'<a href="([^"]+)">Retry or abandon', text)[0]
        assert "/batches/1" in (await browser.get(address))[1]
        assert (await browser.post("/batches/1/give-up", batch_token=token))[0] == 303
        assert "Nothing is waiting" in (await browser.get("/"))[1]


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", [3, 2, 1]),
        ("status=cancelled", [3]),
        ("status=completed&mode=individual", [2]),
        ("person=6", [1]),
        ("person=ad", []),
        ("from=2026-07-03&to=2026-07-03", [3, 2, 1]),
        ("from=2026-07-04", []),
        ("to=2026-07-02", []),
    ],
)
async def test_batches_are_filtered(site: DashboardFixture, query: str, shown: list[int]) -> None:
    await site.ledger.earn_all([(5, 100), (6, 200)])
    await site.ledger.pay()
    await site.ledger.earn(5, 300)
    await site.ledger.pay(target_user_id=5)
    await site.ledger.earn(5, 400)
    async with site.signed_in() as browser:
        await browser.post("/batches")
        await browser.post("/batches/3/cancel")
        status, text = await browser.get(f"/batches?{query}")
        if "person=ad" in query:
            assert (status, "No member is called" in text) == (400, True)
            return
        found = [int(each) for each in re.findall(r'<th scope="row"><a class="batch-id" href="/batches/(\d+)">', text)]
        assert found == shown
        assert ("No batch matches" in text) is (not shown)


async def test_settings_are_shown_without_secrets(site: DashboardFixture) -> None:
    async with site.signed_in() as browser:
        _, text = await browser.get("/settings")
        assert "0.5 % of each purchase" in text
        assert 'Minimum payout <small class="key">min_payout_cents</small>' in text
        assert "a whole number of hours from 1 to 168" in text
        assert "a whole number of cents from 1 to 1000000000000, or null" in text
        assert "a-secret-of-the-shop" not in text
        assert str(site.ledger.path) not in text
        assert await browser.post("/settings/reload-schedule") == (303, "/settings")


def test_every_setting_that_is_shown_has_a_name_in_words() -> None:
    settings = Settings()
    for part, names in NAMES.items():
        fields = type(getattr(settings, part)).model_fields
        assert names.keys() == {field.alias or key for key, field in fields.items()}, part
        assert not any("_" in name for name in names.values())


async def test_acts_that_stop_payments_ask_first(site: DashboardFixture) -> None:
    [buyer] = await site.ledger.earn(5, 100)
    async with site.signed_in() as browser:
        for path, act in (("/schedule", "skip"), ("/schedule", "pause"), (f"/referrers/{buyer}", "blacklist")):
            _, text = await browser.get(path)
            assert re.search(rf'action="{path}/{act}"[^>]* data-asks="[^"]+"', text), act


def test_chart_has_round_amounts_and_compares_with_the_weeks_before() -> None:
    weeks = [PaidWeek(monday=FRIDAY, paid_cents=cents, reversed_cents=0) for cents in (0, 10_000, 12_345)]
    drawn = chart(weeks)
    assert [cents for _, cents in drawn.lines] == [0, 10_000, 20_000]
    assert drawn.lines[0][0] == HEIGHT
    assert drawn.change_percent == 146
    assert [bar.has_value for bar in drawn.bars] == [False, False, True]
    assert chart([]).lines == ()
    assert chart(weeks[:1]).change_percent is None
