"""An error as the caller's protocol expects it, and the request id that goes with every answer."""

import itertools
import secrets
import time

import msgspec

from copilot_api.errors import GatewayError

_process = secrets.token_hex(4)
_count = itertools.count()


def new_request_id() -> str:
    """
    A fresh request id: it keys the usage event and the log line. Never one that a client chose: those may repeat.

    Time, process, count: unique without asking the kernel for randomness on every call, and in the order of arrival, so
    that the ledger's index grows at its end.
    """
    return f"req_{time.time_ns() // 1_000_000:011x}{_process}{next(_count) & 0xFFFFF:05x}"


def error_body(error: GatewayError, request_id: str) -> bytes:
    """The error in the OpenAI envelope, with what to do next and the request id in the message."""
    message = f"{error.message}; {error.actual_hint}" if error.actual_hint else error.message
    return msgspec.json.encode(
        {
            "error": {
                "message": _sendable(f"{message} (request id: {request_id})"),
                "type": error.kind,
                "param": None if error.param is None else _sendable(error.param),
                "code": _sendable(error.public_code),
            },
        },
    )


def _sendable(text: str) -> str:
    """`text` without lone surrogates: parts of it may be the caller's or the upstream's, and JSON can name them."""
    return text.encode(errors="replace").decode()


def error_event(error: GatewayError, request_id: str) -> bytes:
    """The error inside a stream of the chat protocol: SDKs raise it, and no `[DONE]` follows."""
    return b"data: %b\n\n" % error_body(error, request_id)
