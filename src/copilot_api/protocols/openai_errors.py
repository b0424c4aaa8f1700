"""
An error in OpenAI's envelope, which chat, responses and embeddings share: `{"error":{message,type,param,code}}`.

An error that a limit of the gateway's is the reason for has the member `limit` beside those; clients pass over it.
"""

import msgspec

from copilot_api.errors import GatewayError, LimitReached


def error_message(error: GatewayError, request_id: str) -> str:
    """What is wrong, what to do next, and the request id, as one text that any JSON can hold."""
    message = f"{error.message}; {error.actual_hint}" if error.actual_hint else error.message
    return sendable(f"{message} (request id: {request_id})")


def error_body(error: GatewayError, request_id: str) -> bytes:
    """The whole body."""
    described = {
        "message": error_message(error, request_id),
        "type": error.kind,
        "param": None if error.param is None else sendable(error.param),
        "code": sendable(error.public_code),
    }
    return msgspec.json.encode({"error": described | limit_member(error)})


def limit_member(error: GatewayError) -> dict[str, dict[str, str | float]]:
    """`limit`, which names the limit that refused the call; nothing where none did."""
    return {} if error.limit is None else {"limit": limit_fields(error.limit)}


def limit_fields(limit: LimitReached) -> dict[str, str | float]:
    """The limit in JSON's terms, the same in every protocol."""
    return {
        "name": sendable(limit.name),
        "current": _shortest(limit.current),
        "allowed": _shortest(limit.allowed),
        "unit": sendable(limit.unit),
    }


def _shortest(number: float) -> float:
    """A whole number without a point."""
    return int(number) if number % 1 == 0 else number


def sendable(text: str) -> str:
    """`text` without lone surrogates: parts of it may be the caller's or the upstream's, and JSON can name them."""
    return text.encode(errors="replace").decode()
