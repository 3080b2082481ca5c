"""What people see on Discord: prefix, brand, servers, roles, the audit channel, and the terms of /invite."""

from __future__ import annotations

import re
from datetime import timedelta

import anyio

from cashback.cogs.gateway.connection import StartError
from cashback.database.payouts import announcements
from cashback.database.schedule.outlook import slot_to_notice
from cashback.domain.errors import NotAllowedError
from cashback.services import Actor, Source
from sandbox import Member, Message
from tests.end_to_end.conftest import until
from tests.settings.schedule_cases import TUESDAY
from tests.settings.world import World, setting


def admin(world: World) -> Member:
    """Add a member with the role "admins"."""
    return world.sandbox.add_member("Ada", role_ids=[world.roles["admins"].id])


async def answer(world: World, text: str, by: Member) -> Message:
    """Type something; return the bot's answer."""
    channel = world.sandbox.add_channel("a channel")
    await world.sandbox.say(channel.id, by.id, text)
    return await world.sandbox.wait_for(
        lambda each: (each.author_id, each.channel_id) == (world.sandbox.bot_user_id, channel.id)
    )


@setting("bot_prefix", ("!", ["!"]), ("?", ["?"]))
async def the_prefix_that_is_answered(world: World) -> object:
    ada = admin(world)
    channels = {prefix: world.sandbox.add_channel("a channel") for prefix in ("!", "?")}

    def answered() -> list[str]:
        authors = {
            prefix: {each.author_id for each in world.sandbox.messages(channels[prefix].id)} for prefix in channels
        }
        return [prefix for prefix, found in authors.items() if world.sandbox.bot_user_id in found]

    async with world.running():
        for prefix, channel in channels.items():
            await world.sandbox.say(channel.id, ada.id, f"{prefix}sendref-cashb")
        await until(answered)
    return answered()


@setting("role_ids.admin", ("admins", False), ("others", True))
async def an_admin_is_refused(world: World) -> object:
    ada = admin(world)
    async with world.running():
        return "Only an admin" in (await answer(world, "!sendref-cashb", ada)).text


@setting("role_ids.dashboard_viewer", (None, "refused"), ("others", "refused"), ("viewers", "admitted"))
async def a_viewer(world: World) -> object:
    vera = Actor(source=Source.DISCORD, user_id=5, role_ids=frozenset({world.roles["viewers"].id}))
    try:
        await (await world.services()).service.issue_link(vera)
    except NotAllowedError:
        return "refused"
    return "admitted"


@setting("guild_ids", ([], (False, True)), (["guild"], (True, False)), ([123456789012345678], "not there"))
async def the_servers_with_commands(world: World) -> object:
    registered = world.sandbox.commands.all
    started = [True]
    try:
        async with world.running():
            await until(lambda: registered(world.sandbox.guild_id) or registered(None))
            if 123456789012345678 in world.settings.guild_ids:
                # The bot ends by itself, once Discord has named all servers.
                await anyio.sleep_forever()
    except* StartError:
        started.clear()
    return (bool(registered(world.sandbox.guild_id)), bool(registered(None))) if started else "not there"


async def pay_bob(world: World) -> Member:
    """Approve a batch that pays Bob, which the bot finds when it starts."""
    bob = world.sandbox.add_member("Bob")
    await world.ledger.earn(bob.id, 500)
    world.to_now()
    await world.ledger.approved()
    return bob


@setting("brand_name", ("Apex Core", "Apex Core"), ("Our Shop", "Our Shop"))
async def the_footer_of_a_direct_message(world: World) -> object:
    bob = await pay_bob(world)
    async with world.running():
        await until(lambda: world.sandbox.direct_messages(bob.id))
    return str(world.sandbox.direct_messages(bob.id)[0].embed["footer"]["text"]).split(" • ")[0]


@setting("logging_channels.audit", (None, 0), ("audit", 1))
async def entries_in_the_audit_channel(world: World) -> object:
    bob = await pay_bob(world)
    async with world.running():
        await until(lambda: world.sandbox.direct_messages(bob.id))
        if world.settings.logging_channels.audit is not None:
            await until(lambda: world.sandbox.messages(world.audit.id))
    return len([each for each in world.sandbox.messages(world.audit.id) if "Processed" in each.text])


@setting("referral_settings.dm_retry_attempts", (0, "failed"), (1, "queued"))
async def a_refused_message(world: World) -> object:
    bob = await pay_bob(world)
    world.sandbox.faults.close_dms(bob.id, 50001)
    query = "SELECT status FROM cashback_notifications WHERE attempts > 0"
    async with world.running():
        await until(lambda: world.ledger.rows(query))
    return world.ledger.rows(query)[0][0]


@setting("referral_settings.cashback_percent", (0.5, {"**0.5%**"}), (1.25, {"**1.25%**"}))
@setting("referral_settings.holding_days", (0, {"**0.5%**"}), (14, {"**0.5%**", "14 days"}))
@setting("referral_settings.min_payout_cents", (1, {"**0.5%**"}), (250, {"**0.5%**", "payout of $2.50"}))
@setting("referral_settings.only_new_members_days", (0, {"**0.5%**"}), (21, {"**0.5%**", "21 days"}))
@setting("referral_settings.earns_for_days", (None, {"**0.5%**"}), (365, {"**0.5%**", "365 days"}))
@setting("referral_settings.monthly_cap_cents", (None, {"**0.5%**"}), (5_000, {"**0.5%**", "most $50.00"}))
async def the_terms_that_members_read(world: World) -> object:
    bob = world.sandbox.add_member("Bob")
    async with world.running():
        asked = await world.sandbox.slash(world.audit.id, bob.id, "invite")
        shown = await asked.replied()
    assert shown is not None
    return set(re.findall(r"\*\*[\d.]+%\*\*|\d+ days|most \$\d+\.\d\d|payout of \$\d+\.\d\d", shown.text))


@setting("referral_settings.referrers_see_spending", (False, False), (True, True))
async def the_spending_of_a_referral(world: World) -> object:
    bob = world.sandbox.add_member("Bob")
    await world.ledger.earn(bob.id, 500)
    async with world.running():
        asked = await world.sandbox.slash(world.audit.id, bob.id, "invites")
        shown = await asked.replied()
    assert shown is not None
    return "$5.00 spent" in shown.text


@setting("referral_settings.progress_seconds", (5, 5.0), (60, 60.0))
async def the_pause_between_updates(world: World) -> object:
    await world.ledger.earn_all([(1, 300), (2, 300)])
    world.to_now()
    number = await world.ledger.approved()
    await world.database.write(announcements.remember_summary, number, channel_id=world.audit.id, message_id=1)
    services = await world.services()
    await services.lease.take()
    return await services.summary_updater._pass()


@setting("referral_settings.notice_hours", (0, [False] * 3), (24, [False, True, True]), (168, [True] * 3))
async def the_notice_of_a_batch(world: World) -> object:
    world.clock.moment = TUESDAY
    state = await (await world.services()).service.open_schedule()
    assert state.schedule.rule is not None
    slot_at = state.schedule.rule.next_slot(TUESDAY)
    moments = [slot_at - timedelta(hours=hours) for hours in (25, 23, 1)]
    return [await world.database.read(slot_to_notice, now=moment) == slot_at for moment in moments]


@setting(
    "disabled_commands",
    ([], ["profile", "withdrawals"]),
    (["profile"], ["withdrawals"]),
    (["withdrawals"], ["profile"]),
)
async def the_commands_that_the_bot_has(world: World) -> object:
    services = await world.services()
    await services.host.add()
    commands = {each.name for each in services.client.tree.get_commands()}
    return sorted({"profile", "withdrawals"} & commands)
