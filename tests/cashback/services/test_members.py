"""Members in the services: codes, links by admins, and the blacklist."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest

from cashback.domain.errors import NotAllowedError, ReferralRefusedError
from cashback.services import CLI, Actor, AdminService, Source, read_code
from cashback.settings import ReferralSettings, RoleIds, Settings
from tests.conftest import LedgerFixture, raw

pytestmark = pytest.mark.anyio

ADMIN_ROLE = 42
ADMIN = Actor(source=Source.DISCORD, user_id=7, role_ids=frozenset({ADMIN_ROLE}))
MEMBER = Actor(source=Source.DISCORD, user_id=9, role_ids=frozenset({1}))


@pytest.fixture
def service(ledger: LedgerFixture) -> AdminService:
    """Open the service."""
    return AdminService(ledger.database, Settings(role_ids=RoleIds(admin=ADMIN_ROLE)), lambda _number: 0)


async def enter(service: AdminService, member_id: int, referrer_id: int) -> int:
    """Enter the code of a member of the server."""
    return await service.enter_code(member_id, referrer_id, in_server=True, is_bot=False)


def audit(ledger: LedgerFixture) -> list[tuple[str, str, dict[str, Any]]]:
    """Read the audit log: actor, action, details."""
    found = ledger.rows("SELECT actor, action, details FROM cashback_audit_log ORDER BY id")
    return [(actor, action, json.loads(details)) for actor, action, details in found]


async def test_code_links_a_member_once(service: AdminService, ledger: LedgerFixture) -> None:
    assert await enter(service, 2, 1) == 1
    for referrer in (1, 3):
        with pytest.raises(ReferralRefusedError, match="already been referred"):
            await enter(service, 2, referrer)
    assert await ledger.database.get_referrer_for_user(2) == 1


async def test_own_code_is_refused(service: AdminService) -> None:
    with pytest.raises(ReferralRefusedError, match="cannot refer themselves"):
        await service.enter_code(2, 2, in_server=False, is_bot=False)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"in_server": False, "is_bot": False}, "No member of this server"),
        ({"in_server": True, "is_bot": True}, "is a bot"),
    ],
)
async def test_code_of_stranger_or_bot_is_refused(
    service: AdminService, ledger: LedgerFixture, facts: dict[str, Any], said: str
) -> None:
    with pytest.raises(ReferralRefusedError, match=said):
        await service.enter_code(2, 1, **facts)
    assert ledger.rows("SELECT * FROM referrals") == []


@pytest.mark.parametrize("length", [2, 3, 9])
async def test_referral_loop_of_any_length_is_refused(
    service: AdminService, ledger: LedgerFixture, length: int
) -> None:
    for member in range(2, length + 1):
        await enter(service, member, member - 1)
    with pytest.raises(ReferralRefusedError, match="a referral loop is refused"):
        await enter(service, 1, length)
    with pytest.raises(ReferralRefusedError, match="a referral loop is refused"):
        await service.link(ADMIN, length, 1)
    assert ledger.rows("SELECT count(*) FROM referrals") == [(length - 1,)]
    await enter(service, 50, length)


async def test_adopted_referral_loop_does_not_block_others(service: AdminService, ledger: LedgerFixture) -> None:
    await ledger.database.create_referral(1, 2)
    with raw(ledger.location) as other_bot:
        other_bot.execute("INSERT INTO referrals (referrer_user_id, referred_user_id) VALUES (2, 1)")
    await enter(service, 3, 1)


@pytest.mark.parametrize("text", ["", "abc", "-5", "0", "1.5", "1" * 20, str(2**63), "١٢", "<@5>", "5 6"])
def test_invalid_code_is_refused_with_explanation(text: str) -> None:
    with pytest.raises(ReferralRefusedError, match="is not a referral code"):
        read_code(text)


def test_code_with_surrounding_spaces_is_accepted() -> None:
    assert read_code(f" {2**63 - 1}\n") == 2**63 - 1


async def test_links_and_unlinks_are_audited_with_reason(service: AdminService, ledger: LedgerFixture) -> None:
    await service.link(ADMIN, 1, 2, reason="forgot the code")
    await service.unlink(ADMIN, 1, 2, reason="wrong one")
    pair = {"referrer_id": 1, "referred_id": 2}
    assert audit(ledger) == [
        ("discord:7", "referral_linked", {**pair, "reason": "forgot the code"}),
        ("discord:7", "referral_unlinked", {**pair, "reason": "wrong one"}),
    ]


async def test_unlinked_unused_referral_frees_the_member(service: AdminService, ledger: LedgerFixture) -> None:
    await service.link(ADMIN, 1, 2)
    await service.unlink(CLI, 1, 2)
    await enter(service, 2, 3)
    assert await ledger.database.get_referrer_for_user(2) == 3


async def test_unlinked_referral_earns_no_more_and_is_paid(service: AdminService, ledger: LedgerFixture) -> None:
    [buyer] = await ledger.earn(1, 70)
    await service.unlink(ADMIN, 1, buyer)
    assert await ledger.database.get_referrer_for_user(buyer) is None
    assert await ledger.database.log_referral_purchase(buyer, "later", 20_000) is None
    with pytest.raises(ReferralRefusedError, match="already been referred"):
        await enter(service, buyer, 3)
    with pytest.raises(ReferralRefusedError, match=f"Member {buyer} bought under Member 1"):
        await service.link(ADMIN, 3, buyer)
    assert (await ledger.pay()).total_cents == 70
    assert await service.link(ADMIN, 1, buyer) == 1
    assert await ledger.database.log_referral_purchase(buyer, "again", 20_000) == 100


async def test_relinking_into_a_referral_loop_is_refused(service: AdminService, ledger: LedgerFixture) -> None:
    [buyer] = await ledger.earn(1, 70)
    await service.unlink(ADMIN, 1, buyer)
    await service.link(ADMIN, buyer, 1)
    with pytest.raises(ReferralRefusedError, match="a referral loop is refused"):
        await service.link(ADMIN, 1, buyer)


async def test_referral_with_free_purchase_counts_as_used(service: AdminService, ledger: LedgerFixture) -> None:
    await service.link(ADMIN, 1, 2)
    await ledger.database.log_referral_purchase(2, "gift", 0)
    await service.unlink(ADMIN, 1, 2)
    assert ledger.rows("SELECT count(*) FROM referrals WHERE cashback_unlinked_at IS NOT NULL") == [(1,)]


@pytest.mark.parametrize("pair", [(1, 3), (3, 2), (2, 1)])
async def test_unlink_of_unlinked_member_is_refused(
    service: AdminService, ledger: LedgerFixture, pair: tuple[int, int]
) -> None:
    await service.link(ADMIN, 1, 2)
    with pytest.raises(ReferralRefusedError, match="is not linked to"):
        await service.unlink(ADMIN, *pair)
    assert await ledger.database.get_referrer_for_user(2) == 1


@pytest.mark.parametrize("bot", [1, 2])
async def test_linking_a_bot_is_refused(service: AdminService, ledger: LedgerFixture, bot: int) -> None:
    with pytest.raises(ReferralRefusedError, match=f"{bot} is a bot"):
        await service.link(ADMIN, 1, 2, bot_ids=frozenset({bot, 99}))
    assert ledger.rows("SELECT * FROM referrals") == []


async def test_blacklist_covers_present_and_future_referrals(service: AdminService, ledger: LedgerFixture) -> None:
    await ledger.earn(1, 70)
    assert await service.blacklist(ADMIN, 1, reason="own second account")
    assert not await service.blacklist(ADMIN, 1)
    await enter(service, 2, 1)
    assert await ledger.database.log_referral_purchase(2, "new", 20_000) is None
    assert await ledger.database.get_all_pending_referral_cashbacks() == []
    assert await service.unblacklist(ADMIN, 1)
    assert not await service.unblacklist(ADMIN, 1)
    assert await ledger.pending(1) == 70
    assert audit(ledger) == [
        ("discord:7", "blacklisted", {"user_id": 1, "reason": "own second account"}),
        ("discord:7", "unblacklisted", {"user_id": 1}),
    ]


ACTS: list[Callable[[AdminService], Coroutine[Any, Any, object]]] = [
    lambda service: service.link(MEMBER, 3, 4),
    lambda service: service.unlink(MEMBER, 1, 2),
    lambda service: service.blacklist(MEMBER, 1),
    lambda service: service.unblacklist(MEMBER, 1),
]


@pytest.mark.parametrize("act", ACTS)
async def test_non_admin_change_is_refused_and_audited(
    service: AdminService, ledger: LedgerFixture, act: Callable[[AdminService], Coroutine[Any, Any, object]]
) -> None:
    await ledger.database.create_referral(1, 2)
    before = ledger.money()
    with pytest.raises(NotAllowedError):
        await act(service)
    assert ledger.money() == before
    assert [(actor, action) for actor, action, _ in audit(ledger)] == [("discord:9", "refused")]


@pytest.mark.parametrize(
    ("days", "joined", "said"),
    [
        (0, None, None),
        (0, timedelta(days=900), None),
        (7, timedelta(days=6, hours=23), None),
        (
            7,
            timedelta(days=7, seconds=1),
            r"joined this server in the last 7 days can enter a code; you are here since",
        ),
        (1, timedelta(days=2), "in the last 1 day can"),
        (7, None, "for an unknown time"),
    ],
)
async def test_only_new_members_can_enter_a_code(
    ledger: LedgerFixture, days: int, joined: timedelta | None, said: str | None
) -> None:
    terms = ReferralSettings(only_new_members_days=days)
    settings = Settings(role_ids=RoleIds(admin=ADMIN_ROLE), referral_settings=terms)
    service = AdminService(ledger.database, settings, lambda _number: 0)
    joined_at = None if joined is None else ledger.clock() - joined

    async def enter_code() -> int:
        return await service.enter_code(2, 1, in_server=True, is_bot=False, joined_at=joined_at)

    if said is None:
        assert await enter_code() == 1
        return
    with pytest.raises(ReferralRefusedError, match=said):
        await enter_code()
    assert await service.link(ADMIN, 1, 2, reason="known") == 1
