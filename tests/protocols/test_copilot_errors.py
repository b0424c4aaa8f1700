"""Copilot's errors inside a stream, by their codes and words."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.errors import GatewayError
from copilot_api.protocols.copilot_errors import context_overflow, is_context_overflow, parse_stream_error
from copilot_api.usage.models import Cause

PROPERTY = settings(derandomize=True, deadline=None, database=None)


@pytest.mark.parametrize(
    ("error", "status", "code", "kind"),
    [
        ({"message": "x", "code": 500}, 502, "upstream_error", "server_error"),
        ({"message": "x", "code": "internal_error"}, 502, "upstream_error", "server_error"),
        ({"message": "x"}, 502, "upstream_error", "server_error"),
        ("plain text", 502, "upstream_error", "server_error"),
        ({"message": "x", "code": "rate_limited"}, 429, "upstream_rate_limited", "rate_limit_error"),
        ({"message": "x", "code": "user_global_rate_limited:individual"}, 429, "upstream_rate_limited", "rate_limit_error"),
        ({"message": "x", "code": 429}, 429, "upstream_rate_limited", "rate_limit_error"),
        ({"message": "x", "type": "rate_limit_error"}, 429, "upstream_rate_limited", "rate_limit_error"),
        ({"message": "x", "code": "quota_exceeded"}, 429, "quota_exceeded", "insufficient_quota"),
        ({"message": "x", "code": 402}, 429, "quota_exceeded", "insufficient_quota"),
        ({"message": "x", "type": "overloaded_error"}, 503, "upstream_error", "server_error"),
        ({"message": "x", "code": 529}, 503, "upstream_error", "server_error"),
        ({"message": "x", "code": "context_length_exceeded"}, 400, "context_length_exceeded", "invalid_request_error"),
        ({"message": "x", "code": "model_max_prompt_tokens_exceeded"}, 400, "context_length_exceeded", "invalid_request_error"),
        ({"message": "prompt is too long: 10 tokens > 5 maximum"}, 400, "context_length_exceeded", "invalid_request_error"),
        ({"message": "x", "code": "content_filter"}, 400, "content_filter", "invalid_request_error"),
        ({"message": "x", "code": "timeout"}, 504, "upstream_timeout", "server_error"),
    ],
    ids=str,
)  # fmt: skip
def test_an_error_is_known_by_its_code_or_type(error: object, status: int, code: str, kind: str) -> None:
    found = parse_stream_error(error)
    assert (found.actual_status, found.public_code, found.kind) == (status, code, kind)
    if status in {429, 503} and kind != "insufficient_quota":
        assert found.retry_after is not None


@pytest.mark.parametrize("code", [1429, "14290", "x429x", "unlimited_rate", 5030, True, None, [], {"a": 1}, 4.5])
def test_a_code_that_merely_looks_like_one_is_none(code: Any) -> None:
    assert parse_stream_error({"message": "x", "code": code}).public_code == "upstream_error"


def test_123_nothing_transient_is_called_the_callers_fault() -> None:
    for code in (500, 502, 503, 504, 529, "server_error", "overloaded", "timeout", "unknown"):
        assert parse_stream_error({"message": "x", "code": code}).kind == "server_error"


def test_the_message_is_told_and_cut() -> None:
    assert parse_stream_error({"message": "it broke"}).message == "it broke"
    assert len(parse_stream_error({"message": "x" * 100_000}).message) <= 2000
    assert parse_stream_error({}).message


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["message", "code", "type", "error"]), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@settings(PROPERTY, max_examples=200)
@given(error=ODD)
def test_whatever_it_is_it_is_an_error_with_a_message(error: object) -> None:
    found = parse_stream_error(error)
    assert isinstance(found, GatewayError)
    assert isinstance(found.message, str)
    assert found.message
    assert found.cause in set(Cause)


@pytest.mark.parametrize(
    ("code", "message", "is_overflow"),
    [
        ("context_length_exceeded", "", True), ("model_max_prompt_tokens_exceeded", "", True), ("", "prompt token count of 9 exceeds the limit of 5", True),
        ("invalid_request_body", "Your input exceeds the context window of this model.", True), ("", "prompt is too long", True),
        ("", "Request body is too large for model context window", True), ("", "too long", False), ("context", "", False), ("", "", False),
    ],
)  # fmt: skip
def test_an_overflow_has_many_words(code: str, message: str, is_overflow: bool) -> None:
    assert is_context_overflow(code, message) is is_overflow


def test_an_overflow_is_refused_so_that_clients_shorten_the_conversation() -> None:
    error = context_overflow("")
    assert (error.actual_status, error.public_code, error.param, error.kind) == (
        400, "context_length_exceeded", "messages", "invalid_request_error",
    )  # fmt: skip
    assert error.message
    assert error.actual_hint
