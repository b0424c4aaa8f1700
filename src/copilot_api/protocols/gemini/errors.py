"""An error in Google's envelope: `{"error": {code, message, status, details}}`."""

from typing import Any

import msgspec

from copilot_api.errors import GatewayError
from copilot_api.protocols.openai_errors import error_message, limit_fields, sendable

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}
_TYPE = "type.googleapis.com/google.rpc."
_UNPROCESSABLE = 422


def error_status(error: GatewayError) -> int:
    """The HTTP status; Google's clients know no 422."""
    return 400 if error.actual_status == _UNPROCESSABLE else error.actual_status


def status_name(status: int) -> str:
    """Google's name of an HTTP status."""
    return _STATUSES.get(status) or ("INVALID_ARGUMENT" if status < 500 else "INTERNAL")


def error_fields(error: GatewayError, request_id: str) -> dict[str, Any]:
    """The envelope, to stand alone or in a stream."""
    status = error_status(error)
    return {
        "error": {
            "code": status,
            "message": error_message(error, request_id),
            "status": status_name(status),
            "details": _details(error, request_id),
        },
    }


def error_body(error: GatewayError, request_id: str) -> bytes:
    """The whole body."""
    return msgspec.json.encode(error_fields(error, request_id))


def _details(error: GatewayError, request_id: str) -> list[dict[str, Any]]:
    """The stable code; the field at fault; the limit; when to come back: in the words of Google's own errors."""
    code = sendable(error.public_code)
    metadata = {"code": code, "requestId": sendable(request_id)}
    limit = None if error.limit is None else {name: str(value) for name, value in limit_fields(error.limit).items()}
    if limit is not None:
        metadata |= {"limit": limit["name"], "current": limit["current"], "allowed": limit["allowed"]}
    details: list[dict[str, Any]] = [
        {
            "@type": f"{_TYPE}ErrorInfo",
            "reason": code.upper(),
            "domain": "copilot-api",
            "metadata": metadata,
        }
    ]
    if error.param is not None:
        violation = {"field": sendable(error.param), "description": sendable(error.message)}
        details.append({"@type": f"{_TYPE}BadRequest", "fieldViolations": [violation]})
    if limit is not None:
        description = "{name}: {current} of {allowed} {unit}".format_map(limit).rstrip()
        violation = {"subject": limit["name"], "description": description}
        details.append({"@type": f"{_TYPE}QuotaFailure", "violations": [violation]})
    if error.retry_after is not None:
        seconds = max(1, -int(-error.retry_after // 1))
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{seconds}s"})
    return details
