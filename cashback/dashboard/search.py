"""The search for members by name or id, for batches by ID or number, and for orders; and members' pictures."""

import base64
import binascii
from typing import Any, Final

from aiohttp import web

from cashback.dashboard.pages import page
from cashback.database import Database
from cashback.database.payouts import batches
from cashback.database.queries import earnings, history, member_names
from cashback.database.referral_program.people import LARGEST_ID, is_known
from cashback.domain.errors import UnknownBatchError

LONGEST_SEARCH: Final = 100
SHOWN: Final = 20
PICTURE_SECONDS: Final = 86_400
PNG: Final = b"\x89PNG\r\n\x1a\n"


class Search:
    """Finds what an admin types into the field at the top of each page."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def routes(self) -> list[web.RouteDef]:
        """List the addresses."""
        return [web.get("/search", self.show), web.get("/avatars/{id}", self.avatar)]

    async def show(self, request: web.Request) -> web.StreamResponse:
        """List what was found, or redirect to it if it is one page."""
        wanted = " ".join(request.query.get("q", "").split())[:LONGEST_SEARCH]
        found = await self._found(wanted) if wanted else {"members": [], "found_batches": [], "orders": []}
        addresses = [
            *(f"/referrers/{each['user_id']}" for each in found["members"]),
            *(f"/batches/{each}" for each in found["found_batches"]),
        ]
        if len(addresses) == 1 and not found["orders"]:
            raise web.HTTPFound(addresses[0])
        return await page(request, "search.html", now=self._database.now(), wanted=wanted, most=SHOWN, **found)

    async def _found(self, wanted: str) -> dict[str, Any]:
        read = self._database.read
        members = [] if wanted.isdigit() else await read(member_names.begins_with, wanted, limit=SHOWN)
        if (
            wanted.isascii()
            and wanted.isdigit()
            and 0 < int(wanted) <= LARGEST_ID
            and await read(is_known, int(wanted))
        ):
            members.append(int(wanted))
        found_batches = await read(history.named_like, wanted, limit=SHOWN) if "BATCH" in wanted.upper() else []
        if wanted.isascii() and wanted.isdigit():
            found_batches = await self._numbered(wanted)
        return {
            "members": [{"user_id": each} for each in members],
            "found_batches": found_batches,
            "orders": await read(earnings.orders_with_id, wanted),
        }

    async def _numbered(self, wanted: str) -> list[str]:
        try:
            return [str(await self._database.read(batches.find_named, wanted))]
        except UnknownBatchError:
            return []

    async def avatar(self, request: web.Request) -> web.StreamResponse:
        """Send a member's picture. Raises HTTPNotFound."""
        text = request.match_info["id"]
        user_id = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_ID)) else 0
        stored = await self._database.read(member_names.avatar, user_id) if 0 < user_id <= LARGEST_ID else None
        try:
            picture = base64.b64decode(stored or "", validate=True)
        except binascii.Error:
            picture = b""
        if not picture.startswith(PNG):
            raise web.HTTPNotFound(reason="There is no picture of this member")
        headers = {"Cache-Control": f"private, max-age={PICTURE_SECONDS}"}
        return web.Response(body=picture, content_type="image/png", headers=headers)
