"""Paddle's and Shopify's own libraries for Node accept what the sandbox signs, and refuse what the intake refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cashback.shops.webhooks import KINDS
from cashback.shops.webhooks.kind import Delivery, UnverifiedError
from sandbox.shop import Order, Request, sender_of
from tests import npm

PACKAGES = ("@paddle/paddle-node-sdk@3.10.0", "@shopify/shopify-api@15.0.0")
NOW = datetime(2026, 3, 6, 12, tzinfo=UTC)
KEY = "pdl_ntfset_fj3SgVvhEKTq9XwAZBm5"
OTHER_KEY = "pdl_ntfset_another-secret"
ORDERS = [
    Order(number=1001, goods_cents=10_000, tax_cents=1_900, discord_id=222222222222222222),
    Order(number=1002, goods_cents=1, email="zoë.🎈@example.com"),
]

# One question a line, one answer a line. Their clock stands at ours, because both doubt old timestamps.
SCRIPT = """
import "@shopify/shopify-api/adapters/node";
import { createInterface } from "node:readline";
import { Environment, Paddle } from "@paddle/paddle-node-sdk";
import { ApiVersion, LogSeverity, shopifyApi } from "@shopify/shopify-api";

const paddle = new Paddle("no key", { environment: Environment.sandbox });
const checks = {
  paddle: ({ body, secret, headers }) => paddle.webhooks.isSignatureValid(body, secret, headers["Paddle-Signature"]),
  shopify: async ({ body, secret, headers }) => {
    const shopify = shopifyApi({
      apiKey: "key", apiSecretKey: secret, apiVersion: ApiVersion.July26, hostName: "example.com", isEmbeddedApp: false,
      logger: { level: LogSeverity.Error },
    });
    const sent = { "X-Shopify-Topic": "orders/paid", "X-Shopify-API-Version": "2026-07", ...headers };
    const answer = await shopify.webhooks.validate({ rawBody: body, rawRequest: { headers: sent }, rawResponse: {} });
    if (!answer.valid && answer.reason !== "invalid_hmac") throw new Error(JSON.stringify(answer));
    return answer.valid;
  },
};
for await (const line of createInterface({ input: process.stdin })) {
  const question = JSON.parse(line);
  Date = class extends Date { constructor(...given) { given.length ? super(...given) : super(question.now) } };
  console.log(await checks[question.kind](question));
}
"""


@dataclass(frozen=True)
class Question:
    """A body with a signature, as it arrives at a shop owner's server."""

    kind: str
    request: Request
    body: str
    secret: str = KEY

    def as_json(self) -> str:
        """Return it for the vendors' libraries."""
        asked = {"kind": self.kind, "body": self.body, "secret": self.secret, "headers": dict(self.request.headers)}
        return json.dumps({**asked, "now": int(NOW.timestamp() * 1000)})

    def is_accepted_here(self) -> bool:
        """Return what the intake finds."""
        headers = {name.lower(): value for name, value in self.request.headers.items()}
        delivery = Delivery(headers=headers, body=self.body.encode(), now=NOW, url="", query={})
        try:
            KINDS[self.kind].verify(delivery, [self.secret.encode()])
        except UnverifiedError:
            return False
        return True


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the vendors' libraries and the script that asks them."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed; it runs the vendors' libraries")
    folder = tmp_path_factory.mktemp("vendors")
    npm.fetch(folder, *PACKAGES)
    (folder / "check.mjs").write_text(SCRIPT, encoding="utf-8")
    return folder


def vendors_answers(folder: Path, questions: list[Question]) -> list[bool]:
    """Ask the vendors' libraries whether they accept each delivery."""
    asked = "\n".join(question.as_json() for question in questions)
    ran = subprocess.run(["node", "check.mjs"], cwd=folder, input=asked, capture_output=True, text=True, check=False)
    assert not ran.returncode, ran.stderr
    return [line == "true" for line in ran.stdout.splitlines()]


@pytest.mark.proof
@pytest.mark.parametrize("kind", ["paddle", "shopify"])
def test_vendors_library_and_the_intake_accept_the_same_deliveries(libraries: Path, kind: str) -> None:
    right, wrong = [], []
    for order in ORDERS:
        sender = sender_of(kind, KEY, "")
        disputed = sender.disputed(order, NOW)
        assert disputed is not None
        for request in (sender.paid(order, NOW), disputed):
            body = request.body.decode()
            right.append(Question(kind, request, body))
            changed = (body[:-1], body + "\n", "{}", json.dumps(json.loads(body), indent=1))
            wrong += [Question(kind, request, each) for each in changed]
            wrong.append(Question(kind, request, body, OTHER_KEY))
    if kind == "paddle":
        stale = sender_of(kind, KEY, "").paid(ORDERS[0], NOW - timedelta(minutes=6))
        wrong.append(Question(kind, stale, stale.body.decode()))
    answers = vendors_answers(libraries, right + wrong)
    assert answers == [True] * len(right) + [False] * len(wrong)
    assert [question.is_accepted_here() for question in right + wrong] == answers
