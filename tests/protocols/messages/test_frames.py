import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.protocols.messages.frames import Frame, FrameDecoder
from copilot_api.protocols.sse import MAX_EVENT_BYTES, EventTooLarge, SseDecoder
from tests.protocols.messages.upstream_events import DONE, PING, same_however_cut, start, text_block


def decoded(pieces: list[bytes]) -> list[Frame]:
    decoder = FrameDecoder()
    return [frame for piece in pieces for frame in decoder.feed(piece)] + decoder.finish()


def test_a_stream_gives_the_same_frames_however_it_is_cut() -> None:
    frames = same_however_cut(start() + text_block(0, "a") + PING + b": comment\n\n" + DONE, decoded)
    assert [frame.name for frame in frames] == [
        b"message_start", b"content_block_start", b"content_block_delta", b"content_block_stop", b"ping", None,
    ]  # fmt: skip


def test_a_frame_of_several_data_lines_is_joined() -> None:
    assert decoded([b"event: ping\ndata: 1\ndata: 2\n\n", PING]) == [
        Frame(b"1\n2", b"ping"),
        Frame(b'{"type":"ping"}', b"ping"),
    ]


def test_a_frame_that_does_not_end_is_refused() -> None:
    with pytest.raises(EventTooLarge):
        FrameDecoder().feed(b"data: " + b"x" * MAX_EVENT_BYTES)


@settings(derandomize=True, deadline=None, database=None)
@given(
    st.lists(
        st.sampled_from([b"event: a\ndata: 1\n\n", b"event: a\n", b"data: 2\n\n", b"\n", b"\r\n", b"x", b": c\n\n"])
    )
)
def test_the_quick_way_gives_what_the_general_one_gives(pieces: list[bytes]) -> None:
    general = SseDecoder()
    events = [event for piece in pieces for event in general.feed(piece)] + general.finish()
    assert [(frame.data, frame.name) for frame in decoded(pieces)] == [
        (event.data, event.name.encode() if event.name else None) for event in events
    ]
