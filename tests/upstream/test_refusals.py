import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from copilot_api.errors import (
    AccountFlagged,
    BodyTooLarge,
    GatewayError,
    UpstreamFailed,
    UpstreamForbidden,
    UpstreamQuotaExceeded,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnauthorized,
)
from copilot_api.simulator.replies import load_document, recorded_errors
from copilot_api.upstream.refusals import Refusal, is_abuse_signal, parse_refusal, parse_retry_after

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)

Meaning = tuple[type[GatewayError], int, str, float | None]
"""The error, the status and the code that the caller gets, and after how many seconds to come back."""

PLAIN_400: Meaning = (UpstreamRefused, 400, "upstream_refused", None)
UNSUPPORTED: Meaning = (UpstreamRefused, 400, "unsupported_value", None)
INVALID: Meaning = (UpstreamRefused, 400, "invalid_request_body", None)
TOO_LONG: Meaning = (UpstreamRefused, 400, "context_length_exceeded", None)
WRONG_API: Meaning = (UpstreamRefused, 400, "unsupported_api_for_model", None)
FAILED: Meaning = (UpstreamFailed, 502, "upstream_error", None)
NOT_ACCEPTED: Meaning = (UpstreamUnauthorized, 502, "upstream_unauthorized", None)
TIMED_OUT: Meaning = (UpstreamTimeout, 504, "upstream_timeout", None)
TOO_LARGE: Meaning = (BodyTooLarge, 413, "request_too_large", None)

MEANINGS: Mapping[str, Meaning] = {
    "model_not_supported": (UpstreamRefused, 400, "model_not_supported", None),
    "model_not_available_for_integrator": (UpstreamRefused, 400, "model_not_available_for_integrator", None),
    "unsupported_api_for_model_chat": WRONG_API,
    "unsupported_api_for_model_responses": WRONG_API,
    "context_overflow_chat": TOO_LONG,
    "context_overflow_messages": TOO_LONG,
    "context_overflow_responses": TOO_LONG,
    "context_overflow_vertex_gemini": TOO_LONG,
    "max_tokens_too_large_messages": PLAIN_400,
    "max_output_tokens_too_small": INVALID,
    "max_tokens_unsupported": INVALID,
    "store_not_supported": UNSUPPORTED,
    "previous_response_id_not_supported": UNSUPPORTED,
    "previous_response_not_found": (UpstreamRefused, 400, "previous_response_not_found", None),
    "item_id_wrong_connection": (UpstreamRefused, 400, "bad_request", None),
    "encrypted_content_unverifiable": INVALID,
    "context_management_unsupported_responses": UNSUPPORTED,
    "image_generation_rejected": UNSUPPORTED,
    "cyber_policy": (UpstreamRefused, 400, "cyber_policy", None),
    "extra_inputs_context_management": PLAIN_400,
    "extra_inputs_scope": PLAIN_400,
    "extra_inputs_top_level_cache_control": PLAIN_400,
    "extra_inputs_inference_geo": PLAIN_400,
    "unsupported_beta": INVALID,
    "beta_rejected_by_backend": INVALID,
    "effort_not_supported": (UpstreamRefused, 400, "invalid_reasoning_effort", None),
    "thinking_budget_vs_max_tokens": PLAIN_400,
    "thinking_budget_minimum": PLAIN_400,
    "invalid_signature": PLAIN_400,
    "thinking_block_without_thinking": INVALID,
    "empty_text_block": PLAIN_400,
    "prefill": INVALID,
    "mid_conversation_system": PLAIN_400,
    "cache_control_inside_tool_result": PLAIN_400,
    "web_search": UNSUPPORTED,
    "web_fetch": INVALID,
    "external_image_url": PLAIN_400,
    "unknown_tool_type": PLAIN_400,
    "vertex_structured_outputs": (UpstreamRefused, 400, "FAILED_PRECONDITION", None),
    "plain_bad_request": PLAIN_400,
    "bodyless_400": FAILED,
    "token_expired": NOT_ACCEPTED,
    "token_invalid": NOT_ACCEPTED,
    "agent_authorize_url": NOT_ACCEPTED,
    "quota_exceeded": (UpstreamQuotaExceeded, 429, "quota_exceeded", 21.5 * 86_400),
    "session_quota_exceeded": (UpstreamQuotaExceeded, 429, "session_quota_exceeded", None),
    "free_quota_exceeded": (UpstreamQuotaExceeded, 429, "free_quota_exceeded", None),
    "overage_limit_reached": (UpstreamQuotaExceeded, 429, "overage_limit_reached", None),
    "billing_not_configured": (UpstreamQuotaExceeded, 429, "billing_not_configured", None),
    "forbidden_policy": (UpstreamForbidden, 403, "model_access_denied", None),
    "forbidden_plain": (UpstreamForbidden, 403, "upstream_forbidden", None),
    "forbidden_installation_token": (UpstreamForbidden, 403, "upstream_forbidden", None),
    "not_found": FAILED,
    "request_timeout": TIMED_OUT,
    "payload_too_large": TOO_LARGE,
    "payload_too_large_json": TOO_LARGE,
    "misdirected": FAILED,
    "rai_filtered": (UpstreamRefused, 422, "content_filter", None),
    "failed_dependency": FAILED,
    "429_rate_limited": (UpstreamRateLimited, 429, "rate_limited", 37.0),
    "429_user_model_rate_limited": (UpstreamRateLimited, 429, "user_model_rate_limited", 37.0),
    "429_user_global_rate_limited": (UpstreamRateLimited, 429, "user_global_rate_limited:individual", 37.0),
    "429_user_weekly_rate_limited": (UpstreamRateLimited, 429, "user_weekly_rate_limited", 86_400.0),
    "429_integration_rate_limited": (UpstreamRateLimited, 429, "integration_rate_limited", 37.0),
    "429_agent_mode_limit_exceeded": (UpstreamRateLimited, 429, "agent_mode_limit_exceeded", 37.0),
    "429_model_overloaded": (UpstreamRateLimited, 429, "model_overloaded", 37.0),
    "429_upstream_provider_rate_limit": (UpstreamRateLimited, 429, "upstream_provider_rate_limit", 37.0),
    "429_bare": (UpstreamRateLimited, 429, "rate_limited", 5.0),
    "429_extension_blocked": (UpstreamRateLimited, 429, "extension_blocked", 300.0),
    "client_too_old": FAILED,
    "server_canceled": FAILED,
    "internal": FAILED,
    "bad_gateway": FAILED,
    "upstream_rate_limited": (UpstreamRateLimited, 503, "upstream_rate_limited", 5.0),
    "gateway_timeout": TIMED_OUT,
    "html_challenge_200": (UpstreamFailed, 502, "upstream_error", 30.0),
}
REPEATED = {"cyber_policy", "bodyless_400", "request_timeout", "internal", "bad_gateway", "gateway_timeout"}
"""The same call may well succeed in a moment. Never one that limits us: repeating makes that worse."""


def read(name: str) -> Refusal:
    reply = recorded_errors()[name]
    return parse_refusal(reply.status, {key.lower(): value for key, value in reply.headers.items()}, reply.body, NOW)


def parse(status: int, body: Any = b"", **headers: str) -> Refusal:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_refusal(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw, NOW)


def test_every_recorded_error_has_its_meaning_here() -> None:
    assert set(MEANINGS) == set(recorded_errors())


@pytest.mark.parametrize("name", MEANINGS)
def test_a_recorded_error_means_what_it_should(name: str) -> None:
    kind, status, code, retry_after = MEANINGS[name]
    refusal = read(name)
    error = refusal.error
    assert type(error) is kind
    assert (error.actual_status, error.public_code, error.retry_after) == (status, code, retry_after)
    assert refusal.is_repeatable == (name in REPEATED)
    assert error.message
    assert "<" not in error.message  # no web page


def test_nothing_is_repeated_that_the_record_says_is_final() -> None:
    retryable = {entry["name"] for entry in load_document("errors.json")["errors"] if entry["retryable"]}
    assert retryable >= REPEATED
    for name in retryable - REPEATED:  # a limit, or a challenge: the caller is told when to come back instead
        assert read(name).error.retry_after
        assert not read(name).error.is_final


def test_only_an_expired_credential_is_renewed() -> None:
    renewed = {name for name in MEANINGS if read(name).is_expired_credential}
    assert renewed == {"token_expired", "token_invalid"}


def test_the_reason_and_the_field_are_passed_on() -> None:
    error = read("model_not_supported").error
    assert (error.message, error.param) == ("The requested model is not supported.", "model")
    assert error.actual_hint == "GET /v1/models lists the models"
    assert read("extra_inputs_scope").error.message.startswith("system.0.cache_control")
    assert read("plain_bad_request").error.message == "Bad Request"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": "in a string"}, "in a string"),
        ({"error": {"message": "in an envelope"}}, "in an envelope"),
        ({"message": "alone"}, "alone"),
        ({"type": "error", "error": {"type": "x", "message": "of a vendor"}}, "of a vendor"),
        ({"error": {"message": json.dumps({"error": {"message": "inside another"}})}}, "inside another"),
        ({"error": {"message": "{not json"}}, "{not json"),
        ("a bare string", "a bare string"),
        (b"plain text\n", "plain text"),
    ],
)
def test_the_message_is_found_in_every_envelope(body: Any, message: str) -> None:
    assert parse(400, body).error.message == message


@pytest.mark.parametrize(
    "body",
    [
        b"[1, 2]",
        b"null",
        b"17",
        b'{"error": null}',
        b'{"error": {"message": 5, "code": {}}}',
        b"[" * 5000,
        b"\xff\xfe",
        b"{",
    ],
)
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 408, 413, 418, 422, 429, 500, 503, 504, 599])
def test_a_body_of_any_shape_is_read(status: int, body: bytes) -> None:
    error = parse(status, body).error
    assert isinstance(error.message, str)
    assert 400 <= error.actual_status <= 599
    assert error.headers() is not None


def test_a_message_is_kept_in_bounds() -> None:
    assert len(parse(400, {"error": {"message": "x" * 100_000}}).error.message) <= 2000
    assert len(parse(400, b"x" * 100_000).error.message) <= 2000


def test_a_400_that_says_rate_limited_is_a_limit() -> None:
    error = parse(400, {"error": {"message": "slow down", "code": "rate_limited"}}).error
    assert isinstance(error, UpstreamRateLimited)
    assert error.retry_after == 30.0


# Signs of abuse ---------------------------------------------------------------------------------------------------

NOTICES = [
    (403, "", "Your account has been suspended. Please contact support."),
    (403, "", "Access to GitHub Copilot has been suspended because of suspicious activity."),
    (403, "account_flagged", "Access denied"),
    (403, "", "This account was flagged for review"),
    (403, "", "Your account is BANNED from Copilot"),
    (401, "", "Sorry. Your account was suspended."),
    (403, "abuse_detected", ""),
    (429, "", "You have triggered an abuse detection mechanism. Please wait a few minutes before you try again."),
    (429, "user_abuse_limited", "Too many requests"),
    (451, "", "Repository access blocked: abusive use"),
]


@pytest.mark.parametrize(("status", "code", "message"), NOTICES)
def test_a_notice_of_abuse_is_taken_for_one(status: int, code: str, message: str) -> None:
    assert is_abuse_signal(status, code, message)
    refusal = parse(status, {"error": {"code": code, "message": message}})
    assert type(refusal.error) is AccountFlagged
    assert refusal.is_sign
    assert not refusal.is_repeatable, "nothing more is sent"
    assert not refusal.is_expired_credential
    assert refusal.error.message == (message or "GitHub has flagged this account")


@pytest.mark.parametrize("form", [lambda text: text.encode(), lambda text: json.dumps({"message": text}).encode()])
def test_a_notice_is_found_in_any_envelope(form: Callable[[str], bytes]) -> None:
    assert type(parse(403, form("your account was suspended")).error) is AccountFlagged


@pytest.mark.parametrize("name", MEANINGS)
def test_no_recorded_error_is_taken_for_abuse(name: str) -> None:
    """A limit, a policy, a fault: a gateway that stopped for one of them would be stopped for no reason."""
    assert not isinstance(read(name).error, AccountFlagged)


@pytest.mark.parametrize("status", [401, 403, 429, 451])
def test_no_recorded_message_is_taken_for_abuse_whatever_status_it_came_with(status: int) -> None:
    for name in MEANINGS:
        error = parse(status, recorded_errors()[name].body).error
        assert not isinstance(error, AccountFlagged), name


@pytest.mark.parametrize("status", [200, 400, 402, 404, 408, 413, 422, 500, 502, 503, 504])
def test_what_a_request_is_about_is_no_notice(status: int) -> None:
    """A refusal of the request may quote it, and a prompt may well speak of abuse."""
    error = parse(status, {"error": {"message": "your account is suspended for abuse", "code": "abuse"}}).error
    assert not isinstance(error, AccountFlagged)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (429, "Too many suspicious requests, your session is suspended for a minute"),
        (403, "Access to this model is not enabled for your organisation"),
        (403, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."),
        (403, ""),
        (429, ""),
        (401, "unauthorized: token expired"),
    ],
)
def test_a_limit_or_a_policy_is_no_notice(status: int, message: str) -> None:
    assert not is_abuse_signal(status, "", message)


# Signs that it is too much ----------------------------------------------------------------------------------------

# A policy about a model has a code; a 403 without one may be the account.
NO_SIGNS = (
    {"forbidden_policy"}
    | {name for name, (kind, _, _, _) in MEANINGS.items() if issubclass(kind, UpstreamRefused | BodyTooLarge)}
    | {
        "bodyless_400",
        "token_expired",
        "token_invalid",
        "agent_authorize_url",
        "quota_exceeded",
        "session_quota_exceeded",
        "free_quota_exceeded",
        "overage_limit_reached",
        "billing_not_configured",
        "not_found",
        "request_timeout",
        "misdirected",
        "failed_dependency",
        "server_canceled",
        "client_too_old",
    }
)


@pytest.mark.parametrize("name", MEANINGS)
def test_a_limit_a_policy_or_a_failure_of_copilots_own_may_be_too_much_and_nothing_else(name: str) -> None:
    """What is wrong with the request, with the credential or with the allowance says nothing of the load."""
    assert read(name).is_sign is (name not in NO_SIGNS)


def test_every_limit_is_a_sign() -> None:
    for name, (kind, _, _, _) in MEANINGS.items():
        if kind is UpstreamRateLimited:
            assert read(name).is_sign, name
    assert parse(400, {"error": {"message": "slow down", "code": "rate_limited"}}).is_sign


@pytest.mark.parametrize("text", ["Rate limit exceeded", "too many requests", "over your quota"])
def test_a_503_that_speaks_of_a_limit_is_one(text: str) -> None:
    assert isinstance(parse(503, {"message": text}).error, UpstreamRateLimited)


def test_a_503_that_does_not_is_a_failure_that_passes() -> None:
    refusal = parse(503, {"message": "under maintenance"})
    assert isinstance(refusal.error, UpstreamFailed)
    assert refusal.is_repeatable
    assert refusal.error.actual_status == 503


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("37", 37.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("-5", 0.0),
        ("Tue, 10 Mar 2026 12:01:00 GMT", 60.0),
        ("2026-03-10T12:00:30Z", 30.0),
        ("2026-03-10T12:00:30+00:00", 30.0),
        ("Mon, 09 Mar 2026 12:00:00 GMT", 0.0),
        ("", None),
        (None, None),
        ("soon", None),
        ("Tue, 99 Foo 2026", None),
    ],
)
def test_retry_after_is_read_in_each_of_its_forms(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, NOW) == seconds


@pytest.mark.parametrize("value", ["inf", "nan", "-inf", "1e999", "1e300", "9" * 400])
def test_a_retry_after_that_makes_no_sense_breaks_nothing(value: str) -> None:
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or math.isfinite(seconds)
    headers = dict(parse(429, b"", retry_after=value).error.headers())
    assert headers[b"retry-after"].isdigit()
    assert len(headers[b"retry-after"]) < 20
