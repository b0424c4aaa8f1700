"""What is no text is refused, and events are known by their type or their beginning."""

import gzip

import pytest

from copilot_api.redaction.texts import NotText, decode_body, is_event_stream


@pytest.mark.parametrize(("body", "media_type"), [(gzip.compress(b"x", mtime=0), "application/json"), (b"\xff\xfe", ""), ("a".encode("utf-16"), ""), (b"x", "image/png"), (b"a\x00b", "text/plain"), (b"\xff", "text/plain; charset=utf-16"), (b"\xff", "text/plain; charset=nonsense")])  # fmt: skip
def test_what_cannot_be_read_is_refused(body: bytes, media_type: str) -> None:
    with pytest.raises(NotText):
        decode_body(body, media_type)


def test_text_is_read_in_its_own_encoding() -> None:
    assert decode_body("é".encode(), "application/json") == "é"
    assert decode_body(b"\xe9", "text/plain; charset=latin-1") == "é"


def test_the_half_of_a_character_at_a_cut_goes() -> None:
    assert decode_body("aé".encode()[:-1], "", is_cut=True) == "a"
    with pytest.raises(NotText):
        decode_body("aé".encode()[:-1], "")


def test_events_are_known() -> None:
    assert is_event_stream("", "text/event-stream; charset=utf-8")
    assert is_event_stream(": hello\n\nevent: x\ndata: y", "")
    assert not is_event_stream('{"data": 1}', "application/json")
