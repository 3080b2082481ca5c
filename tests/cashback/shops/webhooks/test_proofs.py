"""A delivery counts only if it proves that it comes from the shop: by its signature, its token or its address."""

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest
import standardwebhooks
import stripe

from cashback.shops.webhooks import KINDS
from cashback.shops.webhooks.kind import Delivery, StaleError, UnverifiedError
from sandbox.shop import KINDS as SANDBOX_KINDS
from sandbox.shop import Order, Request, sender_of

NOW = datetime(2026, 3, 6, 12, tzinfo=UTC)
URL = "https://cashback.example.com/api/v1/shops/store"
SECRET = "whsec_C2FVsBQIhrscChlQIMV-not-base64-".replace("-", "A") + "A="
ORDER = Order(number=1001, goods_cents=10_000, tax_cents=1_900, discord_id=222222222222222222)
SIGNED = [kind for kind in SANDBOX_KINDS if kind not in {"ko-fi", "gumroad"}]
WITH_TIMESTAMP = ["stripe", "standard-webhooks", "paddle", "api"]


def sent(kind: str, *, secret: str = SECRET, now: datetime = NOW) -> Request:
    return sender_of(kind, secret, URL).paid(ORDER, now)


def verify(
    kind: str, request: Request, *, body: bytes | None = None, secrets: Sequence[str] = (SECRET,), url: str = URL
) -> None:
    delivery = Delivery(
        headers={name.lower(): value for name, value in request.headers.items()},
        body=request.body if body is None else body,
        now=NOW,
        url=url,
        query=dict(parse_qsl(request.query.removeprefix("?"))),
    )
    KINDS[kind].verify(delivery, [secret.encode() for secret in secrets])


def test_sandbox_sends_every_kind() -> None:
    assert set(SANDBOX_KINDS) == set(KINDS)


@pytest.mark.parametrize("kind", SANDBOX_KINDS)
def test_delivery_with_the_secret_is_accepted(kind: str) -> None:
    verify(kind, sent(kind))


@pytest.mark.parametrize("kind", SANDBOX_KINDS)
def test_during_a_rotation_both_secrets_are_accepted(kind: str) -> None:
    verify(kind, sent(kind), secrets=["A" * 40, SECRET])
    verify(kind, sent(kind), secrets=[SECRET, "A" * 40])


@pytest.mark.parametrize("kind", SANDBOX_KINDS)
def test_delivery_with_another_secret_is_refused(kind: str) -> None:
    with pytest.raises(UnverifiedError):
        verify(kind, sent(kind, secret="whsec_" + "B" * 40))


@pytest.mark.parametrize("kind", SANDBOX_KINDS)
def test_delivery_without_proof_is_refused(kind: str) -> None:
    bare = Request(body=b"{}", headers={"Content-Type": "application/json"})
    with pytest.raises(UnverifiedError):
        verify(kind, bare)


@pytest.mark.parametrize("kind", SIGNED)
def test_changed_bodies_are_refused(kind: str) -> None:
    request = sent(kind)
    compact = json.loads(request.body)
    for body in (
        request.body[:-1],
        request.body + b"\n",
        b"",
        json.dumps(compact).encode(),
        json.dumps(compact, separators=(",", ":"), sort_keys=True).encode(),
        request.body.decode().encode("utf-16"),
        request.body.replace(b"222222222222222222", b"333333333333333333"),
    ):
        assert body != request.body
        with pytest.raises(UnverifiedError):
            verify(kind, request, body=body)


@pytest.mark.parametrize("kind", SIGNED)
def test_empty_and_odd_signatures_are_refused(kind: str) -> None:
    request = sent(kind)
    for odd in (
        "",
        " ",
        "=",
        ",",
        "t=,v1=",
        "ts=;h1=",
        "v1,",
        "v1=",
        "é",
        "\ud800",
        "0" * 10_000,
        "t=1,v1=" + "a" * 64,
    ):
        headers = {
            name: odd if "igna" in name or "Hmac" in name or "hmac" in name else value
            for name, value in request.headers.items()
        }
        with pytest.raises(UnverifiedError):
            verify(kind, Request(body=request.body, headers=headers))


@pytest.mark.parametrize("kind", WITH_TIMESTAMP)
@pytest.mark.parametrize("shift", [timedelta(seconds=-301), timedelta(seconds=301), timedelta(days=-400)])
def test_stale_delivery_is_refused(kind: str, shift: timedelta) -> None:
    with pytest.raises(StaleError):
        verify(kind, sent(kind, now=NOW + shift))


@pytest.mark.parametrize("kind", WITH_TIMESTAMP)
def test_five_minutes_are_not_stale(kind: str) -> None:
    verify(kind, sent(kind, now=NOW - timedelta(seconds=300)))


def test_stripe_signature_agrees_with_the_vendors_library() -> None:
    at = int(NOW.timestamp())
    payload = sent("stripe").body.decode()
    signature = stripe.WebhookSignature._compute_signature(f"{at}.{payload}", SECRET)
    theirs = Request(body=payload.encode(), headers={"Stripe-Signature": f"t={at},v1={signature}"})
    verify("stripe", theirs)
    ours = sent("stripe").headers["Stripe-Signature"]
    assert stripe.WebhookSignature.verify_header(payload, ours, SECRET, tolerance=None)


def test_standard_webhooks_signature_agrees_with_their_library() -> None:
    secret = f"whsec_{base64.b64encode(b'k' * 24).decode()}"
    body = sent("standard-webhooks").body
    signature = standardwebhooks.Webhook(secret).sign("msg_1", NOW, body.decode())
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(NOW.timestamp())), "webhook-signature": signature}
    verify("standard-webhooks", Request(body=body, headers=headers), secrets=[secret])
    verify("standard-webhooks", Request(body=body, headers=headers), secrets=["A" * 40, secret])


def test_standard_webhooks_secret_without_prefix_is_the_key_itself() -> None:
    """Polar hands the whole secret to the library as base64 of its bytes."""
    verify(
        "standard-webhooks",
        sent("standard-webhooks", secret="polar_whs_" + "x" * 32),
        secrets=["polar_whs_" + "x" * 32],
    )


def test_standard_webhooks_id_is_signed() -> None:
    request = sent("standard-webhooks")
    with pytest.raises(UnverifiedError):
        verify("standard-webhooks", Request(body=request.body, headers={**request.headers, "webhook-id": "another"}))


def test_square_signature_holds_for_one_address() -> None:
    with pytest.raises(UnverifiedError):
        verify("square", sent("square"), url="https://cashback.example.com/api/v1/shops/other")
