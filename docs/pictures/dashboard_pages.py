"""Takes a picture of every page of the dashboard, on a wide screen and on a phone, light and dark.

They are for looking at, not part of the documentation: `make pictures` writes them to the folder build/pictures.
"""

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Final

from pydantic import SecretStr
from sqlalchemy import Connection

from cashback.database import events
from cashback.database.payouts import proposals
from cashback.domain.events import Event
from cashback.services import CLI, AdminService
from cashback.settings import Settings, WithdrawalSettings
from cli.demo_community import STORE, DemoCommunity
from docs.pictures.browser import Page

FOLDER: Final = Path("build/pictures")
WIDTHS: Final = (1400, 390)
SCHEMES: Final = ("light", "dark")
HEIGHT: Final = 900
WITHDRAWN_CENTS: Final = 500
KEY: Final = SecretStr("A" * 43 + "=")
"""Destinations need a key; no picture shows one."""


async def add_rest(community: DemoCommunity) -> None:
    """Add what the pictures of the commands leave out: withdrawals, events for other programs, orders of a shop."""
    withdrawals = WithdrawalSettings.model_validate({"enabled": True, "methods": {"paypal": None}})
    settings = Settings(withdrawals=withdrawals, withdrawal_keys=(KEY,))
    service = AdminService(community.database, settings, lambda _number: 0)
    await community.database.write(events.put_in_force, {"accounting": list(Event)}, now=community.database.now())
    balances = await community.database.write(_wallets)
    for user_id in balances[:4]:
        asked = await service.request_withdrawal(user_id, WITHDRAWN_CENTS, "paypal")
        if user_id == balances[0]:
            await service.decline_withdrawal(CLI, asked.number, reason="the account is closed")
    for buyer in (community.friend.id, None, community.friend.id):
        await community.shop.buy(STORE, buyer)
    await community.database.write(proposals.propose, actor="cli", now=community.database.now(), expires_at=None)


def _wallets(connection: Connection) -> list[int]:
    query = "SELECT discord_id FROM users WHERE wallet_balance_cents > 600 ORDER BY wallet_balance_cents DESC"
    return [row[0] for row in connection.exec_driver_sql(query)]


def addresses(community: DemoCommunity) -> dict[str, str]:
    """Return the addresses of the pages, by the names of their pictures."""
    payee = community.payees[0].id
    return {
        "overview": "/",
        "batches": "/batches",
        "batches-none": "/batches?status=expired",
        "batch": "/batches/2",
        "batch-failed": "/batches/3",
        "batch-proposed": "/batches/5",
        "referrers": "/referrers",
        "referrers-blacklisted": "/referrers?show=blacklisted",
        "referrer": f"/referrers/{payee}",
        "referrer-unknown": "/referrers/123",
        "orders": "/orders",
        "order": "/orders/1001",
        "order-waiting": "/orders/1002",
        "deliveries": "/deliveries",
        "wallets": "/wallets",
        "withdrawals": "/withdrawals",
        "webhooks": "/webhooks",
        "schedule": "/schedule",
        "audit": "/audit",
        "settings": "/settings",
        "search": "/search?q=friend",
        "search-nothing": "/search?q=nobody",
        "api": "/api/docs",
    }


async def take_pages(page: Page, address: str, pages: Mapping[str, str], folder: Path = FOLDER) -> None:
    """Take the pictures of pages, from their beginning to their end; the browser is signed in at the address."""
    for name, path in pages.items():
        for width, scheme in product(WIDTHS, SCHEMES):
            await page.prefer(scheme)
            await page.open(address + path, width=width, height=HEIGHT, shows="main")
            await page.picture(folder / f"{name}-{width}-{scheme}.png", of="html", margin=0)
    await page.ask("Emulation.setEmulatedMedia", features=[])
