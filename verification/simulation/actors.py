"""Actors around the program: members join and buy, admins propose and press buttons, accidents move the clock."""

from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, Final

import anyio
from anyio.abc import TaskGroup

from cashback.database.payouts import absences
from cashback.database.referral_program import blacklist, purchases, referrals
from cashback.domain.model import Absence, BatchStatus, BatchSummary, Reversal
from cashback.services import CLI, Actor, Source
from verification.simulation.faulty_ledger import SimulatedLedger
from verification.simulation.process import Process
from verification.simulation.wallet_actors import WalletActors
from verification.simulation.world import ADMIN_ROLE, World

FIRST_REFERRER: Final = 10**17
FIRST_BUYER: Final = 2 * 10**17
FIRST_ADMIN: Final = 3 * 10**17
STRANGER: Final = 4 * 10**17
AMOUNTS_CENTS: Final = (0, 1, 99, 199, 1_000, 2_599, 49_999)
RATES_PPM: Final = (5_000, 5_000, 100_000, 333_333, 1_000_000, 333, 0)
RECENT_ORDERS: Final = 100
EDITED_CENTS: Final = 777
FOUNDING_RATE_PPM: Final = 100_000
THINKING_SECONDS: Final = (0.0, 1.0, 20.0, 118.0, 119.99, 121.0, 300.0)
REVERSING_SECONDS: Final = (0.0, 0.0, 1.0, 20.0, 119.99, 300.0)
CLOCK_STEPS: Final = (-3_600.0, -60.0, -1.0, 1.0, 90.0, 3_600.0, 90_000.0)


class Actors:
    """All people outside. Each action is a task of its own, at its own moment."""

    def __init__(self, world: World, crowd: TaskGroup, *, referrers: int, grows: bool = False) -> None:
        """`tasks` runs the actions.

        So many members refer others from the beginning; if the community grows, referred members may do so too.
        """
        self._world = world
        self._crowd = crowd
        self._chance = world.chance
        self._referrers = [FIRST_REFERRER + n for n in range(referrers)]
        self._buyers: list[int] = []
        self._grows = grows
        self._orders = self._refunds = 0
        self._wallets = WalletActors(world, FIRST_ADMIN)
        self._messages: list[tuple[int, str]] = []
        """The proposals that Discord ever showed, by number and token, whatever became of the ledger."""
        self.busy = 0

    def at(self, seconds: float, act: Callable[[], Awaitable[None]]) -> None:
        """Schedule an action so many seconds from now."""
        self.busy += 1

        async def acting() -> None:
            await anyio.sleep(seconds)
            await act()
            self.busy -= 1

        self._crowd.start_soon(acting, name="somebody")

    def member(self) -> Callable[[], Awaitable[None]]:
        """Choose an action for a day without an admin's action."""
        kinds = (self.join, self.buy, self.refund, self.bar_or_forgive, self.leave_or_return)
        [kind] = self._chance.choices(kinds, weights=(6, 20, 2, 0.3, 0.3))
        return kind

    def anybody(self) -> Callable[[], Awaitable[None]]:
        """Choose an action."""
        members = (self.join, self.buy, self.refund, self.bar_or_forgive)
        admins = (self.pay, self.manage, self.take_back, self.press_old_message)
        others = (self.break_or_mend_wallet, self.ring, self.something_rare, self._wallets.anything)
        kinds = (*members, self.spend, *admins, *others)
        [kind] = self._chance.choices(kinds, weights=(2, 4, 3, 1, 1, 4, 3, 4, 1, 1, 2, 2, 8))
        return kind

    # The community.

    async def found(self, ledger: SimulatedLedger) -> None:
        """Begin with some referrals that have bought already."""
        for n in range(self._chance.randint(2, 2 * len(self._referrers))):
            self._buyers.append(FIRST_BUYER + n)
        pairs = [(self._chance.choice(self._referrers), buyer) for buyer in self._buyers]
        await ledger.write(referrals.create_referrals, pairs, ledger.now())
        bought = [
            purchases.Purchase(
                order_id=f"first-{buyer}", buyer_id=buyer, amount_cents=self._chance.choice(AMOUNTS_CENTS)
            )
            for buyer in self._buyers
        ]
        await ledger.write(purchases.record_purchases, bought, FOUNDING_RATE_PPM, ledger.now())

    async def join(self) -> None:
        """Refer a new member; now and then an already referred one, or oneself."""
        referrer = self._chance.choice(self._referrers)
        referred = FIRST_BUYER + len(self._buyers)
        self._buyers.append(referred)
        if self._grows:
            self._referrers.append(referred)
        if self._chance.random() < 0.1:  # noqa: PLR2004 -- one in ten
            referred = self._chance.choice([referrer, *self._buyers, self._chance.choice(self._referrers)])

        async def refer(life: Process) -> None:
            await life.ledger.create_referral(referrer, referred)

        await self._world.insist(f"{referrer} refers {referred}", refer)

    async def buy(self) -> None:
        """Buy something. The shop reports it until it is accepted, now and then twice at once."""
        if not self._buyers:
            return
        self._orders += 1
        order, buyer = f"order-{self._orders}", self._chance.choice(self._buyers)
        cents, rate_ppm = self._chance.choice(AMOUNTS_CENTS), self._chance.choice(RATES_PPM)
        purchase = purchases.Purchase(order_id=order, buyer_id=buyer, amount_cents=cents)
        holding_days = self._world.settings.referral_settings.holding_days

        async def log(life: Process) -> None:
            await life.ledger.write(
                purchases.log_purchase, purchase, rate_ppm, life.ledger.now(), holding_days=holding_days
            )

        await self._perhaps_twice(f"{buyer} buys {order} for {cents} cents at {rate_ppm} ppm", log)

    async def _perhaps_twice(self, what: str, work: Callable[[Process], Awaitable[None]]) -> None:
        """Repeat something until it succeeds; now and then twice at once."""
        async with anyio.create_task_group() as tasks:
            for _ in range(self._chance.choice((1, 1, 1, 1, 2))):
                tasks.start_soon(self._world.insist, what, work)

    async def refund(self) -> None:
        """Refund an order, or a part of it."""
        if not self._world.model.orders:
            return
        order = self._chance.choice(list(self._world.model.orders)[-RECENT_ORDERS:])
        self._refunds += 1
        refund_id, cents = f"refund-{self._refunds}", self._chance.choice((None, 1, 100, 1_299))

        async def give_back(life: Process) -> None:
            await life.ledger.log_referral_refund(order, cents, refund_id)

        await self._perhaps_twice(f"{cents or 'all'} cents of {order} are refunded", give_back)

    async def leave_or_return(self) -> None:
        """Leave the server, or come back."""
        person = self._chance.choice(self._referrers)
        kind = self._chance.choice((None, *Absence))

        async def note(life: Process) -> None:
            if kind is None:
                await life.ledger.write(absences.note_return, person)
            else:
                await life.ledger.write(absences.note, person, kind, life.ledger.now())

        await self._world.insist(f"{person} {kind or 'is here'}", note)

    async def bar_or_forgive(self) -> None:
        """Blacklist a referrer, or end that."""
        person = self._chance.choice(self._referrers)
        barred = person in self._world.model.barred

        async def decide(life: Process) -> None:
            if barred:
                await life.ledger.write(blacklist.unblacklist, person, actor="cli", now=life.ledger.now())
            else:
                await life.ledger.blacklist_referral_user(person, actor="cli")

        await self._world.insist(f"{person} is {'forgiven' if barred else 'barred'}", decide)

    async def mark_paid(self) -> None:
        """Pay a member through another bot."""
        person = self._chance.choice(self._referrers)

        async def mark(life: Process) -> None:
            owed = (await life.ledger.get_pending_cashback_for_user(person))["pending_cents"]
            await life.ledger.mark_cashback_paid(person, self._chance.choice((owed, (owed + 1) // 2, owed + 1)))

        await self._world.ask(f"another bot pays {person}", mark)

    # Admins.

    async def pay(self) -> None:
        """Propose a batch, wait, and press; other users press as well as the entitled one."""
        issuer = self._world.admin(FIRST_ADMIN + self._chance.randrange(2))
        target = self._chance.choice((None, None, self._chance.choice(self._referrers)))

        async def propose(life: Process) -> BatchSummary:
            return await life.service.propose(issuer, target_user_id=target)

        summary = await self._world.ask(f"{issuer} proposes to pay {target or 'everyone'}", propose)
        if summary is None:
            return
        number, token = summary.batch_number, summary.token
        old = [shown for shown in self._messages if shown[0] == number]
        self._messages.append((number, token))
        await anyio.sleep(self._chance.choice(THINKING_SECONDS))
        async with anyio.create_task_group() as clicks:
            for _ in range(self._chance.choice((1, 1, 2, 3))):
                clicks.start_soon(self._press, issuer, number, token)
            if self._chance.random() < 0.3:  # noqa: PLR2004 -- three in ten
                clicks.start_soon(self._press, self._somebody_else(issuer), number, token)
            for _, other_token in old:
                clicks.start_soon(self._press, issuer, number, other_token)
            if self._chance.random() < 0.1:  # noqa: PLR2004 -- one in ten
                await self._press_while_edited(issuer, number, token)
        await self.second(number)

    async def second(self, number: int) -> None:
        """Approve a waiting batch as another admin; now and then twice at once, and as the first admin too."""
        batch = self._world.model.batches.get(number)
        if batch is None or batch.first_approved_by is None:
            return
        await anyio.sleep(self._chance.choice(THINKING_SECONDS))
        async with anyio.create_task_group() as clicks:
            for admin in self._chance.choice(((2,), (2, 2), (0, 2), (1, 2))):
                clicks.start_soon(self._press, self._world.admin(FIRST_ADMIN + admin), number, batch.token)

    async def _press_while_edited(self, issuer: Actor, number: int, token: str) -> None:
        """Press while the plan is not the one that was shown: somebody edits its rows, and mends them afterwards."""
        batch = self._world.model.batches.get(number)
        if batch is None or batch.status is not BatchStatus.PROPOSED or batch.token != token:
            return
        self._world.edit_plan(number, EDITED_CENTS)
        await self._press(issuer, number, token)
        if self._world.model.batches.get(number) is batch:
            self._world.edit_plan(number, -EDITED_CENTS)

    async def press_old_message(self) -> None:
        """Press a button of any message so far; its number may be another batch's since a backup was restored."""
        if self._messages:
            number, token = self._chance.choice(self._messages)
            await self._press(self._world.admin(FIRST_ADMIN + self._chance.randrange(2)), number, token)

    def _somebody_else(self, issuer: Actor) -> Actor:
        """Choose a further presser: another admin, a stranger, or the issuer without the role."""
        without_role = Actor(source=Source.DISCORD, user_id=issuer.user_id)
        stranger = Actor(source=Source.DISCORD, user_id=STRANGER, role_ids=frozenset({STRANGER}))
        return self._chance.choice((self._world.admin(FIRST_ADMIN + 2), stranger, without_role))

    async def _press(self, actor: Actor, number: int, token: str) -> None:
        """Press Confirm, or now and then Cancel."""
        await anyio.sleep(self._chance.choice((0.0, 0.0, 0.05)))
        if self._chance.random() < 0.15:  # noqa: PLR2004 -- one in seven

            async def press(life: Process) -> None:
                await life.service.cancel(actor, number, token=token)

            await self._world.ask(f"{actor} presses Cancel on batch {number}", press)
            return
        if ADMIN_ROLE in actor.role_ids:
            self._world.model.entitled.add((str(actor), number))

        async def confirm(life: Process) -> object:
            return await life.service.approve(actor, number, token=token)

        await self._world.ask(f"{actor} presses Confirm on batch {number}", confirm)

    async def manage(self) -> None:
        """Do any admin's action to one of the newest batches, whether its state allows it or not."""
        batches = list(self._world.model.batches)[-3:]
        if not batches:
            return
        number, admin = self._chance.choice(batches), self._world.admin(FIRST_ADMIN + self._chance.randrange(3))
        acts: dict[str, Callable[[Process], Awaitable[object]]] = {
            "stops": lambda life: life.service.stop(admin, number),
            "resumes": lambda life: life.service.resume(admin, number),
            "gives up the rest of": lambda life: life.service.abandon(admin, number),
            "retries": lambda life: life.service.retry(admin, number, why="a reason"),
        }
        name = self._chance.choice(list(acts))
        await self._world.ask(f"{admin} {name} batch {number}", acts[name])

    async def take_back(self) -> None:
        """Reverse a batch's payouts, or one of them; now and then as two admins, or twice at once."""
        batches = self._world.model.batches
        paid = [number for number, batch in batches.items() if any(one.paid for one in batch.payouts.values())]
        if not batches:
            return
        number, issuer = self._chance.choice(paid or list(batches)), self._world.admin(FIRST_ADMIN)
        payees = sorted(person for person, one in batches[number].payouts.items() if one.paid)
        referrer = self._chance.choice((None, self._chance.choice(payees or self._referrers)))
        if payees and self._chance.random() < 0.5:  # noqa: PLR2004 -- one in two
            # What is reversed must not come back by a decline.
            await self._wallets.ask_for_all(referrer or self._chance.choice(payees))

        async def propose(life: Process) -> Reversal:
            return await life.service.propose_reversal(issuer, number, reason="paid by mistake", referrer_id=referrer)

        reversal = await self._world.ask(f"{issuer} takes back batch {number}, {referrer or 'all of it'}", propose)
        if reversal is None:
            return
        await anyio.sleep(self._chance.choice(REVERSING_SECONDS))
        async with anyio.create_task_group() as clicks:
            for admin in self._chance.choice(((0,), (0, 0), (0, 1), (0, 1, 1))):
                clicks.start_soon(self._decide_reversal, self._world.admin(FIRST_ADMIN + admin), reversal)

    async def _decide_reversal(self, admin: Actor, shown: Reversal) -> None:
        number, token = shown.number, shown.token
        await anyio.sleep(self._chance.choice((0.0, 0.0, 5.0)))
        acts: tuple[Callable[[Process], Awaitable[object]], ...] = (
            lambda life: life.service.approve_reversal(admin, number, token=token),
            lambda life: life.service.cancel_reversal(admin, number, token=token),
        )
        [act] = self._chance.choices(acts, weights=(5, 1))
        await self._world.ask(f"{admin} decides on reversal {number}", act)

    async def break_or_mend_wallet(self) -> None:
        """Make a wallet refuse to be written, or end that."""
        if self._world.model.broken_wallet is None:
            self._world.break_wallet(self._chance.choice(self._referrers))
        else:
            self._world.mend_wallet()

    async def spend(self) -> None:
        """Spend from a wallet, through another bot on the same file."""
        balances = self._world.model.balances
        broken = self._world.model.broken_wallet
        rich = sorted(person for person, cents in balances.items() if cents > 0 and person != broken)
        if rich:
            person = self._chance.choice(rich)
            self._world.spend(person, self._chance.randint(1, balances[person]))

    # The schedule, the machine, and other accidents.

    async def ring(self) -> None:
        """Trigger the weekly batch: early, late, twice, or for nothing."""
        self._world.tell("the bell rings")
        for life in self._world.lives:
            for _ in range(self._chance.randint(1, 2)):
                await life.scheduler.ring()

    async def something_rare(self) -> None:
        """Do one of the things that do not happen every day."""
        rare = (
            self.mark_paid,
            self.leave_or_return,
            self.resume,
            self.touch_schedule,
            self.move_clock,
            self.kill,
            self.stop,
        )
        await self._chance.choice(rare)()

    async def resume(self) -> None:
        """Resubmit the unfinished batches to the runner."""
        await self._world.ask("cli resumes", lambda life: life.service.resume(CLI))

    async def touch_schedule(self) -> None:
        """Pause or resume the schedule, or skip the next slot."""
        admin = self._world.admin(FIRST_ADMIN)
        slot_at = self._world.rule.next_slot(self._world.clock())
        act: Callable[[Process], Coroutine[Any, Any, None]] = self._chance.choice(
            (
                lambda life: life.service.pause_schedule(admin, "a reason"),
                lambda life: life.service.resume_schedule(admin, "a reason"),
                lambda life: life.service.skip_slot(admin, slot_at, "a reason"),
            )
        )
        await self._world.ask("an admin touches the schedule", act)

    async def resume_schedule(self) -> None:
        """End a pause of the schedule."""
        admin = self._world.admin(FIRST_ADMIN)
        await self._world.ask(
            "an admin resumes the schedule", lambda life: life.service.resume_schedule(admin, "enough")
        )

    async def move_clock(self) -> None:
        """Set the clock forward or back."""
        if self._world.fault_rates.clock_step:
            seconds = self._chance.choice(CLOCK_STEPS)
            self._world.tell(f"the clock is moved by {seconds:g} s")
            self._world.clock.move(timedelta(seconds=seconds))

    async def kill(self) -> None:
        """Kill a process."""
        if self._world.lives:
            self._chance.choice(self._world.lives).faults.die("by a kill")

    async def stop(self) -> None:
        """Ask a process to stop."""
        if self._world.lives:
            self._world.tell("a process is asked to stop")
            self._chance.choice(self._world.lives).stop()
