"""Settings: what is taken, what is refused, and in which words."""

import json
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from cashback import settings
from cashback.settings import LARGEST_ID, ReferralSettings, RoleIds, Settings, SettingsError, ShopKind
from cashback.shops.webhooks import KINDS

DOCS = Path(__file__).parents[2] / "docs" / "reference" / "configuration.md"


@pytest.fixture(autouse=True)
def _no_env_file_of_the_developer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the checkout's own .env and config.json out of these tests."""
    monkeypatch.chdir(tmp_path)


def write(folder: Path, content: object) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def refusal(folder: Path, content: object) -> str:
    with pytest.raises(SettingsError) as caught:
        settings.load(write(folder, content), environ={})
    return str(caught.value)


def test_the_example_holds_the_defaults() -> None:
    path = Path(__file__).parents[2] / "config.json"
    example = settings.load(path, environ={})
    assert example == Settings(local_file=path.with_name("config.local.json"))


def test_an_apex_core_file_with_all_its_other_sections_loads(tmp_path: Path) -> None:
    content = {
        "bot_prefix": "?",
        "guild_ids": [123456789012345678],
        "role_ids": {"admin": "223456789012345678", "client": 5, "vip": None},
        "logging_channels": {"audit": 323456789012345678, "payments": 1, "errors": 2},
        "referral_settings": {"cashback_percent": 1.25},
        "operating_hours": {"monday": [9, 17]},
        "payment_methods": [{"name": "card", "enabled": True}],
        "database": {"path": "elsewhere.db"},
        "warnings": 3,
    }
    loaded = settings.load(write(tmp_path, content), environ={})
    assert loaded.bot_prefix == "?"
    assert loaded.role_ids.admin == 223456789012345678
    assert loaded.logging_channels.audit == 323456789012345678
    assert loaded.referral_settings.rate_ppm == 12_500
    assert loaded.database == "cashback.db"


@pytest.mark.parametrize(
    ("key", "value", "may_be"),
    [
        ("batch_day", "fryday", "one of monday"),
        ("batch_day", 5, "one of monday"),
        ("batch_hour_utc", 24, "0 to 23"),
        ("batch_hour_utc", "15", "0 to 23"),
        ("batch_hour_utc", 15.5, "0 to 23"),
        ("batch_hour_utc", True, "0 to 23"),
        ("batch_minute_utc", 60, "0 to 59"),
        ("misfire_grace_hours", -1, "0 to 168"),
        ("cashback_percent", 101, "0 to 100"),
        ("cashback_percent", -0.1, "0 to 100"),
        ("cashback_percent", "abc", "0 to 100"),
        ("cashback_percent", "0.5", "0 to 100"),
        ("cashback_percent", 0.12345, "four decimals"),
        ("cashback_percent", None, "0 to 100"),
        ("auto_batch_enabled", "yes", "true or false"),
        ("auto_batch_enabled", 1, "true or false"),
        ("min_payout_cents", 0, "1 to"),
        ("dm_per_second", 0, "above 0"),
        ("dm_per_second", "fast", "above 0"),
        ("dm_per_second", 51, "at most 50"),
        ("dm_retry_attempts", 11, "0 to 10"),
        ("chunk_size", 0, "1 to"),
        ("confirm_seconds", 9, "10 to 900"),
        ("holding_days", 91, "0 to 90"),
        ("holding_days", -1, "0 to 90"),
        ("leaver_policy", "keep", "one of pay, hold"),
        ("leaver_policy", None, "one of pay, hold"),
    ],
)
def test_a_wrong_value_is_named_with_its_key_and_what_it_may_be(
    tmp_path: Path, key: str, value: object, may_be: str
) -> None:
    line = refusal(tmp_path, {"referral_settings": {key: value}})
    assert f"referral_settings.{key} is {json.dumps(value)}" in line
    assert may_be in line
    assert "\n" not in line


def test_old_name_of_setting_is_accepted_with_one_warning(tmp_path: Path) -> None:
    loaded = settings.load(write(tmp_path, {"referral_settings": {"retry_attempts": 7}}), environ={})
    assert loaded.referral_settings.dm_retry_attempts == 7
    assert loaded.warnings == (
        (
            "config.json: referral_settings.retry_attempts is an old name of referral_settings.dm_retry_attempts;"
            " rename it."
        ),
    )


def test_old_and_new_name_of_setting_together_use_the_new_one(tmp_path: Path) -> None:
    content = {"referral_settings": {"retry_attempts": 7, "dm_retry_attempts": 2}}
    loaded = settings.load(write(tmp_path, content), environ={})
    assert loaded.referral_settings.dm_retry_attempts == 2
    assert len(loaded.warnings) == 1


def test_wrong_value_under_old_name_is_reported_with_that_name(tmp_path: Path) -> None:
    line = refusal(tmp_path, {"referral_settings": {"retry_attempts": 11}})
    assert "referral_settings.retry_attempts is 11, but may be a whole number from 0 to 10" in line


@pytest.mark.parametrize("key", ["retry_attempts", "dm_retry_attempts"])
def test_setting_at_the_top_of_the_file_gets_a_warning_with_its_place(tmp_path: Path, key: str) -> None:
    loaded = settings.load(write(tmp_path, {key: 7}), environ={})
    assert loaded.referral_settings.dm_retry_attempts == 3
    assert loaded.warnings == (
        f"config.json: {key} is not a setting; did you mean referral_settings.dm_retry_attempts? Rename it.",
    )


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"role_ids": {"admin": 0}}, "role_ids.admin is 0"),
        ({"role_ids": {"admin": LARGEST_ID + 1}}, "role_ids.admin"),
        ({"role_ids": {"admin": "admin"}}, 'role_ids.admin is "admin"'),
        ({"role_ids": []}, "role_ids is []"),
        ({"logging_channels": {"audit": -5}}, "logging_channels.audit is -5"),
        ({"guild_ids": ["1", "x"]}, 'guild_ids.1 is "x"'),
        ({"referral_settings": None}, "referral_settings is null"),
        ({"bot_prefix": ""}, 'bot_prefix is ""'),
        ([1], "not hold a JSON object"),
    ],
)
def test_a_wrong_section_is_named(tmp_path: Path, content: object, named: str) -> None:
    assert named in refusal(tmp_path, content)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"{", "line 1"),
        (b"\xff\xfe{}", "UTF-8"),
        (b'{"bot_prefix": "!", "bot_prefix": "?"}', "twice"),
        (b'{"referral_settings": {"dm_per_second": NaN}}', "NaN"),
        (b"", "not JSON"),
    ],
)
def test_a_file_that_is_no_json_object_is_one_line(tmp_path: Path, raw: bytes, says: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(raw)
    with pytest.raises(SettingsError) as caught:
        settings.load(path, environ={})
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_is_harmless(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(b'\xef\xbb\xbf{"bot_prefix": "$"}')
    assert settings.load(path, environ={}).bot_prefix == "$"


def test_a_missing_file_means_the_defaults_unless_it_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert settings.load(environ={}) == Settings(local_file=tmp_path / "config.local.json")
    with pytest.raises(SettingsError, match="does not exist"):
        settings.load(environ={"CASHBACK_CONFIG": "elsewhere.json"})


def test_an_argument_goes_before_the_environment_and_that_before_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text('# mine\nexport CASHBACK_DATABASE="a.db"\nDISCORD_TOKEN=from-the-file\n')
    assert settings.load(environ={}).database == "a.db"
    assert settings.load(environ={"CASHBACK_DATABASE": "b.db"}).database == "b.db"
    loaded = settings.load(database="c.db", environ={"CASHBACK_DATABASE": "b.db"})
    assert loaded.database == "c.db"
    assert loaded.discord_token is not None
    assert loaded.discord_token.get_secret_value() == "from-the-file"


def test_a_token_in_the_file_is_never_used_nor_shown(tmp_path: Path) -> None:
    loaded = settings.load(write(tmp_path, {"token": "s3cret", "discord_token": "s3cret"}), environ={})
    assert loaded.discord_token is None
    assert len(loaded.warnings) == 2
    assert "s3cret" not in repr(loaded)


def test_a_token_from_the_environment_is_not_shown() -> None:
    assert "s3cret" not in repr(settings.load(environ={"DISCORD_TOKEN": "s3cret"}))


@pytest.mark.parametrize(
    "address",
    [
        "localhost:8931",
        "ftp://127.0.0.1",
        "http://",
        "8931",
        "http://[::1",
        "http://h:99999",
        "http://a b",
        "http://a\nb",
    ],
)
def test_an_api_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="DISCORD_API_URL") as caught:
        settings.load(environ={"DISCORD_API_URL": address})
    assert "\n" not in str(caught.value)


@given(ppm=st.integers(min_value=0, max_value=1_000_000))
def test_every_percentage_of_four_decimals_is_exact(ppm: int) -> None:
    percent = Decimal(ppm) / 10_000
    assert ReferralSettings(cashback_percent=percent).rate_ppm == ppm
    assert ReferralSettings.model_validate({"cashback_percent": float(percent)}).rate_ppm == ppm


@pytest.mark.parametrize("raw", ["0.5" + "0" * 30 + "1", "1e-5", "1e-999999999", "1e999999999", "99.99999"])
def test_a_percentage_is_never_rounded_into_range(tmp_path: Path, raw: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(f'{{"referral_settings": {{"cashback_percent": {raw}}}}}', encoding="utf-8")
    with pytest.raises(SettingsError, match="at most four decimals"):
        settings.load(path, environ={})


@pytest.mark.parametrize(
    ("line", "token"),
    [
        ("DISCORD_TOKEN=abc # mine", "abc"),
        ("DISCORD_TOKEN='a#b' # mine", "a#b"),
        ("DISCORD_TOKEN=a#b", "a#b"),
        ("  export DISCORD_TOKEN = abc", "abc"),
    ],
)
def test_a_comment_in_the_env_file_is_no_part_of_the_token(tmp_path: Path, line: str, token: str) -> None:
    (tmp_path / ".env").write_text(line, encoding="utf-8")
    loaded = settings.load(environ={})
    assert loaded.discord_token is not None
    assert loaded.discord_token.get_secret_value() == token


def fields_of(model: type[BaseModel]) -> list[str]:
    names = []
    for name, field in model.model_fields.items():
        inner = field.annotation
        nested = isinstance(inner, type) and issubclass(inner, BaseModel)
        names += fields_of(inner) if nested and isinstance(inner, type) else [name]
    return names


def test_every_setting_is_in_the_documentation() -> None:
    text = DOCS.read_text(encoding="utf-8")
    of_the_environment = {
        *(
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
        ),
    }
    missing = [name for name in fields_of(Settings) if name not in of_the_environment and name not in text]
    assert missing == []
    variables = ["CASHBACK_CONFIG", "CASHBACK_DATABASE", "DISCORD_TOKEN", "DISCORD_API_URL", "CASHBACK_METRICS_TOKEN"]
    for variable in [*variables, settings.INTAKE_KEY_PREFIX]:
        assert variable in text


@pytest.mark.parametrize(
    ("key", "value", "may_be"),
    [
        ("enabled", "yes", "true or false"),
        ("host", "", "an address or a name"),
        ("port", 0, "1 to 65535"),
        ("port", "8930", "1 to 65535"),
        ("public_url", "cashback.example.org", "http or https address without a path"),
        ("public_url", "https://cashback.example.org/pay", "http or https address without a path"),
        ("public_url", "https://me:word@cashback.example.org", "http or https address without a path"),
    ],
)
def test_a_wrong_dashboard_setting_is_one_line(tmp_path: Path, key: str, value: object, may_be: str) -> None:
    said = refusal(tmp_path, {"dashboard": {key: value}})
    assert f"dashboard.{key} is" in said
    assert may_be in said


def test_the_dashboard_is_off_and_on_loopback_unless_told_otherwise(tmp_path: Path) -> None:
    assert (Settings().dashboard.enabled, Settings().dashboard.address) == (False, "http://127.0.0.1:8930")
    loaded = settings.load(write(tmp_path, {"dashboard": {"host": "::1", "port": 80}}), environ={})
    assert loaded.dashboard.address == "http://[::1]:80"
    loaded = settings.load(write(tmp_path, {"dashboard": {"public_url": "https://pay.example.org/"}}), environ={})
    assert (loaded.dashboard.address, loaded.dashboard.is_proxied) == ("https://pay.example.org", True)


@pytest.mark.parametrize("name", list(RoleIds.model_fields))
def test_role_of_everyone_is_refused(tmp_path: Path, name: str) -> None:
    said = refusal(tmp_path, {"guild_ids": [1, 77], "role_ids": {"admin": 5, name: "77"}})
    assert said.startswith(f"config.json: role_ids.{name} is 77, the id of a server")
    assert "@everyone" in said


@pytest.mark.parametrize(
    ("section", "key", "nearest"),
    [
        ("referral_settings", "cashback_percentage", "cashback_percent"),
        ("referral_settings", "cashback-percent", "cashback_percent"),
        ("referral_settings", "cashbackPercent", "cashback_percent"),
        ("referral_settings", "cashback_percent ", "cashback_percent"),
        ("referral_settings", "batch_hour", "batch_hour_utc"),
        ("referral_settings", "min_payout", "min_payout_cents"),
        ("referral_settings", "grace_hours", "misfire_grace_hours"),
        ("dashboard", "enable", "enabled"),
        ("dashboard", "url", "public_url"),
        ("dashboard", "Port", "port"),
    ],
)
def test_unknown_key_is_refused_with_the_nearest(tmp_path: Path, section: str, key: str, nearest: str) -> None:
    said = refusal(tmp_path, {section: {key: 5}})
    assert said == (
        f"config.json: {section}.{key} is not a setting; the nearest is {section}.{nearest}. Correct or remove it."
    )


@pytest.mark.parametrize("section", ["referral_settings", "dashboard"])
@pytest.mark.parametrize("key", ["", "_comment", "xyz", "€", "a\nb"])
def test_unknown_key_that_is_like_none_is_refused_in_one_line(tmp_path: Path, section: str, key: str) -> None:
    said = refusal(tmp_path, {section: {key: {"deep": [1]}}})
    assert said.startswith(f"config.json: {section}.")
    assert len(said.splitlines()) == 1


def test_section_that_is_no_object_is_refused_beside_a_slip(tmp_path: Path) -> None:
    said = refusal(tmp_path, {"cashback_percent": 5, "role_id": 3, "referral_settings": 5})
    assert said == "config.json: referral_settings is 5, but may be an object in braces."


APEX_CORE = {
    "token": "x",
    "bot_prefix": "!",
    "guild_ids": [1],
    "role_ids": {"admin": None},
    "logging_channels": dict.fromkeys(
        ("audit", "payments", "tickets", "errors", "order_logs", "transcript_archive"), None
    ),
    "ticket_categories": {"support": 1, "billing": 2, "sales": 3},
    "operating_hours": {"start_hour_utc": 9, "end_hour_utc": 17},
    "payment_methods": [],
    "roles": [],
    "refund_settings": {"enabled": True, "max_days": 3, "handling_fee_percent": 10},
    "rate_limits": {},
    "financial_cooldowns": {},
    "category_ids": {},
    "channel_ids": {"audit-log": 1},
    "setup_settings": {},
}
OURS = ["bot_prefix", "guild_ids", "role_ids", "logging_channels"]


@pytest.mark.parametrize("missing", [None, *OURS])
def test_other_bots_keys_are_no_slips_of_ours(tmp_path: Path, missing: str | None) -> None:
    content = {key: value for key, value in APEX_CORE.items() if key not in {"token", missing}}
    assert settings.load(write(tmp_path, content), environ={}).warnings == ()


@pytest.mark.parametrize(
    ("content", "key", "meant"),
    [
        ({"role_ids": {"admn": 5}}, "role_ids.admn", "role_ids.admin"),
        ({"role_ids": {"Admin": 5}}, "role_ids.Admin", "role_ids.admin"),
        ({"role_ids": {"admin": None, "admins": 5}}, "role_ids.admins", "role_ids.admin"),
        ({"role_ids": {"administrator": 5}}, "role_ids.administrator", "role_ids.admin"),
        ({"role_ids": {"viewer": 5}}, "role_ids.viewer", "role_ids.dashboard_viewer"),
        ({"role_ids": {"dashbord_viewer": 5}}, "role_ids.dashbord_viewer", "role_ids.dashboard_viewer"),
        ({"logging_channels": {"adit": 5}}, "logging_channels.adit", "logging_channels.audit"),
        ({"logging_channels": {"audit_log": 5}}, "logging_channels.audit_log", "logging_channels.audit"),
        ({"referal_settings": {"cashback_percent": 5}}, "referal_settings", "referral_settings"),
        ({"referrals": {"cashback_percent": 5}}, "referrals", "referral_settings"),
        ({"referralSettings": {"cashback_percent": 5}}, "referralSettings", "referral_settings"),
        ({"role_id": {"admin": 5}}, "role_id", "role_ids"),
        ({"guild_id": 5}, "guild_id", "guild_ids"),
        ({"logging_channel": {"audit": 5}}, "logging_channel", "logging_channels"),
        ({"dashbord": {"enabled": True}}, "dashbord", "dashboard"),
        ({"dashboard_settings": {"enabled": True}}, "dashboard_settings", "dashboard"),
        ({"prefix": "?"}, "prefix", "bot_prefix"),
        ({"brand": "x"}, "brand", "brand_name"),
        ({"cashback_percent": 5}, "cashback_percent", "referral_settings.cashback_percent"),
    ],
)
def test_slip_in_a_shared_part_is_one_warning(tmp_path: Path, content: object, key: str, meant: str) -> None:
    loaded = settings.load(write(tmp_path, content), environ={})
    assert loaded.warnings == (f"config.json: {key} is not a setting; did you mean {meant}? Rename it.",)


@pytest.mark.parametrize(
    "content",
    [
        {"role_ids": {"admin": 5, "admins": 6, "moderator": 7, "vip": None}},
        {"logging_channels": {"audit": 5, "audit_log": 6}},
        {"referral_settings": {}, "referal_settings": {}},
        {"general_settings": {}, "order_settings": {}, "settings": {}, "name": "x", "ids": 1, "": 2, "database": 3},
    ],
)
def test_other_keys_of_a_shared_part_are_left_alone(tmp_path: Path, content: object) -> None:
    assert settings.load(write(tmp_path, content), environ={}).warnings == ()


def test_a_shops_secrets_come_from_the_environment_and_are_not_shown() -> None:
    new, old = "n" * 32, "o" * 40
    loaded = settings.load(environ={"CASHBACK_INTAKE_KEY_SHOP": f"{new} {old}", "CASHBACK_INTAKE_KEY_OTHER": ""})
    assert [secret.get_secret_value() for secret in loaded.intake_keys["shop"]] == [new, old]
    assert list(loaded.intake_keys) == ["shop"]
    assert new not in repr(loaded)


@pytest.mark.parametrize("value", ["short", "n" * 31, "a" * 32 + " " + "b" * 32 + " " + "c" * 32, "a" * 32 + " short"])
def test_a_secret_that_is_none_is_refused_and_not_shown(value: str) -> None:
    with pytest.raises(SettingsError, match="CASHBACK_INTAKE_KEY_SHOP may be one secret") as caught:
        settings.load(environ={"CASHBACK_INTAKE_KEY_SHOP": value})
    assert value not in str(caught.value)


SHOP = {"kind": "stripe"}


@pytest.mark.parametrize(
    ("shops", "said"),
    [
        ({"store": {"kind": "strip"}}, 'shops.store.kind is "strip", but may be one of stripe, shopify,'),
        ({"store": {}}, "shops.store.kind is missing; set it to one of stripe,"),
        ({"Store": SHOP}, "shops by their names of small letters"),
        ({"store": 5}, "each an object in braces"),
        ([], "an object of at most 20 shops"),
        (
            {"store": {**SHOP, "curency": "USD"}},
            "shops.store.curency is not a setting; the nearest is shops.store.currency",
        ),
        ({"store": {**SHOP, "currency": "EUR"}}, "the ledger's currency is USD"),
        ({"store": {**SHOP, "currency": "dollars"}}, "shops.store.currency"),
        ({"store": {**SHOP, "amount": "net"}}, "one of subtotal, total"),
        ({"store": {**SHOP, "link": "shop"}}, "an http or https address, or null"),
        ({"store": {**SHOP, "one_buyer_per_member": True}}, "CASHBACK_EMAIL_KEY"),
        ({f"s{number}": SHOP for number in range(21)}, "at most 20 shops"),
    ],
)
def test_wrong_shop_is_refused_with_its_place(tmp_path: Path, shops: object, said: str) -> None:
    assert said in refusal(tmp_path, {"shops": shops})


def test_secrets_of_shops_come_from_the_environment(tmp_path: Path) -> None:
    path = write(tmp_path, {"shops": {"my-store": SHOP}})
    environ = {"CASHBACK_SHOP_MY_STORE": "a" * 16 + " " + "b" * 16, "CASHBACK_SHOP_OTHER": "c" * 16}
    loaded = settings.load(path, environ=environ)
    assert [secret.get_secret_value() for secret in loaded.shop_secrets["my-store"]] == ["a" * 16, "b" * 16]
    assert loaded.warnings == (
        "CASHBACK_SHOP_OTHER is set, but config.json has no shop other; add it to shops, or remove it.",
    )


@pytest.mark.parametrize("value", ["short", "a" * 16 + " " + "b" * 16 + " " + "c" * 16])
def test_wrong_secret_of_a_shop_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(SettingsError, match="CASHBACK_SHOP_STORE may be one secret, or two"):
        settings.load(write(tmp_path, {"shops": {"store": SHOP}}), environ={"CASHBACK_SHOP_STORE": value})


def test_each_kind_of_shop_can_be_configured_and_no_other() -> None:
    assert set(get_args(ShopKind)) == set(KINDS)
