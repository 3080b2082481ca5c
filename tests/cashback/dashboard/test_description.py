"""The intake against its OpenAPI document: no server error, and no undocumented answer."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import anyio.to_thread
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from cashback.dashboard import openapi
from tests.cashback.dashboard.conftest import DashboardFixture, signed
from tests.conftest import Clock

pytestmark = pytest.mark.anyio

load_all_checks()
CHECKED: Any = CHECKS.get_by_names(
    ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance"]
)


def sent(
    session: requests.Session, case: Case[Any], address: str, clock: Clock, *, is_signed: bool
) -> requests.Response:
    """Send a case as it is, or signed like a shop's request."""
    wanted: dict[str, Any] = case.as_transport_kwargs(base_url=address)
    body = json.dumps(wanted["json"]).encode() if "json" in wanted else wanted.get("data") or b""
    headers = {**wanted["headers"], **signed(body, at=clock())} if is_signed else wanted["headers"]
    return session.request(wanted["method"], wanted["url"], data=body, headers=headers, timeout=10)


@pytest.mark.parametrize("path", ["/api/v1/purchases", "/api/v1/refunds"])
async def test_every_response_matches_the_document(site: DashboardFixture, clock: Clock, path: str) -> None:
    # The test provokes refusals, so the limit of refusals must not block it.
    site.dashboard._intake._refusals._capacity = site.dashboard._intake._refusals._per_second = 1e9
    operation = schemathesis.openapi.from_dict(openapi.document(site.address))[path]["POST"]
    statuses: set[int] = set()

    def check(mode: GenerationMode, *, examples: int, is_signed: st.SearchStrategy[bool]) -> None:
        @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode), is_signed=is_signed)
        def answered(case: Case[Any], is_signed: bool) -> None:
            answer = sent(session, case, site.address, clock, is_signed=is_signed)
            statuses.add(answer.status_code)
            case.validate_response(answer, checks=CHECKED)

        with requests.Session() as session:
            answered()

    await anyio.to_thread.run_sync(partial(check, GenerationMode.POSITIVE, examples=30, is_signed=st.just(value=True)))
    assert statuses & {200, 409}
    await anyio.to_thread.run_sync(partial(check, GenerationMode.NEGATIVE, examples=30, is_signed=st.booleans()))
    assert {401, 422} <= statuses
    assert max(statuses) < 500
