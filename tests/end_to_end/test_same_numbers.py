"""One ledger's numbers are the same on Discord, on the command line, on the pages, in exports and in the metrics."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from dataclasses import dataclass
from html import unescape
from typing import Any

import aiohttp
import anyio
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from cashback.database.queries import statistics
from cashback.domain.money import dollars
from cashback.services import CLI, AdminService
from cashback.settings import WithdrawalSettings
from sandbox import Member
from tests.end_to_end.conftest import BOTH_BOTS, DiscordFixture, field
from tests.end_to_end.test_dashboard import with_dashboard

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS


@dataclass(frozen=True)
class Truth:
    """The ledger's numbers, from the wallets' entries alone."""

    paid_cents: int
    reversed_cents: int

    @property
    def net_cents(self) -> int:
        """What was paid and not reversed."""
        return self.paid_cents - self.reversed_cents


def truth(guild: DiscordFixture, user_id: int | None = None) -> Truth:
    """Add up the wallets' entries, of everyone or of one member."""
    whose = "" if user_id is None else f" AND user_discord_id = {user_id}"

    def summed(kind: str) -> int:
        query = "SELECT coalesce(sum(amount_cents), 0) FROM wallet_transactions WHERE transaction_type = ?"
        return int(guild.ledger.rows(query + whose, kind)[0][0])

    return Truth(summed("referral_cashback"), -summed("referral_cashback_reversal"))


def of_batch(guild: DiscordFixture, number: int) -> Truth:
    """Add up a batch's credits, and the wallets' entries of its reversals."""
    paid = "SELECT coalesce(sum(amount_cents), 0) FROM wallet_transactions WHERE cashback_payout_batch_number = ?"
    returned = (
        "SELECT coalesce(-sum(amount_cents), 0) FROM wallet_transactions WHERE id IN"
        " (SELECT transaction_id FROM cashback_payout_reversals WHERE batch_number = ?)"
    )
    return Truth(int(guild.ledger.rows(paid, number)[0][0]), int(guild.ledger.rows(returned, number)[0][0]))


async def eventful_ledger(guild: DiscordFixture) -> Member:
    """Pay, refund, withdraw and reverse; return a member of whom a part was reversed."""
    withdrawals = WithdrawalSettings.model_validate({"enabled": True, "methods": {"paypal": None}})
    key = SecretStr(Fernet.generate_key().decode())
    guild.settings = guild.settings.model_copy(update={"withdrawals": withdrawals, "withdrawal_keys": (key,)})
    service = AdminService(guild.ledger.database, guild.settings, lambda _number: 0)
    bob, cid = await guild.referrer("Bob", 2500, 700), await guild.referrer("Cid", 1000)
    first = (await guild.ledger.pay()).batch_number
    guild.clock.advance(60)
    paid_out = await service.request_withdrawal(bob.id, 3000, "paypal")
    await service.pay_withdrawal(CLI, paid_out.number, reference="T-1")
    await guild.ledger.earn_all([(bob.id, 450), (cid.id, 333)])
    await guild.ledger.pay()
    await service.request_withdrawal(cid.id, 500, "paypal")
    for batch_number, who in ((first, bob.id), (first + 1, cid.id)):
        asked = await service.propose_reversal(CLI, batch_number, reason="a stolen card", referrer_id=who)
        await service.approve_reversal(CLI, asked.number)
    await service.request_withdrawal(cid.id, 400, "paypal")
    await guild.ledger.database.log_referral_refund("order-3", amount_cents=600)
    await guild.ledger.earn(cid.id, 1250)
    return bob


async def command(guild: DiscordFixture, *arguments: object) -> Any:  # noqa: ANN401 -- whatever JSON holds
    """Run a command of the program; return its text, or its object with --json."""
    argv = [sys.executable, "-m", "cli", "--database", str(guild.ledger.path), *map(str, arguments)]
    done = await anyio.run_process(argv)
    text = done.stdout.decode()
    return json.loads(text) if "--json" in argv else text


class Visitor:
    """An admin at the dashboard."""

    def __init__(self, guild: DiscordFixture, browser: aiohttp.ClientSession, address: str) -> None:
        self._guild, self._browser, self._address = guild, browser, address

    async def sign_in(self) -> None:
        """Sign in with a new link."""
        await self._guild.answer("!sendref-cashb dashboard")
        note = self._guild.sandbox.direct_messages(self._guild.admin.id)[-1].content
        link = re.findall(rf"{self._address}/sign-in/[\w-]+", note)[0]
        async with self._browser.post(link) as answer:
            assert answer.status == 200

    async def load(self, path: str) -> tuple[int, str]:
        """Load a page; return its status and the text that a person reads."""
        async with self._browser.get(self._address + path) as answer:
            text = re.sub(r"<[^>]+>", " ", await answer.text())
            return answer.status, " ".join(unescape(text).split())

    async def file(self, path: str) -> str:
        """Load a file."""
        async with self._browser.get(self._address + path) as answer:
            return await answer.text()


def shown(text: str, *amounts: int) -> bool:
    """Return whether a text has all these amounts."""
    return all(dollars(cents) in text for cents in amounts)


async def test_every_place_shows_the_same_numbers(guild: DiscordFixture) -> None:
    address = with_dashboard(guild)
    bob = await eventful_ledger(guild)
    everything, bobs = truth(guild), truth(guild, bob.id)
    batches = {number: of_batch(guild, number) for number in (1, 2)}
    assert everything.reversed_cents == sum(each.reversed_cents for each in batches.values()) > 0
    ids = dict(guild.ledger.rows("SELECT number, batch_id FROM cashback_payout_batches"))
    all_numbers = (everything.paid_cents, everything.reversed_cents, everything.net_cents)

    stats, listed = await command(guild, "stats", "--json"), await command(guild, "history", "--json")
    assert (stats["total_cents"], stats["reversed_cents"], stats["net_cents"]) == all_numbers
    weeks = (await guild.ledger.database.read(statistics.read, now=guild.clock())).weeks
    assert sum(week.paid_cents for week in weeks) == everything.paid_cents
    assert sum(week.reversed_cents for week in weeks) == everything.reversed_cents
    assert {top["referrer_id"]: top["net_cents"] for top in stats["top"]}[str(bob.id)] == bobs.net_cents
    assert shown(await command(guild, "stats"), *all_numbers)
    for batch in listed["batches"]:
        own = batches[batch["number"]]
        assert (batch["total_cents"], batch["reversed_cents"], batch["net_cents"]) == (
            own.paid_cents,
            own.reversed_cents,
            own.net_cents,
        )
    for number, own in batches.items():
        numbers = (own.paid_cents, own.reversed_cents, own.net_cents)
        said = await command(guild, "show", ids[number], "--json")
        assert (said["total_cents"], said["reversed_cents"], said["net_cents"]) == numbers
        assert sum(each["reversed_cents"] for each in said["payouts"]) == own.reversed_cents
        assert shown(await command(guild, "show", ids[number]), *numbers)
        assert shown(await command(guild, "history"), *numbers)

    async with guild.bot(), aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        embed = await guild.answer("!sendref-cashb stats")
        assert [field(embed, name) for name in ("Distributed", "Reversed", "Net")] == [*map(dollars, all_numbers)]
        history = await guild.answer("!sendref-cashb history")
        of_bob = await guild.answer(f"!referral-stats <@{bob.id}>")
        assert (field(of_bob, "Reversed"), field(of_bob, "Wallet Balance")) == (
            dollars(bobs.reversed_cents),
            dollars(guild.ledger.balance(bob.id)),
        )
        visitor = Visitor(guild, browser, address)
        await visitor.sign_in()
        overview, batch_list = (await visitor.load("/"))[1], (await visitor.load("/batches"))[1]
        assert shown(overview, *all_numbers)
        for number, own in batches.items():
            numbers = (own.paid_cents, own.reversed_cents, own.net_cents)
            batch = await guild.answer(f"!sendref-cashb show {ids[number]}")
            assert field(batch, "Paid").startswith(dollars(own.paid_cents))
            assert [field(batch, name) for name in ("Reversed", "Net")] == [*map(dollars, numbers[1:])]
            for text in (history.text, overview, batch_list, (await visitor.load(f"/batches/{number}"))[1]):
                assert shown(text, *numbers)
            exported = list(csv.DictReader(io.StringIO(await visitor.file(f"/batches/{number}/payouts.csv"))))
            for name, cents in zip(("paid", "reversed", "net"), numbers, strict=True):
                assert sum(int(row[f"{name}_cents"]) for row in exported) == cents
        _, of_bob_page = await visitor.load(f"/referrers/{bob.id}")
        assert shown(of_bob_page, bobs.reversed_cents, guild.ledger.balance(bob.id))

        metrics = await visitor.file("/metrics")
        [(count, cents)] = guild.ledger.rows(
            "SELECT count(*), sum(amount_cents) FROM cashback_withdrawals WHERE status = 'requested'"
        )
        pending = sum(
            each["pending_cents"] for each in await guild.ledger.database.get_all_pending_referral_cashbacks()
        )
        for name, value in {
            "paid_cents": everything.paid_cents,
            "reversed_cents": everything.reversed_cents,
            "open_withdrawals": count,
            "open_withdrawals_cents": cents,
            "pending_cents": pending,
        }.items():
            assert f"cashback_{name} {float(value)}" in metrics
        _, withdrawals = await visitor.load("/withdrawals")
        assert f"{count} open withdrawal, {dollars(cents)}" in withdrawals
        assert shown(overview, pending)
        assert shown(await command(guild, "pending"), pending)


async def test_totals_of_an_export_have_what_was_reversed(guild: DiscordFixture, tmp_path: Any) -> None:  # noqa: ANN401 -- a path
    await eventful_ledger(guild)
    everything = truth(guild)
    path = tmp_path / "all.csv"
    summed = await command(guild, "export", "--from", "2026-01-01", "--output", path, "--totals", "--json")
    assert (summed["paid_cents"], summed["reversed_cents"], summed["net_cents"]) == (
        everything.paid_cents,
        everything.reversed_cents,
        everything.net_cents,
    )
    last = list(csv.DictReader(io.StringIO(path.read_text())))[-1]
    assert (last["batch_id"], int(last["reversed_cents"]), int(last["net_cents"])) == (
        "TOTAL",
        everything.reversed_cents,
        everything.net_cents,
    )
