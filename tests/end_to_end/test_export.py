"""The export on Discord: the same rows and sums as in the ledger."""

from __future__ import annotations

import csv
import io
import re

import discord
import pytest

from sandbox import Message
from tests.end_to_end.conftest import BOTH_BOTS, DiscordFixture

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS


def read(message: Message) -> list[dict[str, str]]:
    """Read the attached CSV."""
    (file,) = message.attachments
    return list(csv.DictReader(io.StringIO(file.data.decode())))


@pytest.mark.parametrize("words", ["{batch_id}", "{number}", "--from 2026-07-01 --to 2026-07-31"])
async def test_an_export_holds_every_payout_and_the_totals(guild: DiscordFixture, words: str) -> None:
    bob, eve = await guild.referrer("Bob", 2500), await guild.referrer("Eve", 1000, 5)
    report = await guild.ledger.pay()
    async with guild.bot():
        answer = await guild.answer(
            "!sendref-cashb export " + words.format(batch_id=report.batch_id, number=report.batch_number)
        )
    assert "2 payouts, $35.05 paid, 0 failed" in answer.text
    (file,) = answer.attachments
    assert not re.search("[0-9]{15}", file.filename)
    *payouts, totals = read(answer)
    assert [(row["referrer_id"], row["state"], row["paid_cents"], row["paid_dollars"]) for row in payouts] == [
        (str(bob.id), "credited", "2500", "25.00"),
        (str(eve.id), "credited", "1005", "10.05"),
    ]
    assert {row["settled_at"] for row in payouts} == {"2026-07-03T15:00:00+00:00"}
    assert (totals["batch_id"], totals["paid_cents"], totals["paid_dollars"]) == ("TOTAL", "3505", "35.05")


async def test_a_slash_command_exports_a_spreadsheet_and_leaves_no_file_behind(guild: DiscordFixture) -> None:
    await guild.referrer("Bob", 2500)
    report = await guild.ledger.pay()
    async with guild.bot():
        asked = await guild.sandbox.slash(
            guild.channel.id, guild.admin.id, "sendref-cashb export", {"batch": report.batch_id, "format": "xlsx"}
        )
        answer = await asked.replied()
    assert answer is not None
    (file,) = answer.attachments
    assert file.data[:2] == b"PK"
    assert list((guild.ledger.path.parent / "exports").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ("", "Give either a batch, or days"),
        (" 1 --from 2026-07-01", "Give either a batch, or days"),
        (" BATCH-X", "There is no batch BATCH-X"),
        (" --from yesterday", "is not a date"),
    ],
)
async def test_what_names_nothing_is_refused(guild: DiscordFixture, words: str, refusal: str) -> None:
    async with guild.bot():
        answer = await guild.answer("!sendref-cashb export" + words)
    assert refusal in answer.text
    assert answer.attachments == []


async def test_a_file_that_is_too_large_for_discord_stays_and_its_place_is_named(
    guild: DiscordFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await guild.referrer("Bob", 2500)
    report = await guild.ledger.pay()
    monkeypatch.setattr(discord.Guild, "filesize_limit", 100)
    async with guild.bot():
        answer = await guild.answer(f"!sendref-cashb export {report.batch_id}")
    assert answer.attachments == []
    assert "1 payout, $25.00 paid" in answer.text
    [file] = (guild.ledger.path.parent / "exports").iterdir()
    assert f"The file is too large for Discord; it is at `{file.absolute()}`" in answer.text
    *payouts, totals = csv.DictReader(io.StringIO(file.read_text(encoding="utf-8")))
    assert [row["paid_cents"] for row in payouts] == ["2500"]
    assert totals["batch_id"] == "TOTAL"


async def test_non_admin_gets_no_file(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    await guild.ledger.pay()
    async with guild.bot():
        answer = await guild.answer("!sendref-cashb export 1", by=bob)
    assert "Only an admin may do this." in answer.text
    assert answer.attachments == []
