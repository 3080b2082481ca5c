"""Direct messages: what each of Discord's answers means, and that none of them is an exception."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from cashback.cogs.gateway.client import CashbackClient
from cashback.cogs.gateway.connection import Needs, point_at, stay_connected
from cashback.cogs.gateway.gateway_status import GatewayStatus
from cashback.cogs.gateway.request_limits import limiting_trace
from cashback.cogs.posts.messenger import DmSender, nonce_of
from cashback.domain.model import DeliveryStatus, PayoutNotice
from sandbox import Member
from tests.end_to_end.conftest import DiscordFixture

pytestmark = pytest.mark.anyio

SOON_SECONDS = 15
"""Half of what the library waits, and much on a busy machine."""


@pytest.fixture
async def messenger(guild: DiscordFixture) -> AsyncIterator[DmSender]:
    """Connect a messenger."""
    point_at(guild.sandbox.api_url)
    client = CashbackClient(prefix="!", guild_ids=())
    gateway_status = GatewayStatus(client)
    gateway_status.start()
    client.http.http_trace = limiting_trace()
    needs = Needs(
        admin_role_id=guild.admin_role.id, role_ids=guild.settings.role_ids, audit_channel_id=None, guild_ids=()
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stay_connected, client, guild.sandbox.token, needs)
        await guild.sandbox.wait_connected()
        yield DmSender(client, gateway_status, brand_name="The *Shop*")
        tasks.cancel_scope.cancel()


def notice(member: Member | int, *, dm_channel_id: int | None = None) -> PayoutNotice:
    """Make a notice for someone."""
    return PayoutNotice(
        notification_id=1,
        user_id=member if isinstance(member, int) else member.id,
        batch_id="BATCH-20260703-150000",
        amount_cents=2500,
        referral_count=50,
        balance_after_cents=2500,
        attempts=0,
        dm_channel_id=dm_channel_id,
    )


async def test_a_message_is_sent_once_however_often_it_is_sent(guild: DiscordFixture, messenger: DmSender) -> None:
    bob = guild.sandbox.add_member("Bob")
    first = await messenger.send(notice(bob))
    again = await messenger.send(notice(bob))
    assert (first.status, again.status) == (DeliveryStatus.SENT, DeliveryStatus.SENT)
    (note,) = guild.sandbox.direct_messages(bob.id)
    assert note.embed["footer"]["text"] == "The *Shop* • Batch ID: BATCH-20260703-150000"
    assert len(nonce_of("BATCH-20260703-150000", bob.id, "payout")) <= 25


async def test_a_known_channel_saves_a_request(guild: DiscordFixture, messenger: DmSender) -> None:
    bob = guild.sandbox.add_member("Bob")
    channel = guild.sandbox.open_direct_channel(bob.id)
    delivery = await messenger.send(notice(bob, dm_channel_id=channel.id))
    assert (delivery.status, delivery.dm_channel_id) == (DeliveryStatus.SENT, channel.id)
    assert not [each for each in guild.sandbox.requests if each.path == "/users/@me/channels"]


async def test_a_channel_that_is_gone_is_opened_anew(guild: DiscordFixture, messenger: DmSender) -> None:
    bob = guild.sandbox.add_member("Bob")
    delivery = await messenger.send(notice(bob, dm_channel_id=123456789012345678))
    assert delivery.status is DeliveryStatus.SENT
    assert delivery.dm_channel_id == guild.sandbox.direct_messages(bob.id)[0].channel_id


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (50007, DeliveryStatus.UNDELIVERABLE),
        (50278, DeliveryStatus.UNDELIVERABLE),
        (20026, DeliveryStatus.BACK_OFF),
        (50001, DeliveryStatus.RETRY),
    ],
)
async def test_a_refused_message(guild: DiscordFixture, messenger: DmSender, code: int, status: DeliveryStatus) -> None:
    bob = guild.sandbox.add_member("Bob")
    guild.sandbox.faults.close_dms(bob.id, code)
    delivery = await messenger.send(notice(bob))
    assert delivery.status is status
    assert str(code) in (delivery.reason or "")


async def test_opening_too_fast_backs_off(guild: DiscordFixture, messenger: DmSender) -> None:
    guild.sandbox.faults.refuse_opening_dms(40003)
    delivery = await messenger.send(notice(guild.sandbox.add_member("Bob")))
    assert delivery.status is DeliveryStatus.BACK_OFF


async def test_the_code_counts_not_the_http_status(guild: DiscordFixture, messenger: DmSender) -> None:
    guild.sandbox.faults.fail("POST", "/users/@me/channels", status=400, code=50007)
    delivery = await messenger.send(notice(guild.sandbox.add_member("Bob")))
    assert delivery.status is DeliveryStatus.UNDELIVERABLE


async def test_unknown_user_is_undeliverable(guild: DiscordFixture, messenger: DmSender) -> None:
    delivery = await messenger.send(notice(123456789012345678))
    assert delivery.status is DeliveryStatus.UNDELIVERABLE


async def test_a_dropped_connection_is_tried_again_and_shown_once(guild: DiscordFixture, messenger: DmSender) -> None:
    bob = guild.sandbox.add_member("Bob")
    channel = guild.sandbox.open_direct_channel(bob.id)
    guild.sandbox.faults.drop("POST", f"/channels/{channel.id}/messages", after_effect=True)
    delivery = await messenger.send(notice(bob, dm_channel_id=channel.id))
    assert delivery.status is DeliveryStatus.RETRY
    assert (await messenger.send(notice(bob, dm_channel_id=channel.id))).status is DeliveryStatus.SENT
    assert len(guild.sandbox.direct_messages(bob.id)) == 1


@pytest.mark.parametrize("scope", ["user", "shared", "global"])
async def test_a_rate_limit_is_waited_for(guild: DiscordFixture, messenger: DmSender, scope: str) -> None:
    bob = guild.sandbox.add_member("Bob")
    guild.sandbox.faults.rate_limit("POST", "/channels/[0-9]+/messages", retry_after=0.05, scope=scope, times=2)
    assert (await messenger.send(notice(bob))).status is DeliveryStatus.SENT


async def test_a_rate_limit_that_is_too_long_is_an_outcome(guild: DiscordFixture, messenger: DmSender) -> None:
    guild.sandbox.faults.rate_limit("POST", "/users/@me/channels", retry_after=600)
    delivery = await messenger.send(notice(guild.sandbox.add_member("Bob")))
    assert delivery.status is DeliveryStatus.RETRY


async def test_a_block_by_discords_front_backs_off(guild: DiscordFixture, messenger: DmSender) -> None:
    """A 429 without `Via`: each further request would prolong the block."""
    bob = guild.sandbox.add_member("Bob")
    guild.sandbox.faults.fail("POST", "/channels/[0-9]+/messages", status=429, message="You are being blocked.")
    assert (await messenger.send(notice(bob))).status is DeliveryStatus.BACK_OFF
    sends = [each for each in guild.sandbox.requests if each.path.endswith("/messages")]
    assert len(sends) == 1


@pytest.mark.parametrize("path", ["/users/@me/channels", "/channels/[0-9]+/messages"])
@pytest.mark.parametrize("status", [200, 403, 503])
async def test_page_in_discords_place_is_one_short_line_and_no_attempt_unless_it_refuses(
    guild: DiscordFixture, messenger: DmSender, caplog: pytest.LogCaptureFixture, path: str, status: int
) -> None:
    bob = guild.sandbox.add_member("Bob")
    guild.sandbox.faults.answer_page("POST", path, status=status, text="<h1>Sign in</h1>\n" * 1000, times=2)
    delivery = await messenger.send(notice(bob))
    assert (delivery.status, delivery.is_outage) == (DeliveryStatus.RETRY, status != 403)
    assert len(delivery.reason or "") < 300
    assert "\n" not in (delivery.reason or "")
    assert [record for record in caplog.records if record.exc_info] == []
    guild.sandbox.faults.clear()
    assert (await messenger.send(notice(bob))).status is DeliveryStatus.SENT


async def test_start_behind_a_page_waits_for_discord(guild: DiscordFixture, caplog: pytest.LogCaptureFixture) -> None:
    """As in a hotel's network before the sign-in."""
    guild.sandbox.faults.answer_page("GET", "^/", times=2)
    async with guild.bot(connected=False):
        await guild.sandbox.wait_connected(1, 30)
    [line] = [text for text in caplog.messages if "cannot be reached" in text]
    assert "the answer is text/html; charset=utf-8, not JSON: something between answers in Discord's place" in line
    assert [record for record in caplog.records if record.exc_info] == []


@pytest.mark.parametrize("status", [500, 503])
async def test_temporary_server_error_is_not_a_failure(guild: DiscordFixture, messenger: DmSender, status: int) -> None:
    """The library retries most of them; if it does not, the outbox does."""
    bob = guild.sandbox.add_member("Bob")
    guild.sandbox.faults.fail("POST", "/channels/[0-9]+/messages", status=status)
    first = await messenger.send(notice(bob))
    if first.status is not DeliveryStatus.SENT:
        assert (first.status, status) == (DeliveryStatus.RETRY, 503)
        assert (await messenger.send(notice(bob))).status is DeliveryStatus.SENT
    assert len(guild.sandbox.direct_messages(bob.id)) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_server_error_that_lasts_is_an_outage_and_held_up_briefly(
    guild: DiscordFixture, messenger: DmSender, status: int
) -> None:
    """The library would repeat it for half a minute, and hold up all who need a channel opened."""
    bob = guild.sandbox.add_member("Bob")
    guild.sandbox.faults.fail("POST", "/users/@me/channels", status=status, times=100)
    delivery = await messenger.send(notice(bob))
    assert (delivery.status, delivery.is_outage) == (DeliveryStatus.RETRY, True)
    assert str(status) in (delivery.reason or "")
    assert len([each for each in guild.sandbox.requests if each.path == "/users/@me/channels"]) <= 2


@pytest.mark.parametrize("path", ["/users/@me/channels", "/channels/[0-9]+/messages"])
async def test_a_request_without_an_answer_is_an_outage(
    guild: DiscordFixture, messenger: DmSender, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cashback.cogs.posts.messenger.OPEN_SECONDS", 0.2)
    monkeypatch.setattr("cashback.cogs.posts.messenger.WRITE_SECONDS", 0.2)
    guild.sandbox.faults.hold("POST", path)
    delivery = await messenger.send(notice(guild.sandbox.add_member("Bob")))
    assert (delivery.status, delivery.is_outage) == (DeliveryStatus.RETRY, True)
    assert "did not answer" in (delivery.reason or "")


async def test_member_after_a_request_without_an_answer_is_not_held_up(
    guild: DiscordFixture, messenger: DmSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library would wait 30 s: the cancelled request, the first of its kind, has taken the only token."""
    guild.sandbox.faults.hold("POST", "/users/@me/channels")
    with monkeypatch.context() as patch:
        patch.setattr("cashback.cogs.posts.messenger.OPEN_SECONDS", 0.2)
        assert (await messenger.send(notice(guild.sandbox.add_member("Bob")))).is_outage
    with anyio.fail_after(SOON_SECONDS):
        delivery = await messenger.send(notice(guild.sandbox.add_member("Cid")))
    assert delivery.status is DeliveryStatus.SENT


async def test_message_after_a_cancelled_one_is_not_held_up(guild: DiscordFixture, messenger: DmSender) -> None:
    """So it is in a host that reloads the extension in mid-batch and keeps its connection."""
    hold = guild.sandbox.faults.hold("POST", "/users/@me/channels")
    bob = notice(guild.sandbox.add_member("Bob"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(messenger.send, bob)
        await hold.arrived.wait()
        tasks.cancel_scope.cancel()
    with anyio.fail_after(SOON_SECONDS):
        assert (await messenger.send(bob)).status is DeliveryStatus.SENT


async def test_waiting_for_a_rate_limit_is_no_missing_answer(
    guild: DiscordFixture, messenger: DmSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled while it waits for a global rate limit, the library would never send anything again."""
    monkeypatch.setattr("cashback.cogs.posts.messenger.OPEN_SECONDS", 0.3)
    guild.sandbox.faults.rate_limit("POST", "/users/@me/channels", retry_after=0.6, scope="global")
    assert (await messenger.send(notice(guild.sandbox.add_member("Bob")))).status is DeliveryStatus.SENT


@pytest.mark.parametrize("code", [50001, 50035])
async def test_a_refusal_is_an_attempt(guild: DiscordFixture, messenger: DmSender, code: int) -> None:
    bob = guild.sandbox.add_member("Bob")
    guild.sandbox.faults.close_dms(bob.id, code)
    assert not (await messenger.send(notice(bob))).is_outage
