"""Streams come at the pace that was set, and break in the ways that faults ask for."""

import socket
import time

import pytest

from tests.simulator.client import CHAT, CONVERSATIONS, MESSAGES, MODELS, RESPONSES, Client, question, text_deltas

LAST_EVENT = {CHAT: "[DONE]", RESPONSES: "response.completed", MESSAGES: "message_stop"}


def _receive_all(connection: socket.socket) -> bytes:
    """Everything until the peer closes; a reset ends it too, and leaves a mark."""
    received = b""
    try:
        while data := connection.recv(65536):
            received += data
    except ConnectionResetError:
        return received + b"<reset>"
    return received


def _receive_until_silence(connection: socket.socket) -> bytes:
    """What comes until the socket's timeout; the peer must not close."""
    received = b""
    try:
        while data := connection.recv(65536):
            received += data
    except TimeoutError:
        return received
    raise AssertionError("the connection was closed")


def _wait_for(simulator: Client, name: str, value: int) -> float:
    """How long it takes until a count has that value."""
    begun = time.monotonic()
    while simulator.stats()[name] != value:
        assert time.monotonic() - begun < 5, simulator.stats()
        time.sleep(0.005)
    return time.monotonic() - begun


def _asked(simulator: Client, path: str, text: str, *, stream: bool = True) -> bytes:
    with simulator.open(path, {**question(path, text), "stream": stream}) as connection:
        return _receive_all(connection)


@pytest.mark.parametrize("path", CONVERSATIONS)
@pytest.mark.parametrize("fault", ["cut", "cut-rst"])
def test_a_cut_stream_has_some_output_and_no_end(simulator: Client, path: str, fault: str) -> None:
    received = _asked(simulator, path, f"SIM-FAULT:{fault}")
    assert received.startswith(b"HTTP/1.1 200")
    assert b"data: " in received
    assert LAST_EVENT[path].encode() not in received
    assert b"0\r\n\r\n" not in received[-16:]
    assert received.endswith(b"<reset>") == (fault == "cut-rst")
    _wait_for(simulator, "broken", 1)
    assert simulator.stats()["aborted"] == 0


@pytest.mark.parametrize("path", CONVERSATIONS)
def test_a_stream_can_end_properly_for_http_and_too_early_for_its_protocol(simulator: Client, path: str) -> None:
    answer = simulator.ask(path, "SIM-FAULT:cut-clean", stream=True)
    assert answer.status == 200
    assert text_deltas(path, answer)
    assert LAST_EVENT[path] not in answer.text
    assert '"finish_reason"' not in answer.text


def test_a_whole_answer_can_be_cut_as_well(simulator: Client) -> None:
    received = _asked(simulator, CHAT, "SIM-FAULT:cut", stream=False)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    assert 0 < len(body) < length


@pytest.mark.parametrize(("fault", "received"), [("refused-close", b""), ("garbage", b"\x16\x03\x01")])
def test_a_connection_can_break_before_any_http(simulator: Client, fault: str, received: bytes) -> None:
    assert _asked(simulator, CHAT, f"SIM-FAULT:{fault}")[:3] == received


@pytest.mark.parametrize("path", CONVERSATIONS)
def test_split_frames_say_the_same_in_many_small_pieces(simulator: Client, path: str) -> None:
    simulator.control("/pace", tokens=5)
    simulator.control("/faults", name="split-frames", count=1)
    torn, plain = (simulator.ask(path, "grüße 🎉", stream=True) for _ in range(2))
    assert text_deltas(path, torn) == text_deltas(path, plain)
    assert LAST_EVENT[path] in torn.text


def test_code_points_are_torn_apart(simulator: Client) -> None:
    body = {**question(CHAT, "SIM-FAULT:split-frames"), "stream": True, "model": MODELS[CHAT]}
    with simulator.open(CHAT, body) as connection:
        chunks = _receive_all(connection).partition(b"\r\n\r\n")[2]
    sizes = {line for line in chunks.split(b"\r\n") if line in {b"1", b"2", b"3", b"5", b"7"}}
    assert sizes == {b"1", b"2", b"3", b"5", b"7"}


def test_no_done_ends_without_it(simulator: Client) -> None:
    answer = simulator.ask(CHAT, "SIM-FAULT:no-done", stream=True)
    assert answer.events()[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("fault", ["stall", "stall-headers"])
def test_a_stalled_call_ends_when_the_client_leaves(simulator: Client, fault: str) -> None:
    with simulator.open(CHAT, {**question(CHAT, f"SIM-FAULT:{fault}"), "stream": True}) as connection:
        _wait_for(simulator, "in_flight", 1)
        connection.settimeout(0.2)
        received = _receive_until_silence(connection)
        assert (b'"content":"' in received) == (fault == "stall")
    assert _wait_for(simulator, "aborted", 1) < 0.5
    assert simulator.stats()["in_flight"] == 0


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_while_the_pace_sleeps_is_noticed(simulator: Client, stream: bool) -> None:
    simulator.control("/pace", first_token_seconds=30)
    with simulator.open(CHAT, {**question(CHAT, "hi"), "stream": stream}):
        _wait_for(simulator, "in_flight", 1)
    assert _wait_for(simulator, "aborted", 1) < 0.5
    assert simulator.stats()["in_flight"] == 0


@pytest.mark.parametrize("name", ["slow-headers", "silence"])
def test_a_wait_in_the_middle_or_before_the_headers_is_as_long_as_asked(simulator: Client, name: str) -> None:
    simulator.control("/faults", name=name, seconds=0.25)
    begun = time.monotonic()
    answer = simulator.ask(CHAT, "hi", stream=True)
    assert 0.25 <= time.monotonic() - begun < 2
    assert answer.events()[-1] == "[DONE]"


def test_a_cut_can_be_placed_after_so_many_events(simulator: Client) -> None:
    simulator.control("/faults", name="cut-clean", after=3)
    assert len(simulator.ask(CHAT, "hi", stream=True).events()) == 3


@pytest.mark.parametrize("path", CONVERSATIONS)
@pytest.mark.parametrize("stream", [True, False])
def test_the_pace_sets_the_number_of_tokens_and_their_times(simulator: Client, path: str, stream: bool) -> None:
    simulator.control("/pace", first_token_seconds=0.1, gap_seconds=0.02, tokens=6)
    begun = time.monotonic()
    answer = simulator.ask(path, "hi", stream=stream, model="claude-haiku-4.5" if path == MESSAGES else MODELS[path])
    assert 0.2 <= time.monotonic() - begun < 2
    if stream:
        assert len(text_deltas(path, answer)) == 6


def test_every_event_is_a_write_of_its_own(simulator: Client) -> None:
    simulator.control("/pace", gap_seconds=0.02, tokens=5)
    asked, times = time.monotonic(), list[float]()
    with simulator.open(CHAT, {**question(CHAT, "hi"), "stream": True}) as connection:
        while data := connection.recv(65536):
            times.append(time.monotonic())
            if b"[DONE]" in data:
                break
    assert len(times) >= 5
    assert times[-1] - asked >= 0.08  # since the question: the first event may have been read late
