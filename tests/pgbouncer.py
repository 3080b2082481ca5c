"""Debian's PgBouncer before a server, in transaction mode, for the tests that need a pooler."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import pytest
from sqlalchemy.engine import URL

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
WAIT_SECONDS = 10


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _configuration(url: URL, folder: Path, port: int, more: str) -> str:
    host = url.host or url.query.get("host") or "127.0.0.1"
    return f"""
[databases]
{url.database} = host={host} port={url.port or 5432} user={url.username} dbname={url.database}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
max_client_conn = 100
default_pool_size = 4
logfile = {folder}/pgbouncer.log
{more}
"""


@contextmanager
def pooled(url: URL, more: str = "") -> Iterator[URL]:
    """Run PgBouncer before a database, `more` in its configuration; yield the address through it."""
    if PROGRAM is None:
        pytest.skip("PgBouncer is not installed (apt-get install pgbouncer)")
    folder, port = Path(mkdtemp(prefix="cashback-pgbouncer-")), _free_port()
    (folder / "pgbouncer.ini").write_text(_configuration(url, folder, port, more))
    command = [PROGRAM, str(folder / "pgbouncer.ini")]
    if os.geteuid() == 0:
        # It does not run as root, and that user must reach the server's socket too.
        user = next((each for each in ("pgserver", "postgres", "nobody") if _exists(each)), "nobody")
        shutil.chown(folder, user)
        command[1:1] = ["-u", user]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield URL.create(
            "postgresql+psycopg", username=url.username, host="127.0.0.1", port=port, database=url.database
        )
    finally:
        process.terminate()
        process.wait(WAIT_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("PgBouncer did not start")
