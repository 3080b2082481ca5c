"""The how-to pages about extending: their examples run, as a package outside this project."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import anyio
import anyio.abc
import pytest

from cashback.background.wakeup import WakeUp
from cashback.database import Database
from cashback.domain.ports import NullObserver
from cashback.extend import Additions
from pipeline.messages import RunBatch
from stages import make_pipeline
from tests.cashback.dashboard.conftest import free_port
from tests.end_to_end.conftest import COMPLETE, DiscordFixture, until
from tests.end_to_end.hosts import OtherBot, living
from tests.end_to_end.test_extension import content

pytestmark = pytest.mark.anyio

Imported = Callable[[str, str], Any]
"""Imports a module of the package of a page."""

PROJECT = Path(__file__).parents[2]
HOWTO = PROJECT / "docs" / "howto"


def files_of(page: str) -> dict[str, str]:
    """Return the files that a page shows, by their paths: a path in bold, and the indented block after it."""
    text = (HOWTO / page).read_text(encoding="utf-8")
    found = re.findall(r"^\*\*`([\w./]+)`\*\*\n\n((?: {4}.*\n|\n)+)", text, re.MULTILINE)
    return {path: textwrap.dedent(block).strip() + "\n" for path, block in found}


def install(page: str, folder: Path) -> Path:
    """Install the package of a page into a folder: its files, and the entry points of its pyproject.toml."""
    files = files_of(page)
    assert 1 <= len(files) <= 3
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    (folder / "acme" / "__init__.py").touch()
    points = re.findall(r"entry-points\.\"(.+)\"\]\n((?:.+\n)+)", files.get("pyproject.toml", ""))
    information = folder / "acme-1.0.dist-info"
    information.mkdir(exist_ok=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    lines = [f"[{group}]\n{entries}" for group, entries in points]
    (information / "entry_points.txt").write_text("\n".join(lines).replace('"', ""))
    return folder


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Imported]:
    """Import a module of a page's package."""

    def imported(page: str, name: str) -> ModuleType:
        monkeypatch.syspath_prepend(install(page, tmp_path))
        return importlib.import_module(name)

    yield imported
    for name in [each for each in sys.modules if each.partition(".")[0] == "acme"]:
        del sys.modules[name]


def run(folder: Path, *command: str) -> str:
    """Run a Python that sees the package and this project; return its output."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(PROJECT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class MailServer:
    """An SMTP server that takes every message."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Listen inside the block; yield the port."""
        async with (
            await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(listener.serve, self._talk)
            yield listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 -- this is no query
            tasks.cancel_scope.cancel()

    async def _talk(self, stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.send(b"220 ready\r\n")
            buffer, body, is_body = b"", b"", False
            async for part in stream:
                buffer += part
                while b"\r\n" in buffer:
                    line, _, buffer = buffer.partition(b"\r\n")
                    if is_body and line == b".":
                        is_body = False
                        self.messages.append(body.decode())
                        await stream.send(b"250 taken\r\n")
                    elif is_body:
                        body += line + b"\n"
                    elif line.upper() == b"DATA":
                        is_body, body = True, b""
                        await stream.send(b"354 go on\r\n")
                    elif line.upper() == b"QUIT":
                        await stream.send(b"221 bye\r\n")
                        return
                    else:
                        await stream.send(b"250 fine\r\n")


async def test_messenger_of_the_page_sends_mail_and_passes_others_on(guild: DiscordFixture, acme: Imported) -> None:
    bob, eve = await guild.referrer("Bob", 2500), await guild.referrer("Eve", 100)
    messengers, mail = acme("extend-a-messenger.md", "acme.messenger"), MailServer()
    totals = messengers.Totals()
    async with mail.listening() as port:
        client = OtherBot(content(guild))
        client.cashback_additions = Additions(
            messenger=partial(
                messengers.EmailMessenger, addresses={bob.id: "bob@example.org"}, server=("127.0.0.1", port)
            ),
            observers=(totals,),
        )
        async with living(client, guild.sandbox):
            await guild.sandbox.wait_connected()
            summary = await guild.ask()
            await guild.press(summary, "Confirm")
            await guild.shows(summary, COMPLETE, "Sent:** 2")
    [sent] = mail.messages
    assert "Subject: You received $25.00" in sent
    assert (len(guild.sandbox.direct_messages(bob.id)), len(guild.sandbox.direct_messages(eve.id))) == (0, 1)
    assert totals.cents == 2600


async def test_messenger_and_observer_that_fail_do_not_touch_the_payout(guild: DiscordFixture) -> None:
    class Broken:
        async def send(self, _notice: object) -> str:
            return "done"

        async def progressed(self, _chunk: object) -> None:
            raise LookupError("an observer's mistake")

        async def finished(self, _report: object) -> None:
            raise LookupError("an observer's mistake")

    bob = await guild.referrer("Bob", 2500)
    client = OtherBot(content(guild))
    broken: Any = Broken()
    client.cashback_additions = Additions(messenger=lambda _direct: broken, observers=(broken,))
    async with living(client, guild.sandbox):
        await guild.sandbox.wait_connected()
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE)
        await until(lambda: guild.ledger.rows("SELECT 1 FROM cashback_notifications WHERE attempts > 0"))
    assert guild.ledger.balance(bob.id) == 2500


def test_shop_of_the_page_is_imported_and_connected(tmp_path: Path) -> None:
    folder = install("extend-a-shop.md", tmp_path)
    (folder / "sales.csv").write_text(
        "Acme order,Acme total,Discord,State\nA-1,20.00,123456789012345678,paid\nA-2,9.00,123456789012345678,open\n"
    )
    run(folder, "-m", "cli", "--database", "ledger.db", "migrate")
    listed = run(folder, "-m", "cli", "--database", "ledger.db", "import", "sales.csv", "--json")
    assert json.loads(listed)
    settings = {"shops": {"toys": {"kind": "acme"}}}
    (folder / "config.json").write_text(json.dumps(settings))
    shown = run(folder, "-m", "cli", "--database", "ledger.db", "shop", "add", "more-toys", "acme")
    assert "Connect Acme as more-toys" in shown


def test_language_of_the_page_is_spoken(tmp_path: Path) -> None:
    folder = install("extend-a-language.md", tmp_path)
    with (folder / "acme" / "fr.po").open("a") as file:
        file.write('\nmsgid "You were invited by {referrer}."\nmsgstr "Vous avez été invité."\n')
    program = """
from cashback.domain.languages import language_of, speaking, tr
with speaking(language_of("fr")):
    print(tr("A code counts once: only an admin can change it later."))
    print(tr("You were invited by {referrer}.", referrer="Bob"))
"""
    assert run(folder, "-c", program).splitlines() == [
        "Un code ne compte qu'une fois : seul un admin peut le changer ensuite.",
        "You were invited by Bob.",
    ]


@pytest.mark.parametrize("fault", ["acme.nowhere:KIND", "acme.shop:read"])
def test_faulty_shop_is_one_line(tmp_path: Path, fault: str) -> None:
    folder = install("extend-a-shop.md", tmp_path)
    (folder / "acme-1.0.dist-info" / "entry_points.txt").write_text(f"[cashback.shops]\nacme = {fault}\n")
    done = subprocess.run(
        [sys.executable, "-m", "cli", "--database", "ledger.db", "shop", "add", "toys", "acme"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(PROJECT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "cashback.shops 'acme' of the package acme" in done.stderr
    assert "Traceback" not in done.stderr


async def test_stage_of_the_page_runs_between_the_others(guild: DiscordFixture, acme: Imported) -> None:
    bob = await guild.referrer("Bob", 2500)
    stages = acme("extend-a-stage.md", "acme.stage")
    number = (await guild.ledger.propose()).batch_number
    await guild.ledger.approve(number)
    database: Database = guild.ledger.database
    made = make_pipeline(
        RunBatch(batch_number=number),
        database=database,
        observer=NullObserver(),
        outbox_changed=WakeUp(),
        chunk_size=1,
    )
    made = replace(made, notification=stages.Both(made.notification, stages.Slowly(0)))
    report = await made.run(RunBatch(batch_number=number))
    assert (report.users_paid, guild.ledger.balance(bob.id)) == (1, 2500)


async def test_page_of_the_page_is_shown_to_admins_only(guild: DiscordFixture, acme: Imported) -> None:
    async def read() -> list[tuple[int, int]]:
        return [(7, 2500)]

    client = OtherBot(content(guild, dashboard={"enabled": True, "port": (port := free_port())}))
    client.cashback_additions = Additions(pages=(acme("extend-a-page.md", "acme.page").MostPaid(read),))
    address = f"http://127.0.0.1:{port}"
    async with (
        living(client, guild.sandbox),
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser,
    ):
        await guild.sandbox.wait_connected()
        said = await guild.say("!sendref-cashb dashboard")
        await guild.sandbox.wait_for(lambda each: "direct messages" in each.text, after=said)
        async with browser.get(f"{address}/acme/most-paid") as answer:
            assert answer.url.path == "/sign-in"
        [note] = guild.sandbox.direct_messages(guild.admin.id)
        async with browser.post(re.findall(rf"{address}/sign-in/[\w-]+", note.content)[0]):
            pass
        async with browser.get(f"{address}/acme/most-paid") as answer:
            assert await answer.text() == "<ol><li>7: $25.00</li></ol>"
