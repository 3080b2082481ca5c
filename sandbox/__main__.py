"""`python -m sandbox`: a local Discord with a few example members, until it is interrupted."""

from __future__ import annotations

import argparse
import signal
import sys

import anyio

from sandbox import Sandbox

ADMINISTRATOR = 1 << 3


async def serve(port: int, token: str | None) -> None:
    """Serve an empty guild and print the address; an interrupt or SIGTERM ends it."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with Sandbox(port=port, token=token) as sandbox:
            admin = sandbox.add_role("Admin", permissions=ADMINISTRATOR, color=0xE67E22)
            viewer = sandbox.add_role("Viewer", color=0x3498DB)
            channels = [sandbox.add_channel(name) for name in ("general", "admin", "audit-log")]
            roles = {"Ada": [admin.id], "Ben": [viewer.id]}
            people = [sandbox.add_member(name, role_ids=roles.get(name, [])) for name in ("Ada", "Ben", "Cleo", "Dan")]
            ids = {f"channel {each.name}": each.id for each in channels}
            ids |= {f"member {each.name}": each.id for each in people}
            sys.stdout.write(
                f"chat page   {sandbox.url}/chat/\n"
                f"API         {sandbox.api_url}\n"
                f"bot token   {sandbox.token}\n"
                f"guild       {sandbox.guild_id}\n"
                f"bot         {sandbox.bot_user_id}\n"
                f"admin role  {admin.id}\n"
                f"viewer role {viewer.id}\n" + "".join(f"{name:<18} {each}\n" for name, each in ids.items())
            )
            sys.stdout.flush()
            async for _ in signals:
                break


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="A local Discord on loopback.")
    parser.add_argument("--port", type=int, default=8931, help="the port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--token", help="the bot token to accept; random by default")
    options = parser.parse_args()
    anyio.run(serve, options.port, options.token, backend="asyncio")


if __name__ == "__main__":
    main()
