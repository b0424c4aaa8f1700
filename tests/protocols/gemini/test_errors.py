"""Errors in Google's envelope."""

import json
from typing import Any

import pytest
from google.genai import errors as sdk_errors

from copilot_api import errors
from copilot_api.errors import (
    BadRequest,
    GatewayError,
    LimitReached,
    ModelNotFound,
    RateLimited,
    Unauthorized,
    UpstreamFailed,
)
from copilot_api.protocols.gemini.errors import error_body, error_status, status_name
from tests.protocols.gemini.google_sdk import ScriptedGateway


def body(error: GatewayError) -> dict[str, object]:
    return dict(json.loads(error_body(error, "req_1"))["error"])


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (BadRequest("no"), 400, "INVALID_ARGUMENT"),
        (Unauthorized("no"), 401, "UNAUTHENTICATED"),
        (errors.ModelNotAllowed("no"), 403, "PERMISSION_DENIED"),
        (ModelNotFound("no"), 404, "NOT_FOUND"),
        (errors.BodyTooLarge("no"), 413, "INVALID_ARGUMENT"),
        (RateLimited("no"), 429, "RESOURCE_EXHAUSTED"),
        (errors.UpstreamQuotaExceeded("no"), 429, "RESOURCE_EXHAUSTED"),
        (errors.InternalError("no"), 500, "INTERNAL"),
        (UpstreamFailed("no"), 502, "UNAVAILABLE"),
        (errors.CatalogUnavailable("no"), 503, "UNAVAILABLE"),
        (errors.UpstreamTimeout("no"), 504, "DEADLINE_EXCEEDED"),
        (UpstreamFailed("no", status=422), 400, "INVALID_ARGUMENT"),
        (UpstreamFailed("no", status=529), 529, "UNAVAILABLE"),
    ],
)
def test_pitfall_108_a_status_has_googles_name(error: GatewayError, status: int, name: str) -> None:
    found = body(error)
    assert error_status(error) == found["code"] == status
    assert found["status"] == name


def test_a_status_that_google_has_no_name_for() -> None:
    assert status_name(418) == "INVALID_ARGUMENT"
    assert status_name(599) == "INTERNAL"


def test_the_message_says_what_to_do_and_names_the_request() -> None:
    message = body(BadRequest("it is wrong", hint="mend it"))["message"]
    assert message == "it is wrong; mend it (request id: req_1)"


def test_the_details_have_the_code_the_field_and_the_wait() -> None:
    details = body(BadRequest("it is wrong", param="contents[0].role", retry_after=11.2))["details"]
    assert details == [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "INVALID_REQUEST",
            "domain": "copilot-api",
            "metadata": {"code": "invalid_request", "requestId": "req_1"},
        },
        {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": "contents[0].role", "description": "it is wrong"}],
        },
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "12s"},
    ]


def test_texts_that_are_no_unicode_do_no_harm() -> None:
    found = body(BadRequest("\ud800", param="\ud800", upstream_code="\ud800"))
    assert found["message"] == "? (request id: req_1)"


# The limit that refused a call ---------------------------------------------------------------------------------------

LIMITED = RateLimited("too many", retry_after=5, limit=LimitReached("credits:day", 12.5, 10.0, "credits"))


def test_a_limit_is_a_quota_failure() -> None:
    info, failure, retry = details_of(LIMITED)
    assert info["metadata"] == {
        "code": "rate_limited", "requestId": "req_1", "limit": "credits:day", "current": "12.5", "allowed": "10",
    }  # fmt: skip
    assert failure == {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{"subject": "credits:day", "description": "credits:day: 12.5 of 10 credits"}],
    }
    assert retry["retryDelay"] == "5s"


def test_a_limit_may_have_no_unit_and_any_name() -> None:
    _, failure = details_of(RateLimited("x", limit=LimitReached("\ud800", 1, 2)))
    assert failure["violations"] == [{"subject": "?", "description": "?: 1 of 2"}]


def test_without_a_limit_nothing_is_said_of_one() -> None:
    [info] = details_of(RateLimited("too many"))
    assert info["metadata"].keys() == {"code", "requestId"}


def test_the_sdk_raises_what_it_raises_and_shows_the_limit() -> None:
    client: Any = ScriptedGateway(LIMITED).client
    with pytest.raises(sdk_errors.ClientError) as raised:
        client.models.generate_content(model="m", contents="x")
    failure: Any = raised.value
    assert (failure.code, failure.status) == (429, "RESOURCE_EXHAUSTED")
    assert failure.details["error"]["details"] == details_of(LIMITED)


def details_of(error: GatewayError) -> list[dict[str, Any]]:
    return list(json.loads(error_body(error, "req_1"))["error"]["details"])
