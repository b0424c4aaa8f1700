"""A client that hangs up, at any moment, ends the upstream call at once, is one event, and leaves nothing behind."""

import contextlib
import json
import statistics
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.client import CLAUDE, Caller, chat
from tests.faults.pair import DETECTION_SECONDS, SLACK_SECONDS, Pair
from tests.faults.process import Holdings, holdings, settled

ROUNDS = 100
TOKEN_PATH = "/copilot_internal/v2/token"
EMBEDDING = {"model": "text-embedding-3-small", "input": ["hi"]}

Ending = Callable[[Caller], None]
ENDINGS = [pytest.param(Caller.close, id="fin"), pytest.param(Caller.reset, id="rst")]


def test_a_hundred_clients_that_hang_up_mid_stream_leave_a_hundred_events_and_nothing_else(pair: Pair) -> None:
    for _ in range(10):
        hang_up_mid_stream(pair, 1)
    pair.settle()
    baseline = holdings(pair.pid)
    began = [hang_up_mid_stream(pair, 2 + number % 7) for number in range(ROUNDS)]
    seconds = sorted(detected for detected, _ in began)
    events = {event["request_id"]: event for event in pair.settle()}
    now = settled(pair.pid, baseline)
    print(
        f"{ROUNDS} rounds: the upstream saw the hang-up after {statistics.median(seconds) * 1000:.1f} ms (median), "
        f"{seconds[-1] * 1000:.1f} ms (at most); {baseline} then, {now} now"
    )
    assert statistics.median(seconds) <= DETECTION_SECONDS
    assert seconds[ROUNDS * 95 // 100] <= DETECTION_SECONDS
    assert seconds[-1] <= DETECTION_SECONDS + SLACK_SECONDS
    assert len(events) == ROUNDS
    for _, received in began:
        event = events[request_id_of(received)]
        assert (event["cause"], event["status"], event["stream"]) == ("client_aborted", 200, True)
        assert event["usage_unknown"]  # Copilot says what an answer consumed when it ends
        assert event["bytes_out"] >= len(b"".join(data_of(received)))
        assert 0 < event["time_to_first_token"] <= event["duration"]
        assert event["upstream_model"] == "gpt-4.1"
    assert_nothing_is_left(now, baseline)


@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-5.4", "claude-opus-4.8"])
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses"])
def test_pitfall_105_a_hang_up_cancels_a_call_of_any_protocol_at_once(pair: Pair, path: str, model: str) -> None:
    """Translated or passed through."""
    body: dict[str, Any] = {"model": model, "stream": True, "input": "hi"}
    if path == "/v1/messages":
        body = {"model": model, "stream": True, "max_tokens": 2000, "messages": [{"role": "user", "content": "hi"}]}
    pair.pace(gap_seconds=0.01, tokens=1000)
    aborted = pair.simulator.stats["aborted"]
    with pair.open(body, path=path) as caller:
        caller.read_until(b"\n\n", 6)
    assert pair.seconds_until_aborted(aborted + 1) <= 1.0
    [event] = pair.settle()[-1:]
    assert (event["cause"], event["status"], event["endpoint"]) == ("client_aborted", 200, path)


def assert_nothing_is_left(now: Holdings, baseline: Holdings) -> None:
    assert now.descriptors <= baseline.descriptors
    assert now.threads <= baseline.threads
    assert now.resident_bytes - baseline.resident_bytes < 8 * 1024 * 1024


def hang_up_mid_stream(pair: Pair, events: int) -> tuple[float, bytes]:
    """How long the upstream took to see it, and what the client had got."""
    pair.pace(gap_seconds=0.01, tokens=1000)
    aborted = pair.simulator.stats["aborted"]
    with pair.open(chat(stream=True)) as caller:
        received = caller.read_until(b"\n\n", events)
    return pair.seconds_until_aborted(aborted + 1), received


def request_id_of(received: bytes) -> str:
    return received.partition(b"x-request-id: ")[2].partition(b"\r\n")[0].decode()


def data_of(received: bytes) -> list[bytes]:
    return [line + b"\n\n" for line in received.split(b"\n") if line.startswith(b"data: ")]


# Moments ----------------------------------------------------------------------------------------------------------


def before_the_upstream_answers(pair: Pair, *, stream: bool) -> Caller:
    pair.fault("stall-headers")
    return pair.open(chat(stream=stream))


def before_a_stream_is_answered(pair: Pair) -> Caller:
    return before_the_upstream_answers(pair, stream=True)


def before_a_whole_answer(pair: Pair) -> Caller:
    return before_the_upstream_answers(pair, stream=False)


def before_embeddings(pair: Pair) -> Caller:
    pair.fault("stall-headers")
    return pair.open(EMBEDDING, path="/v1/embeddings")


def between_head_and_first_event(pair: Pair) -> Caller:
    pair.pace(first_token_seconds=60)
    return pair.open(chat(stream=True, model=CLAUDE))


def while_the_answer_stalls(pair: Pair) -> Caller:
    pair.fault("stall")
    caller = pair.open(chat(stream=True))
    caller.read_until(b"\n\n", 2)
    return caller


def while_a_whole_answer_is_being_made(pair: Pair) -> Caller:
    pair.pace(first_token_seconds=60)
    return pair.open(chat())


MOMENTS = [
    before_a_stream_is_answered,
    before_a_whole_answer,
    before_embeddings,
    between_head_and_first_event,
    while_the_answer_stalls,
    while_a_whole_answer_is_being_made,
]


@pytest.mark.parametrize("end", ENDINGS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_the_upstream_call_ends_at_once_and_is_one_event(
    pair: Pair, moment: Callable[[Pair], Caller], end: Ending
) -> None:
    aborted = pair.simulator.stats["aborted"]
    caller = moment(pair)
    pair.in_flight(1)
    end(caller)
    assert pair.seconds_until_aborted(aborted + 1) <= DETECTION_SECONDS + SLACK_SECONDS
    (event,) = pair.settle()
    assert event["cause"] == "client_aborted"
    assert event["status"] == (200 if moment is while_the_answer_stalls else 0)
    assert event["usage_unknown"]
    assert event["identity_id"] == "default"


@pytest.mark.parametrize("end", ENDINGS)
def test_a_client_that_leaves_while_it_uploads_its_body_reaches_no_upstream(pair: Pair, end: Ending) -> None:
    body = json.dumps(chat("x" * 3_000_000)).encode()
    caller = pair.connect()
    caller.send_head(pair.key, len(body))
    caller.socket.sendall(body[: len(body) // 2])
    end(caller)
    (event,) = pair.settle()
    assert (event["cause"], event["status"], event["identity_id"]) == ("client_aborted", 0, None)
    assert not event["usage_unknown"]
    assert len(pair.upstream_calls()) == 1  # of `settle`


@pytest.mark.parametrize("end", ENDINGS)
def test_a_client_that_leaves_before_it_has_said_what_it_wants_is_no_event(pair: Pair, end: Ending) -> None:
    caller = pair.connect()
    caller.socket.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bea")
    end(caller)
    assert pair.settle() == []


@pytest.mark.parametrize("end", ENDINGS)
def test_a_client_that_leaves_while_the_gateway_waits_for_its_token_is_one_event(pair: Pair, end: Ending) -> None:
    """Its event does not wait for the token."""
    pair.fault("slow-headers", endpoint=TOKEN_PATH, count=1, seconds=0.6)
    pair.simulator.post("/_sim/expire-tokens")
    caller = pair.open(chat())
    pair.wait_for(lambda: any(request["path"] == TOKEN_PATH for request in pair.simulator.requests))
    end(caller)
    pair.wait_for(pair.untold_events, seconds=0.5)
    (event,) = pair.settle()
    assert (event["cause"], event["status"]) == ("client_aborted", 0)
    assert event["duration"] < 0.5
    assert len(pair.upstream_calls()) == 2  # one was refused for its token; the other is of `settle`


def test_a_client_that_leaves_between_two_attempts_ends_them(pair: Pair) -> None:
    pair.fault("500")
    caller = pair.open(chat())
    pair.wait_for(lambda: len(pair.upstream_calls()) == 2)
    caller.close()  # the third would follow in a second
    pair.wait_for(pair.untold_events)
    (event,) = pair.settle()
    assert (event["cause"], event["status"]) == ("client_aborted", 0)
    assert event["duration"] < 1.0
    assert len(pair.upstream_calls()) == 3  # the last one is of `settle`


def test_no_moment_of_hanging_up_leaves_anything_behind(pair: Pair) -> None:
    def round_of_all() -> None:
        for moment in MOMENTS:
            for end in (Caller.close, Caller.reset):
                aborted = pair.simulator.stats["aborted"]
                caller = moment(pair)
                pair.in_flight(1)
                end(caller)
                pair.seconds_until_aborted(aborted + 1)
                pair.calm()

    round_of_all()
    pair.settle()
    baseline = holdings(pair.pid)
    for _ in range(5):
        round_of_all()
    events = pair.settle()
    assert len(events) == 5 * 2 * len(MOMENTS)
    assert {event["cause"] for event in events} == {"client_aborted"}
    now = settled(pair.pid, baseline)
    assert_nothing_is_left(now, baseline)


@pytest.mark.parametrize("end", ENDINGS)
@pytest.mark.parametrize("size", [1, 3_000_000])
def test_a_client_that_has_sent_more_and_hangs_up_is_noticed(pair: Pair, end: Ending, size: int) -> None:
    """Whatever has been pipelined behind a call: nobody reads it, and still its client's end is seen at once."""
    pair.fault("stall-headers")
    before = pair.simulator.stats
    caller = pair.open(chat())
    pair.in_flight(before["in_flight"] + 1)
    body = json.dumps(chat("x" * size)).encode()
    caller.send_head(pair.key, len(body))
    caller.socket.settimeout(0.2)
    with contextlib.suppress(TimeoutError, ConnectionError):  # it need not be taken
        caller.socket.sendall(body)
    end(caller)
    assert pair.seconds_until_aborted(before["aborted"] + 1) <= DETECTION_SECONDS + SLACK_SECONDS
    assert "client_aborted" in {event["cause"] for event in pair.settle()}
