"""`wallet`: shows a member's wallet, or adjusts it."""

from typing import Annotated, Any, Final

import anyio
import typer

from cashback.database.wallets import statement
from cashback.domain.money import dollars, parse_typed_dollars
from cashback.domain.ports import NullObserver
from cashback.domain.withdrawals import Wallet
from cashback.services import CLI
from cashback.settings import Settings
from cli.context import Place, ledger
from cli.members import remark_if_unknown
from cli.options import ApproverOption, ConfigOption, DatabaseOption, JsonOption, LimitOption, ReasonOption, parse_id
from cli.output import UsageError, moment, say, say_json
from cli.payment_session import open_payment_session
from cli.withdrawals import withdrawal_json, withdrawal_line

ADJUST: Final = "adjust"


def command(
    context: typer.Context,
    *,
    words: Annotated[
        list[str],
        typer.Argument(metavar="ID | adjust ID AMOUNT", help="The member; an AMOUNT below zero, -5.00, is a debit."),
    ],
    reason: ReasonOption = None,
    approved_by: ApproverOption = None,
    limit: LimitOption = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Show the balance, the newest transactions in words and the withdrawals; or adjust the balance."""
    place = Place.of(context, config, database)
    if words[0] == ADJUST:
        if len(words) != 3 or reason is None:  # noqa: PLR2004 -- `adjust ID AMOUNT`
            raise UsageError("An adjustment is `wallet adjust ID AMOUNT --reason TEXT`")
        settings = place.settings()
        user_id, cents = parse_id(words[1]), _parse_change(words[2])
        balance = anyio.run(_adjust, settings, user_id, cents, reason, approved_by)
        if as_json:
            say_json({"user_id": user_id, "adjusted_cents": cents, "balance_cents": balance})
        else:
            say(f"Adjusted by {dollars(cents)}: the wallet of {user_id} holds {dollars(balance)} now.")
        return 0
    if len(words) != 1 or reason is not None or approved_by is not None:
        raise UsageError("Name one member, or `adjust ID AMOUNT --reason TEXT`")
    user_id = parse_id(words[0])
    wallet = anyio.run(_read, place.settings(), user_id, limit)
    say_json(wallet_json(wallet)) if as_json else say(*_lines(wallet))
    return 0


def _parse_change(text: str) -> int:
    """Read an amount that may be below zero."""
    is_debit = text.strip().startswith("-")
    cents = parse_typed_dollars(text.strip().removeprefix("-"))
    return -cents if is_debit else cents


def _lines(wallet: Wallet) -> list[str]:
    waiting = wallet.open_withdrawal
    lines = [f"Wallet of {wallet.user_id}: {dollars(wallet.balance_cents)}"]
    if waiting is not None:
        lines.append(f"  Requested: {dollars(waiting.amount_cents)} by {waiting.method} (withdrawal {waiting.number})")
    if wallet.auto_withdrawal is not None:
        lines.append(f"  Each payout is sent by {wallet.auto_withdrawal.method}.")
    lines += [
        f"  {moment(each.at)}  {dollars(each.amount_cents):>12}  {dollars(each.balance_after_cents):>12}  {each.text}"
        for each in wallet.entries
    ]
    if not wallet.entries:
        lines.append("  No transactions found.")
    if wallet.withdrawals:
        lines += ["", "Withdrawals", *(f"  {withdrawal_line(each)}" for each in wallet.withdrawals)]
    return lines


def wallet_json(wallet: Wallet) -> dict[str, Any]:
    """Return a wallet for programs."""
    return {
        "user_id": wallet.user_id,
        "balance_cents": wallet.balance_cents,
        "requested_cents": wallet.open_withdrawal.amount_cents if wallet.open_withdrawal else 0,
        "auto_withdrawal": wallet.auto_withdrawal.method if wallet.auto_withdrawal else None,
        "transactions": [
            {
                "number": each.number,
                "at": each.at,
                "amount_cents": each.amount_cents,
                "balance_after_cents": each.balance_after_cents,
                "type": each.kind,
                "text": each.text,
            }
            for each in wallet.entries
        ],
        "withdrawals": [withdrawal_json(each) for each in wallet.withdrawals],
    }


async def _read(settings: Settings, user_id: int, limit: int) -> Wallet:
    async with ledger(settings) as database:
        await remark_if_unknown(database, user_id)
        return await database.read(statement.wallet_of, user_id, limit=limit)


async def _adjust(settings: Settings, user_id: int, cents: int, reason: str, approved_by: int | None) -> int:
    async with open_payment_session(settings, NullObserver()) as session:
        return await session.service.adjust_wallet(CLI, user_id, cents, reason=reason, approver_id=approved_by)
