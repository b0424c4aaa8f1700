"""Calls under way as an admin sees them, and ends them: queued, waiting, and in the middle of a stream."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.faults.client import chat
from tests.harness import http_json, wait_until
from tests.live.site import Site


@pytest.fixture
def admin(site: Site) -> str:
    return (site.home / "admin.key.txt").read_text().strip()


def calls(site: Site, admin: str) -> list[dict[str, Any]]:
    status, overview = http_json("GET", f"{site.gateway.url}/admin/api/overview", key=admin)
    assert status == 200
    found: list[dict[str, Any]] = overview["calls"]
    return found


def cancel(site: Site, admin: str, request_id: str) -> tuple[int, Any]:
    return http_json("POST", f"{site.gateway.url}/admin/api/calls/{request_id}/cancel", key=admin)


def wait_for(site: Site, admin: str, phase: str, count: int = 1) -> list[dict[str, Any]]:
    """The calls that are that far, once there are so many."""

    def found() -> list[dict[str, Any]]:
        return [call for call in calls(site, admin) if call["phase"] == phase]

    wait_until(lambda: len(found()) == count, 10, f"{count} {phase}")
    return found()


@pytest.mark.parametrize(
    ("pace", "phase", "status"),
    [
        ({"first_token_seconds": 20}, "waiting", 503),
        ({"gap_seconds": 1, "tokens": 30}, "streaming", 200),
    ],
)
def test_a_call_ends_with_words_and_is_in_the_ledger_once(
    site: Site, admin: str, pace: dict[str, float], phase: str, status: int
) -> None:
    key = site.make_key()
    site.pace(**pace)
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(site.ask, key["key"], stream=True)
        (call,) = wait_for(site, admin, phase)
        assert (call["key_id"], call["model"], call["stream"], call["queue_place"]) == (
            key["id"],
            "gpt-4.1",
            True,
            None,
        )
        assert cancel(site, admin, call["request_id"])[0] == 200
        answer = answering.result(10)
    assert answer.status == status
    assert b"call_cancelled" in answer.body
    assert b"[DONE]" not in answer.body
    (event,) = site.events(call["request_id"])
    assert (event["cause"], event["status"]) == ("interrupted", status)
    assert sum(each["request_id"] == call["request_id"] for each in site.gateway.events()) == 1
    wait_until(lambda: site.simulator.stats["in_flight"] == 0, 5, "the upstream call is broken off")
    assert cancel(site, admin, call["request_id"])[0] == 404
    status, audit = http_json(
        "GET", f"{site.gateway.url}/admin/api/audit?action=call.cancelled&target={call['request_id']}", key=admin
    )
    assert [line["detail"] for line in audit["events"]] == [{"key_id": key["id"], "phase": phase}]


def test_those_in_line_say_their_place_and_give_it_up(site: Site, admin: str) -> None:
    key = site.key()
    site.put({"limits": {"max_in_flight_per_identity": 1}})
    site.pace(first_token_seconds=1.5)
    for _ in range(3):
        site.open(key)
    queued = wait_for(site, admin, "queued", 2)
    assert sorted(call["queue_place"] for call in queued) == [1, 2]
    first = next(call for call in queued if call["queue_place"] == 1)
    assert cancel(site, admin, first["request_id"])[0] == 200
    (left,) = wait_for(site, admin, "queued", 1)
    assert left["queue_place"] == 1
    (event,) = site.events(first["request_id"])
    assert (event["cause"], event["upstream_model"]) == ("interrupted", None), "nothing was sent, nothing is charged"


def test_the_connection_of_a_call_that_was_ended_goes_on(site: Site, admin: str) -> None:
    key = site.key()
    site.pace(first_token_seconds=20)
    caller = site.open(key)
    (call,) = wait_for(site, admin, "waiting")
    assert cancel(site, admin, call["request_id"])[0] == 200
    assert b" 503 " in caller.read_until(b"request id: ")
    site.pace(first_token_seconds=0)
    caller.send_call(key, chat())
    caller.read_until(b"HTTP/1.1 200 OK")
