"""An error as the caller's protocol expects it."""

import json
import re

import pytest

from copilot_api.api.errors import ANTHROPIC, GEMINI, OPENAI, error_form_for, new_request_id
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
    document = json.loads(OPENAI.body(error, "req_1"))
    assert list(document) == ["error"]
    assert document["error"].keys() == {"message", "type", "param", "code"}
    assert document["error"]["message"].startswith(error.message)
    assert document["error"]["message"].endswith("(request id: req_1)")
    assert document["error"]["type"] == error.kind
    assert document["error"]["param"] == error.param
    assert document["error"]["code"] == error.public_code


def test_a_hint_follows_the_message() -> None:
    message = json.loads(OPENAI.body(BadRequest("wrong", hint="do it right"), "r"))["error"]["message"]
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
        assert json.loads(OPENAI.body(error, "r"))["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("path", "headers", "form"),
    [
        ("/v1/chat/completions", [], OPENAI),
        ("/nothing", [], OPENAI),
        ("/v1/messages", [], ANTHROPIC),
        ("/messages/count_tokens", [], ANTHROPIC),
        ("/v1/models", [(b"anthropic-version", b"2023-06-01")], ANTHROPIC),
        ("/v1/models", [], OPENAI),
        ("/v1beta/models/x:generateContent", [], GEMINI),
    ],
)
def test_pitfall_108_each_ecosystem_reads_its_own_envelope(
    path: str, headers: list[tuple[bytes, bytes]], form: object
) -> None:
    assert error_form_for(path, headers) is form


def test_pitfall_108_the_envelopes() -> None:
    error = BadRequest("wrong", param="x")
    assert json.loads(ANTHROPIC.body(error, "r"))["error"]["type"] == "invalid_request_error"
    assert json.loads(ANTHROPIC.body(error, "r"))["request_id"] == "r"
    assert json.loads(GEMINI.body(error, "r"))["error"]["status"] == "INVALID_ARGUMENT"
    assert (OPENAI.status(error), ANTHROPIC.status(error), GEMINI.status(error)) == (400, 400, 400)
