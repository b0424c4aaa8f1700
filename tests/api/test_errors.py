"""An error as the caller's protocol expects it."""

import json
import re

import pytest

from copilot_api.api.errors import error_body, error_event, new_request_id
from copilot_api.errors import BadRequest, GatewayError, RateLimited, UpstreamRefused


def test_a_request_id_is_ours_and_unique_and_in_order() -> None:
    ids = [new_request_id() for _ in range(20_000)]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"req_[0-9a-f]{16,40}", each) for each in ids)
    assert len({len(each) for each in ids}) == 1
    times = [each[4:15] for each in ids]
    assert times == sorted(times)


@pytest.mark.parametrize(
    "error",
    [
        BadRequest("it is wrong", param="model"), RateLimited("too fast", retry_after=2.0), UpstreamRefused("no", upstream_code="content_filter"),
        BadRequest('quotes " and \\ and \x00 and \u2028 and 😀'), GatewayError("plain"), BadRequest("x" * 100_000),
    ],
)  # fmt: skip
def test_an_error_is_the_openai_envelope(error: GatewayError) -> None:
    document = json.loads(error_body(error, "req_1"))
    assert list(document) == ["error"]
    assert document["error"].keys() == {"message", "type", "param", "code"}
    assert document["error"]["message"].startswith(error.message)
    assert document["error"]["message"].endswith("(request id: req_1)")
    assert document["error"]["type"] == error.kind
    assert document["error"]["param"] == error.param
    assert document["error"]["code"] == error.public_code


def test_a_hint_follows_the_message() -> None:
    message = json.loads(error_body(BadRequest("wrong", hint="do it right"), "r"))["error"]["message"]
    assert message == "wrong; do it right (request id: r)"


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_a_text_that_is_no_unicode_is_no_crash(text: str) -> None:
    """A body may hold half a surrogate, and a message may quote the body."""
    for error in (
        BadRequest(text),
        BadRequest("x", param=text),
        BadRequest("x", hint=text),
        BadRequest("x", upstream_code=text),
    ):
        assert json.loads(error_body(error, "r"))["error"]["type"] == "invalid_request_error"


def test_an_error_inside_a_stream_is_one_event() -> None:
    event = error_event(BadRequest("two\nlines\r\n\u2028"), "r")
    assert event.startswith(b"data: {")
    assert event.endswith(b"}\n\n")
    assert b"\n" not in event[:-2]
    assert b"\r" not in event
    assert json.loads(event[6:])["error"]["code"] == "invalid_request"
