"""The bytes of a Responses stream as events, whatever the upstream took for a stream."""

import pytest

from copilot_api.errors import UpstreamFailed
from copilot_api.protocols.responses import events
from copilot_api.protocols.responses.events import EventSource, WireEvent, fields_of, read_event
from copilot_api.protocols.sse import Event

STREAM = b'event: a.b\ndata: {"x":1}\n\n: ping\n\ndata: {"x":2}\r\n\r\nevent: c\ndata: {\ndata: }\n\n'
EVENTS = [Event(b'{"x":1}', "a.b"), Event(b'{"x":2}'), Event(b"{\n}", "c")]


def feed(*pieces: bytes) -> list[Event]:
    source = EventSource()
    return [event for piece in pieces for event in source.feed(piece)] + source.finish()


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\n\n"])
def test_the_quick_way_and_the_general_one_give_the_same(start: bytes) -> None:
    source = start + STREAM
    assert feed(source) == EVENTS
    assert feed(*[source[place : place + 1] for place in range(len(source))]) == EVENTS
    for place in range(len(source)):
        assert feed(source[:place], source[place:]) == EVENTS
    assert feed(*[STREAM[:25], STREAM[25:]]) == EVENTS


def test_a_body_in_the_place_of_a_stream_is_kept_whole() -> None:
    source = EventSource()
    assert source.body is None
    assert [source.feed(piece) for piece in (b" ", b'\n{"a":', b"1}\n\n")] == [[], [], []]
    assert source.finish() == []
    assert source.body == b' \n{"a":1}\n\n'


def test_a_web_page_is_no_stream() -> None:
    with pytest.raises(UpstreamFailed):
        feed(b"\n", b"<html>")


def test_a_last_event_without_its_blank_line_counts_when_it_is_whole() -> None:
    assert feed(b'data: {"x":1}') == [Event(b'{"x":1}')]
    assert feed(b"data: [DONE]") == [Event(b"[DONE]")]
    assert feed(b'data: {"x":') == feed(b"data: 3") == []


def test_nothing_grows_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_EVENT_BYTES", 10)
    monkeypatch.setattr("copilot_api.protocols.sse.MAX_EVENT_BYTES", 10)
    for piece in (b"{" + b" " * 10, b"data: " + b" " * 10):
        with pytest.raises(UpstreamFailed):
            feed(piece)


def test_what_of_an_event_is_of_the_wrong_kind_is_left_out() -> None:
    assert read_event(b'{"type":"t","output_index":true,"delta":"x","text":null}') == WireEvent(type="t", delta="x")
    assert read_event(b"[]") == WireEvent()
    assert read_event(b"{") is None
    assert fields_of(b"{") == fields_of(b"[1]") == {}
