"""Errors in Google's envelope."""

import json

import pytest

from copilot_api import errors
from copilot_api.errors import BadRequest, GatewayError, ModelNotFound, RateLimited, Unauthorized, UpstreamFailed
from copilot_api.protocols.gemini.errors import error_body, error_status, status_name


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
