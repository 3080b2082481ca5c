"""`shop`: lists the shops, shows how to connect one, and what their deliveries did."""

import json
import secrets
from typing import Annotated, Any, Final

import anyio
import typer

from cashback.database.shops.deliveries import Listed
from cashback.database.shops.events import EventResult
from cashback.domain.errors import CashbackError
from cashback.domain.money import dollars
from cashback.domain.ports import NullObserver
from cashback.domain.shop_events import EventKind
from cashback.settings import SHOP_NAME, Settings, shop_variable
from cashback.shops.every_kind import webhook_kinds
from cli.context import Place
from cli.options import ConfigOption, DatabaseOption, JsonOption, LimitOption
from cli.output import UsageError, moment, say, say_json
from cli.payment_session import open_payment_session

USAGE: Final = "Say `shop list`, `shop add NAME KIND`, `shop test NAME` or `shop deliveries [NAME]`"
SECRET_BYTES: Final = 18


def command(
    context: typer.Context,
    *,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="list | add NAME KIND | test NAME | deliveries [NAME]", help="What to do, and with which shop."
        ),
    ],
    limit: LimitOption = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """List the shops, connect one, or look at what was delivered."""
    settings = Place.of(context, config, database).settings()
    match words:
        case ["list"]:
            _list(settings, as_json=as_json)
        case ["add", name, kind]:
            _add(settings, name, kind, as_json=as_json)
        case ["test", name]:
            _say_trial(*anyio.run(_try, settings, name), as_json=as_json)
        case ["deliveries"]:
            _say_deliveries(anyio.run(_deliveries, settings, None, limit), as_json=as_json)
        case ["deliveries", name]:
            _say_deliveries(anyio.run(_deliveries, settings, name, limit), as_json=as_json)
        case _:
            raise UsageError(USAGE)
    return 0


def _list(settings: Settings, *, as_json: bool) -> None:
    last = anyio.run(_last_of_each, settings)
    if as_json:
        shops = [
            {
                "shop": name,
                **shop.model_dump(),
                "currency": settings.currency,
                "address": _address(settings, name),
                "has_secret": name in settings.shop_secrets,
                "last_delivery": _delivery_json(last[name][0]) if last[name] else None,
            }
            for name, shop in settings.shops.items()
        ]
        say_json({"shops": shops})
        return
    if not settings.shops:
        say("No shop is configured; `cashback shop add NAME KIND` shows how to connect one.")
    for name, shop in settings.shops.items():
        secret = "" if name in settings.shop_secrets else f"; {shop_variable(name)} is not set, so it is refused"
        say(f"{name}: {shop.kind}, {settings.currency}, {shop.amount}, {_address(settings, name)}{secret}")
        say(f"  last: {_line(last[name][0])}" if last[name] else "  nothing was delivered yet")


def _address(settings: Settings, name: str) -> str:
    return f"{settings.dashboard.address}/api/v1/shops/{name}"


def _add(settings: Settings, name: str, kind_name: str, *, as_json: bool) -> None:
    if not SHOP_NAME.fullmatch(name):
        raise CashbackError(f"{name[:40]!r} is not a shop's name: up to 30 small letters, digits and hyphens.")
    kind = webhook_kinds().get(kind_name)
    if kind is None:
        raise CashbackError(f"{kind_name[:40]!r} is not a kind of shop; the kinds: {', '.join(webhook_kinds())}.")
    invented = secrets.token_hex(SECRET_BYTES) if kind.is_secret_invented else None
    address = _address(settings, name)
    if kind.has_secret_in_address:
        address += f"?secret={invented}"
    entry = {name: {"kind": kind_name, "currency": settings.currency}}
    if as_json:
        facts = {"address": address, "variable": shop_variable(name), "secret": invented}
        say_json({**facts, "config": {"shops": entry}, "steps": list(kind.steps)})
        return
    say(f"Connect {kind.title} as {name}:", "")
    say(f"  address   {address}", "")
    for number, step in enumerate(kind.steps, start=1):
        say(f"{number}. {step}")
    say(
        f"{len(kind.steps) + 1}. Write the secret into .env and the shop into config.local.json, and restart the bot.",
        "",
    )
    say(f"  secret    {shop_variable(name)}={invented or '(the secret that the shop shows)'}")
    say(f'  config    "shops": {json.dumps(entry)}')
    if settings.dashboard.public_url is None:
        say("", "dashboard.public_url is not set: the address above is this machine's own, which no shop can reach.")


def _say_deliveries(found: list[Listed], *, as_json: bool) -> None:
    if as_json:
        say_json({"deliveries": [_delivery_json(each) for each in found]})
        return
    say(*(_line(each) for each in found))
    if not found:
        say("Nothing was delivered yet. Send a test in the shop's own admin pages.")


def _line(delivery: Listed) -> str:
    orders = ", ".join(dict.fromkeys(str(event["order_id"]) for event in delivery.events or ()))
    reason = f": {delivery.reason}" if delivery.reason else ""
    order = f" order {orders}" if orders else ""
    return f"{delivery.number} {moment(delivery.at)} {delivery.shop} {delivery.topic}{order} {delivery.outcome}{reason}"


def _delivery_json(delivery: Listed) -> dict[str, Any]:
    return {
        "delivery": delivery.number,
        "shop": delivery.shop,
        "kind": delivery.kind,
        "at": delivery.at,
        "event_id": delivery.event_id,
        "topic": delivery.topic,
        "outcome": delivery.outcome,
        "reason": delivery.reason,
        "events": delivery.events,
    }


def _say_trial(delivery: Listed, results: tuple[EventResult, ...], *, as_json: bool) -> None:
    if as_json:
        say_json({**_delivery_json(delivery), "would": [result.as_json() for result in results]})
        return
    say(_line(delivery))
    for result in results:
        reason = f" {result.reason}" if result.reason else ""
        say(f"If it came now and were no test: {_would(result)}.{reason}")
    if not results:
        say("It would do nothing now either." if delivery.events is None else "It reports nothing.")


def _would(result: EventResult) -> str:
    event = result.event
    what = f"order {event.order_id} {event.kind}"
    if event.kind is EventKind.PAID and result.outcome == "counted":
        of = f" of {result.member_id}" if result.member_id is not None else ""
        return f"{what}{of}, {dollars(result.amount_cents)}, earns {dollars(result.earned_cents)}"
    return f"{what}: {result.outcome}"


async def _deliveries(settings: Settings, name: str | None, limit: int) -> list[Listed]:
    async with open_payment_session(settings, NullObserver()) as session:
        if name is not None:
            session.service.shop(name)
        return await session.service.deliveries(limit=limit, shop=name)


async def _last_of_each(settings: Settings) -> dict[str, list[Listed]]:
    async with open_payment_session(settings, NullObserver()) as session:
        return {name: await session.service.deliveries(limit=1, shop=name) for name in settings.shops}


async def _try(settings: Settings, name: str) -> tuple[Listed, tuple[EventResult, ...]]:
    async with open_payment_session(settings, NullObserver()) as session:
        return await session.service.try_delivery(name)
