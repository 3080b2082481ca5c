"""`verify`: proves from the rows that the books balance, and finds a head of the audit log that was kept elsewhere."""

from typing import Annotated

import anyio
import typer

from cashback.database import Database, audit_log, verifications
from cashback.database.integrity import health, reconciliation
from cashback.database.integrity.reconciliation import Verdict
from cashback.database.payouts import batches
from cashback.domain.errors import CashbackError
from cashback.services import CLI
from cashback.settings import Settings
from cli.context import Place, ledger
from cli.formatting import verdict_lines
from cli.options import ConfigOption, DatabaseOption, JsonOption, parse_digest
from cli.output import complain, counted, progress, remark, say, say_json


def command(
    context: typer.Context,
    *,
    head: Annotated[
        str | None,
        typer.Option("--head", metavar="DIGEST", parser=parse_digest, help="Also look for this head of the audit log."),
    ] = None,
    batch_id: Annotated[
        str | None,
        typer.Option("--batch", metavar="BATCH-ID", help="Check only this batch; takes as long as it is large."),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Check the whole ledger, or one batch; return 1 if the books do not balance or the head is missing."""
    settings = Place.of(context, config, database).settings()
    with progress("Checking the books", None):
        verdict, head_entry = anyio.run(_verify, settings, head, batch_id)
    if as_json:
        say_json(
            {
                "balanced": verdict.balanced,
                "breaches": verdict.breaches,
                "remarks": verdict.remarks,
                "payouts_checked": verdict.payouts_checked,
                "credited_cents": verdict.credited_cents,
                "audit_head": verdict.audit_head,
                **({"head_entry": head_entry} if head else {}),
            }
        )
    else:
        say(*verdict_lines(verdict))
        if head_entry:
            say(f"Head {head} is entry {head_entry} of the audit log; everything up to it is unchanged.")
    if not verdict.balanced:
        complain(f"the books do not balance: {counted(len(verdict.breaches), 'breach', 'breaches')}")
    if head and head_entry is None:
        complain(f"the audit log has no entry with the head {head}: entries were changed or removed.")
        return 1
    return 0 if verdict.balanced else 1


async def _verify(settings: Settings, head: str | None, batch_id: str | None) -> tuple[Verdict, int | None]:
    async with ledger(settings) as database:
        head_entry = await database.read(audit_log.find_head, head) if head else None
        if batch_id is not None:
            number = await database.read(batches.find_named, batch_id)
            return await database.read(reconciliation.verify_batch, number), head_entry
        await database.read(health.require_sound, database.name)
        verdict = await database.read(reconciliation.verify)
        await _note(database, verdict)
        return verdict, head_entry


async def _note(database: Database, verdict: Verdict) -> None:
    """Record the verification in the ledger; one that takes no entries, for example after its move, is verified too."""
    try:
        await database.write(verifications.note, breaches=len(verdict.breaches), actor=str(CLI), now=database.now())
    except CashbackError as error:
        remark(f"the ledger does not record this verification: {error}")
