"""The native stream: byte for byte, but for what strict clients need."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.errors import GatewayError, LimitReached, RateLimited, UpstreamCut, UpstreamFailed, UpstreamRateLimited
from copilot_api.protocols.base import StreamRelay, Usage
from copilot_api.protocols.messages.native import parse_native_answer
from copilot_api.protocols.messages.reader import MessagesReader
from copilot_api.protocols.messages.relay import MessagesRelay, whole_as_events
from copilot_api.protocols.sse import MAX_EVENT_BYTES
from tests.protocols.messages.upstream_events import (
    CASES,
    DONE,
    PING,
    STOP,
    check_order,
    close_block,
    delta,
    ending,
    event,
    events_of,
    open_block,
    same_however_cut,
    start,
    text_block,
    tool_block,
)

MODEL = "my-claude"


def relay(pieces: list[bytes]) -> tuple[bytes, GatewayError | None, MessagesRelay]:
    stream = MessagesRelay(model=MODEL)
    out = [stream.feed(piece) for piece in pieces]
    try:
        out.append(stream.finish())
    except GatewayError as error:
        return b"".join(out), error, stream
    return b"".join(out), None, stream


def outcome(pieces: list[bytes]) -> Any:
    out, error, stream = relay(pieces)
    return out, error and (type(error), error.message), stream.usage, stream.nano_aiu, stream.has_content


def relayed(*pieces: bytes) -> bytes:
    """The client's stream of an answer that ends well."""
    out, error, _ = relay([b"".join(pieces)])
    assert error is None
    check_order(out)
    return out


def case(name: str) -> bytes:
    return (CASES / "messages_native" / name / "upstream.sse").read_bytes()


def test_it_is_a_stream_relay() -> None:
    stream: StreamRelay = MessagesRelay(model=MODEL)
    assert not stream.is_over


@pytest.mark.parametrize("name", ["messages", "messages_thinking", "messages_refusal"])
def test_pitfall_041_a_recorded_stream_passes_but_for_the_model_and_the_done(name: str) -> None:
    source = case(name)
    out, error, usage, nano_aiu, has_content = same_however_cut(source, outcome)
    assert error is None
    assert nano_aiu
    assert has_content
    check_order(out)
    first, _, rest = out.partition(b"\n\n")
    came, _, follows = source.partition(b"\n\n")
    assert rest == follows.removesuffix(DONE + b"\n").removesuffix(DONE)
    expected = json.loads(came.partition(b"data: ")[2])
    expected["message"]["model"] = MODEL
    assert events_of(first + b"\n\n") == [("message_start", expected)]
    reader = MessagesReader()
    reader.feed(source)
    assert usage == reader.usage


def test_an_error_inside_the_stream_is_its_failure_and_not_passed_on() -> None:
    out, error, usage, _, has_content = same_however_cut(case("messages_midstream_error"), outcome)
    assert error == (UpstreamFailed, "Overloaded")
    assert b"verloaded" not in out
    assert [name for name, _ in events_of(out)] == ["message_start", "content_block_start", "content_block_delta"]
    assert usage == Usage(input_tokens=16, output_tokens=1)
    assert has_content


def test_pitfall_103_what_only_announces_an_answer_is_none_of_it() -> None:
    stream = MessagesRelay(model=MODEL)
    stream.feed(PING + start() + PING + open_block(0, type="text", text=""))
    assert not stream.has_content
    stream.feed(event("error", error={"type": "overloaded_error", "message": "busy"}))
    assert stream.failure is not None
    assert not stream.has_content
    stream.feed(delta(0, "text_delta", text="late"))
    assert not stream.has_content


def test_a_call_and_an_end_are_content() -> None:
    for piece in (tool_block(0), ending(), text_block(0, "a")):
        stream = MessagesRelay(model=MODEL)
        stream.feed(start() + piece)
        assert stream.has_content


def test_pitfall_084_every_event_is_named() -> None:
    nameless = b"\n\n".join(
        part.partition(b"\n")[2] for part in (start() + text_block(0, "a") + ending() + STOP).split(b"\n\n")
    )
    out = same_however_cut(nameless, outcome)[0]
    assert out == relayed(start(), text_block(0, "a"), ending(), STOP)


def test_an_event_without_its_type_gets_it_from_its_name() -> None:
    out = relayed(start(), text_block(0, "a"), ending(), b"event: message_stop\ndata: {}\n\n")
    assert out.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')


def test_an_event_that_is_neither_named_nor_typed_is_left_out() -> None:
    assert relayed(start(), b'data: {"a":1}\n\n', ending(), STOP) == relayed(start(), ending(), STOP)


def test_pitfall_073_a_ping_waits_for_the_message() -> None:
    out = relayed(PING * 25, start(), PING, text_block(0, "a"), ending(), STOP)
    assert [name for name, _ in events_of(out)][:3] == ["message_start", "ping", "ping"]


def test_exactly_one_message_start() -> None:
    assert relayed(start(), start(), ending(), STOP) == relayed(start(), ending(), STOP)
    events = check_order(relayed(text_block(0, "a"), ending(), STOP))
    assert events[0][1]["message"]["model"] == MODEL
    assert events[0][1]["message"]["usage"] == {"input_tokens": 0, "output_tokens": 0}


def test_a_message_start_has_all_that_clients_read() -> None:
    message = check_order(relayed(event("message_start", message={"id": "msg_1"}), ending(), STOP))[0][1]["message"]
    assert message == {
        "id": "msg_1", "type": "message", "role": "assistant", "content": [], "stop_reason": None,
        "stop_sequence": None, "model": MODEL, "usage": {"input_tokens": 0, "output_tokens": 0},
    }  # fmt: skip


def test_blocks_are_opened_and_closed_where_the_upstream_forgot() -> None:
    out = relayed(
        start(), delta(0, "thinking_delta", thinking="hm"), open_block(1, type="text", text=""),
        delta(1, "text_delta", text="a"), delta(2, "text_delta", text="b"), close_block(2), close_block(2),
        open_block(3, type="tool_use", id="t", name="n", input={}), ending("tool_use"), STOP,
    )  # fmt: skip
    names = [(name, data.get("index")) for name, data in events_of(out) if name.startswith("content")]
    assert names == [
        ("content_block_start", 0), ("content_block_delta", 0), ("content_block_stop", 0),
        ("content_block_start", 1), ("content_block_delta", 1), ("content_block_stop", 1),
        ("content_block_start", 2), ("content_block_delta", 2), ("content_block_stop", 2),
        ("content_block_start", 3), ("content_block_stop", 3),
    ]  # fmt: skip


def test_a_count_that_is_missing_at_the_end_is_filled_in() -> None:
    for usage in ({}, None, {"output_tokens": None}, {"output_tokens": "x"}):
        data = check_order(relayed(start(output_tokens=4), ending(usage=usage), STOP))[-2][1]
        assert data["usage"] == {"output_tokens": 4}


def test_pitfall_053_an_end_after_calls_is_for_the_tools() -> None:
    data = check_order(relayed(start(), tool_block(0), ending("end_turn"), STOP))[-2][1]
    assert data["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert data["usage"] == {"output_tokens": 7}


def test_an_end_without_its_reason_gets_one() -> None:
    data = check_order(relayed(start(), tool_block(0), STOP))[-2][1]
    assert data["delta"]["stop_reason"] == "tool_use"


def test_nothing_follows_the_end() -> None:
    out = relayed(start(), ending(), STOP)
    assert relayed(start(), ending(), STOP, PING, DONE, text_block(0, "late"), b"data: junk\n\n") == out


def test_unknown_events_pass_as_they_came() -> None:
    odd = event("something_new", value={"b": 1})
    assert odd in relayed(start(), odd, ending(), STOP)


def test_data_of_several_lines_becomes_one() -> None:
    lines = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,\ndata: "delta":{"type":"text_delta","text":"a"}}\n\n'
    out = relayed(start(), open_block(0, type="text", text=""), lines, close_block(0), ending(), STOP)
    assert b'"text":"a"' in out


@pytest.mark.parametrize("tail", [b"", DONE, b"event: message_stop\ndata: {", STOP.rstrip(b"\n")])
def test_an_answer_that_has_told_why_it_ends_is_complete(tail: bytes) -> None:
    assert relayed(start(), text_block(0, "a"), ending(), tail) == relayed(start(), text_block(0, "a"), ending(), STOP)


@pytest.mark.parametrize("tail", [b"", DONE, b"event: message_delta\ndata: {", close_block(0)])
def test_pitfall_083_an_answer_that_breaks_off_is_cut(tail: bytes) -> None:
    out, error, _ = relay([start() + open_block(0, type="text") + delta(0, "text_delta", text="a") + tail])
    assert isinstance(error, UpstreamCut)
    assert b"message_stop" not in out


@pytest.mark.parametrize(
    "bad",
    [
        b"data: <html>\n\n",
        b"event: content_block_delta\ndata: {\n\n",
        delta(1, "text_delta", text="x").replace(b'"x"', b'"\xff"'),
        open_block(1, type="text", text="x").replace(b'"x"', b'"\xff"'),
        b"data: [1]\n\n",
        b"event: error\ndata: {}\n\n",
        b'data: {"error":"boom"}\n\n',
        delta(5, "input_json_delta", partial_json="{"),
    ],
)
def test_what_cannot_be_read_is_a_failure_and_the_rest_is_kept(bad: bytes) -> None:
    out, error, stream = relay([start() + text_block(0, "a") + bad + STOP])
    assert isinstance(error, UpstreamFailed)
    assert stream.failure is error
    assert out.endswith(close_block(0))


def test_an_event_that_does_not_end_is_a_failure() -> None:
    stream = MessagesRelay(model=MODEL)
    assert stream.feed(b"data: " + b"x" * MAX_EVENT_BYTES) == b""
    assert isinstance(stream.failure, UpstreamFailed)


def test_an_error_ends_the_stream_in_the_clients_own_terms() -> None:
    out = MessagesRelay(model=MODEL).fail(UpstreamRateLimited("slow down"), "req_1")
    [(name, data)] = events_of(out)
    assert name == data["type"] == "error"
    assert data["error"]["type"] == "rate_limit_error"
    assert data["request_id"] == "req_1"


def test_an_error_names_the_limit_that_is_its_reason() -> None:
    error = RateLimited("x", limit=LimitReached("rpm", 6, 5, "requests"))
    [(_, data)] = events_of(MessagesRelay(model=MODEL).fail(error, "req_1"))
    assert data["error"]["limit"] == {"name": "rpm", "current": 6, "allowed": 5, "unit": "requests"}


def test_keep_alives_are_pings_inside_a_message_and_comments_outside() -> None:
    stream = MessagesRelay(model=MODEL)
    assert stream.keep_alive() == b": keep-alive\n\n"
    assert stream.keep_alive("queued: place 3") == b": queued: place 3\n\n"
    stream.feed(start())
    assert stream.keep_alive() == stream.keep_alive("queued: place 3") == PING
    stream.feed(ending() + STOP)
    assert stream.keep_alive("x\n\ndata: {}") == b": x??data: {}\n\n"


def test_pitfall_113_a_whole_answer_becomes_a_stream() -> None:
    blocks: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "thinking", "thinking": "", "signature": "s2"},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "text", "text": "a", "citations": [{"type": "char_location"}]},
        {"type": "tool_use", "id": "t", "name": "n", "input": {"a": 1}},
    ]
    source = msgspec.json.encode(
        {
            "type": "message",
            "content": blocks,
            "stop_reason": "tool_use",
            "usage": {"input_tokens": 5, "output_tokens": 9},
        }
    )
    whole = parse_native_answer(source, model=MODEL, now=7)
    out = whole_as_events(None, whole.body, 7)
    events = check_order(out)
    assert events[0][1]["message"]["content"] == []
    assert events[0][1]["message"]["usage"]["input_tokens"] == 5
    assert events[-2][1]["usage"] == {"input_tokens": 5, "output_tokens": 9}
    assert {"type": "citations_delta", "citation": {"type": "char_location"}} in [
        data.get("delta") for _, data in events
    ]
    assert events_of(relay([out])[0]) == events
    reader = MessagesReader()
    assert [type(one).__name__ for one in reader.feed(out)] == [
        "Started", "ReasoningDelta", "ReasoningEnd", "ReasoningEnd", "ReasoningEnd", "TextDelta", "ToolStart",
        "ToolDelta", "ToolEnd", "Finished",
    ]  # fmt: skip
    assert reader.usage == whole.usage


KINDS = [
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "ping",
    "new",
]
WORDS = [*KINDS, "text_delta", "thinking_delta", "input_json_delta", "tool_use", "text", "a\r\nb"]
VALUES: st.SearchStrategy[Any] = st.none() | st.integers(0, 2) | st.sampled_from(WORDS) | st.booleans()
OBJECTS = st.dictionaries(
    st.sampled_from(["type", "text", "thinking", "id", "usage", "stop_reason", "output_tokens"]), VALUES, max_size=5
)
EVENTS = st.fixed_dictionaries(
    {"type": st.sampled_from(KINDS) | VALUES},
    optional={
        "index": st.integers(0, 2),
        "delta": OBJECTS | VALUES,
        "content_block": OBJECTS,
        "message": OBJECTS,
        "usage": OBJECTS,
    },
)


@settings(derandomize=True, deadline=None, database=None, max_examples=120)
@given(st.lists(EVENTS, max_size=8), st.booleans())
def test_any_events_make_a_stream_in_order_or_a_failure(documents: list[Any], is_named: bool) -> None:
    names = [str(one["type"]).replace("\r\n", " ") if is_named else None for one in documents]
    frames = [
        (f"event: {name}\n".encode() if name else b"") + b"data: " + msgspec.json.encode(one) + b"\n\n"
        for name, one in zip(names, documents, strict=True)
    ]
    out, error, _ = relay(frames)
    if error is None:
        check_order(out)
    else:
        events_of(out)


@settings(derandomize=True, deadline=None, database=None)
@given(
    st.lists(
        st.binary(max_size=30) | st.sampled_from([start(), PING, STOP, b"data: ", b"\n\n", b"{", b"event: error\n"])
    )
)
def test_any_bytes_make_a_stream_or_a_failure(pieces: list[bytes]) -> None:
    relay(pieces)
