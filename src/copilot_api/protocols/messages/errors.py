"""
An error in Anthropic's envelope: `{"type":"error","error":{"type","message"},"request_id"}`.

Clients choose by status and by type whether to try again, and Claude Code by the words `prompt is too long` whether to
shorten the conversation.
"""

import re

import msgspec

from copilot_api.errors import (
    GatewayError,
    ModelNotFound,
    ShuttingDown,
    UpstreamFailed,
    UpstreamQuotaExceeded,
    UpstreamRateLimited,
)
from copilot_api.protocols.copilot_errors import is_context_overflow
from copilot_api.protocols.openai_errors import limit_member, sendable

THREADS_UNSUPPORTED = "thread_unsupported_request"
"""The code by which Anthropic's SDKs know that nobody holds their conversation; then they send all of it."""

_TOO_LONG = "prompt is too long"
_NUMBERS = (
    re.compile(r"(\d+) tokens > (\d+)"),
    re.compile(r"token count of (\d+) exceeds the limit of (\d+)"),
)
_MODEL = re.compile(r"model '([^']+)'")

_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def error_status(error: GatewayError) -> int:
    """The HTTP status: Anthropic has its own for an empty account and for too much load."""
    status = error.actual_status
    if _is_overflow(error) or status == 422:
        return 400
    if isinstance(error, UpstreamQuotaExceeded):
        return 402
    is_overload = isinstance(error, ShuttingDown | UpstreamFailed | UpstreamRateLimited)
    return 529 if status == 503 and is_overload else status


def error_body(error: GatewayError, request_id: str) -> bytes:
    """The whole body, and the data of an `error` event."""
    status = error_status(error)
    kind = _TYPES.get(status) or ("api_error" if status >= 500 else "invalid_request_error")
    message = _message(error)
    if error.actual_hint:
        message += f"; {error.actual_hint}"
    message = sendable(f"{message} (request id: {request_id})")
    described: dict[str, object] = {"type": kind, "message": message, **limit_member(error)}
    if error.code == THREADS_UNSUPPORTED:
        described["details"] = {"error_code": THREADS_UNSUPPORTED, "unsupported": ["thread"]}
    return msgspec.json.encode({"type": "error", "error": described, "request_id": sendable(request_id)})


def _message(error: GatewayError) -> str:
    if _is_overflow(error):
        return _overflow_message(error.message)
    if isinstance(error, ModelNotFound):
        found = _MODEL.search(error.message)
        return f"{error.message} (model: {found[1]})" if found else error.message
    return error.message


def _is_overflow(error: GatewayError) -> bool:
    return is_context_overflow(error.upstream_code or "", "")


def _overflow_message(message: str) -> str:
    """The refusal as Claude Code reads it, with the upstream's numbers where it gave them."""
    if message.lower().startswith(_TOO_LONG):
        return message
    for pattern in _NUMBERS:
        found = pattern.search(message)
        if found is not None:
            return f"{_TOO_LONG}: {found[1]} tokens > {found[2]} maximum"
    return f"{_TOO_LONG}: {message}"
