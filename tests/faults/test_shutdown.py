"""SIGTERM lets calls under way finish and takes no new ones; a second one ends at once, and says so to everybody."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.client import Caller, ask, chat, poll
from tests.faults.pair import Pair, read_events
from tests.harness import GatewayProcess, Simulator, http_json, wait_until

AT_ONCE_SECONDS = 1.5
"""The signal is seen within a tenth of a second; the rest is the end of a process."""
STREAM_SECONDS = 0.8
TOKENS = 16


@pytest.fixture(scope="module")
def upstream() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def doomed(upstream: Simulator, home: Path) -> Iterator[Pair]:
    """A pair whose gateway the test ends."""
    with GatewayProcess(home, upstream.url) as gateway:
        pair = Pair(upstream, gateway)
        pair.settle()
        pair.pace(first_token_seconds=0.05, gap_seconds=STREAM_SECONDS / TOKENS, tokens=TOKENS)
        yield pair
        pair.calm()


def signalled(pair: Pair, number: int = signal.SIGTERM) -> float:
    """Send a signal; when that was."""
    assert pair.gateway.process is not None
    pair.gateway.process.send_signal(number)
    return time.monotonic()


def exit_code(pair: Pair, seconds: float = 10.0) -> int:
    assert pair.gateway.process is not None
    return pair.gateway.process.wait(seconds)


def ended(pair: Pair) -> list[dict[str, object]]:
    """The events of the calls of a test, after the end."""
    return read_events(pair.gateway.home)[1:]  # the first one is of the fixture


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_calls_under_way_finish_and_the_exit_code_is_0(doomed: Pair, number: int) -> None:
    answers = {}

    def call(name: int) -> None:
        answers[name] = doomed.ask(stream=name % 2 == 0)

    callers = [threading.Thread(target=call, args=(name,)) for name in range(8)]
    for caller in callers:
        caller.start()
    doomed.in_flight(8)
    signalled(doomed, number)
    for caller in callers:
        caller.join()
    assert exit_code(doomed) == 0
    assert all(answer.status == 200 and answer.is_whole for answer in answers.values())
    assert all(answers[name].is_complete_stream for name in range(0, 8, 2))
    assert [event["cause"] for event in ended(doomed)] == ["ok"] * 8
    assert {event["output_tokens"] for event in ended(doomed)} == {TOKENS}
    assert list((doomed.gateway.home / "spool").iterdir()) == []


def test_no_new_call_is_taken(doomed: Pair) -> None:
    with doomed.open(chat(stream=True)) as caller:
        doomed.in_flight(1)
        signalled(doomed)
        wait_until(lambda: http_json("GET", f"{doomed.url}/healthz")[0] == 0, 1, "nobody listens")
        assert b"data: [DONE]\n\n" in caller.read_to_end()


def test_idle_connections_are_closed_at_once(doomed: Pair) -> None:
    """One that has had an answer, one that never asked, and one that has begun to ask."""
    with ExitStack() as stack:
        idle, silent, hesitant = (stack.enter_context(Caller(doomed.url)) for _ in range(3))
        idle.socket.sendall(b"GET /healthz HTTP/1.1\r\nhost: gateway\r\n\r\n")
        assert b"keep-alive" not in idle.read_until(b'"ok"}').lower()
        hesitant.socket.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: ga")
        busy = stack.enter_context(doomed.open(chat(stream=True)))
        doomed.in_flight(1)
        began = signalled(doomed)
        for caller in (idle, silent, hesitant):
            caller.received = b""
            assert caller.read_to_end() == b""
            assert time.monotonic() - began < 0.5
        received = busy.read_to_end()
        assert time.monotonic() - began > 0.2  # it was still under way when the others were closed
        assert b"data: [DONE]\n\n" in received
        assert received.endswith(b"0\r\n\r\n")
    assert exit_code(doomed) == 0


def test_a_kept_connection_is_closed_after_the_answer_under_way(doomed: Pair) -> None:
    with doomed.open(chat()) as caller:
        doomed.in_flight(1)
        signalled(doomed)
        received = caller.read_to_end()
    assert b"HTTP/1.1 200" in received
    assert b"connection: close" in received
    assert exit_code(doomed) == 0


def test_the_second_signal_ends_at_once_and_says_so(doomed: Pair) -> None:
    doomed.pace(first_token_seconds=0, gap_seconds=1, tokens=1000)
    with ExitStack() as stack:
        streams = [stack.enter_context(doomed.open(chat(stream=True))) for _ in range(3)]
        wholes = [stack.enter_context(doomed.open(chat())) for _ in range(3)]
        for caller in streams:
            caller.read_until(b"\n\n", 2)
        doomed.in_flight(6)
        signalled(doomed)
        wait_until(lambda: "stopping" in doomed.gateway.output, 5, "the first signal is heard")
        began = signalled(doomed)
        for caller in streams:
            received = caller.read_to_end()
            assert b'"code":"shutting_down"' in received
            assert received.endswith(b"0\r\n\r\n")
            assert b"[DONE]" not in received
        for caller in wholes:
            received = caller.read_to_end()
            assert b"HTTP/1.1 503" in received
            assert b'"code":"shutting_down"' in received
        assert exit_code(doomed) == 0
        assert time.monotonic() - began < AT_ONCE_SECONDS
    events = ended(doomed)
    assert [event["cause"] for event in events] == ["interrupted"] * 6
    assert sorted(str(event["status"]) for event in events) == ["200"] * 3 + ["503"] * 3
    assert all(event["usage_unknown"] for event in events)
    assert list((doomed.gateway.home / "spool").iterdir()) == []


def test_a_client_that_does_not_read_cannot_hold_up_the_second_signal(doomed: Pair) -> None:
    doomed.pace(first_token_seconds=0, gap_seconds=0, tokens=100_000)
    with doomed.open(chat(stream=True), receive_buffer=4096) as caller:
        caller.read_until(b"\n\n", 2)
        last = 0
        for _ in poll(5, pause=0.1):  # until its connection is full
            sent = doomed.simulator.stats["in_flight"]
            if last == sent == 1:
                break
            last = sent
        signalled(doomed)
        wait_until(lambda: "stopping" in doomed.gateway.output, 5, "the first signal is heard")
        began = signalled(doomed)
        assert exit_code(doomed) == 0
        assert time.monotonic() - began < AT_ONCE_SECONDS
    assert [event["cause"] for event in ended(doomed)] == ["interrupted"]


def test_the_time_to_drain_is_bounded(upstream: Simulator, home: Path) -> None:
    with GatewayProcess(home, upstream.url, "--drain-seconds", "1") as gateway:
        pair = Pair(upstream, gateway)
        pair.settle()
        pair.pace(first_token_seconds=0, gap_seconds=1, tokens=1000)
        with pair.open(chat(stream=True)) as caller:
            caller.read_until(b"\n\n", 2)
            began = signalled(pair)
            received = caller.read_to_end()
            assert b'"code":"shutting_down"' in received
            assert b"[DONE]" not in received
            assert exit_code(pair) == 0
            assert (
                1 <= time.monotonic() - began < 1 + 3 * AT_ONCE_SECONDS
            )  # two cores, two tests at once: 1.6 s were seen
        assert [event["cause"] for event in ended(pair)] == ["interrupted"]
        pair.calm()


def test_a_gateway_without_calls_ends_at_once(doomed: Pair) -> None:
    began = signalled(doomed)
    assert exit_code(doomed) == 0
    assert time.monotonic() - began < AT_ONCE_SECONDS


def test_a_stream_that_waits_for_its_upstream_is_told_of_the_end_by_its_status(doomed: Pair) -> None:
    """Nothing of the answer is out, so the error still has one."""
    doomed.fault("stall-headers")
    with doomed.open(chat(stream=True)) as caller:
        doomed.in_flight(1)
        signalled(doomed)
        wait_until(lambda: "stopping" in doomed.gateway.output, 5, "the first signal is heard")
        signalled(doomed)
        received = caller.read_to_end()
    assert b"HTTP/1.1 503" in received
    assert b"text/event-stream" not in received
    assert exit_code(doomed) == 0
    assert [event["cause"] for event in ended(doomed)] == ["interrupted"]


def test_a_new_gateway_may_start_while_the_old_one_still_drains(doomed: Pair) -> None:
    """A restart without a gap: both have the same data directory, and each tells of its own calls."""
    with doomed.open(chat(stream=True)) as caller:
        doomed.in_flight(1)
        signalled(doomed)
        with GatewayProcess(doomed.gateway.home, doomed.simulator.url) as successor:
            answer = ask(successor.url, doomed.key, chat())
            assert answer.status == 200
            assert b"data: [DONE]\n\n" in caller.read_to_end()
            assert exit_code(doomed) == 0
    assert sorted(str(event["cause"]) for event in ended(doomed)) == ["ok", "ok"]
    assert list((doomed.gateway.home / "spool").iterdir()) == []
