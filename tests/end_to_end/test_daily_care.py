"""What the running bot does every day: it verifies the ledger, and posts the audit log's head."""

from __future__ import annotations

import pytest

from cashback.database import audit_log, verifications
from tests.conftest import raw
from tests.end_to_end.conftest import DiscordFixture, field, saying, titled

pytestmark = pytest.mark.anyio

DAY = 24 * 3600
HEAD = "🔒 Audit Head"


async def test_head_is_posted_once_a_day_also_after_a_restart(town: DiscordFixture) -> None:
    await town.referrer("Bob", 2500)
    async with town.bot():
        await town.ask()
        assert not [message for message in town.sandbox.messages(town.audit.id) if titled(HEAD)(message)]
    town.clock.advance(DAY)
    for _start in range(2):
        async with town.bot():
            post = await town.sandbox.wait_for(titled(HEAD))
            assert post.channel_id == town.audit.id
            await town.answer("!sendref-cashb schedule")
    [post] = [message for message in town.sandbox.messages(town.audit.id) if titled(HEAD)(message)]
    digest = field(post, "Audit Head").strip("`")
    assert await town.till.database.read(audit_log.find_head, digest) is not None
    assert town.audit_actions().count(audit_log.HEAD_POSTED) == 1


async def test_breach_found_at_night_is_posted(town: DiscordFixture) -> None:
    await town.referrer("Bob", 2500)
    async with town.bot():
        await town.ask()
    await town.till.database.write(verifications.note, breaches=0, actor="cli", now=town.clock())
    town.till.honest = False
    with raw(town.till.location) as connection:
        connection.execute("UPDATE users SET wallet_balance_cents = 777")
    town.clock.advance(2 * DAY)
    async with town.bot():
        line = await town.sandbox.wait_for(saying("do not balance", "777", "cashback verify"))
        assert line.channel_id == town.audit.id
