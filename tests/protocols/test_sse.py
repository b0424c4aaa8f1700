"""Server-sent events: the incremental decoder says what the standard says, however the bytes are cut."""

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.protocols.sse import (
    KEEP_ALIVE,
    MAX_COMMENT_CHARACTERS,
    MAX_EVENT_BYTES,
    Event,
    EventTooLarge,
    SseDecoder,
    render_comment,
    render_event,
)

PROPERTY = settings(derandomize=True, deadline=None, database=None)


def reference(stream: bytes) -> list[Event]:
    """
    The standard's algorithm (WHATWG HTML, 9.2.6), line by line over the whole stream.

    One deviation, which the decoder makes on purpose: an event that the end of the stream interrupts counts.
    """
    events: list[Event] = []
    data: list[bytes] = []
    name: str | None = None
    for line in [*re.split(rb"\r\n|\n|\r", stream.removeprefix(b"\xef\xbb\xbf")), b""]:
        if line == b"":
            if data:
                events.append(Event(b"\n".join(data), name))
            data, name = [], None
            continue
        field, _, value = line.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode(errors="replace")
    return events


def decode(*pieces: bytes) -> list[Event]:
    decoder = SseDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.finish()


STREAMS = st.lists(
    st.sampled_from(
        [
            b"data: ", b"data:", b"data", b"event: x", b"event:", b"id: 1", b"retry: 5", b": comment", b":", b"dat", b"datax: 1", b" data: 1", b"x",
            b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r", b"\n\n", b"data: a\n\n", b"data: {}\n\ndata: []\n\n", b"data: a\r\n\r\n",
            b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xc2\x85", b"\xf0\x9f\x98\x80", b"\x0b", b"\x0c", b"\x1c", b"\0", b"\xff", b"[DONE]", b" ", b":",
        ]
    ),
    max_size=24,
).map(b"".join)  # fmt: skip


@settings(PROPERTY, max_examples=500)
@given(stream=STREAMS | st.binary(max_size=60), cuts=st.lists(st.integers(0, 200), max_size=5))
def test_any_bytes_in_any_pieces_are_decoded_as_the_standard_says(stream: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    pieces = [stream[start:end] for start, end in itertools.pairwise(places)]
    assert decode(*pieces) == reference(stream)


@settings(PROPERTY, max_examples=200)
@given(stream=STREAMS)
def test_bytes_may_come_one_at_a_time(stream: bytes) -> None:
    assert decode(*(stream[place : place + 1] for place in range(len(stream)))) == reference(stream)


@settings(PROPERTY, max_examples=200)
@given(stream=STREAMS, cuts=st.lists(st.integers(0, 200), max_size=3))
def test_an_event_is_handed_out_as_soon_as_its_end_is_sure(stream: bytes, cuts: list[int]) -> None:
    """A CR at the end of a piece may be half of a CRLF; anything else that is complete must not wait."""
    decoder = SseDecoder()
    so_far = b""
    events: list[Event] = []
    for place in sorted({cut % (len(stream) + 1) for cut in cuts} | {len(stream)}):
        piece, so_far = stream[len(so_far) : place], stream[:place]
        events += decoder.feed(piece)
        if so_far.endswith((b"\n\n", b"\r\n\r\n")):
            assert events == reference(so_far)


def test_the_standards_own_examples() -> None:
    assert decode(b"data: YHOO\ndata: +2\ndata: 10\n\n") == [Event(b"YHOO\n+2\n10")]
    assert decode(b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event") == [
        Event(b"first event"), Event(b"second event"), Event(b" third event"),
    ]  # fmt: skip
    assert decode(b"data\n\ndata\ndata\n\ndata:") == [Event(b""), Event(b"\n"), Event(b"")]
    assert decode(b"data:test\n\ndata: test\n\n") == [Event(b"test"), Event(b"test")]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"])
def test_only_three_line_ends_end_a_line(end: str, separator: str) -> None:
    text = f'{{"a":"x{separator}y"}}'
    assert decode(f"data: {text}{end}{end}".encode()) == [Event(text.encode())]


def test_a_character_may_be_torn_apart() -> None:
    stream = "data: 😀é\u2028\n\n".encode()
    for place in range(len(stream) + 1):
        assert decode(stream[:place], stream[place:]) == [Event("😀é\u2028".encode())]


def test_a_crlf_may_be_torn_apart() -> None:
    stream = b"data: a\r\n\r\ndata: b\r\n\r\n"
    for place in range(len(stream) + 1):
        assert decode(stream[:place], stream[place:]) == [Event(b"a"), Event(b"b")]


def test_comments_and_unknown_fields_are_no_events() -> None:
    assert decode(b": ping\n\n:\n\nretry: 1\n\nid: 1\n\nnonsense\n\n") == []


def test_the_name_belongs_to_its_event_only() -> None:
    assert decode(b"event: a\ndata: 1\n\ndata: 2\n\n") == [Event(b"1", "a"), Event(b"2")]


def test_a_bom_is_dropped_at_the_start_only() -> None:
    bom = b"\xef\xbb\xbf"
    assert decode(bom + b"data: a\n\n") == [Event(b"a")]
    for place in range(1, 4):
        assert decode(bom[:place], bom[place:] + b"data: a\n\n") == [Event(b"a")]
    assert decode(b"\n\n", bom + b"data: a\n\ndata: b\n\n") == [Event(b"b")]


def test_an_event_of_many_megabytes_is_decoded_in_linear_time() -> None:
    """Every byte is searched once, however small the pieces: 16 MiB in pieces of 4 KiB would take minutes otherwise."""
    size = 16 * 1024 * 1024
    data = b"x" * size
    stream = b"data: " + data + b"\n\n"
    decoder = SseDecoder()
    events = []
    for place in range(0, len(stream), 64 * 1024):
        events += decoder.feed(stream[place : place + 64 * 1024])
    assert [len(event.data) for event in events] == [size]


def test_an_event_that_does_not_end_is_an_error() -> None:
    decoder = SseDecoder()
    block = b"x" * (16 * 1024 * 1024)
    decoder.feed(b"data: ")
    fits = MAX_EVENT_BYTES // len(block)
    for _ in range(fits - 1):
        decoder.feed(block)
    with pytest.raises(EventTooLarge):
        decoder.feed(block)


def test_many_events_in_one_piece_are_no_big_event() -> None:
    one = b"data: " + b"x" * 1024 * 1024 + b"\n\n"
    assert len(SseDecoder().feed(one * 60)) == 60


@settings(PROPERTY, max_examples=100)
@given(
    data=st.binary(max_size=40).filter(lambda data: b"\n" not in data and b"\r" not in data),
    name=st.sampled_from([None, "x", "a.b"]),
)
def test_what_is_rendered_decodes_to_itself(data: bytes, name: str | None) -> None:
    assert decode(render_event(data, name)) == [Event(data, name)]


def test_a_comment_says_nothing() -> None:
    assert render_comment(KEEP_ALIVE) == b": keep-alive\n\n"
    assert decode(render_comment(KEEP_ALIVE), render_event(b"1")) == [Event(b"1")]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("queued: place 3, waited 5 s, about 10 s to go", b": queued: place 3, waited 5 s, about 10 s to go"),
        ("x\n\ndata: {}\r\n\revent: y", b": x??data: {}???event: y"),
        ("é\u2028\x00\x7f\ud800", b": ?????"),
        ("x" * 300, b": " + b"x" * MAX_COMMENT_CHARACTERS),
        ("", b": "),
    ],
)
def test_a_comment_is_one_line_of_plain_text(text: str, line: bytes) -> None:
    assert render_comment(text) == line + b"\n\n"


@settings(PROPERTY, max_examples=100)
@given(text=st.text(max_size=300))
def test_no_comment_is_an_event(text: str) -> None:
    assert decode(render_comment(text), render_event(b"1")) == [Event(b"1")]
