"""An error in OpenAI's envelope, which chat, responses and embeddings share: `{"error":{message,type,param,code}}`."""

import msgspec

from copilot_api.errors import GatewayError


def error_message(error: GatewayError, request_id: str) -> str:
    """What is wrong, what to do next, and the request id, as one text that any JSON can hold."""
    message = f"{error.message}; {error.actual_hint}" if error.actual_hint else error.message
    return sendable(f"{message} (request id: {request_id})")


def error_body(error: GatewayError, request_id: str) -> bytes:
    """The whole body."""
    return msgspec.json.encode(
        {
            "error": {
                "message": error_message(error, request_id),
                "type": error.kind,
                "param": None if error.param is None else sendable(error.param),
                "code": sendable(error.public_code),
            },
        },
    )


def sendable(text: str) -> str:
    """`text` without lone surrogates: parts of it may be the caller's or the upstream's, and JSON can name them."""
    return text.encode(errors="replace").decode()
