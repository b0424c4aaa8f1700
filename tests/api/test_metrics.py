"""`GET /metrics`: who may read it, and what of a request decides that."""

import asyncio
from typing import Any

import pytest

from copilot_api.api.door import Door
from copilot_api.api.metrics import MetricsEndpoint
from copilot_api.config.schema import MetricsAccess
from copilot_api.config.settings import MetricsSettings
from copilot_api.keys.service import IssuedKey
from copilot_api.observability.metric_families import MetricFamilies
from copilot_api.observability.metrics import Metrics
from tests.api.wire import Reply, ask
from tests.fakes import FakeClock
from tests.observability.promlint import find_faults, parse_openmetrics, sum_of
from tests.observability.test_exposition import BAD
from tests.observability.test_metric_families import QUIET
from tests.observability.test_metrics import ended

LOOPBACK = ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"]
ELSEWHERE = ["192.0.2.1", "10.0.0.1", "::", "0.0.0.0", "::ffff:192.0.2.1", "fe80::1", ""]


def make_endpoint(
    door: Door, access: MetricsAccess = "loopback", *, is_on: bool = True, keys: int = 1
) -> MetricsEndpoint:
    metrics = Metrics(FakeClock())
    for number in range(keys):
        metrics(ended(key_id=f"key_{number}"))
    families = MetricFamilies(metrics, lambda: QUIET, nano_per_credit=1_000_000_000)
    return MetricsEndpoint(door, families, MetricsSettings(is_on, access))


def scrape(
    endpoint: MetricsEndpoint,
    headers: dict[str, str] | None = None,
    *,
    peer: str | None = "127.0.0.1",
    key: IssuedKey | None = None,
) -> Reply:
    """What a scraper there gets, with that key, and `headers` beside those that are usual."""
    given = {"host": "127.0.0.1:4141", **(headers or {})}
    if key is not None:
        given["authorization"] = f"Bearer {key.secret}"

    async def come_from(scope: Any, receive: Any, send: Any) -> None:
        await endpoint({**scope, "client": None if peer is None else (peer, 50_000)}, receive, send)

    return asyncio.run(ask(come_from, "/metrics", headers=given))


def test_a_program_on_this_machine_needs_no_key(door: Door) -> None:
    for peer in LOOPBACK:
        reply = scrape(make_endpoint(door), peer=peer)
        assert reply.status == 200
        assert find_faults(reply.body.decode()) == []
        assert sum_of(reply.body.decode(), "copilot_api_requests_total") == 1


@pytest.mark.parametrize("peer", [*ELSEWHERE, None])
def test_everybody_else_needs_an_admin_key(door: Door, peer: str | None, client: IssuedKey, admin: IssuedKey) -> None:
    endpoint = make_endpoint(door)
    assert scrape(endpoint, peer=peer).status == 401
    assert scrape(endpoint, peer=peer, key=client).status == 403
    assert scrape(endpoint, peer=peer, key=admin).status == 200


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip"])
@pytest.mark.parametrize("value", ["127.0.0.1", "192.0.2.1", "for=127.0.0.1", ""])
def test_what_came_by_way_of_a_proxy_is_not_of_this_machine(
    door: Door, admin: IssuedKey, header: str, value: str
) -> None:
    """A proxy on this machine is, and whoever stands before it need not be."""
    endpoint = make_endpoint(door)
    assert scrape(endpoint, {header: value}).status == 401
    assert scrape(endpoint, {header: value}, key=admin).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}, {"host": "evil.example:4141"},
        {"host": "127.0.0.1.evil.example"},
    ],
)  # fmt: skip
def test_a_page_in_a_browser_of_this_machine_is_not_let_in(door: Door, headers: dict[str, str]) -> None:
    """Nor one whose name was made to lead here."""
    assert scrape(make_endpoint(door), headers).status == 401


@pytest.mark.parametrize("host", ["localhost:4141", "127.0.0.1", "[::1]:4141"])
def test_the_operators_own_browser_is_let_in(door: Door, host: str) -> None:
    assert scrape(make_endpoint(door), {"host": host, "sec-fetch-site": "none"}).status == 200


def test_access_may_be_the_admins_alone(door: Door, client: IssuedKey, admin: IssuedKey) -> None:
    endpoint = make_endpoint(door, "admin")
    assert [scrape(endpoint, key=key).status for key in (None, client, admin)] == [401, 403, 200]


def test_access_may_be_everybodys(door: Door) -> None:
    endpoint = make_endpoint(door, "open")
    assert scrape(endpoint, {"x-forwarded-for": "198.51.100.1"}, peer="192.0.2.1").status == 200


@pytest.mark.parametrize("access", ["loopback", "admin"])
def test_without_authentication_it_is_still_not_everybodys(
    open_door: Door, admin: IssuedKey, access: MetricsAccess
) -> None:
    endpoint = make_endpoint(open_door, access)
    assert scrape(endpoint, peer="192.0.2.1").status == 401
    assert scrape(endpoint, peer="192.0.2.1", key=admin).status == 200


@pytest.mark.parametrize("access", ["loopback", "admin", "open"])
def test_switched_off_it_says_how_it_is_switched_on(door: Door, admin: IssuedKey, access: MetricsAccess) -> None:
    reply = scrape(make_endpoint(door, access, is_on=False), key=admin)
    assert reply.status == 404
    assert reply.json["error"]["code"] == "route_not_found"
    assert "copilot-api config set features.metrics true" in reply.json["error"]["message"]


def test_a_change_of_the_settings_holds_for_the_next_scrape_and_keeps_the_counts(door: Door) -> None:
    endpoint = make_endpoint(door)
    before = scrape(endpoint)
    for settings in (MetricsSettings(is_on=False), MetricsSettings(access="admin")):
        endpoint.settings = settings
        assert scrape(endpoint).status in {401, 404}
    endpoint.settings = MetricsSettings()
    after = scrape(endpoint).body.decode()
    assert (
        sum_of(after, "copilot_api_requests_total") == sum_of(before.body.decode(), "copilot_api_requests_total") == 1
    )


def test_no_cache_keeps_an_answer_or_a_refusal(door: Door) -> None:
    for endpoint in (make_endpoint(door), make_endpoint(door, "admin"), make_endpoint(door, is_on=False)):
        reply = scrape(endpoint)
        assert reply.headers is not None
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-request-id"].startswith("req_")


def test_the_form_is_what_the_scraper_accepts(door: Door) -> None:
    reply = scrape(make_endpoint(door), {"accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"})
    assert reply.headers is not None
    assert reply.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert len(parse_openmetrics(reply.body.decode())) > 20


@pytest.mark.parametrize("accept", [each for each in BAD if len(each) < 200], ids=lambda accept: accept[:40])
def test_an_accept_header_that_is_none_is_no_error(door: Door, accept: str) -> None:
    assert scrape(make_endpoint(door), {"accept": accept}).status == 200


def test_others_have_their_turn_while_it_is_made(door: Door) -> None:
    """A thousand keys are thousands of lines: the loop goes on with calls in between."""
    endpoint, turns = make_endpoint(door, keys=1_000), 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def both() -> Reply:
        counting = asyncio.get_running_loop().create_task(count_turns())
        reply = await ask(endpoint, "/metrics", headers={"host": "127.0.0.1"})
        counting.cancel()
        return reply

    endpoint.settings = MetricsSettings(access="open")
    reply = asyncio.run(both())
    assert reply.body.count(b"copilot_api_key_requests_total{") == 1_000
    assert turns > 40
