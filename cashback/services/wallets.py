"""Wallets: what members may take out of them, and what admins decide about it."""

from collections.abc import Awaitable, Iterable
from typing import TypeVar

from cashback.database import events
from cashback.database.audit_log import find_head
from cashback.database.referral_program.blacklist import blacklisted
from cashback.database.wallets import adjustments, decisions, withdrawals
from cashback.domain.errors import CashbackError, NotAllowedError, WithdrawalRefusedError
from cashback.domain.languages import tr, trn
from cashback.domain.money import dollars
from cashback.domain.reason_texts import MAX_REASON_LENGTH
from cashback.domain.withdrawals import (
    BY_MEMBER,
    MAX_DESTINATION_LENGTH,
    MAX_REFERENCE_LENGTH,
    ListedWithdrawal,
    Withdrawal,
    account_age,
)
from cashback.services.actors import Actor, Source
from cashback.services.base import Service
from cashback.services.destinations import VARIABLE, AnotherKeyError, Destinations
from cashback.settings import WithdrawalSettings

T = TypeVar("T")


class Wallets(Service):
    """Takes requests of members, decides on them for admins, and adjusts wallets."""

    async def request_withdrawal(
        self, member_id: int, cents: int, method: str, destination: str | None = None
    ) -> Withdrawal:
        """Take an amount out of a member's wallet into a request. Raises WithdrawalRefusedError; then nothing moves."""
        method, encrypted = self._require_way(member_id, method, destination)
        self._require_amount(cents)
        await self._require_good_standing(member_id)
        return await self._database.write(
            withdrawals.request,
            user_id=member_id,
            cents=cents,
            method=method,
            destination=encrypted,
            actor=str(Actor(source=Source.DISCORD, user_id=member_id)),
            now=self._database.now(),
            approval_threshold_cents=self._threshold,
        )

    def _require_way(self, member_id: int, method: str, destination: str | None) -> tuple[str, str | None]:
        """Return the method and the encrypted destination. Raises WithdrawalRefusedError."""
        method, terms = method.strip().lower(), self._settings.withdrawals
        if not terms.enabled:
            raise WithdrawalRefusedError(tr("Withdrawals are switched off here; ask an admin."))
        if method not in terms.methods:
            known = ", ".join(sorted(terms.methods)) or "-"
            text = tr(
                "{method} is not a method of withdrawal; the methods: {known}.", method=repr(method[:40]), known=known
            )
            raise WithdrawalRefusedError(text)
        # An account may be younger than a clock that is behind: it is new then.
        if max(0, account_age(member_id, self._database.now()).days) < terms.account_age_days:
            raise WithdrawalRefusedError(
                trn(
                    "Your Discord account must be {count} day old for a withdrawal. Nothing was done.",
                    "Your Discord account must be {count} days old for a withdrawal. Nothing was done.",
                    terms.account_age_days,
                )
            )
        destination = " ".join((destination or "").split()) or None
        self._require_destination(method, destination)
        return method, None if destination is None else self._destinations.encrypt(destination)

    async def _require_good_standing(self, member_id: int) -> None:
        """Refuse a blacklisted member: what an admin suspects does not leave in the meantime."""
        if await self._database.read(blacklisted, member_id):
            text = tr("You are blacklisted from referral cashback; ask an admin to end that first. Nothing was done.")
            raise WithdrawalRefusedError(text)

    def _require_amount(self, cents: int) -> None:
        terms = self._settings.withdrawals
        if cents < terms.minimum_cents:
            raise WithdrawalRefusedError(
                tr(
                    "{amount} is below the minimum of {minimum}; nothing was done.",
                    amount=dollars(cents),
                    minimum=dollars(terms.minimum_cents),
                )
            )
        if terms.maximum_cents is not None and cents > terms.maximum_cents:
            raise WithdrawalRefusedError(
                tr(
                    "{amount} is above the maximum of {maximum}; nothing was done.",
                    amount=dollars(cents),
                    maximum=dollars(terms.maximum_cents),
                )
            )

    def _require_destination(self, method: str, destination: str | None) -> None:
        meaning = self._settings.withdrawals.methods[method]
        if meaning is None and destination is not None:
            raise WithdrawalRefusedError(
                tr("{method} needs no destination; leave `to` empty. Nothing was done.", method=method)
            )
        if meaning is not None and destination is None:
            raise WithdrawalRefusedError(
                tr("{method} needs a destination: {meaning}. Name it with `to`.", method=method, meaning=meaning)
            )
        if destination is not None and (len(destination) > MAX_DESTINATION_LENGTH or not destination.isprintable()):
            raise WithdrawalRefusedError(
                tr(
                    "The destination must be at most {most} printable characters; nothing was done.",
                    most=MAX_DESTINATION_LENGTH,
                )
            )

    async def cancel_withdrawal(self, member_id: int, number: int, *, version: str | None = None) -> Withdrawal:
        """Cancel a member's own open request. Raises WithdrawalRefusedError if it is not open, or not theirs."""
        waiting = await self._database.read(withdrawals.open_of, member_id)
        if waiting is None or waiting.number != number:
            raise WithdrawalRefusedError(
                tr("You have no open withdrawal number {number}; nothing was done.", number=number)
            )
        if version not in {None, waiting.version}:
            raise WithdrawalRefusedError(
                tr("Withdrawal {number} is not as it was shown; `/wallet` shows it. Nothing was done.", number=number)
            )
        return await self._database.write(
            decisions.cancel,
            waiting.number,
            reason=BY_MEMBER,
            actor=str(Actor(source=Source.DISCORD, user_id=member_id)),
            now=self._database.now(),
            version=version,
        )

    async def approve_withdrawal(self, actor: Actor, number: int, *, version: str | None = None) -> Withdrawal:
        """Give the first of two approvals. Raises NotAllowedError or StaleBatchError.

        `version` is that of the request that the admin was shown, here and below: another one is not decided on.
        """
        action = f"approve withdrawal {number}"
        await self.require_admin(actor, action)
        write = self._database.write(
            decisions.approve_first,
            number,
            actor=str(actor),
            approver_id=actor.user_id,
            now=self._database.now(),
            version=version,
        )
        return await self._noting_refusals(actor, action, write)

    async def pay_withdrawal(
        self, actor: Actor, number: int, *, reference: str, version: str | None = None
    ) -> Withdrawal:
        """Mark a request as paid, once. Raises NotAllowedError, StaleBatchError, or CashbackError for the reference."""
        action = f"mark withdrawal {number} as paid"
        await self.require_admin(actor, action)
        write = self._database.write(
            decisions.pay,
            number,
            reference=_text(reference, "reference", MAX_REFERENCE_LENGTH),
            actor=str(actor),
            approver_id=actor.user_id,
            now=self._database.now(),
            version=version,
        )
        return await self._noting_refusals(actor, action, write)

    async def decline_withdrawal(
        self, actor: Actor, number: int, *, reason: str, version: str | None = None
    ) -> Withdrawal:
        """Decline a request; its amount returns to the wallet. Raises as `pay_withdrawal`."""
        action = f"decline withdrawal {number}"
        await self.require_admin(actor, action)
        write = self._database.write(
            decisions.decline,
            number,
            reason=_text(reason, "reason", MAX_REASON_LENGTH),
            actor=str(actor),
            approver_id=actor.user_id,
            now=self._database.now(),
            version=version,
        )
        return await self._noting_refusals(actor, action, write)

    async def adjust_wallet(
        self, actor: Actor, user_id: int, cents: int, *, reason: str, approver_id: int | None = None
    ) -> int:
        """Credit or debit a wallet and return the balance. From the threshold on a second admin must be named."""
        action = f"adjust the wallet of {user_id} by {dollars(cents)}"
        await self.require_admin(actor, action)
        write = self._database.write(
            adjustments.adjust,
            user_id=user_id,
            cents=cents,
            reason=_text(reason, "reason", MAX_REASON_LENGTH),
            actor=str(actor),
            actor_id=actor.user_id,
            approver_id=approver_id,
            now=self._database.now(),
            approval_threshold_cents=self._threshold,
        )
        return await self._noting_refusals(actor, action, write)

    async def withdrawal(self, number: int) -> Withdrawal:
        """Return a withdrawal. Raises CashbackError if there is no such number."""
        return await self._database.read(withdrawals.find, number)

    async def withdrawal_queue(self, actor: Actor) -> list[Withdrawal]:
        """List the open requests, oldest first, for an admin."""
        await self.require_admin(actor, "see the withdrawals")
        return await self._database.read(withdrawals.queue)

    async def withdrawals_to_transfer(self, actor: Actor) -> list[ListedWithdrawal]:
        """List the open requests that may be paid, each with its destination; the audit log records it.

        Raises StaleBatchError if one changes in the meantime.
        """
        await self.require_admin(actor, "export the withdrawals")
        ready = [each for each in await self._database.read(withdrawals.queue) if not each.needs_first_approval]
        listed: list[tuple[Withdrawal, str | None]] = []
        unreadable: list[int] = []
        for each in ready:
            try:
                listed.append((each, self.destination_of(each)))
            except AnotherKeyError:
                unreadable.append(each.number)
        if unreadable:
            raise CashbackError(
                f"The destination of withdrawal {', '.join(map(str, unreadable))} is encrypted with another key; put"
                f" that key into {VARIABLE} too, or decline it. Nothing was exported."
            )
        head = await self._database.write(withdrawals.record_export, ready, actor=str(actor), now=self._database.now())
        return [
            ListedWithdrawal(withdrawal=each, destination=destination, audit_head=head) for each, destination in listed
        ]

    async def require_own_lists(self, audit_heads: Iterable[str]) -> None:
        """Raise CashbackError unless this ledger exported the lists with these heads of its audit log."""
        for head in audit_heads:
            if await self._database.read(find_head, head) is None:
                raise CashbackError(
                    "It is the result of a list that this ledger did not export, as that of a copy or of a trial;"
                    " nothing was marked. Name the right ledger by --database. After a restore, see"
                    " docs/howto/withdrawals.md."
                )

    async def retry_delivery(self, actor: Actor, number: int) -> None:
        """Queue an event again that a webhook did not take. Raises NotAllowedError or StaleBatchError."""
        await self.require_admin(actor, f"send the event {number} again")
        await self._database.write(events.retry, number, actor=str(actor), now=self._database.now())

    def destination_of(self, withdrawal: Withdrawal) -> str | None:
        """Decrypt where a withdrawal goes to, for admins only; None if it has none or it was erased.

        Raises CashbackError if it cannot be read with the present keys.
        """
        return None if withdrawal.destination is None else self._destinations.decrypt(withdrawal.destination)

    def require_withdrawal_keys(self) -> None:
        """Raise CashbackError with the remedy if destinations cannot be encrypted."""
        self._destinations.encrypt("")

    async def erase_destinations(self) -> int:
        """Erase the destinations of withdrawals that were decided long enough ago; return their number."""
        now, days = self._database.now(), self._settings.withdrawals.erase_days
        # Asked first: nothing is written as long as nothing is due.
        if not await self._database.read(decisions.has_due_destinations, now=now, days=days):
            return 0
        return await self._database.write(decisions.erase_destinations, now=now, days=days)

    @property
    def withdrawal_terms(self) -> WithdrawalSettings:
        """The methods and limits in force."""
        return self._settings.withdrawals

    @property
    def _destinations(self) -> Destinations:
        return Destinations([key.get_secret_value() for key in self._settings.withdrawal_keys])

    @property
    def _threshold(self) -> int | None:
        return self._settings.referral_settings.approval_threshold_cents

    async def _noting_refusals(self, actor: Actor, action: str, write: Awaitable[T]) -> T:
        try:
            return await write
        except NotAllowedError:
            await self._note_refusal(actor, action)
            raise


def _text(text: str, what: str, most: int) -> str:
    text = " ".join(text.split())
    if not 0 < len(text) <= most or not text.isprintable():
        raise CashbackError(f"The {what} has {len(text)} characters; give one of 1 to {most} printable characters.")
    return text
