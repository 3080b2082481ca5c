"""What all parts of the services share: the ledger, the settings, and the authorization checks."""

from collections.abc import Callable
from typing import Final

from cashback.database import Database, audit_log
from cashback.domain.clock import ClockCheck
from cashback.domain.errors import NotAllowedError
from cashback.services.actors import Actor
from cashback.services.terms import terms_line
from cashback.settings import ReferralSettings, Settings

TRUSTED: Final = ("cli", "schedule")


class Service:
    """A part of the services. `AdminService` joins the parts."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        submit: Callable[[int], int],
        *,
        reread: Callable[[], Settings] | None = None,
        clock_check: ClockCheck | None = None,
    ) -> None:
        """`submit` is the runner's; `reread` reads the configuration again; `clock_check` compares with Discord."""
        self.clock_check = clock_check or ClockCheck(database.now)
        self._database = database
        self._settings = settings
        self._submit = submit
        self._reread = reread

    @property
    def terms_line(self) -> str:
        """The terms in force, in one line."""
        return terms_line(self._settings.referral_settings)

    @property
    def terms(self) -> ReferralSettings:
        """The terms in force."""
        return self._settings.referral_settings

    @property
    def audit_channel_id(self) -> int | None:
        """The channel for the audit entries."""
        return self._settings.logging_channels.audit

    @property
    def admin_role_id(self) -> int | None:
        """The role of the admins."""
        return self._settings.role_ids.admin

    def is_admin(self, actor: Actor) -> bool:
        """Return whether an actor counts as an admin: the command line, the schedule or a member with the role."""
        return actor.source in TRUSTED or self._settings.role_ids.admin in actor.role_ids

    async def require_admin(self, actor: Actor, action: str) -> None:
        """Raise NotAllowedError if the actor does not count as an admin, and record the attempt in the audit log."""
        if self.is_admin(actor):
            return
        await self._note_refusal(actor, action)
        raise NotAllowedError

    async def _note_refusal(self, actor: Actor, action: str) -> None:
        await self._database.write(
            audit_log.add_entry,
            at=self._database.now(),
            actor=str(actor),
            action="refused",
            details={"wanted": action},
        )
