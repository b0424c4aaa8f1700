"""OpenAI's error envelope."""

import json
import math
from typing import Any

import openai
import pytest

from copilot_api.errors import BadRequest, LimitReached, RateLimited, UpstreamRefused
from copilot_api.protocols.openai_errors import error_body, error_message, limit_fields, sendable
from tests.protocols.responses import sdk


def test_the_message_says_what_is_wrong_what_to_do_and_which_request_it_was() -> None:
    error = BadRequest("the field 'x' is wrong", param="x", hint="send a number")
    assert error_message(error, "req_1") == "the field 'x' is wrong; send a number (request id: req_1)"
    assert json.loads(error_body(error, "req_1"))["error"] == {
        "message": "the field 'x' is wrong; send a number (request id: req_1)",
        "type": "invalid_request_error",
        "param": "x",
        "code": "invalid_request",
    }


def test_a_code_of_the_upstreams_is_passed_on() -> None:
    error = UpstreamRefused("too long", upstream_code="context_length_exceeded")
    assert json.loads(error_body(error, "r"))["error"]["code"] == "context_length_exceeded"


def test_lone_surrogates_do_not_break_an_error() -> None:
    assert sendable("a\udc00") == "a?"
    assert b"a?" in error_body(BadRequest("a\udc00", param="\udc00"), "r")


# The limit that refused a call ---------------------------------------------------------------------------------------

LIMIT = LimitReached("rpm", 60, 60, "requests")


def test_a_limit_is_named_beside_the_rest() -> None:
    said = json.loads(error_body(RateLimited("too many", limit=LIMIT), "r"))["error"]
    assert said.keys() == {"message", "type", "param", "code", "limit"}
    assert said["limit"] == {"name": "rpm", "current": 60, "allowed": 60, "unit": "requests"}


def test_without_a_limit_there_is_no_such_member() -> None:
    assert "limit" not in json.loads(error_body(RateLimited("too many"), "r"))["error"]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, b"0"), (3.0, b"3"), (0.25, b"0.25"), (10.5, b"10.5"), (1e15, b"1000000000000000"), (math.inf, b"null")],
)
def test_a_whole_number_has_no_point(number: float, text: bytes) -> None:
    body = error_body(RateLimited("x", limit=LimitReached("credits:day", number, number)), "r")
    assert b'"limit":{"name":"credits:day","current":%b,"allowed":%b,"unit":""}' % (text, text) in body


def test_a_limits_name_may_be_any_text() -> None:
    assert limit_fields(LimitReached("\ud800", 1, 2, "\ud800")) == {
        "name": "?",
        "current": 1,
        "allowed": 2,
        "unit": "?",
    }


def test_the_sdk_raises_what_it_raises_and_shows_the_limit() -> None:
    body = error_body(RateLimited("too many", limit=LIMIT), "req_1")
    with sdk.client(body, "application/json", 429) as client, pytest.raises(openai.RateLimitError) as failure:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
    assert (failure.value.code, failure.value.type) == ("rate_limited", "rate_limit_error")
    said: Any = failure.value.body
    assert said["limit"] == {"name": "rpm", "current": 60, "allowed": 60, "unit": "requests"}
