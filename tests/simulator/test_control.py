"""The control interface shows what arrived and sets how the next calls go."""

import pytest

from copilot_api.simulator.options import SimulatorOptions
from tests.simulator.client import CHAT, Client, question
from tests.simulator.conftest import Start


def test_requests_are_listed_in_order_of_arrival_without_the_controls(simulator: Client) -> None:
    simulator.ask(CHAT, "first")
    simulator.api(CHAT, b"not json")
    records = simulator.call("GET", "/_sim/requests").json()["requests"]
    assert [record["path"] for record in records] == ["/copilot_internal/v2/token", CHAT, CHAT]
    exchange, asked, broken = records
    assert list(asked) == ["at", "method", "path", "headers", "body"]
    assert (exchange["method"], exchange["body"]) == ("GET", "")
    assert asked["body"]["messages"][0]["content"] == "first"
    assert asked["headers"]["copilot-integration-id"] == "vscode-chat"
    assert broken["body"] == "not json"
    assert exchange["at"] <= asked["at"] <= broken["at"]


def test_requests_can_be_forgotten(simulator: Client) -> None:
    simulator.ask(CHAT, "hi")
    assert simulator.call("DELETE", "/_sim/requests").json() == {"requests": []}
    assert simulator.call("GET", "/_sim/requests").json() == {"requests": []}


def test_only_the_newest_requests_are_kept(start: Start) -> None:
    client = start(SimulatorOptions(request_log_size=2))
    for text in ("a", "b", "c"):
        client.ask(CHAT, text)
    records = client.call("GET", "/_sim/requests").json()["requests"]
    assert [record["body"]["messages"][0]["content"] for record in records] == ["b", "c"]


def test_counts_can_be_reset(simulator: Client) -> None:
    simulator.ask(CHAT, "hi")
    assert simulator.stats()["requests"] == 2
    zeroed = simulator.call("DELETE", "/_sim/stats").json()
    assert (zeroed["requests"], zeroed["token_exchanges"], zeroed["max_in_flight"]) == (0, 0, 0)


def test_a_pace_is_set_field_by_field(simulator: Client) -> None:
    simulator.control("/pace", tokens=7)
    assert simulator.control("/pace", gap_seconds=0.5) == {"first_token_seconds": 0, "gap_seconds": 0.5, "tokens": 7}
    assert simulator.ask(CHAT, "SIM-FAULT:400").status == 400


def test_a_quota_can_be_set(simulator: Client) -> None:
    simulator.control("/quota", entitlement=10, used=10, overage_permitted=False)
    assert simulator.ask(CHAT, "hi", model="claude-haiku-4.5").status == 402


def test_billed_by_tokens_agents_are_refused_too_when_nothing_is_left(simulator: Client) -> None:
    fields = {"entitlement": 10, "used": 10, "overage_permitted": False, "token_based_billing": True}
    assert simulator.control("/quota", **fields) == fields
    body = question(CHAT, "hi")
    assert simulator.api(CHAT, {**body, "model": "claude-haiku-4.5"}, x_initiator="agent").status == 402
    assert simulator.api(CHAT, body, x_initiator="agent").status == 200, "what is included costs nothing"


def test_a_reset_brings_back_the_defaults(simulator: Client) -> None:
    simulator.control("/pace", tokens=3)
    simulator.control("/faults", name="500")
    simulator.control("/reset")
    simulator._token = None
    assert simulator.ask(CHAT, "hi").json()["usage"]["completion_tokens"] == 24


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/pace", {"tokens": 0}),
        ("/pace", {"gap_seconds": -1}),
        ("/pace", {"gap_seconds": "slow"}),
        ("/faults", {"name": "no-such"}),
        ("/faults", {"name": "500", "count": 0}),
        ("/faults", {"name": 500}),
        ("/faults", {"name": "500", "headers": {"a": "b\r\nc: d"}}),
        ("/device", {"outcome": "maybe"}),
        ("/token", {"refresh_in": "soon"}),
    ],
)
def test_what_makes_no_sense_is_refused(simulator: Client, path: str, fields: dict[str, object]) -> None:
    answer = simulator.call("POST", f"/_sim{path}", fields)
    assert answer.status == 400
    assert "error" in answer.json()


def test_an_unknown_control_is_not_found(simulator: Client) -> None:
    assert simulator.call("GET", "/_sim/nothing").status == 404
