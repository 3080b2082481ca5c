"""Metrics, health, and the operators' files that use them."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import anyio.to_thread
import pytest
from prometheus_client import CollectorRegistry

from cashback.dashboard import CountingMessenger
from cashback.dashboard.ledger_metrics import LedgerMetrics
from cashback.dashboard.metrics import Metrics, version
from cashback.database import schema
from cashback.database.queries.upkeep import Upkeep
from cashback.domain.model import Delivery, DeliveryStatus, PayoutNotice
from cli import app
from tests.cashback.dashboard.conftest import Browser, DashboardFixture
from tests.cashback.dashboard.test_batches import finished, refuse_wallets

pytestmark = pytest.mark.anyio

OPS = Path(__file__).parents[3] / "deploy"


async def numbers(browser: Browser) -> dict[str, float]:
    """Read all metrics."""
    status, text = await browser.get("/metrics")
    assert status == 200
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


async def test_metrics_match_the_ledger(site: DashboardFixture) -> None:
    await site.ledger.earn_all((person, 100) for person in range(1, 1_201))
    refuse_wallets(site, 7, 8)
    async with site.signed_in() as browser:
        found = await numbers(browser)
        assert found["cashback_pending_cents"] == 120_000
        assert found["cashback_pending_referrers"] == 1_200
        await browser.post("/batches")
        await browser.post("/batches/1/confirm")
        await finished(site, 1)
        await browser.post("/audit/verify")
        await site.dashboard._snapshot._overviews.renew("ledger")
        found = await numbers(browser)
    assert found['cashback_payouts_settled_total{outcome="credited"}'] == 1_198
    assert found['cashback_payouts_settled_total{outcome="failed"}'] == 2
    assert found["cashback_credited_cents_total"] == 119_800
    assert found["cashback_paid_cents"] == 119_800
    assert found['cashback_runs_total{outcome="completed_with_failures"}'] == 1
    assert found['cashback_batches{status="completed_with_failures"}'] == 1
    assert found['cashback_payouts{status="failed"}'] == 2
    assert found['cashback_direct_messages{status="queued"}'] == 1_198
    assert found["cashback_chunk_seconds_count"] == 2
    assert found["cashback_runner_batches"] == 0
    assert found["cashback_last_verify_breaches"] == 0
    assert found["cashback_last_verify_timestamp_seconds"] == site.ledger.clock().timestamp()
    assert found['cashback_healthy{part="Ledger"}'] == 1


async def test_delivery_attempts_are_counted_by_outcome() -> None:
    class UndeliverableMessenger:
        async def send(self, notice: PayoutNotice) -> Delivery:
            return Delivery(status=DeliveryStatus.UNDELIVERABLE, reason="closed")

    metrics = Metrics()
    notice = PayoutNotice(
        notification_id=1,
        user_id=5,
        batch_id="BATCH-20260703-150000",
        amount_cents=1,
        referral_count=1,
        balance_after_cents=1,
        attempts=0,
        dm_channel_id=None,
    )
    assert (await CountingMessenger(metrics, UndeliverableMessenger()).send(notice)).reason == "closed"
    labels = {"outcome": "undeliverable"}
    assert metrics.registry.get_sample_value("cashback_direct_message_attempts_total", labels) == 1


async def test_metrics_are_refused_to_other_machines(site: DashboardFixture) -> None:
    async with site.stranger() as browser:
        assert (await browser.get("/metrics"))[0] == 200
        assert (await browser.get("/metrics", **{"X-Forwarded-For": "192.0.2.7"}))[0] == 403


async def test_readyz_names_failing_parts(site: DashboardFixture) -> None:
    async with site.stranger() as browser:
        assert await browser.get("/healthz") == (200, '{"status": "ok"}')
        status, text = await browser.get("/readyz")
        assert (status, json.loads(text)["status"]) == (200, "ok")
        site.guild.is_away = True
        status, text = await browser.get("/readyz")
        assert (status, json.loads(text)["checks"]["Discord"]) == (503, "failing")
        site.guild.is_away = False
        moved = site.ledger.path.with_suffix(".gone")
        site.ledger.path.rename(moved)
        status, text = await browser.get("/readyz")
        assert (status, json.loads(text)["checks"]["Ledger"]) == (503, "failing")
        assert (await browser.get("/healthz"))[0] == 200
        moved.rename(site.ledger.path)


@pytest.mark.parametrize("name", ["grafana-dashboard.json", "alerts.yml"])
async def test_operator_files_use_existing_metrics(site: DashboardFixture, name: str) -> None:
    text = (OPS / name).read_text(encoding="utf-8")
    used = set(re.findall(r"\bcashback_[a-z_]+", text))
    families = list(site.dashboard._metrics.registry.collect())
    known = {sample.name for family in families for sample in family.samples}
    known |= {family.name + ("_total" if family.type == "counter" else "") for family in families}
    assert len(used) > 5
    assert used <= known


async def test_grafana_dashboard_is_valid(site: DashboardFixture) -> None:
    board = json.loads((OPS / "grafana-dashboard.json").read_text(encoding="utf-8"))
    assert board["title"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in board["panels"]:
        assert panel["targets"]
        assert panel["title"]


async def test_grafana_dashboard_has_a_variable_for_instances_that_each_query_uses(site: DashboardFixture) -> None:
    board = json.loads((OPS / "grafana-dashboard.json").read_text(encoding="utf-8"))
    [variable] = [each for each in board["templating"]["list"] if each["name"] == "instance"]
    assert variable["query"]["query"] == "label_values(cashback_healthy, instance)"
    for panel in board["panels"]:
        for target in panel["targets"]:
            used = re.findall(r"\bcashback_[a-z_]+(\{[^}]*\})?", target["expr"])
            assert used
            assert all('instance=~"$instance"' in labels for labels in used), target["expr"]


async def test_grafana_dashboard_takes_the_currency_from_the_metrics(site: DashboardFixture) -> None:
    board = json.loads((OPS / "grafana-dashboard.json").read_text(encoding="utf-8"))
    [variable] = [each for each in board["templating"]["list"] if each["name"] == "currency"]
    assert variable["query"]["query"] == 'label_values(cashback_currency{instance=~"$instance"}, code)'
    amounts = [panel for panel in board["panels"] if "_cents" in panel["targets"][0]["expr"]]
    assert len(amounts) == 2
    for panel in amounts:
        assert "($currency)" in panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] == "locale"
        assert "/ cashback_minor_units" in panel["targets"][0]["expr"]
    async with site.stranger() as browser:
        found = await numbers(browser)
    assert (found['cashback_currency{code="USD"}'], found["cashback_minor_units"]) == (1, 100)


async def test_counters_exist_from_the_start(site: DashboardFixture) -> None:
    async with site.stranger() as browser:
        found = await numbers(browser)
    for name in (
        'cashback_runs_total{outcome="interrupted"}',
        'cashback_payouts_settled_total{outcome="failed"}',
        'cashback_direct_message_attempts_total{outcome="sent"}',
        'cashback_intake_requests_total{status="401"}',
        'cashback_deliveries_refused_total{key="shop"}',
        'cashback_direct_messages{status="failed"}',
        'cashback_schedule_slots{status="missed"}',
    ):
        assert found[name] == 0, name


async def test_metrics_name_the_version_and_answer_although_the_ledger_cannot_be_read(site: DashboardFixture) -> None:
    async with site.stranger() as browser:
        found = await numbers(browser)
        assert found[f'cashback_build_info{{schema="{schema.NEWEST}",version="{version()}"}}'] == 1
        moved = site.ledger.path.with_suffix(".gone")
        site.ledger.path.rename(moved)
        site.dashboard._snapshot._overviews._values.clear()
        assert (await numbers(browser))['cashback_healthy{part="Ledger"}'] == 0
        moved.rename(site.ledger.path)


async def test_verification_on_the_command_line_and_a_backup_are_seen(site: DashboardFixture, tmp_path: Path) -> None:
    async with site.stranger() as browser:
        found = await numbers(browser)
        assert (found["cashback_last_verify_timestamp_seconds"], found["cashback_last_backup_timestamp_seconds"]) == (
            0,
            0,
        )
        config = tmp_path / "config.json"
        config.write_text("{}")
        ledger = ["--config", str(config), "--database", str(site.ledger.path)]
        assert await anyio.to_thread.run_sync(app.run, [*ledger, "verify"]) == 0
        assert await anyio.to_thread.run_sync(app.run, [*ledger, "backup", str(tmp_path / "copy.db")]) == 0
        await site.dashboard._snapshot._overviews.renew("ledger")
        found = await numbers(browser)
    assert found["cashback_last_verify_timestamp_seconds"] > 0
    assert found["cashback_last_backup_timestamp_seconds"] > 0


def test_ledger_on_a_server_has_no_time_of_a_backup() -> None:
    registry = CollectorRegistry()
    LedgerMetrics(registry, is_backed_up_by_us=False)._show_upkeep(
        Upkeep(
            verified_at=None,
            breaches=0,
            backed_up_at=None,
            missed_at=None,
            is_scheduled=False,
            next_slot_at=None,
            waiting_purchases=0,
            oldest_withdrawal_at=None,
        )
    )
    assert math.isnan(registry.get_sample_value("cashback_last_backup_timestamp_seconds") or 0)
