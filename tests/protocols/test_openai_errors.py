"""OpenAI's error envelope."""

import json

from copilot_api.errors import BadRequest, UpstreamRefused
from copilot_api.protocols.openai_errors import error_body, error_message, sendable


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
