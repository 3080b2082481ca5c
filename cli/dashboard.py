"""`cashback dashboard`: the dashboard on a ledger without Discord, for who sits at the machine. It only looks."""

import signal
import socket
from typing import Final

import anyio

from cashback.dashboard import Dashboard, Dependencies, Metrics
from cashback.domain.errors import CashbackError, RolesUnknownError
from cashback.domain.ports import NullObserver
from cashback.services import CLI
from cashback.settings import Settings
from cli.context import Place
from cli.output import say
from cli.payment_session import open_payment_session

HOST: Final = "127.0.0.1"
LOOKS_ONLY: Final = 1
"""The role that stands for the terminal; a role of Discord has a longer id."""


def dashboard(place: Place, *, port: int) -> int:
    """Print a link that signs in once, and serve until Ctrl-C. A port of 0 is any free one."""
    anyio.run(_serve, _for_looking(place.settings(), port or _free_port()))
    return 0


def _for_looking(settings: Settings, port: int) -> Settings:
    """Change the settings: on loopback, and whoever sits here may look and nothing else. No shop is taken in."""
    role_ids = settings.role_ids.model_copy(update={"dashboard_viewer": LOOKS_ONLY})
    served = settings.dashboard.model_copy(update={"enabled": True, "host": HOST, "port": port, "public_url": None})
    return settings.model_copy(update={"role_ids": role_ids, "dashboard": served, "intake_keys": {}})


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


async def _roles_of(user_id: int | None) -> frozenset[int]:
    """Let in who has the link that this process printed. Discord's members have their roles in the bot alone."""
    if user_id is not None:
        raise RolesUnknownError
    return frozenset({LOOKS_ONLY})


async def _serve(settings: Settings) -> None:
    async with open_payment_session(settings, NullObserver()) as office, anyio.create_task_group() as tasks:
        dependencies = Dependencies(
            roles_of=_roles_of,
            is_online=None,
            waiting=lambda: 0,
            metrics=Metrics(),
        )
        server = Dashboard(office.database, office.service, settings, dependencies)
        tasks.start_soon(_listen, server, settings.dashboard.port)
        await server.listening.wait()
        say(
            "Open this link; it works once, for five minutes, and whoever has it may look at everything:",
            f"  {await office.service.issue_link(CLI)}",
            "Ctrl-C ends the dashboard. To pay from it, run `cashback bot` with dashboard.enabled in config.json.",
        )
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                tasks.cancel_scope.cancel()


async def _listen(server: Dashboard, port: int) -> None:
    try:
        await server.serve()
    except OSError as error:
        message = f"Port {port} cannot be listened on ({error.strerror or error}); name another with --port."
        raise CashbackError(message) from error
