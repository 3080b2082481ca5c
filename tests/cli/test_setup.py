"""`cashback setup` on the local Discord: as a person on a terminal, and as a script with options."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import discord
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from cashback.cogs.gateway.setup_assistant import INVITED_WITH
from cashback.domain.money import money_style, use_money_style
from sandbox import Sandbox
from tests.cli.conftest import Answer, Cashback

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "tutorial" / "setup.md"
SECONDS: Final = 60
SUGGESTED: Final = ("--yes", "--token-file", "token")


class Discord:
    """A local Discord in a thread of its own, next to a program that blocks."""

    def __init__(self, portal: BlockingPortal, sandbox: Sandbox) -> None:
        self._portal = portal
        self.sandbox = sandbox
        self.owner = sandbox.add_member("Ada")

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401 -- whatever it returns
        """Call a function in Discord's thread."""
        return self._portal.call(lambda: function(*arguments))

    def texts_in(self, name: str) -> list[str]:
        """Read a channel."""
        [channel] = [each for each in self.sandbox.state.guild_channels() if each.name == name]
        return [message.text for message in self.sandbox.messages(channel.id)]


@contextmanager
def discord_server(**options: Any) -> Iterator[Discord]:  # noqa: ANN401 -- the sandbox's
    with start_blocking_portal() as portal:
        sandbox = Sandbox(guild_name="Our Town", bot_name="Cashback", **options)
        with portal.wrap_async_context_manager(sandbox):
            yield Discord(portal, sandbox)


@pytest.fixture
def at_discord(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Discord]:
    """Serve a Discord that the bot was invited to, with its address and token at hand."""
    with discord_server() as served:
        served.call(served.sandbox.invite_bot, INVITED_WITH.value)
        use(served, folder, monkeypatch)
        yield served


def use(served: Discord, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discord.http.Route, "BASE", served.sandbox.api_url)
    monkeypatch.setenv("DISCORD_API_URL", served.sandbox.api_url)
    monkeypatch.setenv("TZ", "UTC")
    (folder / "token").write_text(served.sandbox.token + "\n")


def local() -> Any:  # noqa: ANN401 -- whatever JSON holds
    return json.loads(Path("config.local.json").read_text())


def refused(answer: Answer) -> str:
    """Return the last line of a run that was refused, and see that it wrote nothing."""
    assert answer.code == 1, answer.out
    assert not Path("config.local.json").exists()
    assert not Path(".env").exists()
    assert answer.err.count("\n") == 1
    return answer.err


def test_suggestions_alone_set_up_a_bot_that_is_well(cashback: Cashback, at_discord: Discord) -> None:
    answer = cashback("setup", *SUGGESTED)
    assert (answer.code, answer.err) == (0, "")
    assert "WRONG" not in answer.out
    assert at_discord.sandbox.token not in answer.out
    role, channel = local()["role_ids"]["admin"], local()["logging_channels"]["audit"]
    state = at_discord.sandbox.state
    assert state.roles[int(role)].name == "Cashback Admin"
    assert int(role) in state.member(at_discord.owner.id).role_ids
    denied = {each["id"] for each in state.channel(int(channel)).overwrites if int(each["deny"]) & 1 << 10}
    assert denied == {str(at_discord.sandbox.guild_id)}
    assert local()["guild_ids"] == [str(at_discord.sandbox.guild_id)]
    assert local()["referral_settings"]["holding_days"] == 14
    [greeting] = at_discord.texts_in("cashback-audit")
    assert "`!sendref-cashb`" in greeting
    assert at_discord.sandbox.commands.all(at_discord.sandbox.guild_id)
    assert (Path(".env").read_text(), Path(".env").stat().st_mode & 0o777) == (
        f"DISCORD_TOKEN={at_discord.sandbox.token}\n",
        0o600,
    )
    assert cashback("doctor").code == 0


def test_options_answer_by_name_and_a_second_run_changes_only_what_is_asked(
    cashback: Cashback, at_discord: Discord
) -> None:
    role = at_discord.call(at_discord.sandbox.add_role, "Treasurers")
    channel = at_discord.call(at_discord.sandbox.add_channel, "books")
    Path(".env").write_text("# mine\nCASHBACK_METRICS_TOKEN=abc\nDISCORD_TOKEN=old\n")
    Path("config.local.json").write_text('{"bot_prefix": "?", "referral_settings": {"chunk_size": 7}}')
    first = cashback(
        "setup", *SUGGESTED, "--server", "our town", "--admin-role", "treasurers", "--audit-channel", "#books",
        "--no-give-role", "--percent", "5", "--holding-days", "3", "--minimum", "$1.50", "--timezone", "Asia/Tokyo",
        "--weekday", "mon", "--time", "08:30", "--no-greeting",
    )  # fmt: skip
    assert first.code == 0, first.out
    assert "A $20.00 order earns $1.00." in first.out
    assert local() == {
        "bot_prefix": "?",
        "guild_ids": [str(at_discord.sandbox.guild_id)],
        "role_ids": {"admin": str(role.id)},
        "logging_channels": {"audit": str(channel.id)},
        "currency": "USD",
        "referral_settings": {
            "chunk_size": 7,
            "cashback_percent": 5.0,
            "holding_days": 3,
            "min_payout_cents": 150,
            "auto_batch_enabled": True,
            "batch_day": "sunday",
            "batch_hour_utc": 23,
            "batch_minute_utc": 30,
        },
    }
    assert Path(".env").read_text().splitlines()[:2] == ["# mine", "CASHBACK_METRICS_TOKEN=abc"]
    assert "DISCORD_TOKEN=old" not in Path(".env").read_text()
    assert at_discord.texts_in("books") == []
    before = local()
    again = cashback("setup", "--yes", "--percent", "2.5", "--no-give-role")
    assert again.code == 0, again.out
    before["referral_settings"]["cashback_percent"] = 2.5
    assert local() == before
    assert cashback("setup", "--yes", "--weekday", "never", "--no-give-role").code == 0
    assert local()["referral_settings"]["auto_batch_enabled"] is False


@pytest.mark.parametrize(
    ("option", "value", "wrong"),
    [
        ("--currency", "gold", "'gold' is not the code of a currency"),
        ("--percent", "much", "'much' is not a number"),
        ("--percent", "101", "101 is not a number from 0 to 100"),
        ("--percent", "0.00001", "at most four decimals"),
        ("--holding-days", "91", "91 is not a whole number of days from 0 to 90"),
        ("--holding-days", "²", "'²' is not a whole number"),
        ("--minimum", "0", "0 is not a whole number of cents"),
        ("--timezone", "Mars/Base", "'Mars/Base' is not a time zone"),
        ("--timezone", "../etc", "'../etc' is not a time zone"),
        ("--weekday", "t", "'t' is not one of monday"),
        ("--time", "25:00", "'25:00' is not a time of day"),
        ("--server", "Another", "'Another' is not one of them (--server: Our Town)"),
        ("--admin-role", "Nobody", "'Nobody' is not one of them (--admin-role: "),
        ("--audit-channel", "1", "'1' is not one of them (--audit-channel: "),
    ],
)
def test_wrong_answer_is_refused_in_one_line_and_nothing_is_written(
    cashback: Cashback, at_discord: Discord, option: str, value: str, wrong: str
) -> None:
    assert wrong in refused(cashback("setup", *SUGGESTED, option, value))


@pytest.mark.parametrize("token", ["wrong", "", "två", "a b", "x\ny"])
def test_refused_token_is_one_line_and_not_shown(cashback: Cashback, at_discord: Discord, token: str) -> None:
    Path("token").write_text(token)
    line = refused(cashback("setup", *SUGGESTED))
    assert "token" in line
    assert not token or token not in line.removeprefix("error: ").replace("token", "")


def test_currency_is_asked_for_and_amounts_are_read_in_it(cashback: Cashback, at_discord: Discord) -> None:
    before = money_style()
    try:
        answer = cashback("setup", *SUGGESTED, "--currency", "jpy", "--percent", "5", "--minimum", "500")
        assert answer.code == 0, answer.out
        assert "5 means that a ¥2,000 order earns its buyer's referrer ¥100." in answer.out
        assert "minimum payout ¥500" in answer.out
        assert (local()["currency"], local()["referral_settings"]["min_payout_cents"]) == ("JPY", 500)
        assert cashback("purchase", "1001", "599287828863678298", "1000", "--json").json["amount_cents"] == 1000
        again = cashback("setup", "--yes", "--no-give-role")
        assert again.code == 0, again.out
        assert "Currency: JPY; the ledger counts in it." in again.out
        refused = cashback("setup", "--yes", "--currency", "EUR", "--no-give-role")
        assert refused.code == 1
        assert "--currency is EUR, but the ledger counts in JPY, which never changes." in refused.err
        assert local()["currency"] == "JPY"
    finally:
        use_money_style(before)


def test_without_a_network_it_is_one_line(
    cashback: Cashback, at_discord: Discord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCORD_API_URL", "http://127.0.0.1:9/api/v10")
    assert "error: Discord cannot be reached: " in refused(cashback("setup", *SUGGESTED))


def test_folder_that_cannot_be_written_is_said_before_anything_is_created(
    cashback: Cashback, at_discord: Discord
) -> None:
    roles = len(at_discord.sandbox.state.roles)
    Path("config.local.json").symlink_to("/proc/self/config.local.json")
    answer = cashback("setup", *SUGGESTED)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("error: config.local.json cannot be written (")
    assert "make its folder writable" in answer.err
    assert len(at_discord.sandbox.state.roles) == roles


@pytest.mark.parametrize(
    ("content", "wrong", "warnings"),
    [
        (b"NAME=\xff\xfe\n", ".env is not UTF-8 text; save it as UTF-8.", 1),
        (None, ".env cannot be read (Is a directory)", 0),
    ],
)
def test_foreign_env_file_that_cannot_be_read_is_left_as_it_is(
    cashback: Cashback, at_discord: Discord, content: bytes | None, wrong: str, warnings: int
) -> None:
    foreign = Path(".env")
    foreign.mkdir() if content is None else foreign.write_bytes(content)
    answer = cashback("setup", *SUGGESTED)
    *before, last = answer.err.splitlines()
    assert (answer.code, len(before)) == (1, warnings)
    assert wrong in last
    assert foreign.is_dir() if content is None else foreign.read_bytes() == content
    assert not Path("config.local.json").exists()


def test_interrupted_setup_goes_on_with_what_it_had(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token is kept, and the role that was created is suggested and not created again."""
    with discord_server() as served:
        served.call(served.sandbox.invite_bot, INVITED_WITH.value)
        use(served, folder, monkeypatch)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120", "TERM": "dumb"}
        command = [sys.executable, "-m", "cli", "setup", "--no-service", "--timezone", "UTC", "--no-greeting"]
        first = Terminal(command, folder, environment)
        first.answer("The bot's token", served.sandbox.token)
        first.answer("Number or name")
        first.read_until("Give it to Ada?")
        first.interrupt()
        assert first.finish() == 130, first.shown
        assert "Traceback" not in first.shown
        assert not Path("config.local.json").exists()
        assert Path(".env").read_text() == f"DISCORD_TOKEN={served.sandbox.token}\n"
        second = Terminal(command, folder, environment)
        for question in ("Keep it?", "Number or name", "Give it to Ada?", "Number or name", "Currency"):
            second.answer(question)
        for question in ("Cashback in percent", "Holding period", "Minimum payout", "Weekday", "Time of day"):
            second.answer(question)
        assert second.finish() == 0, second.shown
        names = [each.name for each in served.sandbox.state.roles.values()]
        assert names.count("Cashback Admin") == 1
        assert {path.name for path in folder.iterdir()} >= {".env", "config.local.json", "cashback.db"}
        assert list(folder.glob(".*.partial")) == []


QUESTIONS: Final = (
    *("Keep it?", "Number or name", "Give it to Ada?", "Number or name", "Currency", "Cashback in percent"),
    *("Holding period", "Minimum payout", "Weekday", "Time of day", "Post the first commands"),
)


@pytest.mark.proof
@pytest.mark.timeout(900)
def test_interrupt_at_each_question_leaves_whole_files_and_nothing_twice(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with discord_server() as served:
        served.call(served.sandbox.invite_bot, INVITED_WITH.value)
        use(served, folder, monkeypatch)
        (folder / ".env").write_text(f"DISCORD_TOKEN={served.sandbox.token}\n")
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120", "TERM": "dumb"}
        command = [sys.executable, "-m", "cli", "setup", "--no-service", "--timezone", "UTC"]
        for place, last in enumerate(QUESTIONS):
            terminal = Terminal(command, folder, environment)
            for question in QUESTIONS[:place]:
                # A role that an earlier run gave is not offered again.
                if question != "Give it to Ada?" or place == QUESTIONS.index(question) + 1:
                    terminal.answer(question)
            terminal.read_until(last)
            terminal.interrupt()
            assert terminal.finish() == 130, terminal.shown
            assert "Traceback" not in terminal.shown
            assert list(folder.glob(".*.partial")) == []
            assert (folder / "config.local.json").exists() == (last == QUESTIONS[-1])
        assert local()["guild_ids"] == [str(served.sandbox.guild_id)]
        names = [each.name for each in served.sandbox.state.roles.values()]
        assert names.count("Cashback Admin") == 1
        assert [each.name for each in served.sandbox.state.guild_channels()].count("cashback-audit") == 1
        assert served.texts_in("cashback-audit") == []


def test_missing_token_names_its_option(cashback: Cashback, at_discord: Discord) -> None:
    assert "The bot's token is missing; give --token-file FILE." in refused(cashback("setup", "--yes"))


def test_missing_answer_names_its_option(
    cashback: Cashback, at_discord: Discord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert "give --admin-role, or --yes to accept every suggestion." in refused(
        cashback("setup", "--token-file", "token")
    )


def test_two_roles_of_one_name_are_told_apart_by_their_ids(cashback: Cashback, at_discord: Discord) -> None:
    role, _ = (at_discord.call(at_discord.sandbox.add_role, "Twins") for _ in range(2))
    assert "is the name of 2 of them; give its id" in refused(cashback("setup", *SUGGESTED, "--admin-role", "Twins"))
    assert cashback("setup", *SUGGESTED, "--admin-role", role.id).code == 0
    assert local()["role_ids"]["admin"] == str(role.id)


@pytest.mark.parametrize(
    ("options", "permissions", "wrong"),
    [
        ({"message_content_granted": False}, INVITED_WITH.value, "Switch on the Message Content Intent at https://"),
        ({"invited": False}, None, "The bot was not invited within 0 s"),
        ({}, 0, "The role Cashback Admin cannot be created: the bot lacks Manage Roles"),
        ({}, 1 << 28, "The channel #cashback-audit cannot be created: the bot lacks Manage Channels"),
    ],
)
def test_what_discord_does_not_allow_is_one_line(
    cashback: Cashback,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, bool],
    permissions: int | None,
    wrong: str,
) -> None:
    with discord_server(**options) as served:
        if permissions is not None:
            served.call(served.sandbox.invite_bot, permissions)
        use(served, folder, monkeypatch)
        assert wrong in refused(cashback("setup", *SUGGESTED, "--wait", "0"))


def test_token_of_the_environment_that_overrides_the_file_is_reported(
    cashback: Cashback, at_discord: Discord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "another")
    answer = cashback("setup", *SUGGESTED)
    assert answer.code == 1
    assert "another token comes from the environment, which overrides .env" in answer.err


def test_service_unit_is_written_on_request(cashback: Cashback, at_discord: Discord, folder: Path) -> None:
    assert cashback("setup", *SUGGESTED, "--service").code == 0
    unit = (folder / "cashback.service").read_text()
    assert f'ExecStart="{sys.executable}" -m cli bot' in unit
    assert f"WorkingDirectory={folder}" in unit


class Terminal:
    """A person at a pseudo-terminal: reads until a question appears, and types."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self.shown = ""
        self._read_up_to = 0

    def read_until(self, text: str) -> None:
        """Read until the text appears after what was read before."""
        deadline = time.monotonic() + SECONDS
        while (found := self.shown.find(text, self._read_up_to)) < 0:
            assert time.monotonic() < deadline, self.shown
            assert self._read_more(), self.shown
        self._read_up_to = found + len(text)

    def answer(self, question: str, typed: str = "") -> None:
        """Wait for a question, and answer it."""
        self.read_until(question)
        self.read_until(": " if question.endswith("token") else "]: ")
        os.write(self._master, f"{typed}\n".encode())

    def interrupt(self) -> None:
        """Press Ctrl-C; again if the first came just before the program began to read, which it then goes on with."""
        for _ in range(SECONDS // 10):
            self.process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
                return

    def finish(self) -> int:
        """Read to the end; return the exit code."""
        while self._read_more():
            pass
        os.close(self._master)
        return self.process.wait(SECONDS)

    def _read_more(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], SECONDS)
        try:
            content = os.read(self._master, 65_536) if ready else b""
        except OSError:
            return False
        self.shown += content.decode().replace("\r\n", "\n")
        return bool(content)


def recorded(shown: str) -> str:
    """Replace what differs from run to run: ids and days."""
    shown = re.sub(r"client_id=\d+", "client_id=1234567890", shown)
    shown = re.sub(r"next \d{4}-\d\d-\d\d", "next 2026-12-04", shown)
    return "".join(f"    {line.rstrip()}\n" if line.strip() else "\n" for line in shown.strip().splitlines())


def test_recording_of_the_tutorial_is_what_a_person_sees(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With CASHBACK_RECORD set, the page is written again."""
    with discord_server(invited=False) as served:
        use(served, folder, monkeypatch)
        served.call(served.sandbox.add_channel, "general")
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120", "TERM": "dumb"}
        terminal = Terminal([sys.executable, "-m", "cli", "setup", "--no-service"], folder, environment)
        terminal.answer("The bot's token", "no-token")
        terminal.answer("The bot's token", served.sandbox.token)
        terminal.read_until("Waiting until the bot has joined")
        served.call(served.sandbox.invite_bot, INVITED_WITH.value)
        terminal.answer("Number or name")
        terminal.answer("Give it to Ada?")
        terminal.answer("Number or name", "2")
        terminal.answer("Currency of the orders")
        terminal.answer("Cashback in percent", "five")
        terminal.answer("Cashback in percent", "5")
        terminal.answer("Holding period in days")
        terminal.answer("Minimum payout", "$1")
        terminal.answer("Your time zone", "Europe/Berlin")
        terminal.answer("Weekday")
        terminal.answer("Time of day", "18:00")
        terminal.answer("Post the first commands")
        code = terminal.finish()
        assert code == 0, terminal.shown
        assert served.sandbox.token not in terminal.shown
        assert served.texts_in("cashback-audit") != []
    session = recorded("$ cashback setup\n" + terminal.shown)
    # Berlin's hour in UTC depends on the season.
    session = re.sub(r"1[67]:00", "17:00", session)
    if os.environ.get("CASHBACK_RECORD"):
        head, _, rest = PAGE.read_text("utf-8").partition("    $ cashback setup\n")
        tail = rest.partition("<!-- end of the recording -->")[2]
        PAGE.write_text(f"{head}{session}\n<!-- end of the recording -->{tail}", "utf-8")
    assert session in PAGE.read_text("utf-8"), session
