"""`doctor`: checks the setup and explains how to fix problems."""

import anyio
import typer

from cashback.cogs.gateway import doctor as discord_checks
from cashback.cogs.gateway.connection import point_at
from cashback.cogs.gateway.doctor import Doctor, Finding
from cashback.domain.errors import CashbackError
from cashback.domain.ports import NullObserver
from cashback.services import AdminService
from cashback.settings import Settings
from cli.context import Place, ledger
from cli.options import ConfigOption, DatabaseOption, JsonOption
from cli.output import complain, counted, say, say_json
from cli.payment_session import open_payment_session


def command(
    context: typer.Context,
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Check the ledger and Discord; return 1 if something is wrong."""
    findings = anyio.run(examine, Place.of(context, config, database).settings())
    is_well = all(finding.is_well for finding in findings)
    if as_json:
        checks = [{"name": each.name, "ok": each.is_well, "text": each.text} for each in findings]
        say_json({"ok": is_well, "checks": checks})
    else:
        say(*map(finding_line, findings))
    if not is_well:
        wrong = sum(not finding.is_well for finding in findings)
        complain(f"{counted(wrong, 'check')} failed; the lines above explain what to do.")
    return 0 if is_well else 1


def finding_line(finding: Finding) -> str:
    """Show a finding in one line."""
    return f"{'ok   ' if finding.is_well else 'WRONG'}  {finding.name:<9}  {finding.text}"


async def examine(settings: Settings) -> list[Finding]:
    """Check the ledger and Discord."""
    if settings.discord_api_url is not None:
        point_at(settings.discord_api_url)
    try:
        async with open_payment_session(settings, NullObserver()) as session:
            examined = Doctor(session.database, session.service, settings)
            return [*await examined.examine_ledger(), *await discord_checks.visit(examined, settings)]
    except CashbackError as error:
        unopened = ledger(settings)
        examined = Doctor(unopened, AdminService(unopened, settings, lambda _number: 0), settings)
        wrong = Finding(name="database", is_well=False, text=str(error))
        return [wrong, *await discord_checks.visit(examined, settings)]
