"""Auto-withdrawals: members switch them on, and the process that pays sends their payouts."""

import logging

from cashback.database.errors import LedgerMovedError, RowRefusedError
from cashback.database.referral_program.blacklist import blacklisted
from cashback.database.wallets import auto_withdrawals, withdrawals
from cashback.domain.errors import CashbackError, StaleBatchError, WithdrawalRefusedError
from cashback.domain.languages import tr
from cashback.domain.withdrawals import AutoWithdrawal, Withdrawal
from cashback.services.actors import Actor, Source
from cashback.services.wallets import Wallets

logger = logging.getLogger(__name__)


class AutoWithdrawals(Wallets):
    """Turns payouts into requests for the members that wish it."""

    _seen = (-1, -1)
    _refused: frozenset[int] = frozenset()
    """The members whose wallets could not be written, so that each is in the log once."""

    async def send_each_time(self, member_id: int, method: str, destination: str | None = None) -> None:
        """Send a member's later payouts by this method. Raises WithdrawalRefusedError; then nothing changes."""
        method, encrypted = self._require_way(member_id, method, destination)
        await self._require_good_standing(member_id)
        await self._database.write(
            auto_withdrawals.switch_on,
            member_id,
            method,
            encrypted,
            actor=str(Actor(source=Source.DISCORD, user_id=member_id)),
            now=self._database.now(),
        )

    async def stop_sending(self, member_id: int) -> None:
        """Leave a member's payouts in the wallet. Raises WithdrawalRefusedError if they are not sent."""
        actor = str(Actor(source=Source.DISCORD, user_id=member_id))
        if not await self._database.write(
            auto_withdrawals.switch_off, member_id, actor=actor, now=self._database.now()
        ):
            raise WithdrawalRefusedError(tr("Your payouts are not sent each time; they stay in your wallet."))

    async def send_new_payouts(self) -> list[Withdrawal]:
        """Turn new payouts into requests, each once; return the requests. Those that must wait are tried again."""
        terms = self._settings.withdrawals
        if not terms.enabled:
            return []
        newest = await self._database.read(auto_withdrawals.newest_changes)
        if newest == self._seen:
            return []
        sent, is_done = [], True
        for member_id in await self._database.read(auto_withdrawals.due):
            wish = await self._wish_in_force(member_id)
            if wish is None:
                continue
            try:
                made = await self._send(wish)
            except LedgerMovedError:
                raise
            except (StaleBatchError, RowRefusedError) as error:
                # Another process was faster, or an admin; or the wallet cannot be written, which holds up nobody else.
                is_done = False
                self._log_once(member_id, error)
                continue
            self._refused -= {member_id}
            if made is not None:
                sent.append(made)
        if is_done:
            self._seen = newest
        return sent

    async def _wish_in_force(self, member_id: int) -> AutoWithdrawal | None:
        """Return how a member's payouts are sent; None if they stay in the wallet for now."""
        wish = await self._database.read(auto_withdrawals.of_member, member_id)
        if wish is None or wish.method not in self._settings.withdrawals.methods:
            return None
        return None if await self._database.read(blacklisted, member_id) else wish

    async def _send(self, wish: AutoWithdrawal) -> Withdrawal | None:
        terms = self._settings.withdrawals
        return await self._database.write(
            auto_withdrawals.send,
            wish.user_id,
            adds_to=await self._version_to_add_to(wish),
            minimum_cents=terms.minimum_cents,
            maximum_cents=terms.maximum_cents,
            now=self._database.now(),
            approval_threshold_cents=self._threshold,
        )

    def _log_once(self, member_id: int, error: CashbackError) -> None:
        if isinstance(error, RowRefusedError) and member_id not in self._refused:
            self._refused |= {member_id}
            logger.warning("the payouts of member %d are not sent on: %s", member_id, error)

    async def _version_to_add_to(self, wish: AutoWithdrawal) -> str | None:
        """Return the version of the member's open request if it goes the same way; None if there is no such one."""
        waiting = await self._database.read(withdrawals.open_of, wish.user_id)
        if waiting is None or waiting.method != wish.method:
            return None
        return waiting.version if self._is_one_place(waiting.destination, wish.destination) else None

    def _is_one_place(self, one: str | None, other: str | None) -> bool:
        """Return whether two destinations are the same. What cannot be read may be anything, so it never is."""
        if one is None or other is None:
            return one is other
        try:
            return self._destinations.decrypt(one) == self._destinations.decrypt(other)
        except CashbackError:
            return False
