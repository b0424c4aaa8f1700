"""A raw trace, as the worker gets it."""

import msgspec
import pytest

from copilot_api.capture.models import Moment
from copilot_api.capture.raw import RawAttempt, RawLeg, RawTrace
from tests.capture.raws import make_raw


def test_it_arrives_as_it_was_sent() -> None:
    leg = RawLeg(status=200, headers=[(b"a", b"\xff")], body=b"\x00\xff", timeline=[Moment(1.25, 3)])
    raw = make_raw(attempts=[RawAttempt(request=leg, answer=leg)], client_answer=leg)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(raw), type=RawTrace) == raw


@pytest.mark.parametrize(
    ("headers", "expected"),
    [([], ""), ([(b"Content-Type", b"text/plain")], "text/plain"), ([(b"a", b"b"), (b"content-type", b"x/y")], "x/y")],
)
def test_the_media_type_is_what_the_headers_say(headers: list[tuple[bytes, bytes]], expected: str) -> None:
    assert RawLeg(headers=headers).media_type == expected
