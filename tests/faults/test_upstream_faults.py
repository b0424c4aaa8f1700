"""
Whatever the upstream does: the client gets an answer or an error in its own terms, never half an answer that looks
whole; there is one event with the right cause; nothing leaks; the next call works.
"""

import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.faults.client import CHAT, CLAUDE, MODEL, Answer, ask, chat
from tests.faults.pair import Pair, read_events
from tests.faults.process import holdings, settled, steady
from tests.harness import GatewayProcess, Program, Simulator, http_json, wait_until


@dataclass(frozen=True)
class Case:
    """A fault, and what comes of it. `status` is the answer's; a stream that has begun has 200 and an error event."""

    fault: str
    cause: str
    status: int = 502
    code: str = "upstream_error"
    attempts: int = 1
    ends_kept_connection: bool = False
    """Looks like the idle close of a kept connection, which is repeated on a new one."""


WHOLE = [
    Case("cut", "upstream_cut", code="upstream_cut"),
    Case("cut-rst", "upstream_cut", code="upstream_cut"),
    Case("cut-clean", "upstream_error"),
    Case("garbage", "upstream_error"),
    Case("refused-close", "upstream_error", ends_kept_connection=True),
    Case("html-200", "upstream_error"),
    Case("empty-choices", "upstream_error"),
    Case("402", "upstream_rate_limited", 429, "quota_exceeded"),
    Case("429", "upstream_rate_limited", 429, "rate_limited"),
    Case("403", "upstream_error", 403, "upstream_forbidden"),
    Case("500", "upstream_error", 502, attempts=3),
    Case("503", "upstream_rate_limited", 503, "upstream_rate_limited"),
]
STREAMED = [
    Case("cut", "upstream_cut", 200, "upstream_cut"),
    Case("cut-rst", "upstream_cut", 200, "upstream_cut"),
    Case("cut-clean", "upstream_cut", 200, "upstream_cut"),
    Case("midstream-error", "upstream_error", 200),
    Case("garbage", "upstream_error"),
    Case("refused-close", "upstream_error", ends_kept_connection=True),
    Case("html-200", "upstream_error"),
    Case("empty-choices", "upstream_cut", 502, "upstream_cut"),
    Case("402", "upstream_rate_limited", 429, "quota_exceeded"),
    Case("429", "upstream_rate_limited", 429, "rate_limited"),
]


def check(pair: Pair, case: Case, answer: Answer) -> None:
    attempts = len(pair.upstream_calls())
    assert answer.status == case.status, answer
    assert answer.is_whole
    assert "[DONE]" not in answer.payloads
    error = answer.error
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["code"] == case.code
    assert answer.request_id in error["message"]
    if case.ends_kept_connection:
        assert attempts in {1, 2}
    else:
        assert attempts == case.attempts
    (event,) = pair.settle()
    assert event["request_id"] == answer.request_id
    assert (event["cause"], event["status"]) == (case.cause, case.status)
    assert event["output_tokens"] == 0


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case.fault)
def test_a_whole_answer_is_an_error_with_a_status(pair: Pair, case: Case) -> None:
    pair.fault(case.fault)
    check(pair, case, pair.ask())


@pytest.mark.parametrize("model", [MODEL, CLAUDE])
@pytest.mark.parametrize("case", STREAMED, ids=lambda case: case.fault)
def test_a_stream_ends_in_an_error_and_never_as_if_it_were_complete(pair: Pair, case: Case, model: str) -> None:
    pair.fault(case.fault)
    check(pair, case, pair.ask(stream=True, model=model))


def test_embeddings_are_an_error_with_a_status(pair: Pair) -> None:
    causes: list[str] = []
    for fault in ("cut", "cut-rst", "cut-clean", "garbage", "refused-close", "html-200"):
        pair.fault(fault)
        answer = ask(pair.url, pair.key, {"model": "text-embedding-3-small", "input": "hi"}, path="/v1/embeddings")
        assert answer.status == 502
        assert answer.error["code"] == ("upstream_cut" if fault in {"cut", "cut-rst"} else "upstream_error")
        causes.append(answer.error["code"])
    assert [event["cause"] for event in pair.settle()] == causes


@pytest.mark.parametrize("fault", ["cut", "cut-rst", "cut-clean"])
def test_a_stream_may_break_off_after_any_event(pair: Pair, fault: str) -> None:
    """What had come by then arrives; before the first of it, the error still has a status."""
    places = (0, 1, 2, 3, 12)
    for after in places:
        pair.fault(fault, after=after)
        answer = pair.ask(stream=True)
        assert answer.status == (
            200 if after >= 3 else 502
        )  # a preamble that clients never see, and a role that says nothing yet
        assert answer.error["code"] == "upstream_cut"
        assert "[DONE]" not in answer.payloads
        if answer.status == 200:
            assert len(answer.payloads) == after
    events = pair.settle()
    assert [event["cause"] for event in events] == ["upstream_cut"] * len(places)
    assert all(event["usage_unknown"] for event in events)
    has_no_text = [event["time_to_first_token"] is None for event in events]
    assert has_no_text == [after < 3 for after in places]  # the second event has a role and no text


# Faults that are mended -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [MODEL, CLAUDE])
@pytest.mark.parametrize("fault", ["split-frames", "no-done", "slow-headers"])
def test_a_stream_that_is_only_odd_is_whole(pair: Pair, fault: str, model: str) -> None:
    plain = pair.ask("grüße 🎉", stream=True, model=model)
    pair.fault(fault, seconds=0.2)
    odd = pair.ask("grüße 🎉", stream=True, model=model)
    assert odd.is_complete_stream
    assert odd.text == plain.text
    assert [event["cause"] for event in pair.settle()] == ["ok", "ok"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", ["split-frames", "no-done", "slow-headers"])
def test_text_and_usage_are_the_same_whatever_the_delivery(pair: Pair, fault: str, stream: bool) -> None:
    plain = pair.ask(stream=stream)
    pair.fault(fault, seconds=0.2)
    assert pair.ask(stream=stream).text == plain.text
    first, second = pair.settle()
    for name in ("input_tokens", "output_tokens", "nano_aiu", "cause", "usage_unknown"):
        assert first[name] == second[name]


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_without_usage_is_whole_and_its_event_says_that_it_is_unknown(pair: Pair, stream: bool) -> None:
    pair.fault("no-usage")
    answer = pair.ask(stream=stream)
    assert answer.status == 200
    assert answer.text
    (event,) = pair.settle()
    assert (event["cause"], event["usage_unknown"], event["output_tokens"]) == ("ok", 1, 0)


@pytest.mark.parametrize("stream", [False, True])
def test_an_expired_token_is_renewed_and_the_call_repeated(pair: Pair, stream: bool) -> None:
    pair.simulator.post("/_sim/expire-tokens")
    assert pair.ask(stream=stream).status == 200
    assert len(pair.upstream_calls()) == 2
    assert len({call["headers"]["x-request-id"] for call in pair.upstream_calls()}) == 1
    (event,) = pair.settle()
    assert event["cause"] == "ok"


@pytest.mark.parametrize("stream", [False, True])
def test_a_fault_that_passes_is_not_seen_by_the_client(pair: Pair, stream: bool) -> None:
    pair.fault("502", count=1)
    assert pair.ask(stream=stream).text
    assert [call["headers"]["x-initiator"] for call in pair.upstream_calls()] == ["user", "agent"]
    (event,) = pair.settle()
    assert event["cause"] == "ok"


# Nothing leaks ----------------------------------------------------------------------------------------------------


def test_no_fault_leaves_anything_behind(pair: Pair) -> None:
    faults = ["cut", "cut-rst", "cut-clean", "garbage", "refused-close", "html-200", "midstream-error", "429"]

    def each_once() -> None:
        for fault in faults:
            for stream in (False, True):
                if (fault, stream) != ("midstream-error", False):  # a 500 there, with waits between its attempts
                    pair.fault(fault)
                    pair.ask(stream=stream)

    each_once()
    pair.settle()
    baseline = holdings(pair.pid)
    for _ in range(10):
        each_once()
    assert len(pair.settle()) == 10 * (2 * len(faults) - 1)
    now = settled(pair.pid, baseline)
    assert now.descriptors <= baseline.descriptors
    assert now.threads <= baseline.threads
    assert now.resident_bytes - baseline.resident_bytes < 8 * 1024 * 1024


# No upstream at all -----------------------------------------------------------------------------------------------


@pytest.fixture
def doomed(home: Path) -> Iterator[Pair]:
    """A pair whose simulator may be killed: token and catalog are known by then."""
    with Simulator() as simulator, GatewayProcess(home, simulator.url) as gateway:
        yield Pair(simulator, gateway)


def last_event(pair: Pair) -> dict[str, Any]:
    pair.wait_for(pair.untold_events)
    (event,) = pair.untold_events()
    pair.tell(event)
    return event


def test_an_upstream_that_does_not_listen_is_an_error_and_the_next_one_works(doomed: Pair) -> None:
    doomed.settle()
    port = urlsplit(doomed.simulator.url).port
    doomed.simulator.stop(signal.SIGKILL)
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda stream: doomed.ask(stream=stream), (False, True)))
    for answer in answers:
        assert (answer.status, answer.error["code"]) == (502, "upstream_error")
        assert "cannot be reached" in answer.error["message"]
        assert int(answer.headers["retry-after"]) >= 1
    doomed.wait_for(lambda: len(doomed.untold_events()) == 2)
    events = doomed.untold_events()
    assert {event["request_id"] for event in events} == {answer.request_id for answer in answers}
    assert {(event["cause"], event["status"]) for event in events} == {("upstream_error", 502)}
    assert not any(event["usage_unknown"] for event in events)  # nobody can have worked on it
    doomed.tell(*events)
    assert http_json("GET", f"{doomed.url}/readyz")[0] == 200  # it is the upstream that is not well
    doomed.simulator.arguments[-1] = str(port)
    doomed.simulator.start()
    assert doomed.settle() == []


def test_an_upstream_that_never_accepts_holds_up_nobody_but_its_own_clients(doomed: Pair) -> None:
    doomed.settle()
    port = urlsplit(doomed.simulator.url).port
    doomed.simulator.stop(signal.SIGKILL)
    baseline = steady(doomed.pid)
    both_sides = baseline.descriptors + 10
    with closing(socket.create_server(("127.0.0.1", port or 0), backlog=64)):
        for stream in (False, True):
            with ExitStack() as stack:
                for _ in range(5):
                    stack.enter_context(doomed.open(chat(stream=stream)))
                wait_until(lambda: holdings(doomed.pid).descriptors >= both_sides, 5, "all of them are under way")
                assert http_json("GET", f"{doomed.url}/healthz")[0] == 200
                assert http_json("GET", f"{doomed.url}/v1/models", key=doomed.key)[0] == 200
            doomed.wait_for(lambda: len(doomed.untold_events()) == 5)
            assert {event["cause"] for event in doomed.untold_events()} == {"client_aborted"}
            doomed.tell(*doomed.untold_events())
    assert settled(doomed.pid, baseline).descriptors <= baseline.descriptors


@pytest.mark.slow
def test_a_stream_is_kept_alive_while_the_upstream_says_nothing(doomed: Pair) -> None:
    """Fifteen seconds of silence are the most that a client of a stream hears."""
    doomed.fault("stall-headers")
    with doomed.open(chat(stream=True)) as caller:
        assert b"HTTP/1.1 200" in caller.read_until(b": keep-alive\n\n")
    doomed.wait_for(doomed.untold_events)
    event = last_event(doomed)
    assert (event["cause"], event["status"]) == ("client_aborted", 200)
    assert event["time_to_first_token"] is None
    assert 14 < event["duration"] < 18


def test_a_host_that_does_not_exist_is_said_by_readyz_and_to_the_caller(home: Path) -> None:
    with Simulator() as simulator:
        gateway = GatewayProcess(home, simulator.url, COPILOT_API_UPSTREAM_URL="http://copilot.invalid")
        Program.start(gateway)
        try:
            key = gateway.create_key()
            wait_until(
                lambda: "copilot.invalid" in str(http_json("GET", f"{gateway.url}/readyz")[1]["checks"]["catalog"]),
                20,
                "the reason is known",
            )
            answer = ask(gateway.url, key, chat())
            assert (answer.status, answer.error["code"]) == (503, "catalog_unavailable")
            assert "copilot.invalid" in answer.error["message"]
            wait_until(lambda: read_events(home), 5, "its event")
            assert [event["cause"] for event in read_events(home)] == ["upstream_error"]
        finally:
            assert gateway.stop() == 0


@pytest.mark.slow
def test_a_gateway_starts_without_an_upstream_and_gets_ready_when_there_is_one(home: Path) -> None:
    simulator = Simulator()
    with simulator:
        port = urlsplit(simulator.url).port
        url = simulator.url
    gateway = GatewayProcess(home, url)
    Program.start(gateway)
    try:
        key = gateway.create_key()
        wait_until(lambda: http_json("GET", f"{gateway.url}/readyz")[0] == 503, 5, "not ready")
        answer = ask(gateway.url, key, chat(), path=CHAT)
        assert answer.status in {502, 503}
        simulator.arguments[-1] = str(port)
        with simulator:
            gateway.wait_ready()
            assert ask(gateway.url, key, chat()).status == 200
    finally:
        assert gateway.stop() == 0
