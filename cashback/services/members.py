"""Members and their referrals: what a member may do for oneself, and what an admin may do about one."""

from typing import NoReturn

from cashback.database.referral_program import blacklist, links, referrals
from cashback.database.referral_program.people import LARGEST_ID
from cashback.domain.errors import ReferralRefusedError
from cashback.services.actors import Actor
from cashback.services.base import Service


class Members(Service):
    """Links members, bars them, and lets them in again."""

    async def enter_code(self, member_id: int, referrer_id: int, *, in_server: bool, is_bot: bool) -> int:
        """Record whose code a member entered, once for ever; return the referral's id.

        `in_server` and `is_bot` are facts about the referrer. Raises ReferralRefusedError for oneself, a bot, somebody
        who is not in the server, a second time, and a circle.
        """
        if member_id != referrer_id:
            _require_person(referrer_id, in_server=in_server, is_bot=is_bot)
        return await self._database.write(referrals.create_referral, referrer_id, member_id, self._database.now())

    async def link(
        self,
        actor: Actor,
        referrer_id: int,
        referred_id: int,
        *,
        reason: str | None = None,
        bot_ids: frozenset[int] = frozenset(),
    ) -> int:
        """Link two members, or again after an unlink; return the referral's id.

        `bot_ids` are those of the two that are bots. Raises NotAllowedError or ReferralRefusedError; then nothing is
        changed.
        """
        await self.require_admin(actor, f"link {referred_id} to {referrer_id}")
        for bot_id in bot_ids & {referrer_id, referred_id}:
            _refuse_bot(bot_id)
        return await self._database.write(
            links.link, referrer_id, referred_id, reason=reason, actor=str(actor), now=self._database.now()
        )

    async def unlink(self, actor: Actor, referrer_id: int, referred_id: int, *, reason: str | None = None) -> None:
        """Unlink two members: later purchases earn nothing, what was earned is paid.

        Raises NotAllowedError or ReferralRefusedError; then nothing is changed.
        """
        await self.require_admin(actor, f"unlink {referred_id} from {referrer_id}")
        await self._database.write(
            links.unlink, referrer_id, referred_id, reason=reason, actor=str(actor), now=self._database.now()
        )

    async def blacklist(self, actor: Actor, user_id: int, *, reason: str | None = None) -> bool:
        """Bar a member, for present and future referrals; False where it was so already. Raises NotAllowedError."""
        await self.require_admin(actor, f"blacklist {user_id}")
        return await self._database.write(
            blacklist.blacklist, user_id, reason=reason, actor=str(actor), now=self._database.now()
        )

    async def unblacklist(self, actor: Actor, user_id: int) -> bool:
        """Let a member earn again; False where nothing barred the member. Raises NotAllowedError."""
        await self.require_admin(actor, f"unblacklist {user_id}")
        return await self._database.write(blacklist.unblacklist, user_id, actor=str(actor), now=self._database.now())


def read_code(text: str) -> int:
    """Read a referral code: the id of the member whose it is. Raises ReferralRefusedError that says what it may be."""
    digits = text.strip()
    if digits.isascii() and digits.isdigit() and len(digits) <= len(str(LARGEST_ID)) and 0 < int(digits) <= LARGEST_ID:
        return int(digits)
    message = f"{text[:40]!r} is no referral code; a code is the number that `/invite` shows to who invites you."
    raise ReferralRefusedError(message)


def _require_person(referrer_id: int, *, in_server: bool, is_bot: bool) -> None:
    if not in_server:
        message = f"Nobody with the code {referrer_id} is in this server; ask for the code again."
        raise ReferralRefusedError(message)
    if is_bot:
        _refuse_bot(referrer_id)


def _refuse_bot(bot_id: int) -> NoReturn:
    message = f"Member {bot_id} is a bot; bots refer nobody and are referred by nobody."
    raise ReferralRefusedError(message)
