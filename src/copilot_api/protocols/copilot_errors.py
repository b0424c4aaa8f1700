"""
Copilot's errors by their codes and words, wherever they arrive: as a body with a status, or inside a stream (protocol
reference, 11).
"""

import re

from copilot_api.errors import (
    GatewayError,
    UpstreamFailed,
    UpstreamForbidden,
    UpstreamQuotaExceeded,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
)
from copilot_api.protocols.untyped import object_of, text_of

MAX_MESSAGE = 2000

_OVERFLOW_PHRASES = ("exceeds the context window", "exceeds the limit of", "prompt is too long", "model context window")
_OVERFLOW_CODES = {"model_max_prompt_tokens_exceeded", "context_length_exceeded"}
_OVERLOADED = re.compile(r"overloaded|service_unavailable|\b(?:503|529)\b")
_RATE_LIMITED = re.compile(r"rate.?limit|\b429\b")
_QUOTA = re.compile(r"quota_exceeded|insufficient_quota|overage_limit_reached|billing_not_configured|\b402\b")
_FILTERED = {"content_filter", "responsible_ai_policy"}


def is_context_overflow(code: str, message: str) -> bool:
    """Whether the request did not fit the model's context window."""
    return code in _OVERFLOW_CODES or any(phrase in message for phrase in _OVERFLOW_PHRASES)


def context_overflow(message: str) -> UpstreamRefused:
    """The refusal that makes clients shorten the conversation: they know it by its code."""
    return UpstreamRefused(
        message or "the request does not fit the model's context window",
        param="messages",
        upstream_code="context_length_exceeded",
        hint="shorten the conversation",
    )


def parse_stream_error(error: object) -> GatewayError:
    """What went wrong, from the error object inside a stream: its status is out, so its code and type must say it."""
    fields = object_of(error) or {"message": str(error)}
    message = text_of(fields.get("message"))[:MAX_MESSAGE] or "GitHub Copilot failed while answering"
    code = _word(fields.get("code"))
    words = f"{code} {_word(fields.get('type'))}"
    if is_context_overflow(code, message):
        return context_overflow(message)
    if _QUOTA.search(words):
        return UpstreamQuotaExceeded(message)
    if _RATE_LIMITED.search(words):
        return UpstreamRateLimited(message, retry_after=30.0)
    if _OVERLOADED.search(words):
        return UpstreamFailed(message, status=503, retry_after=5.0)
    if code in _FILTERED:
        return UpstreamRefused(message, upstream_code="content_filter")
    if "timeout" in words:
        return UpstreamTimeout(message)
    if re.search(r"\b40[13]\b|permission_error|authentication_error", words):
        return UpstreamForbidden(message)
    return UpstreamFailed(message)


def _word(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
