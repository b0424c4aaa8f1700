"""
How a call comes to be captured: because its key is, or because an admin asked for it with `X-Capi-Debug: 1`.

The caller is told with `X-Capi-Capture: on`. What is copied of the answer is what goes to the client, since the copy is
made where it is sent.
"""

from copilot_api.api.http_exchange import Message, Scope, Send
from copilot_api.api.intake import RequestHead
from copilot_api.capture.capturing import Capturing
from copilot_api.capture.models import Reason
from copilot_api.capture.raw import Headers
from copilot_api.capture.recorder import CapturedCall, Captures
from copilot_api.gateway.call import Call
from copilot_api.keys.models import ApiKey, Tier

ASK = b"x-capi-debug"
TOLD = (b"x-capi-capture", b"on")


def begin_capture(
    captures: Captures, call: Call, key: ApiKey, head: RequestHead, scope: Scope, *, is_refused: bool
) -> Capturing | None:
    """Begin the capture of a call that may have to be captured; None where it is not, or cannot be."""
    reason = _find_reason(call, key, head, is_refused=is_refused)
    if reason is None:
        return None
    captured = CapturedCall(
        reason, key.id, call.request_id, call.arrived_at, call.began, call.client, call.surface.endpoint
    )
    capturing = captures.begin(captured, scope["method"], _target(scope), scope["headers"])
    if capturing is not None:
        tap_call(call, capturing)
    return capturing


def tap_call(call: Call, capturing: Capturing) -> None:
    """Have the capture look on at the request's body and at what goes upstream."""
    read_body = call.read_body

    async def read_copied() -> bytes:
        try:
            body = await read_body()
        except BaseException as error:
            capturing.body_failed(error)
            raise
        capturing.body_read(body)
        return body

    call.read_body = read_copied
    call.tap = capturing


def copying(send: Send, capturing: Capturing) -> Send:
    """`send`, with everything that is sent copied, and the caller told."""

    async def send_copied(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers: Headers = [*message.get("headers", ()), TOLD]
            message = {**message, "headers": headers}
            is_streamed = any([name == b"content-type" and b"event-stream" in value for name, value in headers])
            capturing.answer_started(message["status"], headers, is_streamed=is_streamed)
        else:
            capturing.answer_piece(message.get("body", b""), is_last=not message.get("more_body", False))
        try:
            await send(message)
        except BaseException as error:
            capturing.answer_failed(error)
            raise

    return send_copied


def _find_reason(call: Call, key: ApiKey, head: RequestHead, *, is_refused: bool) -> Reason | None:
    if key.capture_at(call.arrived_at) is not None:
        return "key"
    is_asked = head.get(ASK, b"").strip() == b"1" and key.tier is Tier.ADMIN and not is_refused
    return "request" if is_asked else None


def _target(scope: Scope) -> str:
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return (path + b"?" + query if query else path).decode("latin-1")
