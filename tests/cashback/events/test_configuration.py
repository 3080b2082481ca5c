"""Webhooks in the configuration: what is refused, in one line, and where secrets come from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cashback.settings import SettingsError, load
from tests.cashback.events.receiver import SECRET

URL = "https://shop.example.org/events"


def load_from(folder: Path, webhooks: object, **environ: str) -> object:
    """Load a configuration with these webhooks; return them."""
    path = folder / "config.json"
    path.write_text(json.dumps({"webhooks": webhooks}), encoding="utf-8")
    return load(path, environ=environ).webhooks


def test_secret_is_in_the_environment_or_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n", encoding="utf-8")
    for variable, value in (("SHOP", SECRET), ("SHOP_FILE", str(tmp_path / "secret"))):
        found = load_from(tmp_path, {"shop": {"url": URL}}, **{f"CASHBACK_WEBHOOK_SECRET_{variable}": value})
        assert [each.get_secret_value() for each in found["shop"].secrets] == [SECRET]  # type: ignore[index]
        assert SECRET not in repr(found)


@pytest.mark.parametrize(
    "webhooks",
    [
        [],
        {"Shop": {"url": URL}},
        {"shop": URL},
        {"shop": {}},
        {"shop": {"url": "http://shop.example.org/"}},
        {"shop": {"url": "ftp://shop.example.org/", "private": True}},
        {"shop": {"url": "https://user:password@shop.example.org/"}},
        {"shop": {"url": URL, "events": []}},
        {"shop": {"url": URL, "events": ["payout"]}},
        {"shop": {"url": URL, "events": [[]]}},
        {"shop": {"url": URL, "private": "yes"}},
        {f"shop{n}": {"url": URL} for n in range(11)},
    ],
)
def test_wrong_webhooks_are_refused_in_one_line(tmp_path: Path, webhooks: object) -> None:
    with pytest.raises(SettingsError, match=r"^config.json: webhooks.* but may be [^\n]*$"):
        load_from(tmp_path, webhooks)


@pytest.mark.parametrize("key", ["secret", "secrets", "urls"])
def test_key_of_a_webhook_that_does_not_exist_is_named(tmp_path: Path, key: str) -> None:
    with pytest.raises(SettingsError, match=rf"^config.json: webhooks.shop.{key} is not a setting; [^\n]*$") as refused:
        load_from(tmp_path, {"shop": {"url": URL, key: SECRET}})
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("secret", ["short", "whsec_!!!", "whsec_c2hvcnQ=", f"{SECRET} {SECRET} {SECRET}"])
def test_wrong_secret_is_refused_without_showing_it(tmp_path: Path, secret: str) -> None:
    with pytest.raises(SettingsError, match="CASHBACK_WEBHOOK_SECRET_SHOP") as refused:
        load_from(tmp_path, {"shop": {"url": URL}}, CASHBACK_WEBHOOK_SECRET_SHOP=secret)
    assert secret not in str(refused.value)
