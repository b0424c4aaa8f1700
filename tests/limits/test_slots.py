"""
The slots before Copilot: never more calls there than slots, counted by the simulator; every slot comes back, whatever
ends a call; and the line before them is fair and can be left.
"""

import json
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.client import Answer, ask, chat, poll
from tests.harness import http_json, wait_until
from tests.limits.rig import SLOTS, Rig, statuses


@pytest.fixture(scope="module")
def key(_rig: Rig) -> str:
    return _rig.key()


def test_a_crowd_of_all_kinds_never_takes_more_than_the_slots(rig: Rig, key: str) -> None:
    """Whole answers, streams of every protocol, refusals, faults, hang-ups at any moment, counts of tokens."""
    draw = random.Random(7)
    rig.pace(first_token_seconds=0.02, gap_seconds=0.005, tokens=30)
    message = [{"role": "user", "content": "hi"}]

    def whole() -> Answer:
        return rig.ask(key)

    def stream() -> Answer:
        return rig.ask(key, stream=True)

    def messages() -> Answer:
        body = {"model": "claude-sonnet-4.6", "max_tokens": 50, "messages": message, "stream": True}
        return ask(rig.gateway.url, key, body, path="/v1/messages", seconds=60)

    def count() -> Answer:
        body = {"model": "claude-sonnet-4.6", "messages": message}
        return ask(rig.gateway.url, key, body, path="/v1/messages/count_tokens", seconds=60)

    def embed() -> Answer:
        body = {"model": "text-embedding-3-small", "input": "hi"}
        return ask(rig.gateway.url, key, body, path="/v1/embeddings", seconds=60)

    def fault() -> Answer:
        return rig.ask(key, f"SIM-FAULT:{draw.choice(['500', '422', 'cut', 'html-200'])}", stream=draw.random() < 0.5)

    def leave() -> Answer:
        with rig.open(key, stream=True) as caller:
            if draw.random() < 0.5:
                time.sleep(draw.random() * 0.5)  # most are in line by then
            else:
                caller.read_until(b"\n\n", 2)
            caller.reset()
        return Answer(0, {}, b"", is_whole=False)

    calls = [draw.choice([whole, stream, messages, count, embed, fault, leave, leave]) for _ in range(200)]
    rig.crowd(calls)
    stats = rig.simulator.stats
    assert stats["max_in_flight"] <= SLOTS, stats
    assert stats["aborted"] > 0, "hang-ups reached the upstream"
    rig.assert_all_slots_are_free(key)


def _succeed(rig: Rig, key: str) -> None:
    assert statuses(rig.crowd([lambda: rig.ask(key)] * SLOTS)) == {200: SLOTS}


def _fail(rig: Rig, key: str) -> None:
    assert statuses(rig.crowd([lambda: rig.ask(key, "SIM-FAULT:422")] * SLOTS)) == {422: SLOTS}


def _break_off(rig: Rig, key: str) -> None:
    rig.crowd([lambda: rig.ask(key, "SIM-FAULT:cut", stream=True)] * SLOTS)


def _hang_up_before_the_answer(rig: Rig, key: str) -> None:
    rig.pace(first_token_seconds=30)
    callers = [rig.open(key, stream=bool(number % 2)) for number in range(SLOTS)]
    rig.in_flight(SLOTS)
    for caller in callers:
        caller.close()


def _hang_up_mid_stream(rig: Rig, key: str) -> None:
    rig.pace(first_token_seconds=0, gap_seconds=0.05, tokens=2000)
    callers = [rig.open(key, stream=True) for _ in range(SLOTS)]
    for caller in callers:
        caller.read_until(b"\n\n", 3)
        caller.reset()


def _stall(rig: Rig, key: str) -> None:
    """The upstream says nothing more, ever; it is the client that gives up."""
    callers = [rig.open(key, f"SIM-FAULT:{fault}", stream=True) for fault in ("stall", "stall-headers") * (SLOTS // 2)]
    rig.in_flight(SLOTS)
    time.sleep(0.2)
    for caller in callers:
        caller.close()


def _leave_the_line(rig: Rig, key: str) -> None:
    rig.pace(first_token_seconds=1)
    running = [rig.open(key) for _ in range(SLOTS)]
    rig.in_flight(SLOTS)
    for _ in range(10):
        rig.open(key, stream=True).close()
    for caller in running:
        caller.read_until(b"}")
        caller.close()
    assert rig.simulator.stats["started"] == SLOTS, "who left the line never reached the upstream"


@pytest.mark.parametrize(
    "end",
    [_succeed, _fail, _break_off, _hang_up_before_the_answer, _hang_up_mid_stream, _stall, _leave_the_line],
    ids=lambda end: end.__name__.strip("_"),
)
def test_every_slot_comes_back(rig: Rig, key: str, end: Callable[[Rig, str], None]) -> None:
    end(rig, key)
    rig.assert_all_slots_are_free(key)


def test_a_call_that_waits_too_long_is_refused_and_leaves_the_line(tmp_path: Path) -> None:
    with Rig(tmp_path / "home", {"limits": {"max_in_flight_per_identity": 1, "queue_timeout_s": 1}}) as rig:
        key = rig.key()
        rig.pace(first_token_seconds=3)
        with rig.open(key) as running:
            rig.in_flight(1)
            began = time.monotonic()
            refused = rig.ask(key)
            assert 0.9 <= time.monotonic() - began < 2
            assert (refused.status, refused.error["code"]) == (429, "queue_timeout")
            assert refused.error["limit"]["name"] == "max_in_flight_per_identity"
            assert int(refused.headers["retry-after"]) >= 1
            [event] = rig.events(refused.request_id)
            assert (event["cause"], event["upstream_model"]) == ("queue_timeout", None)
            running.read_until(b"}")
        assert rig.simulator.stats["started"] == 1
        rig.assert_all_slots_are_free(key, 1)


def test_a_line_that_is_full_takes_the_place_of_whoever_has_the_most(tmp_path: Path) -> None:
    config = {"limits": {"max_in_flight_per_identity": 1, "max_queue_length": 5, "queue_timeout_s": 20}}
    with Rig(tmp_path / "home", config) as rig:
        flood, other = rig.key(label="flood"), rig.key(label="other")
        rig.pace(first_token_seconds=0.4)
        callers = [rig.open(flood) for _ in range(6)]
        rig.in_flight(1)
        time.sleep(0.2)
        refused = rig.ask(flood)
        assert (refused.status, refused.error["code"]) == (429, "queue_full")
        began = time.monotonic()
        assert rig.ask(other).status == 200
        assert time.monotonic() - began < 1.5, "it was next"
        answers = [caller.read_until(b"}") for caller in callers]
        assert sum(b" 429 " in answer for answer in answers) == 1, "one of the flood gave up its place"
        for caller in callers:
            caller.close()


def test_the_line_is_left_at_once(rig: Rig, key: str) -> None:
    rig.pace(first_token_seconds=1)
    running = [rig.open(key) for _ in range(SLOTS)]
    rig.in_flight(SLOTS)
    leaving = rig.open(key, "I leave", stream=True)
    time.sleep(0.1)
    leaving.close()
    for _ in poll(1):
        left = [event for event in rig.gateway.events() if event["cause"] == "client_aborted"]
        if left:
            break
    assert left, "it is told before any slot is free"
    for caller in running:
        caller.read_until(b"}")
        caller.close()
    assert rig.simulator.stats["started"] == SLOTS


def test_who_waits_for_a_stream_is_told_the_place(rig: Rig, key: str) -> None:
    rig.pace(first_token_seconds=9)
    running = [rig.open(key) for _ in range(SLOTS)]
    rig.in_flight(SLOTS)
    waiting = []
    for _ in range(3):
        waiting.append(rig.open(key, stream=True))
        time.sleep(0.05)
    notes = [caller.read_until(b"\n\n", 2).partition(b": queued")[2] for caller in waiting]
    assert [note.partition(b",")[0] for note in notes] == [b": place 1 of 3", b": place 2 of 3", b": place 3 of 3"]
    assert all(b"waited 8 s, about " in note for note in notes)
    rig.pace(first_token_seconds=0)
    for caller in (*running, *waiting):
        caller.read_until(b"[DONE]" if caller in waiting else b"}")
        caller.close()


def test_a_call_that_was_told_its_place_still_fails_as_its_protocol_says(tmp_path: Path) -> None:
    with Rig(tmp_path / "home", {"limits": {"max_in_flight_per_identity": 1, "queue_timeout_s": 9}}) as rig:
        key = rig.key()
        rig.pace(first_token_seconds=10)
        with rig.open(key) as running:
            rig.in_flight(1)
            refused = rig.ask(key, stream=True)
            assert refused.status == 200
            assert (refused.error["code"], refused.is_complete_stream) == ("queue_timeout", False)
            [event] = rig.events(refused.request_id)
            assert (event["cause"], event["status"]) == ("queue_timeout", 200)
            running.read_until(b"}")


def test_batch_calls_let_the_others_go_first(tmp_path: Path) -> None:
    with Rig(tmp_path / "home", {"limits": {"max_in_flight_per_identity": 1}}) as rig:
        key = rig.key()
        rig.pace(first_token_seconds=0.15)
        batch = {"x-capi-priority": "batch"}

        def call(name: str, headers: dict[str, str] | None, *, after: float = 0.0) -> Callable[[], Answer]:
            def run() -> Answer:
                time.sleep(after)
                return rig.ask(key, name, headers=headers)

            return run

        with rig.open(key, "first") as first:
            rig.in_flight(1)
            answers = rig.crowd(
                [call(f"batch {number}", batch) for number in range(4)] + [call("person", None, after=0.1)] * 6
            )
            first.read_until(b"}")
        assert statuses(answers) == {200: 10}
        order = [
            request["body"]["messages"][0]["content"]
            for request in rig.simulator.requests
            if request["path"] == "/chat/completions"
        ]
        assert order[0] == "first"
        assert order[1:8].count("person") >= 5, order
        assert order.count("person") == 6


def test_keys_share_by_weight(tmp_path: Path) -> None:
    with Rig(tmp_path / "home", {"limits": {"max_in_flight_per_identity": 2, "max_queue_length": 1000}}) as rig:
        light, heavy = rig.key(label="light"), rig.key("--weight", "3", label="heavy")
        rig.pace(first_token_seconds=2)
        other = rig.key(label="other")
        first = [rig.open(other), rig.open(other)]
        rig.in_flight(2)
        rig.pace(first_token_seconds=0.03)
        done: list[str] = []

        def call(name: str, secret: str) -> Callable[[], Answer]:
            def run() -> Answer:
                answer = rig.ask(secret)
                done.append(name)
                return answer

            return run

        rig.crowd([call(*each) for each in (("light", light), ("heavy", heavy)) for _ in range(80)])
        assert all(caller.read_until(b"}") for caller in first)
        half = done[:80]
        assert 54 <= half.count("heavy") <= 66, f"three of four: {half.count('heavy')} of 80"


def test_a_gateway_that_is_told_to_stop_serves_the_line_first(own_rig: Rig) -> None:
    key = own_rig.key()
    own_rig.pace(first_token_seconds=0.5)
    callers = [own_rig.open(key) for _ in range(SLOTS * 2)]
    own_rig.in_flight(SLOTS)
    time.sleep(0.1)
    assert own_rig.gateway.stop(signal.SIGTERM) == 0
    assert all(b" 200 " in caller.read_until(b"}") for caller in callers)
    own_rig.gateway.start()
    assert {event["cause"] for event in own_rig.gateway.events()} == {"ok"}


def test_a_gateway_that_stops_in_a_hurry_tells_everybody(tmp_path: Path) -> None:
    with Rig(tmp_path / "home", None, "--drain-seconds", "0.5") as rig:
        key = rig.key()
        rig.pace(first_token_seconds=30)
        callers = [rig.open(key) for _ in range(SLOTS * 2)]
        rig.in_flight(SLOTS)
        time.sleep(0.1)
        assert rig.gateway.stop(signal.SIGTERM) == 0
        for caller in callers:
            assert b"shutting_down" in caller.read_to_end()
        rig.gateway.start()
        causes = [event["cause"] for event in rig.gateway.events()]
        assert causes == ["interrupted"] * SLOTS * 2


# The brake


def test_a_limit_upstream_halves_the_slots_and_answers_bring_them_back(own_rig: Rig) -> None:
    key = own_rig.key()
    own_rig.fault("429_bare", count=1)
    assert own_rig.ask(key).status == 429
    own_rig.forget()
    own_rig.pace(first_token_seconds=0.1)
    assert statuses(own_rig.crowd([lambda: own_rig.ask(key)] * 10)) == {200: 10}
    assert own_rig.simulator.stats["max_in_flight"] == SLOTS // 2
    assert "fewer calls to GitHub Copilot at once" in own_rig.gateway.output

    def has_all_slots() -> bool:
        own_rig.forget()
        own_rig.crowd([lambda: own_rig.ask(key)] * (SLOTS * 2))
        return bool(own_rig.simulator.stats["max_in_flight"] == SLOTS)

    wait_until(has_all_slots, 15, "all slots back")


def test_an_account_that_is_limited_for_good_is_not_hammered(own_rig: Rig) -> None:
    """A crowd that retries at once; Copilot says 429 to everything, and to come back in 37 s."""
    key = own_rig.key()
    own_rig.fault("429_rate_limited")
    for _ in range(4):
        answers = own_rig.crowd([lambda: own_rig.ask(key)] * 40)
        assert statuses(answers) == {429: 40}
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
    assert own_rig.simulator.stats["started"] <= 48, "of 160 calls few were passed on"


def test_an_abuse_notice_stops_everything_until_the_operator_resumes(own_rig: Rig) -> None:
    key = own_rig.key()
    own_rig.pace(first_token_seconds=1.5)
    running = [own_rig.open(key) for _ in range(SLOTS - 1)]
    own_rig.in_flight(SLOTS - 1)
    flagged = own_rig.open(key, "SIM-FAULT:abuse")
    waiting = [own_rig.open(key) for _ in range(3)]
    assert b"account_flagged" in flagged.read_until(b"}")
    for caller in waiting:
        assert b" 503 " in caller.read_until(b"}") or b" 200 " in caller.received
    for caller in running:
        assert b" 200 " in caller.read_until(b"}"), "what was under way ends as it would"
    own_rig.forget()
    refused = own_rig.ask(key)
    assert (refused.status, refused.error["code"]) == (503, "upstream_stopped")
    assert "copilot-api resume" in refused.error["message"]
    assert own_rig.simulator.stats["started"] == 0
    status, readiness = http_json("GET", f"{own_rig.gateway.url}/readyz")
    assert status == 503
    assert "copilot-api resume" in json.dumps(readiness)
    assert "nothing more is sent to it" in own_rig.gateway.output

    own_rig.gateway.stop()
    own_rig.gateway.lines.clear()
    own_rig.gateway.process = None
    super(type(own_rig.gateway), own_rig.gateway).start()  # it listens and is not ready: a restart changes nothing
    assert own_rig.ask(key).status == 503
    assert "resumed: default" in own_rig.gateway.cli("resume")
    own_rig.gateway.wait_ready(5)
    assert own_rig.ask(key).status == 200
    audit = [json.loads(line)["action"] for line in (own_rig.home / "audit.jsonl").read_text().splitlines()]
    assert audit[-2:] == ["identity.stopped", "identity.resumed"]


def test_a_count_of_tokens_takes_no_slot_that_somebody_waits_for(rig: Rig, key: str) -> None:
    rig.pace(first_token_seconds=1)
    running = [rig.open(key) for _ in range(SLOTS)]
    rig.in_flight(SLOTS)
    body: dict[str, Any] = {"model": "claude-sonnet-4.6", "messages": chat()["messages"]}
    counted = ask(rig.gateway.url, key, body, path="/v1/messages/count_tokens")
    assert counted.status == 200
    assert rig.simulator.stats["max_in_flight"] == SLOTS
    for caller in running:
        caller.read_until(b"}")
        caller.close()
