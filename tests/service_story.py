"""One ledger's life through the services: all that they and the other bot's interface write, and every answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from cryptography.fernet import Fernet
from pydantic import SecretStr

from cashback.database import Database, events
from cashback.database.dialect import Location
from cashback.database.queries import member_names
from cashback.database.referral_program import undoing
from cashback.database.referral_program.purchases import Purchase
from cashback.database.referral_program.refunds import Refund
from cashback.database.referral_program.unmatched import UnmatchedPurchase
from cashback.domain.errors import CashbackError
from cashback.domain.events import Event
from cashback.domain.shop_events import EventKind, ShopEvent
from cashback.services import Actor, AdminService, Source
from cashback.settings import ReferralSettings, RoleIds, Settings, ShopSettings, WithdrawalSettings
from tests.conftest import Clock, LedgerFixture, raw, run_batches

ADMIN_ROLE: Final = 42
ADA: Final = Actor(source=Source.DISCORD, user_id=7, role_ids=frozenset({ADMIN_ROLE}))
EVE: Final = Actor(source=Source.DISCORD, user_id=8, role_ids=frozenset({ADMIN_ROLE}))
STRANGER: Final = Actor(source=Source.DISCORD, user_id=9)
SETTINGS: Final = Settings(
    role_ids=RoleIds(admin=ADMIN_ROLE),
    referral_settings=ReferralSettings(approval_threshold_cents=100_000),
    withdrawals=WithdrawalSettings(enabled=True, methods={"paypal": "the address of your account"}),
    withdrawal_keys=(SecretStr(Fernet.generate_key().decode()),),
    email_key=SecretStr("k" * 32),
).model_copy(update={"shops": {"store": ShopSettings(kind="api")}})
BUYER: Final = 900
REFERRER: Final = 100
FIRST_BATCH: Final = 1


async def use_services(location: Location) -> list[object]:
    """Use every service once and more; return all answers and refusals, in order."""
    clock = Clock()
    async with Database(location, clock=clock) as database:
        story = Story(database, clock)
        await story.members_and_purchases()
        await story.batches()
        await story.failures()
        await story.reversals_and_refunds()
        await story.weeks()
        await story.sign_ins()
        await story.withdrawals()
        await story.orders()
        await story.shops()
        await story.lapse()
        verdict = await story.service.verify(ADA)
        story.told += [verdict.breaches, verdict.remarks, verdict.payouts_checked, verdict.credited_cents]
        return story.told


class Story:
    """The services, and what they answered."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.clock = clock
        self.database = database
        self.ledger = LedgerFixture(database, clock)
        self.submitted: list[int] = []
        self.service = AdminService(database, SETTINGS, self._submit)
        self.told: list[object] = []
        self.numbers: list[int] = []

    def _submit(self, number: int) -> int:
        self.submitted.append(number)
        return 0

    async def tell(self, asked: Any) -> Any:  # noqa: ANN401 -- any answer
        """Note an answer without its numbers, which have gaps on PostgreSQL, or a refusal; return it."""
        try:
            answer = await asked
        except CashbackError as error:
            self.told.append(type(error).__name__)
            return None
        totals = {name: getattr(answer, name, None) for name in ("users", "total_cents", "status", "reversed_cents")}
        self.told.append(answer if isinstance(answer, (bool, list)) else {k: v for k, v in totals.items() if v})
        return answer

    async def run(self) -> None:
        """Run what was handed to the runner, and note the reports."""
        recorder = await run_batches(self.database, *self.submitted)
        self.told += [(each.status, each.total_cents, each.failed, each.skipped) for each in recorder.reports]
        self.told.append(sum(len(each.payouts) if hasattr(each, "payouts") else 1 for each in recorder.chunks))
        self.submitted.clear()

    async def approved(self, cents: int = 500, *people: int) -> int:
        """Propose and approve a batch for some members; return its number."""
        await self.ledger.earn_all((person, cents) for person in people or (1, 2))
        summary = await self.service.propose(ADA)
        await self.service.approve(ADA, summary.batch_number)
        return summary.batch_number

    async def members_and_purchases(self) -> None:
        """Link, unlink, blacklist, and record purchases and refunds, some of them twice."""
        service = self.service
        for _time in range(2):
            await self.tell(service.link(ADA, REFERRER, BUYER, reason="a ticket"))
            await self.tell(service.enter_code(BUYER + 1, REFERRER, in_server=True, is_bot=False))
            bought = [Purchase(order_id=f"S-{n}", buyer_id=BUYER + n, amount_cents=10_000) for n in range(3)]
            recorded = await service.record_purchases(bought)
            self.told += [(each.outcome, each.earned_cents) for each in recorded]
            refunded = await service.record_refunds(ADA, [Refund(order_id="S-1", amount_cents=100, refund_id="R")])
            self.told += [getattr(each, "outcome", None) for each in refunded]
            await self.tell(service.unlink(ADA, REFERRER, BUYER, reason="mistaken"))
            self.told.append(await service.blacklist(ADA, 77, reason="a doubt"))
            self.told.append(await service.unblacklist(ADA, 77))
            await self.tell(service.propose(STRANGER))
        await self.database.ensure_user(555)
        self.told.append(await self.database.log_referral_purchase(BUYER + 1, "other-bot", 20_000))
        self.told.append(await self.database.log_referral_refund("other-bot", 5_000))
        await self.database.mark_cashback_paid(REFERRER, 10)
        await self.database.share("another bot")
        await self.database.create_referral(REFERRER, 901_111)
        self.told.append(await self.database.blacklist_referral_user(78))

    async def batches(self) -> None:
        """Pay, cancel, expire, stop, resume, abandon, and approve with a second admin."""
        service = self.service
        self.numbers.append(await self.approved())
        await self.run()
        await self.ledger.earn_all([(1, 300), (2, 300)])
        await self.tell(service.preview())
        await service.cancel(ADA, (await service.propose(ADA)).batch_number)
        await service.propose(ADA)
        self.clock.advance(1_000)
        self.told.append(len(await service.expire()))
        number = await self.approved()
        self.submitted.clear()
        await self.tell(service.stop(ADA, number))
        await service.resume(ADA, number)
        await self.run()
        number = await self.approved()
        self.submitted.clear()
        await self.tell(service.stop(ADA, number))
        await self.tell(service.abandon(ADA, number))
        await self.ledger.earn_all([(1, 100_000)])
        number = (await service.propose(ADA)).batch_number
        await self.tell(service.approve(ADA, number))
        await self.tell(service.approve(ADA, number))
        await self.tell(service.approve(EVE, number))
        await self.run()

    async def failures(self) -> None:
        """Fail payouts, retry them, and queue direct messages again."""
        number = await self.approved()
        with raw(self.ledger.location) as connection:
            connection.execute(
                "CREATE TRIGGER refused BEFORE INSERT ON wallet_transactions WHEN NEW.user_discord_id = 1"
                " BEGIN SELECT RAISE(ABORT, 'the bank is closed'); END"
            )
            await self.run()
            connection.execute("DROP TRIGGER refused")
        await self.tell(self.service.retry(ADA, number))
        await self.run()
        self.told.append(await self.service.retry_notifications(ADA))

    async def reversals_and_refunds(self) -> None:
        """Reverse a payout, cancel another reversal, and refund what was paid."""
        service, first = self.service, self.numbers[0]
        reversal = await service.propose_reversal(ADA, first, reason="a stolen card", referrer_id=1)
        await self.tell(service.approve_reversal(EVE, reversal.number))
        await self.tell(service.approve_reversal(ADA, reversal.number))
        other = await service.propose_reversal(ADA, first, reason="a mistake", referrer_id=2)
        await self.tell(service.cancel_reversal(ADA, other.number))
        self.told.append(await self.database.log_referral_refund("order-1"))

    async def weeks(self) -> None:
        """Pause, resume, skip, pay and miss weekly batches."""
        service = self.service
        await service.open_schedule()
        await self.tell(service.pause_schedule(ADA, "counting"))
        await self.tell(service.resume_schedule(ADA))
        skipped = await service.skip_next(ADA, "holiday")
        await self.tell(service.skip_slot(ADA, skipped + timedelta(weeks=1)))
        await self.tell(service.unskip_slot(ADA, skipped + timedelta(weeks=1)))
        await self.tell(service.unskip_slot(ADA, skipped + timedelta(weeks=1)))
        await self.tell(service.unskip_next(ADA))
        await self.tell(service.unskip_next(ADA))
        await self.tell(service.skip_slot(ADA, skipped, "holiday"))
        await self.tell(service.skip_slot(ADA, skipped + timedelta(weeks=1)))
        await self.ledger.earn_all([(1, 700)])
        paid_at = skipped + timedelta(weeks=2)
        self.clock.moment = paid_at + timedelta(minutes=1)
        await service.pay_slot(paid_at)
        await self.tell(service.pay_slot(paid_at))
        await self.run()
        self.clock.moment = paid_at + timedelta(weeks=1, hours=30)
        self.told.append(await service.miss_slot(paid_at + timedelta(weeks=1), "late"))
        self.told.append(await service.miss_slot(paid_at + timedelta(weeks=1), "late"))

    async def sign_ins(self) -> None:
        """Sign in by a link, once, and out; the bot notes the admin's name."""
        service = self.service
        await self.database.write(member_names.keep, 7, "Ada", now=self.clock())
        self.told.append((await self.database.read(member_names.find, [7]))[7].name)
        token = (await service.issue_link(ADA)).rpartition("/")[2]
        self.told.append(await service.redeem_link(token))
        await self.tell(service.redeem_link(token))
        session = await service.find_session(await service.open_session(ADA))
        assert session is not None
        await service.sign_out(ADA, session)
        other = await service.find_session(await service.open_session(ADA))
        assert other is not None
        await service.end_session(ADA, other)

    async def withdrawals(self) -> None:
        """Adjust a wallet, and ask for withdrawals that are cancelled, declined, paid, and approved by two."""
        service, member = self.service, 10**17
        await self.database.ensure_user(member)
        self.told.append(await service.adjust_wallet(ADA, member, 90_000, reason="a gift"))
        await self.tell(service.adjust_wallet(ADA, member, 200_000, reason="a large gift"))
        self.told.append(await service.adjust_wallet(ADA, member, 200_000, reason="a gift", approver_id=EVE.user_id))
        asked = await service.request_withdrawal(member, 200, "paypal", "bob@example.org")
        await self.tell(service.request_withdrawal(member, 200, "paypal", "bob@example.org"))
        await self.tell(service.cancel_withdrawal(member, asked.number))
        asked = await service.request_withdrawal(member, 300, "paypal", "bob@example.org")
        await self.tell(service.decline_withdrawal(ADA, asked.number, reason="a doubt"))
        asked = await service.request_withdrawal(member, 150_000, "paypal", "bob@example.org")
        await self.tell(service.approve_withdrawal(ADA, asked.number))
        await self.tell(service.pay_withdrawal(ADA, asked.number, reference="T-1"))
        await self.tell(service.pay_withdrawal(EVE, asked.number, reference="T-1"))
        self.clock.advance(timedelta(days=40).total_seconds())
        self.told.append(await service.erase_destinations())
        await self.payouts_sent_on(member)

    async def payouts_sent_on(self, member: int) -> None:
        """Send a member's payouts each time, list them for a bank, and send a failed event again."""
        service = self.service
        await self.database.write(events.put_in_force, {"shop": list(Event)}, now=self.clock())
        await service.send_each_time(member, "paypal", "bob@example.org")
        for cents in (300, 200):
            await self.ledger.earn(member, cents)
            await self.ledger.pay(target_user_id=member)
            self.told.append([each.amount_cents for each in await service.send_new_payouts()])
        self.told.append(len(await service.withdrawals_to_transfer(ADA)))
        await service.stop_sending(member)
        delivery, *_ = await self.database.read(events.newest, limit=1)
        await self.database.write(
            events.settle, delivery.number, error="it answered 410", now=self.clock(), is_final=True
        )
        await service.retry_delivery(ADA, delivery.number)

    async def orders(self) -> None:
        """Have orders wait, assign one, correct it, undo a delivery, and win a dispute that came too early."""
        service = self.service
        guests = [UnmatchedPurchase(f"G-{n}", 10_000, None, ("a" * 64,)) for n in range(2)]
        self.told += await service.record_unmatched(guests)
        self.told += [each.order_id for each in await service.waiting_orders(ADA)]
        for _time in range(2):
            await self.tell(service.assign_order(ADA, "G-0", BUYER + 1, reason="a ticket"))
        lost = Refund(order_id="G-0", refund_id="D")
        for refund in (
            Refund(order_id="G-1", amount_cents=300, refund_id="K"),
            lost,
            replace(lost, is_given_back=True),
        ):
            self.told += [getattr(each, "outcome", None) for each in await service.record_refunds(ADA, [refund])]
        await self.tell(service.reassign_order(ADA, "G-0", BUYER + 2, reason="a mistake"))
        await self.tell(service.correct_order_amount(ADA, "G-0", 8_000, reason="a typo"))
        self.told += [each.amount_cents for each in await service.find_orders("G-0")]
        reported: list[Purchase | UnmatchedPurchase] = [
            Purchase("U-1", BUYER + 1, 5_000),
            UnmatchedPurchase("U-2", 700),
        ]
        self.told += [each.outcome for each in await service.record_reported(ADA, reported)]
        number = max(number for (number,) in self.ledger.rows("SELECT number FROM cashback_intakes"))
        undone = await self.database.write(undoing.undo, number, actor="cli", now=self.clock())
        self.told.append((undone.purchases, undone.waiting))

    async def shops(self) -> None:
        """Receive deliveries, look at one again, and claim what waits by its number and by an e-mail."""
        service = self.service
        paid = ShopEvent(kind=EventKind.PAID, order_id="W-1", amount_cents=4_000, currency="USD", number="1001")
        guest = replace(paid, order_id="W-2", number="1002", email="guest@example.org")
        for event in (paid, guest, replace(paid, order_id="W-3", buyer_id=BUYER + 1, is_test=True)):
            body = event.order_id.encode()
            recorded = await service.record_delivery("store", body=body, topic="paid", events=[event])
            self.told.append((recorded.outcome, recorded.reason))
        self.told += [each.outcome for each in (await service.try_delivery("store"))[1]]
        for _time in range(2):
            self.told.append(await service.claim_order(BUYER + 1, "1001"))
            self.told.append(await service.link_email(BUYER + 2, "guest@example.org", "1002"))

    async def lapse(self) -> None:
        """Let an approval lapse."""
        await self.approved()
        self.submitted.clear()
        self.clock.advance(timedelta(days=20).total_seconds())
        self.told.append(len(await self.service.expire()))
