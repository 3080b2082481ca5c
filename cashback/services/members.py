"""Members and their referrals: what members may do for themselves, and what an admin may do about them."""

from datetime import datetime, timedelta
from typing import NoReturn

from cashback.database.referral_program import blacklist, links
from cashback.database.referral_program.people import LARGEST_ID
from cashback.domain.errors import ReferralRefusedError
from cashback.domain.languages import tr, trn
from cashback.services.actors import Actor
from cashback.services.base import Service


class Members(Service):
    """Links, unlinks, blacklists and unblacklists members."""

    async def enter_code(
        self,
        member_id: int,
        referrer_id: int,
        *,
        in_server: bool,
        is_bot: bool,
        joined_at: datetime | None = None,
    ) -> int:
        """Record the referral code that a member entered, once and permanently; return the referral's id.

        `in_server` and `is_bot` describe the referrer, `joined_at` is when the member joined the server. Raises
        ReferralRefusedError for oneself, a bot, a member outside the server, a second code, a referral loop, and for
        a member who is in the server for too long (`only_new_members_days`).
        """
        self._require_new(joined_at)
        if member_id != referrer_id:
            _require_person(referrer_id, in_server=in_server, is_bot=is_bot)
        return await self._database.create_referral(referrer_id, member_id)

    def _require_new(self, joined_at: datetime | None) -> None:
        days, now = self._settings.referral_settings.only_new_members_days, self._database.now()
        if not days or (joined_at is not None and joined_at >= now - timedelta(days=days)):
            return
        since = tr("for an unknown time") if joined_at is None else tr("since {day}", day=f"{joined_at:%Y-%m-%d}")
        message = trn(
            "Only members who joined this server in the last {count} day can enter a code; you are here {since}",
            "Only members who joined this server in the last {count} days can enter a code; you are here {since}",
            days,
            since=since,
        )
        raise ReferralRefusedError(message)

    async def link(
        self,
        actor: Actor,
        referrer_id: int,
        referred_id: int,
        *,
        reason: str | None = None,
        bot_ids: frozenset[int] = frozenset(),
    ) -> int:
        """Link two members, also after an unlink; return the referral's id.

        `bot_ids` are the bots among the two. Raises NotAllowedError or ReferralRefusedError; then nothing is changed.
        """
        await self.require_admin(actor, f"link {referred_id} to {referrer_id}")
        for bot_id in bot_ids & {referrer_id, referred_id}:
            _refuse_bot(bot_id)
        return await self._database.write(
            links.link,
            referrer_id,
            referred_id,
            reason=reason,
            actor=str(actor),
            now=self._database.now(),
            dates=self._settings.referral_settings.earning_dates,
        )

    async def unlink(self, actor: Actor, referrer_id: int, referred_id: int, *, reason: str | None = None) -> None:
        """Unlink two members: later purchases earn nothing, earned cashback is still paid.

        Raises NotAllowedError or ReferralRefusedError; then nothing is changed.
        """
        await self.require_admin(actor, f"unlink {referred_id} from {referrer_id}")
        await self._database.write(
            links.unlink, referrer_id, referred_id, reason=reason, actor=str(actor), now=self._database.now()
        )

    async def blacklist(self, actor: Actor, user_id: int, *, reason: str | None = None) -> bool:
        """Blacklist a member, for present and future referrals.

        False if already blacklisted. Raises NotAllowedError.
        """
        await self.require_admin(actor, f"blacklist {user_id}")
        return await self._database.write(
            blacklist.blacklist, user_id, reason=reason, actor=str(actor), now=self._database.now()
        )

    async def unblacklist(self, actor: Actor, user_id: int, *, since: datetime | None = None) -> bool:
        """Remove a member from the blacklist; False if not on it, or not `since` then. Raises NotAllowedError."""
        await self.require_admin(actor, f"unblacklist {user_id}")
        return await self._database.write(
            blacklist.unblacklist, user_id, actor=str(actor), now=self._database.now(), since=since
        )


def read_code(text: str) -> int:
    """Parse a referral code, which is the referrer's id. Raises a ReferralRefusedError that explains the valid form."""
    digits = text.strip()
    if digits.isascii() and digits.isdigit() and len(digits) <= len(str(LARGEST_ID)) and 0 < int(digits) <= LARGEST_ID:
        return int(digits)
    message = tr(
        "{code} is not a referral code; a code is the number that `/invite` shows to the member who invites you.",
        code=repr(text[:40]),
    )
    raise ReferralRefusedError(message)


def _require_person(referrer_id: int, *, in_server: bool, is_bot: bool) -> None:
    if not in_server:
        message = tr("No member of this server has the code {code}; ask for the code again.", code=referrer_id)
        raise ReferralRefusedError(message)
    if is_bot:
        _refuse_bot(referrer_id)


def _refuse_bot(bot_id: int) -> NoReturn:
    message = tr("Member {member} is a bot; bots can neither refer nor be referred.", member=bot_id)
    raise ReferralRefusedError(message)
