"""People around the wallets: members ask for money and cancel, admins decide, correct, and decide on their own."""

from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from cashback.domain.withdrawals import Withdrawal
from cashback.services import Actor
from verification.simulation.process import Process
from verification.simulation.world import World

METHOD: Final = "gift-card"
"""It has no destination: an encrypted one is another at each run."""

WITHDRAWN_CENTS: Final = (1, 100, 250, 1_500)
ADJUSTED_CENTS: Final = (-2_000, -100, -1, 1, 100, 500, 900, 2_000)
THINKING_SECONDS: Final = (0.0, 0.0, 1.0, 40.0)
ADMINS: Final = (0, 0, 1, 2)


class WalletActors:
    """Members with something in the wallet, and the admins that decide on what they ask for."""

    def __init__(self, world: World, first_admin: int) -> None:
        """`first_admin` and the two ids after it are admins."""
        self._world = world
        self._chance = world.chance
        self._first_admin = first_admin
        self._shown: list[Withdrawal] = []
        """All requests that Discord ever showed, whatever became of the ledger."""

    async def anything(self) -> None:
        """Choose an action."""
        acts = (self.ask, self.decide, self.adjust, self.send_each_time)
        for act in self._chance.choices(acts, weights=(3, 3, 1, 1), k=self._chance.randint(1, 4)):
            await act()

    async def ask(self) -> None:
        """Ask for a part of the wallet, all of it or more; now and then twice at once."""
        balances = self._world.model.balances
        if not balances:
            return
        rich = sorted(person for person, cents in balances.items() if cents > 0)
        if not rich:
            await self.adjust()
        member = self._chance.choice(rich or sorted(balances))
        cents = self._chance.choice((*WITHDRAWN_CENTS, balances[member], balances[member] + 1))
        async with anyio.create_task_group() as tasks:
            for _ in range(self._chance.choice((1, 1, 1, 2))):
                tasks.start_soon(self._ask, member, cents)

    async def ask_for_all(self, member: int) -> None:
        """Ask for everything in a member's wallet, or for as much of it as one request may be."""
        cents = self._world.model.balances.get(member, 0)
        most = self._world.settings.withdrawals.maximum_cents
        await self._ask(member, cents if most is None else min(cents, most))

    async def _ask(self, member: int, cents: int) -> None:
        async def request(life: Process) -> Withdrawal:
            return await life.service.request_withdrawal(member, cents, METHOD)

        asked = await self._world.ask(f"{member} asks for {cents} cents", request)
        if asked is not None:
            self._shown.append(asked)

    async def decide(self) -> None:
        """Decide on a request that was ever shown, newest first; now and then as two people at once."""
        if not self._shown:
            return
        shown = self._chance.choice(self._shown[-4:])
        await anyio.sleep(self._chance.choice(THINKING_SECONDS))
        async with anyio.create_task_group() as tasks:
            for _ in range(self._chance.choice((1, 1, 2, 3))):
                tasks.start_soon(self._decide, shown)

    async def _decide(self, shown: Withdrawal) -> None:
        number, version = shown.number, shown.version
        admin = self._admin(shown.user_id)
        acts: dict[str, Callable[[Process], Awaitable[Withdrawal]]] = {
            "approves": lambda life: life.service.approve_withdrawal(admin, number, version=version),
            "pays": lambda life: life.service.pay_withdrawal(admin, number, reference="T", version=version),
            "declines": lambda life: life.service.decline_withdrawal(admin, number, reason="no", version=version),
            "cancels": lambda life: life.service.cancel_withdrawal(shown.user_id, number, version=version),
        }
        [name] = self._chance.choices(list(acts), weights=(3, 4, 2, 2))
        who = shown.user_id if name == "cancels" else admin
        await self._world.ask(f"{who} {name} withdrawal {number}", acts[name])

    def _admin(self, member: int) -> Actor:
        """Choose an admin; now and then the member is one."""
        if self._chance.random() < 0.1:  # noqa: PLR2004 -- one in ten
            return self._world.admin(member)
        return self._world.admin(self._first_admin + self._chance.choice(ADMINS))

    async def send_each_time(self) -> None:
        """Let each payout be sent, or end that."""
        member = self._chance.choice(sorted(self._world.model.balances) or [self._first_admin])

        async def wish(life: Process) -> None:
            if self._chance.random() < 0.8:  # noqa: PLR2004 -- four in five
                await life.service.send_each_time(member, METHOD)
            else:
                await life.service.stop_sending(member)

        await self._world.ask(f"{member} lets each payout be sent, or ends that", wish)

    async def adjust(self) -> None:
        """Correct a wallet, alone or with a second admin."""
        balances = self._world.model.balances
        if not balances:
            return
        member, cents = self._chance.choice(sorted(balances)), self._chance.choice(ADJUSTED_CENTS)
        admin = self._admin(member)
        second = self._chance.choice((None, admin.user_id, self._first_admin + 2, member))

        async def correct(life: Process) -> int:
            return await life.service.adjust_wallet(admin, member, cents, reason="a mistake", approver_id=second)

        await self._world.ask(f"{admin} adjusts the wallet of {member} by {cents}, with {second}", correct)
