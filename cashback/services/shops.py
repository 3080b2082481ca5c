"""Shops: their deliveries, members' claims of purchases, and e-mails that members have proved."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Final

from cashback.database.group_commit import GroupCommit
from cashback.database.shops import buyers, deliveries
from cashback.database.shops.deliveries import Incoming, Listed, Received, Recorded
from cashback.database.shops.events import DeliveryTerms, EventResult, Reported
from cashback.domain.earning import MAIN
from cashback.domain.errors import CashbackError
from cashback.domain.hints import email_hash, number_hash
from cashback.domain.shop_events import ShopEvent
from cashback.services.actors import Actor, Source
from cashback.services.base import Service
from cashback.settings import EMAIL_KEY, ShopSettings

MOST_LISTED: Final = 1_000
LONGEST_TYPED: Final = 200


class Shops(Service):
    """Records deliveries of shops, and finds out whose purchases they are."""

    async def record_delivery(
        self,
        shop: str,
        *,
        body: bytes,
        topic: str,
        event_id: str | None = None,
        events: Sequence[ShopEvent] = (),
        remark: str | None = None,
        is_unreadable: bool = False,
    ) -> Recorded:
        """Record a delivery that has proved where it comes from. Without an id of its own its digest is the id."""
        settings = self.shop(shop)
        digest = hashlib.sha256(body).hexdigest()
        received = Received(
            shop=shop,
            kind=settings.kind,
            digest=digest,
            event_id=event_id or digest,
            topic=topic,
            events=tuple(self._reported(shop, event) for event in events),
            remark=remark,
            is_unreadable=is_unreadable,
        )
        actor = str(Actor(source=Source.SHOP, key=shop))
        now = self._database.now()
        return await self._recorder.write(Incoming(received, self._terms_of(settings), actor, now))

    @cached_property
    def _recorder(self) -> GroupCommit[Incoming, Recorded]:
        """Deliveries that come at the same time share a transaction."""
        return GroupCommit(self._database, deliveries.record_all)

    def shop(self, name: str) -> ShopSettings:
        """Return a shop's settings. Raises CashbackError if there is no such shop."""
        found = self._settings.shops.get(name)
        if found is None:
            known = ", ".join(sorted(self._settings.shops)) or "none is configured"
            raise CashbackError(f"{name[:40]!r} is not a shop of the configuration; the shops: {known}.")
        return found

    @property
    def shops(self) -> dict[str, ShopSettings]:
        """The shops of the configuration, by name."""
        return dict(self._settings.shops)

    def _terms_of(self, shop: ShopSettings) -> DeliveryTerms:
        terms = self._settings.referral_settings
        return DeliveryTerms(
            currency=self._settings.currency,
            rate_ppm=terms.rate_ppm,
            holding_days=terms.holding_days,
            unmatched_days=terms.unmatched_days,
            dates=terms.earning_dates,
            one_buyer_per_member=shop.one_buyer_per_member,
        )

    def _reported(self, shop: str, event: ShopEvent) -> Reported:
        has_email = event.email is not None and self._settings.email_key is not None
        hashed = self._email_hash(event.email or "") if has_email else None
        hints = [] if hashed is None else [hashed]
        if event.number is not None:
            hints.append(number_hash(shop, event.number))
        return Reported(event=event, email_hash=hashed, hints=tuple(hints))

    def _email_hash(self, email: str) -> str:
        """Return an e-mail's keyed hash. Raises CashbackError without a key."""
        if self._settings.email_key is None:
            raise CashbackError(f"{EMAIL_KEY} is not set, so e-mails cannot be linked here; ask an admin.")
        return email_hash(self._settings.email_key.get_secret_value(), email)

    async def deliveries(
        self, *, limit: int, shop: str | None = None, before_number: int | None = None
    ) -> list[Listed]:
        """List deliveries, newest first."""
        return await self._database.read(deliveries.newest, limit=limit, shop=shop, before_number=before_number)

    async def try_delivery(self, shop: str) -> tuple[Listed, tuple[EventResult, ...]]:
        """Return a shop's newest delivery, and what it would do now if it were no test; nothing is changed.

        Raises CashbackError if there is none.
        """
        terms = self._terms_of(self.shop(shop))
        listed = await self.deliveries(limit=1, shop=shop)
        if not listed:
            raise CashbackError(f"Shop {shop} has delivered nothing yet; send a test from its admin pages.")
        now = self._database.now()
        return listed[0], await self._database.write(deliveries.try_again, listed[0], terms, now=now)

    async def claim_order(self, member_id: int, number: str) -> bool:
        """Make a waiting purchase a member's; return whether there was one. The member must not learn of it.

        Raises ClaimsExhaustedError.
        """
        found = await self._database.write(
            buyers.claim,
            member_id,
            self._sought(number),
            self._claim_terms,
            actor=str(Actor(source=Source.DISCORD, user_id=member_id)),
            now=self._database.now(),
        )
        return bool(found)

    async def link_email(self, member_id: int, email: str, number: str) -> bool:
        """Link an e-mail that the member proves with a waiting order's number; return whether it did.

        The member must not learn of it. Raises ClaimsExhaustedError, and CashbackError if no key for e-mails is set.
        """
        found = await self._database.write(
            buyers.link_email,
            member_id,
            self._email_hash(email[:LONGEST_TYPED]),
            self._sought(number),
            self._claim_terms,
            actor=str(Actor(source=Source.DISCORD, user_id=member_id)),
            now=self._database.now(),
        )
        return bool(found)

    def _sought(self, number: str) -> buyers.Sought:
        typed = number.strip()[:LONGEST_TYPED]
        hints = tuple(number_hash(shop, typed) for shop in self._settings.shops)
        return buyers.Sought(number=typed, sources=(MAIN, *(set(self._settings.shops) - {MAIN})), hints=hints)

    @property
    def _claim_terms(self) -> buyers.ClaimTerms:
        terms = self._settings.referral_settings
        return buyers.ClaimTerms(holding_days=terms.holding_days, dates=terms.earning_dates)

    async def spread_links(self) -> list[buyers.SpreadLink]:
        """List the members with purchases under their ids from several e-mails."""
        return await self._database.read(buyers.spread_links, limit=MOST_LISTED)
