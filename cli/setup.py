"""`setup`: from a token to a bot that can start. It asks by name, writes the configuration and checks it.

Every answer can be given as an option, and it can run again to change things. It writes `.env` and config.local.json,
never config.json.
"""

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import anyio
import typer
from anyio.from_thread import BlockingPortal, start_blocking_portal

import bot
from cashback import settings as configuration
from cashback.cogs.gateway.connection import point_at
from cashback.cogs.gateway.setup_assistant import (
    Application,
    Named,
    PermissionMissingError,
    SetupAssistant,
    TokenRefusedError,
    open_assistant,
)
from cashback.config_files import local_path
from cashback.config_writing import require_writable, write_answers, write_token
from cashback.database import currencies, schema
from cashback.database.engine import ConnectionOwner
from cashback.domain.errors import CashbackError
from cashback.services.terms import terms_line
from cashback.settings import Settings
from cli.context import Place, found_in, ledger
from cli.doctor import examine, finding_line
from cli.migrate import migrate
from cli.options import ConfigOption, DatabaseOption
from cli.output import complain, say
from cli.setup_questions import Questions
from cli.setup_service import offer_service
from cli.setup_terms import GivenTerms, ask_currency, ask_terms

POLL_SECONDS: Final = 1
TOKEN_ATTEMPTS: Final = 3
NEW_ROLE: Final = "Cashback Admin"
NEW_CHANNEL: Final = "cashback-audit"
GREETING: Final = """\
👋 The referral cashback is set up here: {terms}.
Admins type `{prefix}sendref-cashb` to see who would be paid, `{prefix}sendref-cashb schedule` for the weekly batch, \
and `{prefix}sendref-cashb status` to check the setup. Members use `/invite` and `/cashback`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The answers that were given as options."""

    token_file: Path | None = None
    server: str | None = None
    admin_role: str | None = None
    audit_channel: str | None = None
    give_role: bool | None = None
    greeting: bool | None = None
    service: bool | None = None
    wait_seconds: int = 600
    terms: GivenTerms


def command(
    context: typer.Context,
    *,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", metavar="FILE", help="The file with the token; else it is asked.")
    ] = None,
    server: Annotated[str | None, typer.Option("--server", metavar="NAME", help="The server, by name or id.")] = None,
    admin_role: Annotated[
        str | None, typer.Option("--admin-role", metavar="NAME", help="The role that may pay; 'new' creates one.")
    ] = None,
    audit_channel: Annotated[
        str | None, typer.Option("--audit-channel", metavar="NAME", help="The audit channel; 'new' creates one.")
    ] = None,
    give_role: Annotated[
        bool | None, typer.Option("--give-role/--no-give-role", help="Give you the admin role if you lack it.")
    ] = None,
    currency: Annotated[
        str | None, typer.Option("--currency", metavar="CODE", help="The currency of the orders; never changed later.")
    ] = None,
    percent: Annotated[str | None, typer.Option("--percent", metavar="P", help="The cashback in percent.")] = None,
    holding_days: Annotated[
        str | None, typer.Option("--holding-days", metavar="DAYS", help="Days until cashback is payable.")
    ] = None,
    minimum: Annotated[str | None, typer.Option("--minimum", metavar="AMOUNT", help="The minimum payout.")] = None,
    timezone: Annotated[
        str | None, typer.Option("--timezone", metavar="ZONE", help="For example Europe/Berlin.")
    ] = None,
    weekday: Annotated[
        str | None, typer.Option("--weekday", metavar="DAY", help="The day of the weekly batch, or 'never'.")
    ] = None,
    time: Annotated[str | None, typer.Option("--time", metavar="HH:MM", help="Its time in that time zone.")] = None,
    greeting: Annotated[
        bool | None, typer.Option("--greeting/--no-greeting", help="Post the first commands in the audit channel.")
    ] = None,
    service: Annotated[
        bool | None, typer.Option("--service/--no-service", help="Write a unit for systemd next to the configuration.")
    ] = None,
    wait_seconds: Annotated[
        int, typer.Option("--wait", metavar="SECONDS", min=0, help="How long to wait for the bot to be invited.")
    ] = 600,
    yes: Annotated[bool, typer.Option("--yes", help="Accept the suggestion of every question not answered.")] = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Set up the bot; return 1 if the check at the end finds something wrong."""
    terms = GivenTerms(
        currency=currency,
        percent=percent,
        holding_days=holding_days,
        minimum=minimum,
        timezone=timezone,
        weekday=weekday,
        time=time,
    )
    given = Given(
        token_file=token_file,
        server=server,
        admin_role=admin_role,
        audit_channel=audit_channel,
        give_role=give_role,
        greeting=greeting,
        service=service,
        wait_seconds=wait_seconds,
        terms=terms,
    )
    place = Place.of(context, config, database)
    settings = place.settings()
    if settings.discord_api_url is not None:
        point_at(settings.discord_api_url)
    with start_blocking_portal() as portal:
        wizard = Wizard(portal, Questions(takes_suggestions=yes), given, place, configuration.path_of(place.config))
        return wizard.run(settings)


class Wizard:
    """One run of the setup. Questions block this thread; requests to Discord run in the portal's."""

    def __init__(
        self, portal: BlockingPortal, questions: Questions, given: Given, place: Place, config_path: Path
    ) -> None:
        self._portal = portal
        self._questions = questions
        self._given = given
        self._place = place
        self._config_path = config_path
        self._local_path = local_path(config_path)

    def run(self, settings: Settings) -> int:
        """Ask, write, check, register and greet; return the exit code."""
        is_first = not self._local_path.exists()
        require_writable(self._local_path)
        say(f"Answers go into {self._local_path}, the token into {self._env_path}. Enter accepts the [suggestion].")
        with ExitStack() as stack:
            token, assistant = self._token(settings, stack)
            application = self._ready_application(assistant)
            server = self._server(assistant, application, settings)
            role = self._role(assistant, server, settings)
            self._check_owner(assistant, application, server, role)
            channel = self._channel(assistant, server, role, settings)
            answers = _answers(server, role, channel) | self._terms(settings, is_first=is_first)
            if token is not None:
                write_token(self._env_path, token)
            write_answers(self._local_path, answers)
            say("", f"Written: {self._local_path}" + (f" and {self._env_path}" if token is not None else ""))
            settings = self._place.settings()
            if token is not None and _token_of(settings) != token:
                complain("another token comes from the environment, which overrides .env; remove it there.")
            say(f"Terms: {terms_line(settings.referral_settings)}.", "")
            is_well = self._check(settings)
            self._greet(assistant, channel, settings, is_first=is_first)
        offer_service(self._questions, self._given.service, self._config_path)
        say(
            "",
            "Start the bot with `cashback bot`."
            if is_first
            else "Restart a running bot, so that it reads the changes.",
        )
        return 0 if is_well else 1

    @property
    def _env_path(self) -> Path:
        return self._config_path.with_name(".env")

    def _token(self, settings: Settings, stack: ExitStack) -> tuple[str | None, SetupAssistant]:
        """Return the token if it is to be written, and the assistant, logged in with it until the stack ends."""
        if self._given.token_file is not None:
            token = _cleaned(_read(self._given.token_file))
            return token, self._open(token, stack)
        known = _token_of(settings)
        if known is not None and self._keeps_token():
            return None, self._open(known, stack)
        for attempt in range(1, TOKEN_ATTEMPTS + 1):
            typed = self._questions.secret("The bot's token", option="--token-file FILE")
            try:
                token = _cleaned(typed)
                assistant = self._open(token, stack)
            except TokenRefusedError as error:
                if attempt == TOKEN_ATTEMPTS:
                    raise
                say(f"  {error}")
            else:
                # At once: whoever stops here, for example to switch on an intent, need not paste it again.
                write_token(self._env_path, token)
                return token, assistant
        raise AssertionError

    def _keeps_token(self) -> bool:
        return self._questions.confirmed(
            "There is a token already. Keep it? (y/n)", suggestion=True, option="--token-file FILE", given=None
        )

    def _open(self, token: str, stack: ExitStack) -> SetupAssistant:
        return stack.enter_context(self._portal.wrap_async_context_manager(open_assistant(token)))

    def _ready_application(self, assistant: SetupAssistant) -> Application:
        """Return the application once the bot may read messages."""
        application = self._portal.call(assistant.application)
        say(f"  Discord accepts it: the bot is {application.name}, its owner is {application.owner_name}.")
        while not application.may_read_messages:
            switch_on = f"Switch on the Message Content Intent at {application.intents_url}"
            if self._questions.takes_suggestions:
                raise CashbackError(f"{switch_on} and run `cashback setup` again.")
            self._questions.confirmed(
                f"{switch_on}, then press Enter. Done? (y/n)", suggestion=True, option="--yes", given=None
            )
            application = self._portal.call(assistant.application)
        return application

    def _server(self, assistant: SetupAssistant, application: Application, settings: Settings) -> Named:
        """Wait until the bot is in a server, and choose one."""
        servers = self._portal.call(assistant.servers)
        if not servers:
            say("", "Invite the bot: open this address and choose your server.", f"  {application.invite_url}")
            say("Waiting until the bot has joined…")
            servers = self._portal.call(_joined, assistant, self._given.wait_seconds)
            say(f"  The bot has joined {servers[0].name}.")
        if len(servers) == 1 and self._given.server is None:
            say(f"Server: {servers[0].name}")
            return servers[0]
        configured = next((each for each in servers if each.id in settings.guild_ids), servers[0])
        chosen = self._questions.choice(
            "Which server?", servers, configured, new=None, option="--server", given=self._given.server
        )
        assert chosen is not None  # noqa: S101 -- there is no new one among the choices
        return chosen

    def _role(self, assistant: SetupAssistant, server: Named, settings: Settings) -> Named:
        """Choose the role that may pay, or create it."""
        roles = self._portal.call(assistant.roles, server.id)
        suggested = _suggested(roles, settings.role_ids.admin, "admin", NEW_ROLE)
        while True:
            new = None if any(each.name == NEW_ROLE for each in roles) else NEW_ROLE
            chosen = self._questions.choice(
                "Which role may pay?", roles, suggested, new=new, option="--admin-role", given=self._given.admin_role
            )
            try:
                return chosen or self._created(assistant.create_role, server.id, NEW_ROLE)
            except PermissionMissingError as error:
                self._raise_if_scripted(error, self._given.admin_role)
                roles = self._portal.call(assistant.roles, server.id)

    def _channel(self, assistant: SetupAssistant, server: Named, role: Named, settings: Settings) -> Named:
        """Choose the audit channel, or create one that only admins see."""
        channels = self._portal.call(assistant.channels, server.id)
        suggested = _suggested(channels, settings.logging_channels.audit, "audit", NEW_CHANNEL)
        while True:
            new = None if any(each.name == NEW_CHANNEL for each in channels) else NEW_CHANNEL
            chosen = self._questions.choice(
                "Which channel gets the audit entries? Members should not see it.",
                channels,
                suggested,
                new=new,
                option="--audit-channel",
                given=self._given.audit_channel,
            )
            try:
                return chosen or self._created(assistant.create_private_channel, server.id, NEW_CHANNEL, role.id)
            except PermissionMissingError as error:
                self._raise_if_scripted(error, self._given.audit_channel)
                channels = self._portal.call(assistant.channels, server.id)

    def _created(self, create: Callable[..., Awaitable[Named]], *arguments: int | str) -> Named:
        made = self._portal.call(create, *arguments)
        say(f"  Created {made.name}.")
        return made

    def _raise_if_scripted(self, error: CashbackError, given: str | None) -> None:
        """Raise the error if nobody can choose again, or else show it."""
        if given is not None or self._questions.takes_suggestions:
            raise error
        say(f"  {error}")

    def _check_owner(self, assistant: SetupAssistant, application: Application, server: Named, role: Named) -> None:
        """Check that the owner has the admin role, and offer to give it."""
        owner = application.owner_name
        if self._portal.call(assistant.has_role, server.id, application.owner_id, role.id):
            say(f"  {owner} has the role {role.name} and may pay.")
            return
        say(f"  {owner} does not have the role {role.name} yet.")
        wanted = self._questions.confirmed(
            f"Give it to {owner}? (y/n)", suggestion=True, option="--give-role", given=self._given.give_role
        )
        if not wanted:
            return
        try:
            self._portal.call(assistant.give_role, server.id, application.owner_id, role.id)
            say(f"  {owner} has the role {role.name} now.")
        except CashbackError as error:
            say(f"  {error}")

    def _terms(self, settings: Settings, *, is_first: bool) -> dict[str, Any]:
        """Ask for the currency and the terms; return them as settings."""
        say("")
        counted = self._portal.call(_counted_in, settings)
        currency = ask_currency(self._questions, self._given.terms, settings, counted)
        terms = ask_terms(self._questions, self._given.terms, settings.referral_settings, is_first=is_first)
        return {"currency": currency, "referral_settings": terms}

    def _check(self, settings: Settings) -> bool:
        """Open the ledger, check everything, and register the slash commands."""
        action, _, copy = self._portal.call(migrate, settings)
        if action != "none":
            backup = f"; {copy} holds it as it was before" if copy else ""
            say(f"The ledger {ledger(settings).name} was {action}{backup}.")
        findings = self._portal.call(examine, settings)
        say(*map(finding_line, findings))
        count = self._portal.call(_register, settings)
        say(f"{'ok   ' if count else 'WRONG'}  commands   {count} slash commands are registered")
        is_well = bool(count) and all(finding.is_well for finding in findings)
        if not is_well:
            complain("the setup is not complete; the lines above explain what to do. Then run `cashback setup` again.")
        return is_well

    def _greet(self, assistant: SetupAssistant, channel: Named, settings: Settings, *, is_first: bool) -> None:
        say("")
        if not self._questions.confirmed(
            f"Post the first commands in #{channel.name}? (y/n)",
            suggestion=is_first,
            option="--greeting",
            given=self._given.greeting,
        ):
            return
        text = GREETING.format(terms=terms_line(settings.referral_settings), prefix=settings.bot_prefix)
        try:
            self._portal.call(assistant.post, channel.id, text)
        except CashbackError as error:
            say(f"  {error}")


async def _joined(assistant: SetupAssistant, wait_seconds: int) -> list[Named]:
    """Wait until the bot is in a server; return its servers."""
    with anyio.move_on_after(wait_seconds):
        while True:
            servers = await assistant.servers()
            if servers:
                return servers
            await anyio.sleep(POLL_SECONDS)
    raise CashbackError(f"The bot was not invited within {wait_seconds} s; open the address, then run this again.")


async def _counted_in(settings: Settings) -> str | None:
    """Return the currency that the ledger counts in; None if it may still be chosen."""
    database = ledger(settings)
    revision, tables = await found_in(database)
    if revision != schema.NEWEST:
        # Another bot's ledger, which is adopted, counts in dollars. An older one of ours says so when it is upgraded.
        return currencies.DOLLARS[0] if revision is None and tables else None
    owner = ConnectionOwner(database.location)
    try:
        fixed = await owner.read(currencies.fixed)
    finally:
        owner.close()
    return None if fixed is None else fixed[0]


async def _register(settings: Settings) -> int:
    async with ledger(settings) as database:
        return await bot.register_commands(settings, database)


def _suggested(choices: list[Named], configured_id: int | None, word: str, own_name: str) -> Named | None:
    """Return the configured one, or else one with a fitting name; None if a new one fits best."""
    fitting = [each for each in choices if each.id == configured_id]
    fitting += [each for each in choices if each.name == own_name]
    fitting += [each for each in choices if word in each.name.casefold()]
    return next(iter(fitting), None)


def _answers(server: Named, role: Named, channel: Named) -> dict[str, Any]:
    return {
        "guild_ids": [str(server.id)],
        "role_ids": {"admin": str(role.id)},
        "logging_channels": {"audit": str(channel.id)},
    }


def _token_of(settings: Settings) -> str | None:
    return settings.discord_token.get_secret_value() if settings.discord_token is not None else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CashbackError(f"{path} cannot be read ({error.strerror}); write the token alone into it.") from error
    except UnicodeDecodeError as error:
        raise CashbackError(f"{path} is not UTF-8 text; write the token alone into it.") from error


def _cleaned(text: str) -> str:
    """Return a token as it was meant. Raises TokenRefusedError if it cannot be one."""
    token = text.strip().strip("'\"").removeprefix("DISCORD_TOKEN=").removeprefix("Bot ").strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise TokenRefusedError("This is not a token: it has no spaces and only letters, digits, dots, - and _.")
    return token
