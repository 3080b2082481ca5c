"""The audit log: a chain of digests."""

from __future__ import annotations

import pytest

from cashback.database import audit_log
from tests.conftest import FRIDAY, LedgerFixture

pytestmark = pytest.mark.anyio


async def test_entries_form_a_chain(ledger: LedgerFixture) -> None:
    assert await ledger.database.read(audit_log.chain_head) == audit_log.FIRST_DIGEST
    digests = [
        await ledger.database.write(
            audit_log.add_entry, at=FRIDAY, actor="cli", action="noted", details={"n": number, "text": "snow \u2603"}
        )
        for number in range(3)
    ]
    assert len(set(digests)) == 3
    assert await ledger.database.read(audit_log.chain_head) == digests[-1]
    assert await ledger.database.read(lambda connection: list(audit_log.broken_entries(connection))) == []
    assert (await ledger.verify()).audit_head == digests[-1]


async def test_entries_are_listed_newest_first_and_by_batch(ledger: LedgerFixture) -> None:
    await ledger.earn(1, 5)
    await ledger.pay()
    await ledger.database.blacklist_referral_user(2)
    listed = await ledger.database.read(audit_log.entries, limit=2)
    assert [entry["action"] for entry in listed] == ["blacklisted", "batch_finished"]
    assert listed[1]["details"]["total_cents"] == 5
    of_batch = await ledger.database.read(audit_log.entries, limit=10, batch_number=1)
    assert [entry["action"] for entry in of_batch] == ["batch_finished", "batch_approved", "batch_proposed"]
