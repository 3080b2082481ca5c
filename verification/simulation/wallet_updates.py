"""The effect of each commit about withdrawals and adjustments on the ledger model."""

from collections.abc import Callable
from typing import Final

from cashback.domain.withdrawals import WithdrawalStatus
from verification.simulation.faulty_ledger import Committed
from verification.simulation.ledger_model import LedgerModel


def _ask(model: LedgerModel, done: Committed) -> None:
    asked = done.arguments
    threshold = asked["approval_threshold_cents"]
    model.wallets.ask(done.result.number, asked["user_id"], asked["cents"], threshold)
    model.wallets.requests[done.result.number].version = done.result.version
    model.require(asked["actor"] == f"discord:{asked['user_id']}", f"{asked['actor']} asked for {asked['user_id']}")


def _shown(model: LedgerModel, done: Committed) -> int:
    """Return the number that was decided on; it must be the request that the deciding person was shown."""
    number: int = done.arguments["number"]
    carried, version = done.arguments["version"], model.wallets.requests[number].version
    model.require(carried == version, f"an old message decided on withdrawal {number}, {carried} is not {version}")
    return number


def _approve(model: LedgerModel, done: Committed) -> None:
    model.wallets.approve(_shown(model, done), done.arguments["actor"])


def _pay(model: LedgerModel, done: Committed) -> None:
    model.wallets.pay(_shown(model, done), done.arguments["actor"])


def _decline(model: LedgerModel, done: Committed) -> None:
    model.wallets.give_back(_shown(model, done), done.arguments["actor"], WithdrawalStatus.DECLINED)


def _cancel(model: LedgerModel, done: Committed) -> None:
    number, actor = _shown(model, done), done.arguments["actor"]
    member = model.wallets.requests[number].member
    model.require(actor == f"discord:{member}", f"{actor} cancelled the withdrawal {number} of {member}")
    model.wallets.give_back(number, None, WithdrawalStatus.CANCELLED)


def _switch_on(model: LedgerModel, done: Committed) -> None:
    model.balances.setdefault(done.arguments["user_id"], 0)
    model.wallets.sent_each_time.setdefault(done.arguments["user_id"], {})


def _switch_off(model: LedgerModel, done: Committed) -> None:
    model.wallets.sent_each_time.pop(done.arguments["user_id"], None)


def _send(model: LedgerModel, done: Committed) -> None:
    sent = done.result
    limits = done.arguments["minimum_cents"], done.arguments["maximum_cents"]
    told = None if sent is None else (sent.number, sent.amount_cents)
    model.wallets.send(done.arguments["user_id"], told, limits, done.arguments["approval_threshold_cents"])
    if sent is not None:
        model.wallets.requests[sent.number].version = sent.version


def _adjust(model: LedgerModel, done: Committed) -> None:
    made = done.arguments
    threshold = made["approval_threshold_cents"]
    admins = {made["actor_id"]} if made["approver_id"] is None else {made["actor_id"], made["approver_id"]}
    needs_two = threshold is not None and abs(made["cents"]) >= threshold
    model.wallets.adjust(made["user_id"], made["cents"], admins, needs_two=needs_two)
    balance = model.balances[made["user_id"]]
    model.require(done.result == balance, f"an adjustment left {done.result} cents, it must be {balance}")


WALLET_HANDLERS: Final[dict[str, Callable[[LedgerModel, Committed], None]]] = {
    "withdrawals.request": _ask,
    "decisions.approve_first": _approve,
    "decisions.pay": _pay,
    "decisions.decline": _decline,
    "decisions.cancel": _cancel,
    "adjustments.adjust": _adjust,
    "auto_withdrawals.switch_on": _switch_on,
    "auto_withdrawals.switch_off": _switch_off,
    "auto_withdrawals.send": _send,
}
"""The model's update for each function that changes a wallet for its member or an admin."""
