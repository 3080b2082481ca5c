"""The built packages: complete, and `from cashback import Database` disturbs no other bot in the same process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
IMPORT_NAMES = {"bot", "cashback", "cli", "pipeline", "sandbox", "scheduler", "stages"}
LEFT_BY_TOOLS = {"__pycache__", "build", "dist", "mutants", "node_modules"}
"""Folders that tools leave in the tree; hidden ones are no part of it either, but for the one of the checks."""

HIDDEN_PARTS = {".ci", ".dockerignore", ".gitignore"}
LEFT_BY_RUNS = (".pyc", ".db", ".db-wal", ".db-shm", "config.local.json", "soak.json")

HOST = '''
"""Another bot: it has modules with the same names as ours."""

import asyncio
import json
import sys
from pathlib import Path

import cogs.greeting
import database
import scheduler
import settings

from cashback import CashbackError, Database


async def main() -> None:
    async with Database("ledger.db") as ledger:
        await ledger.create_referral(100, 200)
        assert await ledger.log_referral_purchase(200, "A-1", 20_000) == 100
        try:
            await ledger.create_referral(200, 200)
        except CashbackError as error:
            refused = str(error)
        stats = await ledger.get_referral_stats(100)
    ours = {"bot", "cli", "pipeline", "sandbox", "stages"} & set(sys.modules)
    print(json.dumps({
        "stats": stats,
        "refused": refused,
        "own": [database.NAME, cogs.greeting.NAME, settings.NAME, scheduler.NAME],
        "from": str(Path(sys.modules["cashback"].__file__).parent.parent),
        "ours": sorted(ours),
    }))


asyncio.run(main())
'''


def source_files() -> set[str]:
    """List the files of the tree, without what tools and runs leave there."""
    found = set()
    for path in PROJECT.rglob("*"):
        parts = path.relative_to(PROJECT).parts
        is_hidden = any(part.startswith(".") and part not in HIDDEN_PARTS for part in parts)
        is_left = bool(LEFT_BY_TOOLS & set(parts)) or any(part.endswith(".egg-info") for part in parts)
        if path.is_file() and not is_hidden and not is_left and not path.name.endswith(LEFT_BY_RUNS):
            found.add("/".join(parts))
    return found


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the tree: a build writes into it."""
    copy = tmp_path_factory.mktemp("source") / "cashback"
    for name in source_files():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PROJECT / name, copy / name)
    return copy


def run(*command: object, folder: Path, **environment: str) -> str:
    """Run a command and return its output; it sees the packages of this environment, not this tree."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tree: Path) -> Path:
    """Build the wheel."""
    run(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-index"),
        *("--no-deps", "--no-build-isolation", "--wheel-dir", "wheels", "."),
        folder=tree,
    )
    [built] = (tree / "wheels").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a folder of its own, next to a package that is called `scheduler`."""
    target = tmp_path_factory.mktemp("installed")
    run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"),
        *("--target", target, wheel),
        folder=target,
    )
    return target


def paths_for(*folders: Path) -> str:
    """Return a PYTHONPATH with these folders and the libraries. With `-S` this tree's editable install is not seen."""
    return os.pathsep.join([*map(str, folders), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])


def test_another_bot_with_the_same_module_names_uses_the_library(installed: Path, tmp_path: Path) -> None:
    host, packages = tmp_path / "host", tmp_path / "packages"
    for path, text in {
        host / "bot.py": HOST,
        host / "database.py": "NAME = 'the host database'\n",
        host / "settings.py": "NAME = 'the host settings'\n",
        host / "cogs" / "greeting.py": "NAME = 'the host cog'\n",
        packages / "scheduler" / "__init__.py": "NAME = 'the other scheduler'\n",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    answer = json.loads(run(sys.executable, "-S", "bot.py", folder=host, PYTHONPATH=paths_for(packages, installed)))
    assert answer == {
        "stats": {
            "referral_count": 1,
            "total_spend_cents": 20_000,
            "total_earned_cents": 100,
            "total_paid_cents": 0,
            "pending_cents": 100,
        },
        "refused": "Users cannot refer themselves",
        "own": ["the host database", "the host cog", "the host settings", "the other scheduler"],
        "from": str(installed),
        "ours": [],
    }


EXTENDED = '''
"""Another bot that loads the extension; it has modules with the names that the extension imports too."""

import asyncio
import json
import sys

import discord
import pipeline
import scheduler
from discord.ext import commands


async def main() -> None:
    intents = discord.Intents(guilds=True, guild_messages=True, message_content=True)
    bot = commands.Bot("!", intents=intents)
    bot.cashback_settings = {"role_ids": {"admin": 5}, "database": "ledger.db"}
    for _ in range(2):
        await bot.load_extension("cashback")
        loaded = sorted(bot.all_commands)
        await bot.reload_extension("cashback")
        await bot.unload_extension("cashback")
    import stages
    print(json.dumps({
        "loaded": "sendref-cashb" in loaded,
        "own": [scheduler.NAME, pipeline.NAME, stages.NAME, sys.modules["scheduler"].NAME],
        "from": sys.modules["cashback.extension"].__file__,
        "bot": sys.modules["__main__"].__file__,
        "ours": sorted({"bot", "cli", "sandbox"} & set(sys.modules)),
    }))


asyncio.run(main())
'''


def test_extension_runs_in_a_bot_that_has_modules_of_the_same_names(installed: Path, tmp_path: Path) -> None:
    host, packages = tmp_path / "host", tmp_path / "packages"
    for path, text in {
        host / "bot.py": EXTENDED,
        host / "pipeline.py": "NAME = 'the host pipeline'\n",
        host / "stages" / "__init__.py": "NAME = 'the host stages'\n",
        packages / "scheduler" / "__init__.py": "NAME = 'the other scheduler'\n",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    answer = json.loads(run(sys.executable, "-S", "bot.py", folder=host, PYTHONPATH=paths_for(packages, installed)))
    assert answer == {
        "loaded": True,
        "own": ["the other scheduler", "the host pipeline", "the host stages", "the other scheduler"],
        "from": str(installed / "cashback" / "extension" / "__init__.py"),
        "bot": str(host / "bot.py"),
        "ours": [],
    }


def test_commands_of_the_wheel_run_from_another_folder(installed: Path, tmp_path: Path) -> None:
    def cashback(*words: str) -> str:
        return run(sys.executable, "-S", "-m", "cli", *words, folder=tmp_path, PYTHONPATH=paths_for(installed))

    assert "Seeded 15 referrers" in cashback("seed")
    assert json.loads(cashback("pay", "--yes", "--json", "--database", "sample.db"))["users_paid"] == 15
    assert "The books balance" in cashback("verify", "--database", "sample.db")
    assert "The books balance" in cashback("demo")


def test_wheel_holds_every_file_of_the_import_names_and_nothing_else(wheel: Path) -> None:
    expected = {name for name in source_files() if name.split("/")[0].removesuffix(".py") in IMPORT_NAMES}
    with zipfile.ZipFile(wheel) as opened:
        packed = {name for name in opened.namelist() if ".dist-info/" not in name and not name.endswith("/")}
    assert packed == expected
    kinds = {name.rpartition(".")[2] for name in packed}
    assert {"py", "html", "css", "js", "svg", "mako", "typed"} <= kinds


def test_source_distribution_holds_every_file_of_the_tree(tree: Path) -> None:
    name = run(
        sys.executable, "-c", "from setuptools import build_meta; print(build_meta.build_sdist('sources'))", folder=tree
    ).splitlines()[-1]
    with tarfile.open(tree / "sources" / name) as opened:
        packed = {member.name.partition("/")[2] for member in opened.getmembers() if member.isfile()}
    assert source_files() - packed == set()
    assert {name for name in packed - source_files() if ".egg-info/" not in name} <= {"PKG-INFO", "setup.cfg"}
