"""`withdrawals`: the queue of members' requests, the decisions on them, and files for a bank or a mass payment."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer

from cashback.database.errors import LedgerMovedError
from cashback.database.wallets import withdrawals
from cashback.domain.errors import CashbackError, DatabaseUnavailableError
from cashback.domain.money import dollars, grouped, money_style, parse_typed_dollars
from cashback.domain.ports import NullObserver
from cashback.domain.withdrawals import Withdrawal, WithdrawalStatus
from cashback.services import CLI, Actor, AdminService, Source
from cashback.settings import Settings
from cashback.shops.ids import may_be_rounded
from cashback.shops.tables import BadRow
from cashback.shops.transfers import NotMade, Transfer, new_list, read_result, write_list
from cli.context import Place, ledger
from cli.options import ApproverOption, ConfigOption, DatabaseOption, JsonOption, LimitOption, ReasonOption
from cli.output import UsageError, complain, counted, moment, remark, say, say_json
from cli.payment_session import open_payment_session


class WithdrawalAction(StrEnum):
    """What can be done to withdrawals."""

    LIST = "list"
    PAID = "paid"
    DECLINE = "decline"
    EXPORT = "export"
    IMPORT = "import"


def command(
    context: typer.Context,
    *,
    action: Annotated[
        WithdrawalAction, typer.Argument(metavar="ACTION", help="list, paid, decline, export or import.")
    ] = WithdrawalAction.LIST,
    what: Annotated[
        str | None, typer.Argument(metavar="N | FILE", help="The withdrawal's number, or the file.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", metavar="TEXT", help="The reference of the transfer that was made.")
    ] = None,
    reason: ReasonOption = None,
    approved_by: ApproverOption = None,
    everything: Annotated[bool, typer.Option("--all", help="List decided withdrawals too, newest first.")] = False,
    limit: LimitOption = 100,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """List the open requests, decide on one, write a list of them, or read its result; return the exit code."""
    if (action is WithdrawalAction.LIST) != (what is None):
        raise UsageError(
            f"`withdrawals {action}` {'takes no' if action is WithdrawalAction.LIST else 'needs a'} N or FILE"
        )
    if (reference is not None) != (action is WithdrawalAction.PAID):
        raise UsageError("`paid` needs --reference, and no other action takes it")
    if (reason is not None) != (action is WithdrawalAction.DECLINE):
        raise UsageError("`decline` needs --reason, and no other action takes it")
    settings = Place.of(context, config, database).settings()
    if action is WithdrawalAction.LIST:
        return _list(settings, limit, everything=everything, as_json=as_json)
    if action is WithdrawalAction.EXPORT:
        return _export(settings, Path(str(what)), as_json=as_json)
    if action is WithdrawalAction.IMPORT:
        return _import(settings, Path(str(what)), approved_by, as_json=as_json)
    number = _parse_number(str(what))
    if action is WithdrawalAction.PAID:
        done = anyio.run(_pay, settings, number, str(reference), approved_by)
    else:
        done = anyio.run(_decline, settings, number, str(reason))
    say_json(withdrawal_json(done)) if as_json else say(withdrawal_line(done))
    return 0


def withdrawal_line(withdrawal: Withdrawal) -> str:
    """Write a withdrawal in a line, without its destination."""
    more = withdrawal.reference or withdrawal.reason
    if withdrawal.needs_first_approval:
        more = "needs two admins"
    return (
        f"{withdrawal.number}: {dollars(withdrawal.amount_cents)} by {withdrawal.method} for {withdrawal.user_id},"
        f" {moment(withdrawal.requested_at)}, {withdrawal.status}{f' ({more})' if more else ''}"
    )


def withdrawal_json(withdrawal: Withdrawal) -> dict[str, Any]:
    """Return a withdrawal for programs, without its destination."""
    return {
        "withdrawal": withdrawal.number,
        "user_id": withdrawal.user_id,
        "method": withdrawal.method,
        "amount_cents": withdrawal.amount_cents,
        "status": withdrawal.status,
        "requested_at": withdrawal.requested_at,
        "needs_second_approver": withdrawal.needs_second_approver,
        "first_approved_by": withdrawal.first_approved_by,
        "decided_by": withdrawal.decided_by,
        "decided_at": withdrawal.decided_at,
        "reference": withdrawal.reference,
        "reason": withdrawal.reason,
    }


def _parse_number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:  # noqa: PLR2004 -- what fits 64 bits
        raise CashbackError(f"{text[:40]!r} is not a number of a withdrawal; `cashback withdrawals` lists them.")
    return int(text)


def _list(settings: Settings, limit: int, *, everything: bool, as_json: bool) -> int:
    found, count, cents = anyio.run(_read, settings, limit, everything)
    if as_json:
        say_json({"open": count, "open_cents": cents, "withdrawals": [withdrawal_json(each) for each in found]})
        return 0
    say(f"{counted(count, 'open withdrawal')}, {dollars(cents)}.", *(f"  {withdrawal_line(each)}" for each in found))
    return 0


async def _read(settings: Settings, limit: int, everything: bool) -> tuple[list[Withdrawal], int, int]:  # noqa: FBT001 -- anyio.run passes by position
    async with ledger(settings) as database:
        count, cents = await database.read(withdrawals.queue_totals)
        chosen = withdrawals.newest if everything else withdrawals.queue
        return await database.read(chosen, limit=limit), count, cents


async def _pay(settings: Settings, number: int, reference: str, approved_by: int | None) -> Withdrawal:
    async with open_payment_session(settings, NullObserver()) as session:
        return await _mark_paid(session.service, number, reference, approved_by)


async def _mark_paid(service: AdminService, number: int, reference: str, approved_by: int | None) -> Withdrawal:
    """Mark a request as paid. A second admin who is named approves what the command line approved first."""
    if approved_by is None:
        return await service.pay_withdrawal(CLI, number, reference=reference)
    second = Actor(source=Source.CLI, user_id=approved_by)
    if (await service.withdrawal(number)).needs_first_approval:
        await service.approve_withdrawal(CLI, number)
    return await service.pay_withdrawal(second, number, reference=reference)


async def _decline(settings: Settings, number: int, reason: str) -> Withdrawal:
    async with open_payment_session(settings, NullObserver()) as session:
        return await session.service.decline_withdrawal(CLI, number, reason=reason)


def _export(settings: Settings, path: Path, *, as_json: bool) -> int:
    listed = anyio.run(_export_to, settings, path)
    cents = sum(each.amount_cents for each in listed)
    again = [str(each.number) for each in listed if each.exported_at is not None]
    if again:
        # A bank would pay twice what is in two lists.
        remark(f"Withdrawal {', '.join(again)} was in an earlier list: transfer it once, or import that result first.")
    if as_json:
        say_json({"file": str(path.absolute()), "withdrawals": len(listed), "total_cents": cents})
    else:
        say(
            f"{path} holds {counted(len(listed), 'withdrawal')}, {dollars(cents)}.",
            "It has members' data: delete it once the transfers are made.",
        )
    return 0


async def _export_to(settings: Settings, path: Path) -> list[Withdrawal]:
    async with open_payment_session(settings, NullObserver()) as session:
        # Created before the audit log records the export, and removed if that fails.
        with new_list(path):
            return await _write(session.service, path)


async def _write(service: AdminService, path: Path) -> list[Withdrawal]:
    listed, style = await service.withdrawals_to_transfer(CLI), money_style()
    write_list(
        path,
        [
            (
                each.withdrawal.number,
                str(each.withdrawal.user_id),
                each.withdrawal.method,
                each.destination,
                style.plain(each.withdrawal.amount_cents),
                style.currency,
                each.withdrawal.requested_at.isoformat(timespec="seconds"),
                each.audit_head,
            )
            for each in listed
        ],
    )
    return [each.withdrawal for each in listed]


def _import(settings: Settings, path: Path, approved_by: int | None, *, as_json: bool) -> int:
    paid, known, refused, skipped = anyio.run(_import_from, settings, path, approved_by)
    if skipped:
        states = ", ".join(sorted({repr(each.state[:20]) for each in skipped}))
        remark(
            f"{counted(len(skipped), 'row')} skipped: the status is not that of a transfer that was made, but {states}."
        )
    if as_json:
        errors = [{"line": bad.line, "reason": bad.reason} for bad in refused]
        say_json(
            {
                "paid": len(paid),
                "already_paid": known,
                "skipped": len(skipped),
                "refused": len(refused),
                "errors": errors,
            }
        )
    else:
        for bad in refused:
            complain(f"{path}: line {bad.line}: {bad.reason}")
        cents = sum(each.amount_cents for each in paid)
        say(
            f"{counted(len(paid), 'withdrawal')} marked as paid, {dollars(cents)};"
            f" {grouped(known)} known already, {grouped(len(refused))} refused."
        )
    return 3 if refused else 0


async def _import_from(
    settings: Settings, path: Path, approved_by: int | None
) -> tuple[list[Withdrawal], int, list[BadRow], list[NotMade]]:
    """Mark each transfer of a file as paid, a transaction each: a bad row stops no other, and repeating is harmless."""
    paid: list[Withdrawal] = []
    refused: list[BadRow] = []
    skipped: list[NotMade] = []
    known = 0
    async with open_payment_session(settings, NullObserver()) as session:
        rows = list(read_result(path))
        await session.service.require_own_lists({each.ledger for each in rows if isinstance(each, Transfer)} - {""})
        for row in rows:
            if isinstance(row, BadRow):
                refused.append(row)
                continue
            if isinstance(row, NotMade):
                skipped.append(row)
                continue
            try:
                asked = await session.service.withdrawal(row.withdrawal)
                _require_same(asked, row)
                if asked.status is WithdrawalStatus.PAID and asked.reference == row.reference:
                    known += 1
                else:
                    paid.append(await _mark_paid(session.service, asked.number, row.reference, approved_by))
            except (DatabaseUnavailableError, LedgerMovedError):
                # Not about this row: each of the others would be refused too.
                raise
            except CashbackError as error:
                refused.append(BadRow(line=row.line, reason=str(error)))
    return paid, known, refused, skipped


def _require_same(asked: Withdrawal, row: Transfer) -> None:
    """Refuse a row about another amount or member: it may be of another ledger."""
    currency = money_style().currency
    if row.currency not in {"", currency}:
        raise CashbackError(f"the currency {row.currency[:20]} is not {currency}, in which the ledger counts")
    if row.amount and parse_typed_dollars(row.amount.removeprefix("'")) != asked.amount_cents:
        raise CashbackError(f"the amount {row.amount[:20]} is not the {dollars(asked.amount_cents)} of the withdrawal")
    member = row.member.removeprefix("'")
    if member and member != str(asked.user_id) and not may_be_rounded(member, asked.user_id):
        raise CashbackError(f"the member {member[:20]} is not {asked.user_id}, who asked for it")
