"""An error as Anthropic's clients read it: by status, by type, and Claude Code by its words."""

import json
from typing import Any

import anthropic
import pytest

from copilot_api import errors
from copilot_api.errors import GatewayError
from copilot_api.protocols.copilot_errors import context_overflow
from copilot_api.protocols.messages.errors import error_body, error_status
from tests.protocols.messages import grammar


def body(error: GatewayError) -> Any:
    return json.loads(error_body(error, "req_1"))


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (errors.BadRequest("x"), 400, "invalid_request_error"),
        (errors.BodyTooLarge("x"), 413, "request_too_large"),
        (errors.RequestTimeout("x"), 408, "timeout_error"),
        (errors.RouteNotFound("x"), 404, "not_found_error"),
        (errors.MethodNotAllowed("GET", "/v1/messages", ("POST",)), 405, "invalid_request_error"),
        (errors.UnsupportedMediaType("x"), 415, "invalid_request_error"),
        (errors.Unauthorized("x"), 401, "authentication_error"),
        (errors.AdminRequired("x"), 403, "permission_error"),
        (errors.ModelNotAllowed("x"), 403, "permission_error"),
        (errors.ModelNotFound("x"), 404, "not_found_error"),
        (errors.RateLimited("x"), 429, "rate_limit_error"),
        (errors.UpstreamRefused("x", status=422), 400, "invalid_request_error"),
        (errors.UpstreamRefused("x", upstream_code="content_filter"), 400, "invalid_request_error"),
        (errors.UpstreamRateLimited("x"), 429, "rate_limit_error"),
        (errors.UpstreamRateLimited("x", status=503), 529, "overloaded_error"),
        (errors.UpstreamQuotaExceeded("x"), 402, "billing_error"),
        (errors.UpstreamFailed("x"), 502, "api_error"),
        (errors.UpstreamFailed("x", status=503), 529, "overloaded_error"),
        (errors.UpstreamTimeout("x"), 504, "timeout_error"),
        (errors.UpstreamCut("x"), 502, "api_error"),
        (errors.UpstreamUnauthorized("x"), 502, "api_error"),
        (errors.UpstreamForbidden("x"), 403, "permission_error"),
        (errors.CatalogUnavailable("x"), 503, "api_error"),
        (errors.NoCredential("x"), 503, "api_error"),
        (errors.InternalError("x"), 500, "api_error"),
        (errors.ShuttingDown("x"), 529, "overloaded_error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, GatewayError) else str(value),
)
def test_pitfall_108_every_error_has_its_status_and_type(error: GatewayError, status: int, kind: str) -> None:
    assert error_status(error) == status
    said = body(error)
    assert said.keys() == {"type", "error", "request_id"}
    assert (said["type"], said["error"]["type"], said["request_id"]) == ("error", kind, "req_1")


def test_the_message_says_what_to_do_and_under_which_id() -> None:
    said = body(errors.UpstreamCut("the answer broke off"))["error"]["message"]
    assert said == "the answer broke off; the answer is incomplete; send the request again (request id: req_1)"


def test_an_unknown_model_is_named_as_anthropic_names_it() -> None:
    assert "model: claude-x" in body(errors.ModelNotFound("there is no model 'claude-x'"))["error"]["message"]


@pytest.mark.parametrize(
    ("message", "beginning"),
    [
        ("prompt token count of 210000 exceeds the limit of 200000", "prompt is too long: 210000 tokens > 200000 maximum"),
        ("prompt is too long: 5 tokens > 4 maximum", "prompt is too long: 5 tokens > 4 maximum"),
        ("Your input exceeds the context window of this model.", "prompt is too long: Your input exceeds the context window"),
        ("", "prompt is too long: the request does not fit"),
    ],
)  # fmt: skip
def test_pitfall_110_a_context_that_is_full_is_told_in_the_words_that_clients_know(
    message: str, beginning: str
) -> None:
    error = context_overflow(message)
    assert error_status(error) == 400
    assert body(error)["error"]["type"] == "invalid_request_error"
    assert body(error)["error"]["message"].startswith(beginning)


def test_an_error_holds_whatever_text_it_was_given() -> None:
    assert "?" in body(errors.UpstreamFailed("\ud800"))["error"]["message"]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (errors.BadRequest("x"), anthropic.BadRequestError),
        (errors.Unauthorized("x"), anthropic.AuthenticationError),
        (errors.ModelNotFound("x"), anthropic.NotFoundError),
        (errors.RateLimited("x"), anthropic.RateLimitError),
        (errors.UpstreamFailed("x"), anthropic.InternalServerError),
        (errors.UpstreamQuotaExceeded("x"), anthropic.APIStatusError),
    ],
)
def test_the_package_raises_what_it_raises_for_anthropic(error: GatewayError, raised: type[Exception]) -> None:
    with (
        grammar.client(error_body(error, "req_1"), "application/json", error_status(error)) as package,
        pytest.raises(raised) as failure,
    ):
        package.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}])
    assert error.message in str(failure.value)


# The limit that refused a call ---------------------------------------------------------------------------------------

LIMITED = errors.RateLimited("too many", limit=errors.LimitReached("credits:day", 12.5, 10.0, "credits"))


def test_a_limit_is_named_beside_type_and_message() -> None:
    said = body(LIMITED)["error"]
    assert said.keys() == {"type", "message", "limit"}
    assert said["limit"] == {"name": "credits:day", "current": 12.5, "allowed": 10, "unit": "credits"}
    assert "limit" not in body(errors.RateLimited("too many"))["error"]


def test_the_package_raises_what_it_raises_and_shows_the_limit() -> None:
    with (
        grammar.client(error_body(LIMITED, "req_1"), "application/json", error_status(LIMITED)) as package,
        pytest.raises(anthropic.RateLimitError) as failure,
    ):
        package.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}])
    assert failure.value.type == "rate_limit_error"
    said: Any = failure.value.body
    assert said["error"]["limit"]["name"] == "credits:day"
