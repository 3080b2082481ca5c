"""The files of the configuration: the local file, `.env` next to the configuration, and secrets in files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cashback import settings
from cashback.settings import Settings, SettingsError

SECRET = "x" * 40


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def token_of(loaded: Settings) -> str | None:
    return loaded.discord_token.get_secret_value() if loaded.discord_token else None


def test_local_file_is_merged_key_by_key(folder: Path) -> None:
    write(folder / "config.json", {"bot_prefix": "?", "referral_settings": {"holding_days": 3, "chunk_size": 7}})
    write(folder / "config.local.json", {"role_ids": {"admin": 5}, "referral_settings": {"holding_days": 14}})
    loaded = settings.load(environ={})
    assert (loaded.bot_prefix, loaded.role_ids.admin) == ("?", 5)
    assert (loaded.referral_settings.holding_days, loaded.referral_settings.chunk_size) == (14, 7)


def test_local_file_counts_without_config_json(folder: Path) -> None:
    write(folder / "config.local.json", {"bot_prefix": "?"})
    assert settings.load(environ={}).bot_prefix == "?"


def test_local_file_stands_next_to_a_named_configuration(folder: Path) -> None:
    named = write(folder / "etc" / "shop.json", {})
    write(folder / "etc" / "shop.local.json", {"bot_prefix": "?"})
    write(folder / "config.local.json", {"bot_prefix": "$"})
    assert settings.load(named, environ={}).bot_prefix == "?"


def test_wrong_value_names_the_file_it_is_in(folder: Path) -> None:
    write(folder / "config.json", {"referral_settings": {"holding_days": 3}})
    write(folder / "config.local.json", {"referral_settings": {"holding_days": 300}})
    with pytest.raises(SettingsError, match=r"^config\.local\.json: referral_settings\.holding_days is 300, but"):
        settings.load(environ={})
    write(folder / "config.local.json", {"bot_prefix": "?"})
    write(folder / "config.json", {"referral_settings": {"holding_days": 300}})
    with pytest.raises(SettingsError, match=r"^config\.json: referral_settings\.holding_days is 300, but"):
        settings.load(environ={})


def test_misspelled_key_of_the_local_file_is_named(folder: Path) -> None:
    write(folder / "config.json", {"referral_settings": {"cashback_percent": 1}})
    write(folder / "config.local.json", {"referal_settings": {"cashback_percent": 2}})
    [warning] = settings.load(environ={}).warnings
    assert warning.startswith("config.local.json: referal_settings is not a setting; did you mean referral_settings?")
    write(folder / "config.local.json", {"referral_settings": {"cashback_percnt": 2}})
    with pytest.raises(SettingsError, match=r"^config\.local\.json: .* the nearest is referral_settings.cashback_perc"):
        settings.load(environ={})


def test_old_name_in_the_local_file_overrides_the_present_name(folder: Path) -> None:
    write(folder / "config.json", {"referral_settings": {"dm_retry_attempts": 3}})
    write(folder / "config.local.json", {"referral_settings": {"retry_attempts": 7}})
    assert settings.load(environ={}).referral_settings.dm_retry_attempts == 7


@pytest.mark.parametrize("content", ["[]", "{", '{"a": 1, "a": 2}'])
def test_unreadable_local_file_is_refused_by_its_name(folder: Path, content: str) -> None:
    write(folder / "config.local.json", content)
    with pytest.raises(SettingsError, match=r"config\.local\.json"):
        settings.load(environ={})


def test_env_file_next_to_the_configuration_is_read_first(folder: Path) -> None:
    write(folder / "etc" / "config.json", {})
    write(folder / "etc" / ".env", "DISCORD_TOKEN=beside\n")
    write(folder / ".env", "DISCORD_TOKEN=here\nCASHBACK_DATABASE=here.db\n")
    loaded = settings.load(environ={"CASHBACK_CONFIG": "etc/config.json"})
    assert (token_of(loaded), loaded.database) == ("beside", "here.db")
    assert token_of(settings.load(environ={"CASHBACK_CONFIG": "etc/config.json", "DISCORD_TOKEN": "real"})) == "real"


def test_secrets_are_read_from_the_files_that_variables_name(folder: Path) -> None:
    token, key = write(folder / "token", "tok\r\n"), write(folder / "key", f"{SECRET}\n")
    environ = {
        "DISCORD_TOKEN_FILE": str(token),
        "CASHBACK_METRICS_TOKEN_FILE": str(token),
        "CASHBACK_INTAKE_KEY_SHOP_FILE": str(key),
    }
    write(folder / ".env", "DISCORD_TOKEN=from-the-file\n")
    loaded = settings.load(environ=environ)
    assert token_of(loaded) == "tok"
    assert loaded.metrics_token is not None
    assert loaded.metrics_token.get_secret_value() == "tok"
    assert [each.get_secret_value() for each in loaded.intake_keys["shop"]] == [SECRET]
    assert list(loaded.intake_keys) == ["shop"]


@pytest.mark.parametrize("name", ["DISCORD_TOKEN", "discord_token", "discord-token"])
def test_secrets_are_read_from_systemd_credentials(folder: Path, name: str) -> None:
    write(folder / "credentials" / name, "tok\n")
    write(folder / "credentials" / "another-unit", "no secret of ours")
    environ = {"CREDENTIALS_DIRECTORY": str(folder / "credentials")}
    assert token_of(settings.load(environ=environ)) == "tok"
    assert token_of(settings.load(environ={**environ, "DISCORD_TOKEN": "real"})) == "real"


@pytest.mark.parametrize(
    ("content", "wrong"),
    [(None, "cannot be read"), ("", "is empty"), ("\n", "is empty"), ("x" * 70_000, "is longer than")],
)
def test_secret_file_that_is_unusable_is_one_line(folder: Path, content: str | None, wrong: str) -> None:
    path = folder / "token"
    if content is not None:
        write(path, content)
    with pytest.raises(SettingsError) as caught:
        settings.load(environ={"DISCORD_TOKEN_FILE": str(path)})
    assert f"DISCORD_TOKEN_FILE is {path}, which {wrong}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_secret_and_its_file_together_are_refused(folder: Path) -> None:
    environ = {"DISCORD_TOKEN": "a-secret", "DISCORD_TOKEN_FILE": str(write(folder / "token", "tok"))}
    with pytest.raises(SettingsError, match="Both DISCORD_TOKEN and DISCORD_TOKEN_FILE are set") as caught:
        settings.load(environ=environ)
    assert "a-secret" not in str(caught.value)


def test_log_level_comes_from_the_environment_before_the_file(folder: Path) -> None:
    assert settings.load(environ={}).log_level == "info"
    write(folder / "config.json", {"log_level": "WARNING"})
    assert settings.load(environ={}).log_level == "warning"
    assert settings.load(environ={"CASHBACK_LOG_LEVEL": "Debug"}).log_level == "debug"
    with pytest.raises(SettingsError, match=r"^CASHBACK_LOG_LEVEL is \"loud\", but may be one of debug, info"):
        settings.load(environ={"CASHBACK_LOG_LEVEL": "loud"})


def test_env_file_that_is_not_text_is_a_warning_and_counts_as_empty(folder: Path) -> None:
    (folder / ".env").write_bytes("DISCORD_TOKEN=tok # Café".encode("latin-1"))
    loaded = settings.load(environ={})
    assert loaded.discord_token is None
    assert loaded.warnings == (".env is not UTF-8 text, so nothing in it counts; save it as UTF-8.",)


def test_folder_named_like_the_env_file_is_another_programs(folder: Path) -> None:
    (folder / ".env").mkdir()
    assert settings.load(environ={}).warnings == ()


@pytest.mark.parametrize("line", ["export DISCORD_TOKEN=tok", "export\tDISCORD_TOKEN='tok'", "DISCORD_TOKEN = tok\r"])
def test_env_file_is_read_as_a_shell_would(folder: Path, line: str) -> None:
    write(folder / ".env", f"{line}\n")
    assert token_of(settings.load(environ={})) == "tok"


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("CASHBACK_DATABSE", "CASHBACK_DATABASE"),
        ("CASHBACK_DATABASE_URL", "CASHBACK_DATABASE"),
        ("CASHBACK_METRIC_TOKEN_FILE", "CASHBACK_METRICS_TOKEN"),
        ("DISCORD_BOT_TOKEN", "DISCORD_TOKEN"),
    ],
)
def test_misspelled_variable_is_named(folder: Path, variable: str, meant: str) -> None:
    [warning] = settings.load(environ={variable: "secret"}).warnings
    assert f"did you mean {meant}?" in warning
    assert warning.startswith(variable.removesuffix("_FILE"))
    assert "secret" not in warning


@pytest.mark.parametrize("variable", ["CASHBACK_SITE", "DISCORD_CLIENT_ID", "CASHBACK_SHOP_MY_STORE", "DATABASE"])
def test_other_programs_variables_are_no_slips_of_ours(folder: Path, variable: str) -> None:
    write(folder / "config.json", {"shops": {"my-store": {"kind": "api"}}})
    assert settings.load(environ={variable: SECRET}).warnings == ()


def test_ledger_named_in_the_configuration_is_a_warning(folder: Path) -> None:
    write(folder / "config.json", {"database": "shop.db"})
    loaded = settings.load(environ={})
    assert loaded.database == "cashback.db"
    assert [each.partition(";")[0] for each in loaded.warnings] == [
        "config.json: database is not used: CASHBACK_DATABASE or --database names the ledger"
    ]
    assert settings.from_mapping({"database": "shop.db"}, name="the host's settings", environ={}).warnings == ()


@pytest.mark.parametrize("content", ["tok\nanother", "tok and more", "t\0k", "tök"])
def test_token_that_cannot_be_one_is_one_line_and_not_shown(folder: Path, content: str) -> None:
    with pytest.raises(SettingsError, match="DISCORD_TOKEN is not a token") as caught:
        settings.load(environ={"DISCORD_TOKEN_FILE": str(write(folder / "token", content))})
    assert content not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "slip", "nearest"),
    [
        ({"shops": {"store": {"knd": "stripe"}}}, "shops.store.knd", "shops.store.kind"),
        ({"webhooks": {"books": {"ulr": "https://example.org"}}}, "webhooks.books.ulr", "webhooks.books.url"),
        (
            {"webhooks": {"books": {"url": "https://example.org", "event": ["payout_credited"]}}},
            *("webhooks.books.event", "webhooks.books.events"),
        ),
    ],
)
def test_misspelled_key_of_a_shop_or_webhook_is_named(folder: Path, content: object, slip: str, nearest: str) -> None:
    write(folder / "config.json", content)
    with pytest.raises(SettingsError) as caught:
        settings.load(environ={})
    assert str(caught.value) == (
        f"config.json: {slip} is not a setting; the nearest is {nearest}. Correct or remove it."
    )
