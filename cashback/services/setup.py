"""The settings that `cashback setup` asks for, as an admin sees and changes them while the program runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cashback.config_writing import prepared_answers
from cashback.database import audit_log
from cashback.domain.errors import CashbackError, NotAllowedError
from cashback.domain.money import dollars
from cashback.services.actors import Actor
from cashback.services.schedule import Schedule, schedule_of
from cashback.services.terms import held_text, weekly_text
from cashback.settings import ReferralSettings, Settings, SettingsError, everyone_in_roles

HANDED_OVER: Final = (
    "The settings were handed over by the program that runs this bot (`bot.cashback_settings`); change them there."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting in words: what is in force, and what counts from the bot's next start if that is something else."""

    name: str
    text: str
    next_text: str | None = None


class Setup(Schedule):
    """Shows the settings in force, and writes changes into config.local.json."""

    async def setup_overview(self, actor: Actor) -> list[Setting]:
        """Return the settings that `cashback setup` asks for. Raises NotAllowedError."""
        await self.require_admin(actor, "read the setup")
        try:
            configured = self._configured()
        except CashbackError:
            configured = self._settings
        now, then = _in_words(self._settings), _in_words(configured)
        return [
            Setting(name=name, text=text, next_text=None if then[name] == text else then[name])
            for name, text in now.items()
        ]

    async def change_setup(self, actor: Actor, changes: Mapping[str, Any]) -> str:
        """Write changed settings, nested as in config.json, into config.local.json, and return them in one line.

        A changed weekly batch counts at once for every process on this ledger, everything else from the next start on.
        The entry in the audit log is written first. Raises NotAllowedError, or CashbackError if a role would lock the
        actor out, or if the settings cannot be changed here.
        """
        await self.require_admin(actor, "change the setup")
        configured = self._configured()
        if configured.local_file is None:
            raise CashbackError(HANDED_OVER)
        wanted = _with(configured, changes)
        self._refuse_roles(actor, wanted)
        before, after = _in_words(configured), _in_words(wanted)
        line = "; ".join(f"{name}: {before[name]} → {text}" for name, text in after.items() if before[name] != text)
        if not line:
            raise CashbackError("These are the settings already; nothing was changed.")
        with prepared_answers(configured.local_file, changes) as write:
            await self._database.write(
                audit_log.add_entry,
                at=self._database.now(),
                actor=str(actor),
                action="settings_changed",
                details={"changes": line},
            )
            write()
        if schedule_of(wanted.referral_settings) != schedule_of(configured.referral_settings):
            await self._put_in_force(wanted, actor)
        return line

    def _configured(self) -> Settings:
        """Reread the configuration. Raises CashbackError if it is wrong."""
        try:
            return self._reread() if self._reread is not None else self._settings
        except SettingsError as error:
            raise CashbackError(f"The settings stay as they are: {error}") from error

    def _refuse_roles(self, actor: Actor, wanted: Settings) -> None:
        wrong = everyone_in_roles(wanted.role_ids, wanted.guild_ids)
        if wrong is not None:
            raise CashbackError(wrong)
        is_changed = wanted.role_ids.admin != self._settings.role_ids.admin
        if is_changed and self._settings.referral_settings.approval_threshold_cents is not None:
            # One admin must not choose the second one.
            raise CashbackError(
                "Large batches need two admins, so the admin role is changed with `cashback setup` on the bot's machine"
                " only."
            )
        if wanted.role_ids.admin not in actor.role_ids:
            raise NotAllowedError(
                f"You do not have the role {wanted.role_ids.admin}, so you would lock yourself out; get it first."
            )


def _with(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Return the settings with some changed, which were checked one by one."""
    updated = {
        section: getattr(settings, section).model_copy(update=dict(values)) for section, values in changes.items()
    }
    return settings.model_copy(update=updated)


_WORDS: Final[Mapping[str, Callable[[ReferralSettings], str]]] = {
    "Cashback": lambda terms: f"{terms.cashback_percent.normalize():f} % of each purchase",
    "Holding period": held_text,
    "Minimum payout": lambda terms: dollars(terms.min_payout_cents),
    "Weekly batch": weekly_text,
}


def _in_words(settings: Settings) -> dict[str, str]:
    role, channel = settings.role_ids.admin, settings.logging_channels.audit
    return {
        "Admin role": "none" if role is None else f"<@&{role}>",
        "Audit channel": "none" if channel is None else f"<#{channel}>",
        "Currency": f"{settings.currency}, which never changes",
        **{name: words(settings.referral_settings) for name, words in _WORDS.items()},
    }
