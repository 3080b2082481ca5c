"""`demo`: the whole way of a payout in a temporary folder, from summary to proof. Needs nothing and keeps nothing."""

import tempfile
from pathlib import Path
from typing import Final

import anyio

from console.output import counted, say
from console.reading import verdict_lines
from console.seeding import plant, sample_members
from console.session import Office, open_office
from console.text import audit_line, direct_message_lines, report_lines, summary_lines
from database import audit_log, batches, reconciliation
from desk import CLI
from pipeline.errors import CashbackError, NothingPendingError
from pipeline.messages import BatchReport, BatchSummary, ChunkCredited, Delivery, DeliveryStatus, PayoutNotice
from pipeline.money import dollars
from settings import ReferralSettings, Settings
from stages.notification import Bell, Postman

MESSAGES_SHOWN: Final = 3
MESSAGES_PER_SECOND: Final = 1_000
CHUNK_SIZE: Final = 5
BAR_WIDTH: Final = 30


class Narrator:
    """An observer that writes a run's progress line by line: the same in a terminal and in a log."""

    def __init__(self) -> None:
        """Start before the first payout."""
        self.planned = 0
        self._settled = 0
        self._cents = 0

    async def progressed(self, chunk: ChunkCredited) -> None:
        """Write how far the run is."""
        self._settled += chunk.credited + chunk.failed + chunk.skipped
        self._cents += chunk.credited_cents
        filled = BAR_WIDTH * self._settled // max(self.planned, 1)
        bar = "█" * filled + "░" * (BAR_WIDTH - filled)
        say(f"  {bar}  {self._settled:>2} of {self.planned} paid, {dollars(self._cents)}")

    async def finished(self, report: BatchReport) -> None:
        """Leave the report to the one who tells the story."""

    async def interrupted(self, batch_number: int, reason: str) -> None:
        """Stop the story."""
        raise CashbackError(f"The demo's batch {batch_number} ended early: {reason}")


class Letterbox:
    """A messenger that writes the first few direct messages and counts the others."""

    def __init__(self, brand_name: str) -> None:
        """Take the name that the messages are signed with."""
        self._brand_name = brand_name
        self.delivered = 0

    async def send(self, notice: PayoutNotice) -> Delivery:
        """Deliver one message to the screen."""
        self.delivered += 1
        if self.delivered <= MESSAGES_SHOWN:
            say(f"  To {notice.user_id}:")
            say(*(f"    │ {line}" for line in direct_message_lines(notice, self._brand_name)), "")
        return Delivery(status=DeliveryStatus.SENT)


def demo() -> int:
    """Tell the story."""
    with tempfile.TemporaryDirectory(prefix="cashback-demo-") as folder:
        settings = Settings(
            database=str(Path(folder) / "demo.db"), referral_settings=ReferralSettings(chunk_size=CHUNK_SIZE)
        )
        return anyio.run(_demo, settings)


async def _demo(settings: Settings) -> int:
    narrator = Narrator()
    async with open_office(settings, narrator) as office:
        await _seed(office)
        summary = await _summarize(office)
        await _pay(office, narrator, summary)
        await _deliver(office, settings)
        await _audit(office, summary.batch_number)
        balanced = await _verify(office)
        await _ask_again(office)
    return 0 if balanced else 1


def _chapter(title: str) -> None:
    say("", f"── {title} {'─' * max(4, 72 - len(title))}", "")


async def _seed(office: Office) -> None:
    _chapter("A community whose members refer friends who buy")
    facts = await plant(office.database, sample_members(), lambda _count: None)
    say(
        f"  {counted(facts['referrers'], 'member')} referred {facts['referrals']} friends."
        f" At 0.5% their purchases earned {dollars(facts['pending_cents'])}."
    )


async def _summarize(office: Office) -> BatchSummary:
    _chapter("Admin: !sendref-cashb")
    summary = await office.desk.propose(CLI)
    say(*(f"  {line}".rstrip() for line in summary_lines(summary)))
    return summary


async def _pay(office: Office, narrator: Narrator, summary: BatchSummary) -> None:
    _chapter("Admin: [Confirm]")
    narrator.planned = summary.users
    await office.desk.approve(CLI, summary.batch_number)
    await office.run()
    _chapter("Result")
    report = await office.database.read(batches.report, summary.batch_number)
    say(*(f"  {line}" for line in report_lines(report)[:5]))


async def _deliver(office: Office, settings: Settings) -> None:
    _chapter("Direct messages")
    letterbox = Letterbox(settings.brand_name)
    postman = Postman(office.database, letterbox, Bell(), per_second=MESSAGES_PER_SECOND, retry_attempts=0)
    await postman.deliver_due()
    say(f"  …and {letterbox.delivered - MESSAGES_SHOWN} more: {letterbox.delivered} delivered.")


async def _audit(office: Office, batch_number: int) -> None:
    _chapter("Audit log")
    entries = await office.database.read(audit_log.entries, limit=10, batch_number=batch_number)
    say(*(audit_line(entry) for entry in reversed(entries)))


async def _verify(office: Office) -> bool:
    _chapter("cashback verify")
    verdict = await office.database.read(reconciliation.verify)
    say(*(f"  {line}" for line in verdict_lines(verdict)))
    return verdict.balanced


async def _ask_again(office: Office) -> None:
    _chapter("Admin: !sendref-cashb, once more")
    try:
        await office.desk.propose(CLI)
    except NothingPendingError as nothing:
        say(f"  {nothing} Nobody is paid twice.", "")
