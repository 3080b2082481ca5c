"""`dashboard`: the dashboard on a ledger without Discord, read-only, for the person at this machine."""

import signal
import socket
from typing import Final

import anyio
import typer

from cashback.dashboard import Dashboard, Dependencies, Metrics
from cashback.domain.errors import CashbackError, RolesUnknownError
from cashback.domain.ports import NullObserver
from cashback.services import CLI
from cashback.settings import Settings
from cli.context import Place
from cli.options import ConfigOption, DatabaseOption, PortOption
from cli.output import say
from cli.payment_session import open_payment_session

HOST: Final = "127.0.0.1"
VIEWER_ROLE: Final = 1
"""The role of the person at the terminal; a role of Discord has a longer id."""


def command(
    context: typer.Context, *, port: PortOption = 0, config: ConfigOption = None, database: DatabaseOption = None
) -> int:
    """Print a link that signs in once, and serve until Ctrl-C."""
    anyio.run(_serve, _read_only(Place.of(context, config, database).settings(), port or _free_port()))
    return 0


def _read_only(settings: Settings, port: int) -> Settings:
    """Change the settings: on loopback, read-only for the person at this machine, and closed to shops."""
    role_ids = settings.role_ids.model_copy(update={"dashboard_viewer": VIEWER_ROLE})
    served = settings.dashboard.model_copy(update={"enabled": True, "host": HOST, "port": port, "public_url": None})
    return settings.model_copy(update={"role_ids": role_ids, "dashboard": served, "intake_keys": {}})


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


async def _roles_of(user_id: int | None) -> frozenset[int]:
    """Admit the holder of the printed link; the roles of Discord's members are known to the bot only."""
    if user_id is not None:
        raise RolesUnknownError
    return frozenset({VIEWER_ROLE})


async def _serve(settings: Settings) -> None:
    async with open_payment_session(settings, NullObserver()) as session, anyio.create_task_group() as tasks:
        dependencies = Dependencies(
            roles_of=_roles_of,
            is_online=None,
            waiting=lambda: 0,
            metrics=Metrics(),
        )
        server = Dashboard(session.database, session.service, settings, dependencies)
        tasks.start_soon(_listen, server, settings.dashboard.port)
        await server.listening.wait()
        say(
            "Open this link; it works once, within five minutes, and shows everything to anyone who has it:",
            f"  {await session.service.issue_link(CLI)}",
            "Ctrl-C ends the dashboard. To pay from it, run `cashback bot` with dashboard.enabled in config.json.",
        )
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                tasks.cancel_scope.cancel()


async def _listen(server: Dashboard, port: int) -> None:
    try:
        await server.serve()
    except OSError as error:
        message = f"Port {port} is not available ({error.strerror or error}); name another with --port."
        raise CashbackError(message) from error
