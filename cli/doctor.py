"""`doctor`: whether all is there that the bot needs, and what to do where it is not."""

import anyio

from cashback.cogs.gateway import doctor as practice
from cashback.cogs.gateway.connection import point_at
from cashback.cogs.gateway.doctor import Doctor, Finding
from cashback.domain.errors import CashbackError
from cashback.domain.ports import NullObserver
from cashback.services import AdminService
from cashback.settings import Settings
from cli.context import Place, ledger
from cli.output import complain, counted, say, say_json
from cli.payment_session import open_payment_session


def doctor(place: Place, *, as_json: bool) -> int:
    """Examine ledger and Discord; 1 where something is wrong."""
    findings = anyio.run(_examine, place.settings())
    is_well = all(finding.is_well for finding in findings)
    if as_json:
        checks = [{"name": each.name, "ok": each.is_well, "text": each.text} for each in findings]
        say_json({"ok": is_well, "checks": checks})
    else:
        say(*(f"{'ok   ' if each.is_well else 'WRONG'}  {each.name:<9}  {each.text}" for each in findings))
    if not is_well:
        wrong = sum(not finding.is_well for finding in findings)
        complain(f"the doctor found {counted(wrong, 'thing')} wrong; each line above says what to do.")
    return 0 if is_well else 1


async def _examine(settings: Settings) -> list[Finding]:
    if settings.discord_api_url is not None:
        point_at(settings.discord_api_url)
    try:
        async with open_payment_session(settings, NullObserver()) as office:
            examined = Doctor(office.database, office.service, settings)
            return [*await examined.examine_ledger(), *await practice.visit(examined, settings)]
    except CashbackError as error:
        unopened = ledger(settings)
        examined = Doctor(unopened, AdminService(unopened, settings, lambda _number: 0), settings)
        wrong = Finding(name="database", is_well=False, text=str(error))
        return [wrong, *await practice.visit(examined, settings)]
