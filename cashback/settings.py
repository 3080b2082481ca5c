"""Settings: config.json and the environment, parsed into frozen, validated objects.

The file is an Apex Core bot's: keys that this program does not use are accepted and left alone. `config.local.json`
next to it is merged over it. Secrets come from the environment and from files of their own only. Every refusal is one
line that names the file, the key, its value and what it may be.
"""

import base64
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
)

from cashback.config_files import (
    FILE_SUFFIX,
    SettingsError,
    dot_env_fault,
    local_path,
    merged,
    read_dot_env,
    read_json,
    with_secret_files,
)
from cashback.domain import entry_points, similar_names
from cashback.domain.earning import EarningDates
from cashback.domain.events import Event
from cashback.domain.languages import Replaced, fault_of, languages, sentences
from cashback.domain.money import DOLLARS, ENGLISH, MoneyStyle, is_currency, locale_of

__all__ = ["Settings", "SettingsError", "load"]

DEFAULT_PATH: Final = Path("config.json")
LARGEST_ID: Final = 2**63 - 1
PPM_PER_PERCENT: Final = 10_000
SMALLEST_PERCENT: Final = Decimal("0.0001")
TOKEN_KEYS: Final = ("token", "bot_token", "discord_token")
INTAKE_KEY_PREFIX: Final = "CASHBACK_INTAKE_KEY_"
WEBHOOK_SECRET_PREFIX: Final = "CASHBACK_WEBHOOK_SECRET_"  # noqa: S105 -- a name
MOST_WEBHOOKS: Final = 10
WEBHOOK_KEYS: Final = frozenset({"url", "events", "private"})
WEBHOOK: Final = re.compile(r"[a-z0-9_]{1,40}")
WEBHOOK_SECRET_BYTES: Final = (24, 64)
WITHDRAWAL_KEYS: Final = "CASHBACK_WITHDRAWAL_KEYS"
SHOP_SECRET_PREFIX: Final = "CASHBACK_SHOP_"  # noqa: S105 -- a variable's name
EMAIL_KEY: Final = "CASHBACK_EMAIL_KEY"
SECRETS: Final = (
    *("DISCORD_TOKEN", "CASHBACK_METRICS_TOKEN", "CASHBACK_DATABASE", WITHDRAWAL_KEYS, INTAKE_KEY_PREFIX),
    *(SHOP_SECRET_PREFIX, EMAIL_KEY, WEBHOOK_SECRET_PREFIX),
)
"""Variables that may also be files: each by its name with _FILE, and in systemd's folder of credentials."""

SECRET_PREFIXES: Final = tuple(name for name in SECRETS if name.endswith("_"))
VARIABLES: Final = (
    *("CASHBACK_CONFIG", "CASHBACK_LOG_LEVEL", "DISCORD_API_URL"),
    *(name for name in SECRETS if name not in SECRET_PREFIXES),
)
"""The variables with one name each."""

METHOD: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,29}")
MOST_METHODS: Final = 10

INTAKE_SECRETS: Final = 2
"""A key's secrets that are valid at a time: the new one and, while the shop changes over, the old one."""

INTAKE_SECRET_LENGTH: Final = 32

SHOP_SECRET_LENGTH: Final = 16
"""Most shops choose their secrets themselves, and not all of them choose long ones."""

SHOP_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,29}")
MOST_SHOPS: Final = 20
LONGEST_LINK: Final = 1_000
ShopKind = Literal[
    "stripe",
    "shopify",
    "woocommerce",
    "tebex",
    "ko-fi",
    "standard-webhooks",
    "lemon-squeezy",
    "paddle",
    "gumroad",
    "square",
    "api",
]
"""The shop systems of `cashback/shops/webhooks/`."""

LogLevel = Literal["debug", "info", "warning", "error"]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


def _to_id(value: object) -> object:
    """Convert an id to a whole number; JSON files often hold it as a text of digits."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return value


def _to_percent(value: object) -> Decimal:
    """Convert a percentage exactly as it is written; a text is not accepted."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise ValueError
    percent = Decimal(str(value))
    if not percent.is_finite() or not 0 <= percent <= 100:  # noqa: PLR2004 -- a percentage
        raise ValueError
    # Compared, not multiplied: arithmetic rounds to 28 digits, and would take 0.5000…01 for 0.5.
    if percent != percent.quantize(SMALLEST_PERCENT):
        raise ValueError
    return percent


def _to_pace(value: object) -> float:
    """Accept a number, not a text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise ValueError
    return float(value)


def _to_day(value: object) -> object:
    """Convert a day; anything else than an ISO date is not accepted."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError
    return date.fromisoformat(value)


def _to_currency(value: object) -> object:
    """Accept the code of a currency, in small letters too."""
    if not isinstance(value, str) or not is_currency(value.upper()):
        raise ValueError
    return value.upper()


def _to_locale(value: object) -> object:
    """Accept a language, with or without a country: "de", "de_CH", "pt-BR"."""
    known = locale_of(value) if isinstance(value, str) else None
    if known is None:
        raise ValueError
    return known


def _lowered(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


Id = Annotated[StrictInt, BeforeValidator(_to_id), Field(gt=0, le=LARGEST_ID, description="a Discord id: 1 to 2^63-1")]
Percent = Annotated[
    Decimal,
    BeforeValidator(_to_percent),
    Field(description="a number from 0 to 100 with at most four decimals"),
]


def _whole(least: int, most: int, unit: str = "") -> Any:  # noqa: ANN401 -- pydantic's Field is typed so
    return Field(ge=least, le=most, description=f"a whole number{unit} from {least} to {most}")


def _or_null(least: int, most: int, unit: str = "") -> Any:  # noqa: ANN401 -- as above
    return Field(ge=least, le=most, description=f"a whole number{unit} from {least} to {most}, or null")


class _Section(BaseModel):
    """A part of the file that another bot uses as well. Unknown keys are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _OwnSection(BaseModel):
    """A part of the file that only this program uses. A key that is not a setting is a mistake, and refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ReferralSettings(_OwnSection):
    """What is earned, and when and how it is paid."""

    cashback_percent: Percent = Decimal("0.5")
    holding_days: Annotated[StrictInt, _whole(0, 90, " of days")] = 0
    unmatched_days: Annotated[StrictInt, _whole(1, 365, " of days")] = 30
    earn_before_referral_days: Annotated[StrictInt, _whole(0, 3_650, " of days")] = 0
    only_new_members_days: Annotated[StrictInt, _whole(0, 3_650, " of days")] = 0
    earns_for_days: Annotated[StrictInt, _or_null(1, 36_500, " of days")] | None = None
    monthly_cap_cents: Annotated[StrictInt, _or_null(1, 10**12, " of cents")] | None = None
    program_starts_on: Annotated[
        date | None, BeforeValidator(_to_day), Field(description="a day such as 2026-01-31, or null")
    ] = None
    leaver_policy: Annotated[
        Literal["pay", "hold"], BeforeValidator(_lowered), Field(description="one of pay, hold")
    ] = "pay"
    referrers_see_spending: Annotated[StrictBool, Field(description="true or false")] = False
    auto_batch_enabled: Annotated[StrictBool, Field(description="true or false")] = True
    batch_day: Annotated[
        Weekday,
        BeforeValidator(_lowered),
        Field(description="one of monday, tuesday, wednesday, thursday, friday, saturday, sunday"),
    ] = "friday"
    batch_hour_utc: Annotated[StrictInt, _whole(0, 23)] = 15
    batch_minute_utc: Annotated[StrictInt, _whole(0, 59)] = 0
    misfire_grace_hours: Annotated[StrictInt, _whole(0, 168, " of hours")] = 24
    notice_hours: Annotated[StrictInt, _whole(0, 168, " of hours")] = 24
    min_payout_cents: Annotated[StrictInt, _whole(1, 10**9, " of cents")] = 1
    dm_per_second: Annotated[
        float, BeforeValidator(_to_pace), Field(gt=0, le=50, description="a number above 0, at most 50")
    ] = 1.0
    dm_retry_attempts: Annotated[StrictInt, _whole(0, 10)] = 3
    max_users_per_batch: Annotated[StrictInt, _or_null(1, 10**9)] | None = None
    max_total_cents_per_batch: Annotated[StrictInt, _or_null(1, 10**12, " of cents")] | None = None
    approval_threshold_cents: Annotated[StrictInt, _or_null(1, 10**12, " of cents")] | None = None
    approval_hours: Annotated[StrictInt, _whole(1, 168, " of hours")] = 24
    approval_valid_days: Annotated[StrictInt, _whole(1, 365, " of days")] = 14
    gate_unusual: Annotated[StrictBool, Field(description="true or false")] = False
    unusual_factor: Annotated[StrictInt, _or_null(2, 1_000)] | None = 5
    unusual_share_percent: Annotated[StrictInt, _or_null(1, 99)] | None = 50
    new_account_cents: Annotated[StrictInt, _or_null(1, 10**12, " of cents")] | None = 5_000
    new_account_days: Annotated[StrictInt, _whole(1, 365, " of days")] = 7
    payout_retry_attempts: Annotated[StrictInt, _whole(0, 10)] = 3
    payout_retry_minutes: Annotated[StrictInt, _whole(1, 1_440, " of minutes")] = 10
    lease_seconds: Annotated[StrictInt, _whole(1, 3_600, " of seconds")] = 10
    verify_hour_utc: Annotated[StrictInt, _or_null(0, 23)] | None = 4
    chunk_size: Annotated[StrictInt, _whole(1, 10_000)] = 8_000
    confirm_seconds: Annotated[StrictInt, _whole(10, 900, " of seconds")] = 120
    progress_seconds: Annotated[StrictInt, _whole(5, 60, " of seconds")] = 5

    @property
    def earning_dates(self) -> EarningDates:
        """Which purchases earn by their dates."""
        start = self.program_starts_on
        return EarningDates(
            earn_before_referral_days=self.earn_before_referral_days,
            program_starts_at=datetime(start.year, start.month, start.day, tzinfo=UTC) if start else None,
            earns_for_days=self.earns_for_days,
            monthly_cap_cents=self.monthly_cap_cents,
        )

    @property
    def rate_ppm(self) -> int:
        """What a purchase earns, in parts per million of its amount: 0.5 percent are 5,000."""
        return int(self.cashback_percent * PPM_PER_PERCENT)


class RoleIds(_Section):
    """Discord roles. Without `admin` no member may pay on Discord; `dashboard_viewer` may view the dashboard."""

    admin: Id | None = None
    dashboard_viewer: Id | None = None


def everyone_in_roles(role_ids: RoleIds, guild_ids: Iterable[int]) -> str | None:
    """Return the problem if a role setting is a server's id, which is also that of its @everyone role."""
    servers = set(guild_ids)
    for name, role_id in role_ids.model_dump().items():
        if role_id in servers:
            return (
                f"role_ids.{name} is {role_id}, the id of a server and of its @everyone role, which every member has;"
                " set it to the id of another role."
            )
    return None


class LoggingChannels(_Section):
    """Discord channels. Without `audit` the audit log in the database is the only one."""

    audit: Id | None = None


def _to_web_address(value: object) -> object:
    """Accept an http or https address of a server without a path; remove a slash at its end."""
    if value is None:
        return None
    if not isinstance(value, str) or not _is_web_address(value):
        raise ValueError
    parts = urlsplit(value)
    if parts.path not in {"", "/"} or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError
    return f"{parts.scheme}://{parts.netloc}"


class DashboardSettings(_OwnSection):
    """The web pages for admins, the purchase intake and the metrics: one server, off unless it is switched on."""

    enabled: Annotated[StrictBool, Field(description="true or false")] = False
    host: Annotated[
        StrictStr, Field(min_length=1, max_length=255, description="an address or a name of this machine")
    ] = "127.0.0.1"
    port: Annotated[StrictInt, _whole(1, 65_535)] = 8930
    public_url: Annotated[
        str | None,
        BeforeValidator(_to_web_address),
        Field(description="an http or https address without a path, or null: http:// with host and port"),
    ] = None
    trusted_proxies: Annotated[StrictInt, _or_null(0, 10)] | None = None

    @property
    def address(self) -> str:
        """The public address, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"http://{host}:{self.port}"

    @property
    def proxies(self) -> int:
        """The number of proxies before the dashboard; if it is not set, one with a public URL and none without."""
        return int(self.public_url is not None) if self.trusted_proxies is None else self.trusted_proxies

    @property
    def is_proxied(self) -> bool:
        """Whether requests come through proxies, which append their clients' addresses."""
        return self.proxies > 0


def _to_methods(value: object) -> object:
    """Accept names of methods, each with the meaning of its destination or null."""
    if not isinstance(value, dict) or len(value) > MOST_METHODS:
        raise ValueError
    for name, destination in value.items():
        # `/autowithdraw off` switches off.
        if (
            not METHOD.fullmatch(name)
            or name == "off"
            or not (destination is None or (isinstance(destination, str) and destination))
        ):
            raise ValueError
    return value


class WithdrawalSettings(_OwnSection):
    """How members get money out of their wallets: off unless it is switched on."""

    enabled: Annotated[StrictBool, Field(description="true or false")] = False
    methods: Annotated[
        Mapping[str, Annotated[StrictStr, Field(max_length=80)] | None],
        BeforeValidator(_to_methods),
        Field(
            description="an object of at most 10 names of small letters, digits and hyphens, each with a text that"
            " says what a member must name as the destination, or null: none"
        ),
    ] = Field(default_factory=dict)
    minimum_cents: Annotated[StrictInt, _whole(1, 10**9, " of cents")] = 100
    maximum_cents: Annotated[StrictInt, _or_null(1, 10**12, " of cents")] | None = None
    account_age_days: Annotated[StrictInt, _whole(0, 3_650, " of days")] = 0
    erase_days: Annotated[StrictInt, _whole(1, 3_650, " of days")] = 30


class WebhookSettings(_OwnSection):
    """A program that gets events: its address, and which events. Only a `private` one may be on no public address."""

    url: str
    events: tuple[Event, ...] = tuple(Event)
    private: StrictBool = False
    secrets: tuple[SecretStr, ...] = ()
    """They come from the environment."""


def _to_webhooks(value: object) -> object:
    """Accept names of webhooks, each with its address, events, and whether it is private."""
    if not isinstance(value, dict) or len(value) > MOST_WEBHOOKS:
        raise ValueError
    if not all(WEBHOOK.fullmatch(name) and _is_webhook(target) for name, target in value.items()):
        raise ValueError
    return value


def _to_shop_currency(value: object) -> object:
    return None if value is None else _to_currency(value)


def _to_link(value: object) -> object:
    """Accept an http or https address, or null."""
    if value is not None and not (isinstance(value, str) and len(value) <= LONGEST_LINK and _is_web_address(value)):
        raise ValueError
    return value


def _is_webhook(target: object) -> bool:
    if not isinstance(target, dict) or not target.keys() <= WEBHOOK_KEYS:
        return False
    url, events = target.get("url"), target.get("events", list(Event))
    if not isinstance(url, str) or not _is_web_address(url) or "@" in url or "#" in url:
        return False
    is_known = isinstance(events, list) and events != [] and all(each in list(Event) for each in events)
    return is_known and (url.startswith("https:") or target.get("private") is True)


def _to_shops(value: object) -> object:
    """Accept shops by their names."""
    if not isinstance(value, dict) or len(value) > MOST_SHOPS:
        raise ValueError
    if not all(SHOP_NAME.fullmatch(name) and isinstance(shop, dict) for name, shop in value.items()):
        raise ValueError
    return value


def _to_shop_kind(value: object) -> object:
    """Accept a kind of this project, or one that an installed package adds."""
    if value not in get_args(ShopKind) and value not in entry_points.added(entry_points.SHOPS):
        raise ValueError
    return value


class ShopSettings(_OwnSection):
    """A shop that reports its orders itself. Its secrets stand in the environment."""

    kind: Annotated[str, BeforeValidator(_to_shop_kind), Field(description=f"one of {', '.join(get_args(ShopKind))}")]
    currency: Annotated[
        str | None, BeforeValidator(_to_shop_currency), Field(description="the code of the ledger's currency, or null")
    ] = None
    amount: Annotated[
        Literal["subtotal", "total"], BeforeValidator(_lowered), Field(description="one of subtotal, total")
    ] = "subtotal"
    link: Annotated[str | None, BeforeValidator(_to_link), Field(description="an http or https address, or null")] = (
        None
    )
    one_buyer_per_member: Annotated[StrictBool, Field(description="true or false")] = False


class Settings(_Section):
    """All settings. `database` is the ledger's path or URL."""

    bot_prefix: Annotated[StrictStr, Field(min_length=1, max_length=10, description="a text of 1 to 10 characters")] = (
        "!"
    )
    brand_name: Annotated[StrictStr, Field(min_length=1, max_length=80, description="a text of 1 to 80 characters")] = (
        "Apex Core"
    )
    currency: Annotated[
        str, BeforeValidator(_to_currency), Field(description="the code of a currency, such as USD, EUR or JPY")
    ] = DOLLARS
    locale: Annotated[str, BeforeValidator(_to_locale), Field(description="a language such as en, de_CH or pt_BR")] = (
        ENGLISH
    )
    texts: Annotated[
        Mapping[str, str | Mapping[str, str]],
        Field(description="an object of members' sentences, each with another wording, or with one for each language"),
    ] = Field(default_factory=dict)
    guild_ids: tuple[Id, ...] = ()
    role_ids: RoleIds = RoleIds()
    logging_channels: LoggingChannels = LoggingChannels()
    referral_settings: ReferralSettings = ReferralSettings()
    dashboard: DashboardSettings = DashboardSettings()
    withdrawals: WithdrawalSettings = WithdrawalSettings()
    webhooks: Annotated[
        Mapping[str, WebhookSettings],
        BeforeValidator(_to_webhooks),
        Field(
            description="an object of at most 10 names of small letters, digits and underscores, each with url (https,"
            " or http if private is true), and if wanted events and private"
        ),
    ] = Field(default_factory=dict)
    disabled_commands: Annotated[
        tuple[Annotated[StrictStr, Field(max_length=32)], ...],
        Field(max_length=32, description="a list of names of commands, each without its prefix"),
    ] = ()
    shops: Annotated[
        Mapping[str, ShopSettings],
        BeforeValidator(_to_shops),
        Field(
            description=f"an object of at most {MOST_SHOPS} shops by their names of small letters, digits and hyphens,"
            " each an object in braces"
        ),
    ] = Field(default_factory=dict)
    log_level: Annotated[
        LogLevel, BeforeValidator(_lowered), Field(description="one of debug, info, warning, error")
    ] = "info"
    database: str = "cashback.db"
    discord_token: SecretStr | None = None
    discord_api_url: str | None = None
    intake_keys: Mapping[str, tuple[SecretStr, ...]] = Field(default_factory=dict)
    metrics_token: SecretStr | None = None
    withdrawal_keys: tuple[SecretStr, ...] = ()
    shop_secrets: Mapping[str, tuple[SecretStr, ...]] = Field(default_factory=dict)
    email_key: SecretStr | None = None
    warnings: tuple[str, ...] = ()
    local_file: Path | None = None
    """The file that is merged over config.json; None if a program handed the settings over."""

    @property
    def counted_in(self) -> tuple[str, int]:
        """The currency, and its number of decimals; the ledger's must be the same."""
        return self.currency, self.money_style.decimals

    @property
    def replaced_sentences(self) -> Replaced:
        """The wordings of `texts` by language, "" for every language, and by the English sentence."""
        found: dict[str, dict[str, str]] = {}
        for sentence, wording in self.texts.items():
            for language, text in {"": wording}.items() if isinstance(wording, str) else wording.items():
                found.setdefault(language, {})[sentence] = text
        return found

    @property
    def money_style(self) -> MoneyStyle:
        """How amounts are written."""
        return MoneyStyle(self.currency, self.locale)


_FROM_ENVIRONMENT: Final = (
    "database",
    "discord_token",
    "discord_api_url",
    "intake_keys",
    "metrics_token",
    "withdrawal_keys",
    "shop_secrets",
    "email_key",
    "warnings",
    "local_file",
)

OWN_SECTIONS: Final[Mapping[str, type[BaseModel]]] = {
    "referral_settings": ReferralSettings,
    "dashboard": DashboardSettings,
    "withdrawals": WithdrawalSettings,
}
SHARED_SECTIONS: Final[Mapping[str, type[BaseModel]]] = {"role_ids": RoleIds, "logging_channels": LoggingChannels}
RENAMED: Final[Mapping[str, str]] = {"retry_attempts": "dm_retry_attempts"}
"""Old names of keys in `referral_settings`, still accepted, and their present names."""

LIKE_OURS: Final = frozenset({"roles"})
"""Keys of the other bot that are close to ours and mean something else."""


def load(
    config_path: Path | None = None, database: str | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Load the settings: an argument takes precedence over the environment, and that over `config.json` and `.env`.

    `config.local.json` next to config.json is merged over it. `.env` is read next to the configuration, and in the
    current folder. If config.json is missing, the defaults apply, but a file named by the caller must exist. Raises
    SettingsError.
    """
    given = os.environ if environ is None else environ
    here = read_dot_env(Path(".env"))
    named = config_path or _named_in(given) or _named_in(here)
    path = named or DEFAULT_PATH
    # Each source as a whole: a token in the environment takes precedence over a token's file named in `.env`.
    variables: dict[str, str] = {}
    beside = path.parent / ".env"
    for source in (here, read_dot_env(beside), given):
        variables |= with_secret_files(source, SECRETS)
    files = {path: read_json(path, must_exist=named is not None)}
    files[local_path(path)] = read_json(local_path(path), must_exist=False)
    content: dict[str, Any] = {}
    for each in files.values():
        content = merged(content, _with_present_names(each))
    loaded = _validated(files, content, variables, database)
    faults = filter(None, map(dot_env_fault, dict.fromkeys([Path(".env"), beside])))
    unused = (
        f"{name.name}: database is not used: CASHBACK_DATABASE or --database names the ledger; remove it."
        for name, each in files.items()
        if isinstance(each.get("database"), str)
    )
    warnings = (*faults, *_misspelled_variables(variables), *unused, *loaded.warnings)
    return loaded.model_copy(update={"local_file": local_path(path).absolute(), "warnings": warnings})


def from_mapping(content: Mapping[str, Any], *, name: str, environ: Mapping[str, str] | None = None) -> Settings:
    """Validate settings that a program hands over as the content of a config.json, here also with its `database`.

    Secrets come from the environment. `name` names the settings in errors and warnings. Raises SettingsError.
    """
    variables = with_secret_files(os.environ if environ is None else environ, SECRETS)
    database = content.get("database")
    if database is not None and not isinstance(database, (str, Path)):
        raise SettingsError(f"{name}: database is {database!r}, but may be the ledger's path or URL as a text.")
    present = _with_present_names(content)
    return _validated({Path(name): content}, present, variables, None if database is None else str(database))


def _validated(
    files: Mapping[Path, Mapping[str, Any]],
    content: Mapping[str, Any],
    variables: Mapping[str, str],
    database: str | None,
) -> Settings:
    ours: dict[str, Any] = {key: value for key, value in content.items() if key not in _FROM_ENVIRONMENT}
    ours["warnings"] = tuple(warning for name, each in files.items() for warning in _warnings(name, each))
    ours["database"] = database or variables.get("CASHBACK_DATABASE") or "cashback.db"
    ours["discord_token"] = _token(variables.get("DISCORD_TOKEN", "").strip())
    ours["discord_api_url"] = _api_url(variables.get("DISCORD_API_URL", "").strip())
    ours["intake_keys"] = _intake_keys(variables)
    ours["metrics_token"] = variables.get("CASHBACK_METRICS_TOKEN", "").strip() or None
    secrets = _webhook_secrets(variables)
    ours["withdrawal_keys"] = tuple(variables.get(WITHDRAWAL_KEYS, "").split())
    ours["shop_secrets"] = _shop_secrets(variables)
    ours["email_key"] = _email_key(variables.get(EMAIL_KEY, "").strip())
    level = variables.get("CASHBACK_LOG_LEVEL", "").strip()
    if level:
        ours["log_level"] = _log_level(level)
    try:
        loaded = Settings.model_validate(ours)
    except ValidationError as error:
        raise SettingsError(_one_line(files, error)) from error
    signed = {
        name: each.model_copy(update={"secrets": secrets.get(name, ())}) for name, each in loaded.webhooks.items()
    }
    loaded = loaded.model_copy(update={"webhooks": signed})
    wrong = everyone_in_roles(loaded.role_ids, loaded.guild_ids) or _wrong_shop(loaded)
    if wrong is not None:
        raise SettingsError(f"{next(iter(files)).name}: {wrong}")
    wrong = next(_faults_of_texts(loaded.replaced_sentences), None)
    if wrong is not None:
        raise SettingsError(f"{next(iter(files)).name}: texts: {wrong}")
    return loaded.model_copy(update={"warnings": (*loaded.warnings, *_secrets_without_shop(loaded))})


def _faults_of_texts(replaced: Replaced) -> Iterator[str]:
    """Yield what is wrong with the wordings of members' sentences."""
    for language, wordings in replaced.items():
        if language and language not in languages():
            yield f"{language[:20]!r} is not a language of members' texts; the languages: {', '.join(languages())}."
        for sentence, text in wordings.items():
            if sentence not in sentences():
                nearest = similar_names.nearest(sentence[:200], sentences())
                yield f"{sentence[:60]!r} is not a sentence; the nearest is {nearest!r}."
            else:
                fault = fault_of(sentence, text)
                if fault is not None:
                    yield f"the wording of {sentence!r}: {fault}; correct it."


def checked_term(key: str, value: object) -> Any:  # noqa: ANN401 -- whatever the setting is
    """Check one value by the rule of a key in `referral_settings`, and return it. Raises SettingsError."""
    try:
        return getattr(ReferralSettings.model_validate({key: value}), key)
    except ValidationError as error:
        raise SettingsError(f"{value} is not {ReferralSettings.model_fields[key].description}.") from error


def path_of(config_path: Path | None) -> Path:
    """Return the path of config.json, which an argument, the environment or `.env` may name."""
    return config_path or _named_in(os.environ) or _named_in(read_dot_env(Path(".env"))) or DEFAULT_PATH


def _named_in(variables: Mapping[str, str]) -> Path | None:
    name = variables.get("CASHBACK_CONFIG")
    return Path(name) if name else None


def _warnings(path: Path, content: Mapping[str, Any]) -> Iterator[str]:
    """List what is odd in one file, a line each."""
    for key in (key for key in TOKEN_KEYS if key in content):
        yield f"{path.name}: {key} is not used: the token comes from DISCORD_TOKEN only; remove it from the file."
    for key, known in _slips(content):
        yield f"{path.name}: {_printable(key)} is not a setting; did you mean {known}? Rename it."
    for old in _old_names(content):
        yield f"{path.name}: referral_settings.{old} is an old name of referral_settings.{RENAMED[old]}; rename it."


def _old_names(content: Mapping[str, Any]) -> list[str]:
    """List the old names of settings in the file."""
    section = content.get("referral_settings")
    return [old for old in RENAMED if old in section] if isinstance(section, dict) else []


def _with_present_names(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Rename old keys in `referral_settings`; if the file has both, the present name counts."""
    if not _old_names(content):
        return content
    section = content["referral_settings"]
    renamed = {RENAMED[key]: value for key, value in section.items() if key in RENAMED}
    present = {key: value for key, value in section.items() if key not in RENAMED}
    return {**content, "referral_settings": {**renamed, **present}}


def _slips(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """List the keys in shared parts that are similar to a missing setting, each with that setting."""
    yield from _slips_in(content, [name for name in Settings.model_fields if name not in _FROM_ENVIRONMENT])
    for section, model in SHARED_SECTIONS.items():
        if isinstance(content.get(section), dict):
            for key, known in _slips_in(content[section], list(model.model_fields)):
                yield f"{section}.{key}", f"{section}.{known}"
    # At the top, such a setting would count as another program's key, and its default would apply.
    settled = content.get("referral_settings", {})
    for key in content:
        name = RENAMED.get(key, key)
        if name in ReferralSettings.model_fields and isinstance(settled, dict) and not {key, name} & settled.keys():
            yield key, f"referral_settings.{name}"


def _slips_in(content: Mapping[str, Any], known: Sequence[str]) -> Iterator[tuple[str, str]]:
    missing = [name for name in known if content.get(name) is None]
    for key in content:
        name = None if key in known or key in LIKE_OURS else similar_names.meant(key, missing)
        if name is not None:
            yield key, name


def _intake_keys(environ: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Read the secrets of the intake: CASHBACK_INTAKE_KEY_SHOP holds those of the key "shop", the newest first."""
    return _secrets_by_name(environ, INTAKE_KEY_PREFIX, INTAKE_SECRET_LENGTH)


def _shop_secrets(environ: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Read the shops' secrets: CASHBACK_SHOP_MY_STORE holds those of the shop "my-store", the newest first."""
    found = _secrets_by_name(environ, SHOP_SECRET_PREFIX, SHOP_SECRET_LENGTH)
    return {name.replace("_", "-"): secrets for name, secrets in found.items()}


def _secrets_by_name(environ: Mapping[str, str], prefix: str, length: int) -> dict[str, tuple[str, ...]]:
    keys = {}
    for variable, value in environ.items():
        name = variable.removeprefix(prefix).lower()
        if variable.startswith(prefix) and name and value.strip():
            secrets = tuple(value.split())
            if len(secrets) > INTAKE_SECRETS or min(map(len, secrets)) < length:
                raise SettingsError(
                    f"{variable} may be one secret, or two with a space between, each of at least {length} characters."
                )
            keys[name] = secrets
    return keys


def _webhook_secrets(environ: Mapping[str, str]) -> dict[str, tuple[SecretStr, ...]]:
    """Read webhooks' secrets: CASHBACK_WEBHOOK_SECRET_SHOP holds those of the webhook "shop", two while they change."""
    found = {}
    for variable, value in environ.items():
        name = variable.removeprefix(WEBHOOK_SECRET_PREFIX).lower()
        if variable.startswith(WEBHOOK_SECRET_PREFIX) and name and value.strip():
            found[name] = tuple(map(SecretStr, value.split()))
            try:
                keys = [decoded_secret(each) for each in value.split()]
            except ValueError:
                keys = []
            if not 1 <= len(keys) <= 2 or not all(_is_long_enough(key) for key in keys):  # noqa: PLR2004 -- old and new
                raise SettingsError(
                    f"{variable} may be one secret, or two with a space between, each whsec_ and the base64 of 24 to 64"
                    " bytes (docs/howto/withdrawals.md)."
                )
    return found


def _is_long_enough(key: bytes) -> bool:
    least, most = WEBHOOK_SECRET_BYTES
    return least <= len(key) <= most


def decoded_secret(secret: str) -> bytes:
    """Return the key of a webhook's secret. Raises ValueError if it is not base64."""
    return base64.b64decode(secret.removeprefix("whsec_"), validate=True)


def shop_variable(name: str) -> str:
    """Return the variable that holds a shop's secrets."""
    return f"{SHOP_SECRET_PREFIX}{name.replace('-', '_').upper()}"


def _email_key(text: str) -> str | None:
    if text and len(text) < INTAKE_SECRET_LENGTH:
        raise SettingsError(f"{EMAIL_KEY} may be a text of at least {INTAKE_SECRET_LENGTH} characters.")
    return text or None


def _wrong_shop(loaded: Settings) -> str | None:
    """Return the problem of the first shop that does not agree with the rest of the settings."""
    for name, shop in loaded.shops.items():
        if shop.currency not in {None, loaded.currency}:
            return (
                f"shops.{name}.currency is {shop.currency}, but the ledger's currency is {loaded.currency}; remove this"
                " key, or use another ledger for this shop."
            )
        if shop.one_buyer_per_member and loaded.email_key is None:
            return f"shops.{name}.one_buyer_per_member is true, which needs {EMAIL_KEY}; set it to a random text."
    return None


def _secrets_without_shop(loaded: Settings) -> Iterator[str]:
    for name in sorted(set(loaded.shop_secrets) - set(loaded.shops)):
        yield f"{shop_variable(name)} is set, but config.json has no shop {name}; add it to shops, or remove it."


def _misspelled_variables(variables: Mapping[str, str]) -> Iterator[str]:
    """List the variables that are similar to one of ours that is missing."""
    for start in ("CASHBACK_", "DISCORD_"):
        known = [name.removeprefix(start) for name in VARIABLES if name.startswith(start)]
        missing = [name for name in known if not variables.get(start + name)]
        for variable in sorted(variables):
            name = variable.removeprefix(start).removesuffix(FILE_SUFFIX)
            if variable.startswith(start) and name not in known and not variable.startswith(SECRET_PREFIXES):
                meant = similar_names.meant(name, missing)
                if meant is not None:
                    yield f"{_printable(variable)} is not a variable of ours; did you mean {start}{meant}? Rename it."


def _token(text: str) -> str | None:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise SettingsError("DISCORD_TOKEN is not a token, which has no spaces and is one line; copy it again.")
    return text or None


def _log_level(text: str) -> str:
    if text.lower() not in get_args(LogLevel):
        raise SettingsError(f"CASHBACK_LOG_LEVEL is {json.dumps(text)}, but may be one of debug, info, warning, error.")
    return text


def _api_url(text: str) -> str | None:
    if not text:
        return None
    if not _is_web_address(text):
        raise SettingsError(
            f"DISCORD_API_URL is {json.dumps(text)}, but may be an http or https address, "
            "for example http://127.0.0.1:8931/api/v10."
        )
    return text.rstrip("/")


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        # Reading the port validates it.
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and text.split() == [text]
    except ValueError:
        return False


def _one_line(files: Mapping[Path, Mapping[str, Any]], error: ValidationError) -> str:
    """Describe the first wrong key, its file, its value, and the valid values in one line."""
    first = error.errors()[0]
    if first["type"] == "missing":
        # The missing key may be the one that is misspelled.
        slips = (each for each in error.errors() if each["type"] == "extra_forbidden")
        first = next((each for each in slips if each["loc"][:-1] == first["loc"][:-1]), first)
    path, content = _origin(files, first["loc"])
    # Of texts the place is the sentence; what follows names types of the settings' library.
    place = first["loc"][:2] if first["loc"][0] == "texts" else first["loc"]
    key = ".".join(str(part) for part in place)
    if first["type"] == "extra_forbidden":
        *sections, name = map(str, first["loc"])
        model = OWN_SECTIONS.get(sections[0], ShopSettings)
        return f"{path.name}: {_unknown('.'.join(sections), name, model.model_fields)}"
    if first["loc"] == ("webhooks",) and isinstance(first["input"], dict):
        for name, target in first["input"].items():
            for wrong in target.keys() - WEBHOOK_KEYS if isinstance(target, dict) else ():
                return f"{path.name}: {_unknown(f'webhooks.{name}', wrong, WEBHOOK_KEYS)}"
    for old in _old_names(content):
        if key == f"referral_settings.{RENAMED[old]}" and RENAMED[old] not in content["referral_settings"]:
            key = f"referral_settings.{old}"
    if first["type"] == "missing":
        return f"{path.name}: {key} is missing; set it to {_meaning(first['loc'])}."
    value = json.dumps(first["input"], default=float)
    return f"{path.name}: {key} is {value[:80]}, but may be {_meaning(first['loc'])}."


def _unknown(section: str, name: str, known: Iterable[str]) -> str:
    nearest = f"{_printable(section)}.{similar_names.nearest(name, known)}"
    return f"{_printable(f'{section}.{name}')} is not a setting; the nearest is {nearest}. Correct or remove it."


def _origin(files: Mapping[Path, Mapping[str, Any]], location: tuple[int | str, ...]) -> tuple[Path, Mapping[str, Any]]:
    """Return the last file that has the key, which is the one whose value counts."""
    for path, content in reversed(list(files.items())):
        if _holds(_with_present_names(content), location):
            return path, content
    return next(iter(files.items()))


def _holds(content: Any, location: tuple[int | str, ...]) -> bool:  # noqa: ANN401 -- whatever JSON holds
    """Return whether a file has the key at this place, or a value that is not an object on the way to it."""
    for part in location:
        if not isinstance(content, Mapping):
            return True
        if part not in content:
            return False
        content = content[part]
    return True


def _printable(key: str) -> str:
    """Return a key, which may hold anything, as a printable part of one line."""
    return json.dumps(key, ensure_ascii=False)[1:-1][:80]


def _meaning(location: tuple[int | str, ...]) -> str:
    """Look up the valid values of the key at this place in the file."""
    model: type[BaseModel] = Settings
    if location[0] == "shops" and len(location) > len(("shops", "name")):
        model, location = ShopSettings, location[2:]
    for part in location:
        field = model.model_fields.get(str(part))
        if field is None:
            break
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            model = field.annotation
            if part == location[-1]:
                return "an object in braces"
            continue
        return field.description or _described_by_kind(str(part))
    return "something else"


def _described_by_kind(name: str) -> str:
    return "a list of Discord ids" if name == "guild_ids" else "a Discord id: a whole number from 1 to 2^63-1, or null"
