"""An admin's ten questions at the dashboard, as docs/howto/questions.md lists them, each answered in two steps."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Final

import pytest

from cashback.database.queries import member_names
from cashback.services import CLI
from tests.cashback.dashboard.conftest import Browser, DashboardFixture
from tests.cashback.dashboard.test_batches import refuse_wallets

pytestmark = pytest.mark.anyio

PAGE: Final = (Path(__file__).parents[3] / "docs" / "howto" / "questions.md").read_text(encoding="utf-8")
TABLE: Final = PAGE.partition("## A member asks")[0]
BOB, CID, DAN = 5, 6, 7

ANSWERS: Final = {
    "Is anything waiting for me?": (["/"], ["Waiting for you", "Retry or abandon 1 failed payout"]),
    "What would be paid now, and to whom?": (["/", "POST /batches"], ["Confirm: pay $3.00 to 2 referrers", "@bob"]),
    "When does the weekly batch come, and is it on?": (["/"], ["Next weekly batch", "Friday 15:00 UTC"]),
    "Why was this member not paid?": (["/search?q=cid"], ["Why is it not paid?", "Blacklisted by", "a second account"]),
    "What did this batch pay, net of reversals?": (["/batches", "/batches/1"], ["Reversed $1.00", "Net $0.00"]),
    "Who approved it, and when?": (["/batches", "/batches/1"], ["approved by the command line", "ended at 2026-07-03"]),
    "Which payouts failed, and what can I do?": (
        ["/", "/batches/2"],
        ["Retry 1 failed payout", "Abandon them", "@bob"],
    ),
    "What became of order 1001?": (["/search?q=order-1"], ["$1.00", "@bob"]),
    "I skipped this week by mistake.": (["/schedule"], ["Skipped", "Undo"]),
    "Which terms and settings are in force?": (["/settings"], ["Terms in force", "Minimum payout"]),
}


async def eventful(site: DashboardFixture) -> None:
    """Pay and reverse, fail, blacklist, skip, and leave cashback pending."""
    ledger, service = site.ledger, site.service
    for user_id, name in ((BOB, "bob"), (CID, "cid")):
        await ledger.database.write(member_names.keep, user_id, name, now=ledger.clock())
    await ledger.earn(BOB, 100)
    await ledger.pay()
    asked = await service.propose_reversal(CLI, 1, reason="a stolen card")
    await service.approve_reversal(CLI, asked.number)
    await ledger.earn_all([(BOB, 200), (CID, 50)])
    await service.blacklist(CLI, CID, reason="a second account")
    refuse_wallets(site, BOB)
    await ledger.pay()
    await ledger.earn(DAN, 100)
    await service.skip_next(CLI)


async def text_of(browser: Browser, steps: list[str]) -> str:
    """Take the steps, following where they lead; return what a person reads on the last page."""
    text = ""
    for step in steps:
        is_form = step.startswith("POST ")
        address = (await browser.post(step.removeprefix("POST ")))[1] if is_form else step
        async with browser.session.get(browser.address + address) as answer:
            text = await answer.text()
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


async def test_each_question_is_answered_by_its_steps(site: DashboardFixture) -> None:
    await eventful(site)
    async with site.signed_in() as browser:
        for question, (steps, words) in ANSWERS.items():
            text = await text_of(browser, steps)
            assert [word for word in words if word not in text] == [], question


def test_page_lists_these_questions_with_at_most_two_steps() -> None:
    assert re.findall(r"^\| ([A-Z].+?[?.]) \|", TABLE, re.MULTILINE) == list(ANSWERS)
    assert all(len(steps) <= 2 for steps, _ in ANSWERS.values())
