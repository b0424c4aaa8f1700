"""A tap sees every attempt with what was sent, and what it gives back is read; the call itself is as ever."""

import msgspec
import pytest

from copilot_api.errors import UpstreamFailed, UpstreamRefused
from copilot_api.upstream.tap import UpstreamTap
from copilot_api.upstream.transport import ConnectFailed, ConnectionBroken, Reply
from tests.upstream.test_client import API, REQUEST, FakeReply, opened, with_status


class Tap(UpstreamTap):
    """Writes down what it sees."""

    def __init__(self) -> None:
        self.seen: list[object] = []
        self.given: list[FakeReply] = []

    def sending(self, url: str, headers: bytes, body: bytes) -> None:
        assert headers.endswith(b"\r\n")
        self.seen.append((url, b"x-initiator: user" in headers, body))

    def follow(self, reply: Reply) -> Reply:
        self.seen.append(reply.status)
        self.given.append(FakeReply(reply.status, b"seen by the tap", headers=reply.headers))
        return self.given[-1]

    def failed(self, error: BaseException) -> None:
        self.seen.append(type(error))


SENT = (f"{API}/chat/completions", True, b'{"model":"m"}')
REPEATED = (f"{API}/chat/completions", False, b'{"model":"m"}')


def test_what_the_tap_gives_back_is_what_is_read() -> None:
    tap = Tap()
    found, _, _ = opened(FakeReply(), request=msgspec.structs.replace(REQUEST, tap=tap))
    assert found is tap.given[0]
    assert tap.seen == [SENT, 200]


def test_a_refusal_is_read_through_the_tap_too() -> None:
    tap = Tap()
    found, _, _ = opened(with_status(400, b"unread"), request=msgspec.structs.replace(REQUEST, tap=tap))
    assert isinstance(found, UpstreamRefused)
    assert found.message == "seen by the tap"
    assert tap.given[0].is_closed


@pytest.mark.parametrize("error", [ConnectFailed("no"), ConnectionBroken("gone", is_safe_to_repeat=True)])
def test_every_attempt_is_seen_and_those_without_an_answer_too(error: ConnectFailed | ConnectionBroken) -> None:
    tap = Tap()
    opened(error, with_status(502), FakeReply(), request=msgspec.structs.replace(REQUEST, tap=tap))
    assert tap.seen == [SENT, type(error), SENT, 502, REPEATED, 200]


def test_an_end_without_any_answer_is_seen() -> None:
    tap = Tap()
    found, _, _ = opened(ConnectionBroken("gone"), request=msgspec.structs.replace(REQUEST, tap=tap))
    assert isinstance(found, UpstreamFailed)
    assert tap.seen == [SENT, ConnectionBroken]
