"""`/shop` and `/claim`: a member's own links to the shops, and orders that came without the member's id."""

from typing import Any, Final

import discord
from discord import app_commands

from cashback.cogs.members.base import MemberCog, claimed
from cashback.cogs.members.use_limit import UseLimit
from cashback.cogs.texts import embeds, shop_embeds
from cashback.domain.languages import mark, tr
from cashback.shops.every_kind import webhook_kinds
from cashback.shops.links import member_link

TRIES_PER_SECONDS: Final = (3, 60.0)
"""How often a member may try an order number with each command; the ledger counts the tries of a day."""


class ShopCommands(MemberCog):
    """The commands about shops."""

    _links = UseLimit(*TRIES_PER_SECONDS)
    _claims_tried = UseLimit(*TRIES_PER_SECONDS)

    shop = app_commands.Group(name="shop", description=mark("Your own links to the shops."), guild_only=True)

    @shop.command(
        name="show",
        description=mark("Show your own links: what you buy by them counts for who invited you."),
    )
    @claimed
    async def show_links(self, interaction: discord.Interaction[Any]) -> None:
        """Show the member's link to each shop."""
        member_id = interaction.user.id
        links = {
            name: (shop.link, member_link(shop.link, webhook_kinds()[shop.kind].parameter, member_id))
            for name, shop in self._service.shops.items()
            if shop.link is not None
        }
        await interaction.followup.send(embed=shop_embeds.links(links), ephemeral=True)

    @shop.command(
        name="link",
        description=mark("Link the e-mail that you buy with, by the number of one of its orders."),
    )
    @app_commands.describe(
        email=mark("The e-mail that you buy with. Only a keyed hash of it is stored."),
        order=mark("The number of an order that you made with it and that did not count yet."),
    )
    @claimed
    async def link_email(self, interaction: discord.Interaction[Any], email: str, order: str) -> None:
        """Link an e-mail. The answer does not depend on whether it was right: guesses must not learn anything."""
        self._links.take(interaction)
        await self._service.link_email(interaction.user.id, email, order)
        await interaction.followup.send(embed=embeds.notice(tr(shop_embeds.LINK_TRIED)), ephemeral=True)

    @app_commands.command(name="claim", description=mark("Count an order as yours that was made without your link."))
    @app_commands.describe(order=mark("The order's number, as the shop wrote it to you."))
    @app_commands.guild_only()
    @claimed
    async def claim(self, interaction: discord.Interaction[Any], order: str) -> None:
        """Claim an order. The answer does not depend on whether it was right: guesses must not learn anything."""
        self._claims_tried.take(interaction)
        await self._service.claim_order(interaction.user.id, order)
        await interaction.followup.send(embed=embeds.notice(tr(shop_embeds.CLAIM_TRIED)), ephemeral=True)
