"""A client that does not read holds up its own upstream call and nothing else: memory stays bounded, others go on."""

import statistics
import time
from collections.abc import Iterator

import pytest

from tests.faults.client import Caller, chat, poll
from tests.faults.pair import SLACK_SECONDS, Pair
from tests.faults.process import Holdings, holdings

TOKENS = 100_000
"""About 60 MB of events: far more than the sockets of both connections can hold."""
CLIENTS = 4
BOUND_BYTES = 3 * 1024 * 1024
"""What a client that does not read may cost."""
OTHERS_SECONDS = 0.1


@pytest.fixture
def starved(pair: Pair) -> Iterator[list[Caller]]:
    """Clients that have called, have seen their streams begin, and read no further."""
    pair.pace(tokens=TOKENS)
    callers = [
        pair.open(chat(f"a long answer, {number}", stream=True), receive_buffer=4096) for number in range(CLIENTS)
    ]
    for caller in callers:
        caller.read_until(b"\n\n", 2)
    pair.calm()
    yield callers
    for caller in callers:
        caller.close()
    pair.settle()


def wait_until_it_stands_still(pair: Pair) -> None:
    """Until the gateway's memory does not grow any more."""
    last, steady = 0, 0
    for _ in poll(10, pause=0.1):
        now = holdings(pair.pid).resident_bytes
        steady = steady + 1 if abs(now - last) < 256 * 1024 else 0
        last = now
        if steady >= 5:
            return


@pytest.fixture
def baseline(pair: Pair) -> Holdings:
    """What the gateway held before, once it has had some streams."""
    for number in range(20):
        assert pair.ask(f"warm up, {number}", stream=True).status == 200
    pair.settle()
    return holdings(pair.pid)


def test_the_upstream_is_read_no_faster_than_its_client_reads(
    pair: Pair, baseline: Holdings, starved: list[Caller]
) -> None:
    wait_until_it_stands_still(pair)
    assert pair.simulator.stats["in_flight"] == CLIENTS  # none of the long answers has ended up anywhere
    growth = holdings(pair.pid).resident_bytes - baseline.resident_bytes
    print(f"{CLIENTS} clients that do not read: {growth / 1024:.0f} KiB more memory")
    assert growth < CLIENTS * BOUND_BYTES


def test_others_are_served_as_ever(pair: Pair, starved: list[Caller]) -> None:
    wait_until_it_stands_still(pair)
    seconds: list[float] = []
    for number in range(20):
        began = time.monotonic()
        assert pair.ask(stream=number % 2 == 0).status == 200
        seconds.append(time.monotonic() - began)
    assert statistics.median(seconds) < OTHERS_SECONDS
    assert max(seconds) < OTHERS_SECONDS + SLACK_SECONDS


def test_a_client_that_reads_again_gets_the_whole_answer(pair: Pair, starved: list[Caller]) -> None:
    wait_until_it_stands_still(pair)
    for caller in starved[1:]:
        caller.close()
    patient = starved[0]
    text = bytearray(patient.received)
    for _ in poll(60, pause=0):
        text += patient.socket.recv(1 << 20)
        if text.endswith(b"0\r\n\r\n"):
            break
    assert text.count(b'"content":') >= TOKENS
    assert b"data: [DONE]\n\n" in text[-64:]
    events = pair.settle()
    assert sorted(event["cause"] for event in events) == ["client_aborted"] * (CLIENTS - 1) + ["ok"]
    assert [event["output_tokens"] for event in events if event["cause"] == "ok"] == [TOKENS]


def test_a_client_that_never_read_and_hangs_up_ends_its_call(pair: Pair, starved: list[Caller]) -> None:
    wait_until_it_stands_still(pair)
    before = pair.simulator.stats["aborted"]
    for caller in starved:
        caller.reset()
    pair.seconds_until_aborted(before + CLIENTS)
    events = pair.settle()
    assert [event["cause"] for event in events] == ["client_aborted"] * CLIENTS
    assert all(event["bytes_out"] > 1_000_000 for event in events)  # it filled the sockets
    assert all(event["bytes_out"] < 40_000_000 for event in events)
