"""The catalogues are complete, keep every placeholder, and fit into Discord's limits; so does the configuration."""

from __future__ import annotations

import gettext
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import discord
import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

import cashback
from cashback import settings
from cashback.cogs.texts import embeds, help_embeds, history_embeds, member_embeds, member_notes, wallet_embeds
from cashback.database.queries.earnings import PurchaseFacts, PurchaseState
from cashback.database.queries.members import LEFT_OUT, MemberAccount, PastPayout
from cashback.database.referral_program.blacklist import Blacklisting
from cashback.domain import po_files
from cashback.domain.languages import (
    LANGUAGES,
    fault_of,
    language_of,
    placeholders,
    replace_sentences,
    sentences,
    speaking,
    tr,
    trn,
)
from cashback.domain.model import Absence, PayoutNotice, PayoutStatus
from cashback.domain.money import ENGLISH, dollars
from cashback.domain.withdrawals import Wallet, WalletEntry, Withdrawal, WithdrawalStatus
from cashback.settings import Settings, SettingsError, WithdrawalSettings

TRANSLATED = [each for each in LANGUAGES if each != ENGLISH]
KEYWORDS: dict[str, Any] = {"tr": None, "trn": (1, 2), "mark": None}
NOW = datetime(2026, 7, 3, 15, tzinfo=UTC)
LARGEST = 10**12
ID = 2**63 - 1
REASON = "*r* " * 50


def file_of(language: str) -> Path:
    """Return a catalogue's file."""
    return Path(cashback.__file__).with_name("languages") / f"{language}.po"


def parsed(language: str) -> Catalog:
    """Read a catalogue as Babel does."""
    with file_of(language).open("rb") as file:
        return read_po(file, locale=language)


def written() -> set[Any]:
    """Find all sentences in the source."""
    package = Path(cashback.__file__).parent
    return {each[2] for each in extract_from_dir(package, method_map=[("**.py", "python")], keywords=KEYWORDS)}


@pytest.mark.parametrize("language", TRANSLATED)
def test_catalogue_is_complete_and_has_nothing_else(language: str) -> None:
    messages = [each for each in parsed(language) if each.id]
    assert {each.id for each in messages} == written()
    for each in messages:
        assert not each.fuzzy
        texts = each.string if isinstance(each.string, tuple) else (each.string,)
        assert all(texts), each.id
        assert len(texts) == (2 if isinstance(each.id, tuple) else 1)


@pytest.mark.parametrize("language", TRANSLATED)
def test_translation_has_the_placeholders_of_its_sentence(language: str) -> None:
    for each in parsed(language):
        if each.id:
            ids, texts = (one if isinstance(one, tuple) else (one,) for one in (each.id, each.string))
            assert all(placeholders(str(text)) == placeholders(str(ids[0])) for text in texts), each.id


def assert_read_as_gettext_does(text: str) -> None:
    """Compare each sentence, with counts up to 200, with what Babel compiles and gettext reads."""
    babel = read_po(io.BytesIO(text.encode()))
    compiled = io.BytesIO()
    write_mo(compiled, babel)
    compiled.seek(0)
    theirs, ours = gettext.GNUTranslations(compiled), po_files.parse(text.splitlines())
    for each in babel:
        one, many = map(str, each.id) if isinstance(each.id, tuple) else (str(each.id), "")
        if one and not each.context:
            assert ours.gettext(one) == theirs.gettext(one)
        if many:
            assert [ours.ngettext(one, many, n) for n in range(200)] == [
                theirs.ngettext(one, many, n) for n in range(200)
            ]
    assert ours.gettext("unknown") == "unknown"
    assert [ours.ngettext("one", "many", count) for count in (1, 2)] == ["one", "many"]


@pytest.mark.parametrize("language", TRANSLATED)
def test_catalogue_is_read_as_gettext_reads_it(language: str) -> None:
    assert_read_as_gettext_does(file_of(language).read_text(encoding="utf-8"))


HEADER = r"""msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\n"
"Plural-Forms: nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2);\n"
"""


@pytest.mark.parametrize(
    "entries",
    [
        'msgid "{count} day"\nmsgid_plural "{count} days"\n'
        + "".join(f'msgstr[{n}] "{{count}} {form}"\n' for n, form in enumerate(["день", "дня", "дней"])),
        '#, fuzzy\nmsgid "a"\nmsgstr "b"\n\nmsgid "c"\nmsgstr "d"',
        '# translators, note\n#: cashback/x.py:5\n#, python-brace-format\nmsgid "a"\nmsgstr ""\n"b "\n"\\"c\\"\\n\\td"',
        'msgid "a"\nmsgstr "b"\nmsgid "c"\nmsgstr "d"\n#~ msgid "old"\n#~ msgstr "alt"',
        'msgctxt "elsewhere"\nmsgid "a"\nmsgstr "b"',
        'msgid "a"\nmsgstr ""\n',
        "",
    ],
)
def test_file_of_another_package_is_read_as_gettext_reads_it(entries: str) -> None:
    assert_read_as_gettext_does(f"{HEADER}\n{entries}\n")
    assert_read_as_gettext_does(f"{HEADER}\n{entries}\n".replace("\n", "\r\n"))


@pytest.mark.parametrize("text", ["{}", 'msgid "a', "msgid a", 'words "a"', '\\msgid "a"', 'msgid "\\q"'])
def test_file_that_is_not_a_catalogue_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        po_files.parse([text])


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        *(("de", "de"), ("en-US", "en"), ("en-GB", "en"), ("es-ES", "es"), ("es-419", "es"), ("pt-BR", "pt_BR")),
        *(("fr", "en"), ("", "en"), (None, "en"), ("xx-YY-zz", "en")),
    ],
)
def test_language_of_discord_is_one_of_the_catalogues_or_english(locale: str | None, language: str) -> None:
    assert language_of(locale) == language


def test_texts_counts_and_amounts_are_in_one_language() -> None:
    with speaking("de"):
        assert tr("Next Payday") == "Nächster Zahltag"
        assert [trn("{count} user", "{count} users", count) for count in (1, 2_000)] == [
            "1 Mitglied",
            "2.000 Mitglieder",
        ]
        assert dollars(123456) == "1.234,56\u00a0$"
    assert (tr("Next Payday"), dollars(123456)) == ("Next Payday", "$1,234.56")


def test_values_are_never_read_as_placeholders() -> None:
    for language in LANGUAGES:
        with speaking(language):
            assert "{brand} {0} {reason}" in tr("**Reason:** {reason}", reason="{brand} {0} {reason}")


TERMS = member_embeds.ProgramTerms(
    cashback_percent=Decimal("12.3456"),
    min_payout_cents=LARGEST,
    holding_days=90,
    withholds_leavers=True,
    shows_spending=True,
    withdrawals=True,
    prefix="!" * 10,
    brand_name="B" * 80,
)
ACCOUNT = MemberAccount(
    user_id=ID,
    wallet_cents=LARGEST,
    referral_count=10**6,
    total_spend_cents=LARGEST,
    total_earned_cents=LARGEST,
    total_paid_cents=LARGEST,
    reversed_cents=LARGEST,
    pending_cents=LARGEST - 1,
    pending_count=10**6,
    held_cents=LARGEST,
    held_next_at=NOW,
    held_until=NOW + timedelta(days=90),
    owed_cents=LARGEST,
    blacklisting=Blacklisting(reason=REASON, blacklisted_by="cli", blacklisted_at=NOW),
    absence=Absence.LEFT,
)
FACTS = member_embeds.Facts(
    account=ACCOUNT,
    payouts=[
        PastPayout(batch_id="BATCH-20260703-150000", status=status, cents=LARGEST, reason="below_minimum", at=NOW)
        for status in (PayoutStatus.CREDITED, PayoutStatus.FAILED, PayoutStatus.SKIPPED, LEFT_OUT, "planned")
    ],
    refunds=[{"refunded_at": NOW, "taken_cents": LARGEST}] * 3,
    reversals=[{"reversed_at": NOW, "taken_cents": LARGEST, "reason": REASON, "batch_id": "BATCH-20260703-150000"}] * 3,
    referrer_id=ID,
    wants_payout_dm=False,
    next_payout_at=NOW,
)
REFERRAL = {
    "referred_user_id": ID,
    "spend_cents": LARGEST,
    "earned_cents": LARGEST,
    "pending_cents": LARGEST,
    "held_cents": LARGEST,
    "unlinked_at": NOW,
}
PURCHASES = [
    PurchaseFacts(
        order_id="o" * 200,
        buyer_id=ID,
        amount_cents=LARGEST,
        refunded_cents=0,
        earned_cents=LARGEST,
        purchased_at=NOW,
        payable_at=NOW,
        state=state,
    )
    for state in PurchaseState
]
NOTICE = PayoutNotice(
    notification_id=1,
    user_id=ID,
    batch_id="BATCH-20260703-150000",
    amount_cents=LARGEST,
    referral_count=10**6,
    balance_after_cents=LARGEST,
    attempts=0,
    dm_channel_id=None,
)
METHODS = WithdrawalSettings(
    enabled=True,
    methods={f"method-{number}" + "m" * 20: "d" * 80 for number in range(10)},
    maximum_cents=LARGEST,
    account_age_days=3650,
)


def withdrawal(status: WithdrawalStatus) -> Withdrawal:
    """Make the longest withdrawal there can be."""
    return Withdrawal(
        number=ID,
        user_id=ID,
        method="m" * 30,
        amount_cents=LARGEST,
        status=status,
        destination="d",
        requested_at=NOW,
        needs_second_approver=None,
        first_approved_by=None,
        decided_by="cli",
        decided_at=NOW,
        reference="r" * 100,
        reason=REASON,
        erased_at=None,
    )


def every_embed() -> Iterator[discord.Embed]:
    """Make each embed that members read, as large as it can be."""
    yield member_embeds.invitation(ID, ACCOUNT, TERMS, NOW)
    yield member_embeds.referrals(ACCOUNT, [REFERRAL] * member_embeds.REFERRALS_PER_PAGE, 99_999, TERMS)
    yield member_embeds.profile(FACTS, shows_spending=True)
    yield member_embeds.cashback(FACTS, TERMS)
    yield member_embeds.before_code(TERMS)
    yield member_embeds.code_entered(ID, TERMS)
    yield member_embeds.code_used(ID, TERMS)
    yield history_embeds.history(PURCHASES, 99_999, 100_000, TERMS)
    yield history_embeds.history([], 0, 1, TERMS)
    yield history_embeds.orders("o" * 200, PURCHASES, ID)
    yield history_embeds.orders("o" * 200, PURCHASES, 5)
    yield history_embeds.orders("*" * 200, [], 5)
    yield embeds.received(NOTICE, "B" * 80)
    yield member_notes.reversed_payout(LARGEST, "BATCH-20260703-150000", REASON)
    yield member_notes.blacklisted(REASON)
    yield member_notes.unblacklisted()
    yield member_notes.referred(ID)
    yield member_notes.referring(ID)
    yield member_notes.unlinked(ID)
    yield help_embeds.for_members([help_embeds.Described(name="n" * 90, description=each) for each in COMMANDS])
    entry = WalletEntry(
        user_id=ID, number=1, at=NOW, amount_cents=LARGEST, balance_after_cents=LARGEST, kind="k", text="t" * 200
    )
    open_one = withdrawal(WithdrawalStatus.REQUESTED)
    shown = Wallet(user_id=ID, balance_cents=LARGEST, entries=[entry] * 10, withdrawals=[open_one])
    yield wallet_embeds.wallet(shown, METHODS)
    yield wallet_embeds.wallet(shown, WithdrawalSettings())
    for status in WithdrawalStatus:
        yield wallet_embeds.note(withdrawal(status))


COMMANDS = ["Show your balance, last transactions, and what you requested.", "Get money out of your wallet."] * 8


def assert_fits(embed: discord.Embed) -> None:
    """Compare an embed with the limits that the library does not check."""
    assert len(embed.title or "") <= 256
    assert len(embed.description or "") <= 4096
    assert len(embed.fields) <= 25
    assert all(0 < len(each.name or "") <= 256 and 0 < len(each.value or "") <= 1024 for each in embed.fields)
    assert len(embed.footer.text or "") <= 2048
    assert len(embed) <= 6000


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_embed_is_within_the_limits_in_each_language(language: str) -> None:
    with speaking(language):
        for embed in every_embed():
            assert_fits(embed)
            assert "{" not in json.dumps(embed.to_dict()).replace('{"', "").replace("{}", "")


def test_every_embed_is_within_the_limits_with_the_longest_wordings() -> None:
    longest = {}
    for each in sentences():
        names = "".join(f"{{{name}}}" for name in placeholders(each))
        wording = names + "W" * (max(2 * len(each), 80) - len(names))
        assert fault_of(each, wording) is None
        longest[each] = wording
    replace_sentences({"": longest})
    try:
        for language in LANGUAGES:
            with speaking(language):
                for embed in every_embed():
                    assert_fits(embed)
    finally:
        replace_sentences({})


def test_wording_of_the_configuration_replaces_a_sentence_in_one_language_or_in_all() -> None:
    found = Settings(texts={"Next Payday": "Payday!", "Balance": {"de": "Kontostand"}}).replaced_sentences
    replace_sentences(found)
    try:
        shown = {}
        for language in LANGUAGES:
            with speaking(language):
                shown[language] = (tr("Next Payday"), tr("Balance"))
    finally:
        replace_sentences({})
    assert shown == {
        "en": ("Payday!", "Balance"),
        "de": ("Payday!", "Kontostand"),
        "es": ("Payday!", "Saldo"),
        "pt_BR": ("Payday!", "Saldo"),
    }


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        ({"Next Paydy": "x"}, "the nearest is 'Next Payday'"),
        ({"Next Payday": ""}, "1 to 80 characters"),
        ({"Next Payday": " "}, "1 to 80 characters"),
        ({"Next Payday": "x" * 81}, "1 to 80 characters"),
        ({"Next Payday": "on {day}"}, "must have no placeholders"),
        ({"{amount} pending": "pending"}, "must have {amount}"),
        ({"{amount} pending": "{amount} {batch}"}, "must have {amount}"),
        ({"{amount} pending": "{amount.__class__}"}, "a name in braces"),
        ({"{amount} pending": "{amount!r}"}, "a name in braces"),
        ({"{amount} pending": "{amount:>1000000}"}, "a name in braces"),
        ({"{amount} pending": "{0}"}, "a name in braces"),
        ({"{amount} pending": "{amount"}, "cannot be read"),
        ({"Next Payday": {"fr": "Paie"}}, "'fr' is not a language"),
        ({"Next Payday": {"de": "{x}"}}, "must have no placeholders"),
        ({"Next Payday": 5}, "an object of members' sentences"),
        ({"Next Payday": ["x"]}, "an object of members' sentences"),
        (["x"], "an object of members' sentences"),
        ({"Next Payday": {"de": None}}, "texts.Next Payday is"),
        ({"Next Payday": "a\x00b"}, "cannot be sent"),
        ({"Next Payday": "\ud83d"}, "cannot be sent"),
        ({"{amount} pending": "{amount!r}"}, "not {amount!r}"),
    ],
)
def test_wrong_wording_is_one_line_at_the_start(tmp_path: Path, texts: object, why: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"texts": texts}))
    with pytest.raises(SettingsError) as refused:
        settings.load(path, environ={})
    assert why in str(refused.value)
    assert "texts" in str(refused.value)
    assert "\n" not in str(refused.value)
