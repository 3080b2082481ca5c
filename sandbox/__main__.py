"""`python -m sandbox`: a local Discord with a few example members and a shop of each kind, until it is interrupted."""

from __future__ import annotations

import argparse
import json
import secrets
import signal
import sys

import anyio

from sandbox import Sandbox
from sandbox.shop import KINDS, Connection, ShopPage

ADMINISTRATOR = 1 << 3
DASHBOARD = "http://127.0.0.1:8930"


async def serve(port: int, token: str | None, shop_port: int, deliver_to: str) -> None:
    """Serve an empty guild and a shop of each kind, and print the addresses; an interrupt or SIGTERM ends it."""
    secret = secrets.token_hex()
    shops = {
        kind: Connection(kind=kind, deliver_to=f"{deliver_to}/api/v1/shops/{kind}", secret=secret) for kind in KINDS
    }
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with Sandbox(port=port, token=token) as sandbox, ShopPage(shops, port=shop_port) as shop_page:
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
                f"viewer role {viewer.id}\n"
                + "".join(f"{name:<18} {each}\n" for name, each in ids.items())
                + f"shop page   {shop_page.url}\n"
                f"delivers to {deliver_to}/api/v1/shops/<kind>, once these are in config.local.json and .env:\n"
                f'"shops": {json.dumps({kind: {"kind": kind} for kind in KINDS})}\n'
                + "".join(f"CASHBACK_SHOP_{kind.upper().replace('-', '_')}={secret}\n" for kind in KINDS)
            )
            sys.stdout.flush()
            async for _ in signals:
                break


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="A local Discord and shops on loopback.")
    parser.add_argument("--port", type=int, default=8931, help="the port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--token", help="the bot token to accept; random by default")
    parser.add_argument("--shop-port", type=int, default=8932, help="the port of the shop page; 0 takes a free one")
    parser.add_argument("--deliver-to", default=DASHBOARD, help="the dashboard that the shops deliver to")
    options = parser.parse_args()
    address = options.deliver_to.rstrip("/")
    anyio.run(serve, options.port, options.token, options.shop_port, address, backend="asyncio")


if __name__ == "__main__":
    main()
