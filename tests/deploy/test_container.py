"""The image of deploy/Containerfile: not root, a read-only root file system, the bot as PID 1."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.abc
import pytest
from aiohttp import ClientSession

from sandbox import Sandbox
from tests.deploy.ports import free_port

PROJECT = Path(__file__).parents[2]
USER = 10_001
TOOLS = ("buildah", "debootstrap", "unshare")
MISSING = [tool for tool in TOOLS if shutil.which(tool) is None]

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can build an image here"),
]

ENTER = """
set -e
mount --bind "$1" "$1"
mount --bind "$2" "$1/data"
mount -t proc proc "$1/proc"
mount -o remount,ro,bind "$1"
cd "$1"
exec chroot --userspec=10001:10001 "$1" /usr/bin/env --chdir=/data "${@:3}"
"""
"""Enters the image as a container's runtime does: its own mounts and processes, everything but /data read-only."""


@dataclass(frozen=True)
class Image:
    """A built image, mounted."""

    root: Path
    config: dict[str, object]

    def command(self, data: Path, environment: dict[str, str], *words: str) -> list[str]:
        """Return the command that runs `cashback` with words as PID 1 of the container."""
        settings = [f"{name}={value}" for name, value in environment.items()]
        inside = ["-i", "PATH=/opt/cashback/bin:/usr/bin:/bin", *settings, "cashback", *words]
        return [
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "bash",
            "-c",
            ENTER,
            "enter",
            str(self.root),
            str(data),
            *inside,
        ]


def run(*command: str, folder: Path = PROJECT) -> str:
    """Run a command; return its output."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """Build the image on a Debian base with Python; the packages are downloaded first, and the build has no network."""
    place = tmp_path_factory.mktemp("image")
    version = "trixie" if sys.version_info[:2] == (3, 13) else "bookworm"
    run("debootstrap", "--variant=minbase", "--include=python3,python3-venv,python3-pip", version, str(place / "base"))
    python = run("chroot", str(place / "base"), "python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
    run(
        *(
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--dest",
            str(place / "wheels"),
            "--only-binary",
            ":all:",
        ),
        *("--python-version", python, "--require-hashes", "--requirement", "requirements-all.lock"),
    )
    buildah = ("buildah", "--root", str(place / "store"), "--runroot", str(place / "run"), "--storage-driver", "vfs")
    container = run(*buildah, "from", "scratch")
    run(*buildah, "add", container, str(place / "base"), "/")
    run(*buildah, "commit", container, "localhost/base")
    run(
        *(*buildah, "build", "--isolation", "chroot", "--format", "docker", "--file", "deploy/Containerfile"),
        *("--build-arg", "BASE=localhost/base", "--build-arg", "PIP_OPTIONS=--no-index --find-links /wheels"),
        *("--volume", f"{place / 'wheels'}:/wheels:ro", "--tag", "localhost/cashback", "."),
    )
    described = json.loads(run(*buildah, "inspect", "--type", "image", "localhost/cashback"))
    container = run(*buildah, "from", "localhost/cashback")
    yield Image(Path(run(*buildah, "mount", container)), described["Docker"]["config"])
    run(*buildah, "umount", container)
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Create the volume of the container's user."""
    folder = tmp_path / "data"
    folder.mkdir()
    os.chown(folder, USER, USER)
    return folder


@asynccontextmanager
async def contained(image: Image, data: Path, sandbox: Sandbox, log: Path) -> AsyncIterator[anyio.abc.Process]:
    """Run the bot in the container; it is connected inside the block."""
    environment = {"DISCORD_TOKEN": sandbox.token, "DISCORD_API_URL": sandbox.api_url}
    with log.open("wb") as file:
        async with await anyio.open_process(image.command(data, environment, "bot"), stderr=file) as process:
            try:
                with anyio.move_on_after(120) as waiting:
                    await sandbox.wait_connected()
                assert not waiting.cancelled_caught, await anyio.Path(log).read_text()
                yield process
            finally:
                if process.returncode is None:
                    process.kill()


def first_process(unshare: anyio.abc.Process) -> int:
    """Return the number, outside, of the container's PID 1."""
    [child] = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children").read_text(encoding="ascii").split()
    return int(child)


def test_image_has_a_user_a_volume_a_health_check_and_the_bot_as_its_command(image: Image) -> None:
    assert image.config["User"] == f"{USER}:{USER}"
    assert image.config["Volumes"] == {"/data": {}}
    assert (image.config["Entrypoint"], image.config["Cmd"]) == (["cashback"], ["bot"])
    assert image.config["Healthcheck"]["Test"] == ["CMD", "cashback", "doctor"]  # type: ignore[index]  # JSON
    assert not list((image.root / "opt" / "cashback").rglob("*.env"))


def test_demo_pays_on_a_read_only_root(image: Image, data: Path) -> None:
    shown = run(*image.command(data, {}, "demo"))
    assert "every cent accounted for" in shown


async def test_bot_as_pid_1_connects_keeps_its_ledger_and_ends_at_once(
    image: Image, data: Path, tmp_path: Path
) -> None:
    async with Sandbox() as sandbox:
        settings = {
            "role_ids": {"admin": sandbox.add_role("Admin").id},
            "guild_ids": [sandbox.guild_id],
            "dashboard": {"enabled": True, "port": (port := free_port())},
        }
        (data / "config.json").write_text(json.dumps(settings))
        async with contained(image, data, sandbox, tmp_path / "log") as process:
            inside = first_process(process)
            status = await anyio.Path(f"/proc/{inside}/status").read_text(encoding="utf-8")
            numbers = dict(line.split(":", 1) for line in status.splitlines())
            assert numbers["Uid"].split() == [str(USER)] * 4
            assert numbers["NSpid"].split()[-1] == "1"
            async with ClientSession() as client, client.get(f"http://127.0.0.1:{port}/readyz") as answered:
                assert answered.status == 200, await answered.text()
            os.kill(inside, signal.SIGTERM)
            with anyio.fail_after(20):
                assert await process.wait() == 0, (tmp_path / "log").read_text()
    assert "every cent accounted for" in run(*image.command(data, {}, "verify"))
    assert "Traceback" not in (tmp_path / "log").read_text()
