"""How amounts are written: the currency and the language, from config.json to what people read."""

from __future__ import annotations

from tests.settings.discord_cases import admin, answer
from tests.settings.world import World, setting


@setting("currency", ("USD", "$5.00"), ("EUR", "€5.00"), ("JPY", "¥500"), ("KWD", "KWD0.500"))
@setting("locale", ("en", "$5.00"), ("de", "5,00\u00a0$"), ("pt_BR", "US$\u00a05,00"))
async def an_amount_in_the_summary(world: World) -> object:
    ada, bob = admin(world), world.sandbox.add_member("Bob")
    await world.ledger.earn(bob.id, 500)
    async with world.running():
        summary = await answer(world, "!sendref-cashb", ada)
    first = str(summary.embed["fields"][1]["value"])
    return first.split(" - ")[1].split(" (", maxsplit=1)[0]


@setting("texts", ({}, "Next Payday"), ({"Next Payday": "Payday!"}, "Payday!"))
async def the_name_of_a_field(world: World) -> object:
    bob = world.sandbox.add_member("Bob")
    async with world.running():
        asked = await world.sandbox.slash(world.audit.id, bob.id, "invite")
        shown = await asked.replied()
    assert shown is not None
    return next(each["name"] for each in shown.embed["fields"] if "pay" in each["name"].lower())
