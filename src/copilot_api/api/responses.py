"""JSON answers of the endpoints that are not model calls."""

from typing import Any

import msgspec

from copilot_api.api.errors import OPENAI, ErrorForm, error_form_for, new_request_id, request_id_of
from copilot_api.api.http_exchange import Application, Message, Receive, Scope, Send
from copilot_api.errors import GatewayError


async def send_json(
    send: Send, document: Any, *, status: int = 200, is_private: bool = False, request_id: str | None = None
) -> None:
    """Answer `document`; `is_private` keeps it out of every cache. Without a `request_id` it gets one of its own."""
    request_id = request_id or new_request_id()
    headers = [(b"content-type", b"application/json"), (b"x-request-id", request_id.encode())]
    if is_private:
        headers.append((b"cache-control", b"no-store"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": msgspec.json.encode(document)})


async def send_error(
    send: Send, error: GatewayError, form: ErrorForm = OPENAI, *, request_id: str | None = None
) -> None:
    """Answer `error`. Without a `request_id` it gets one of its own."""
    request_id = request_id or new_request_id()
    headers = [
        (b"content-type", b"application/json"),
        *((name, request_id.encode()) for name in form.request_id_headers),
        *error.headers(),
    ]
    await send({"type": "http.response.start", "status": form.status(error), "headers": headers})
    await send({"type": "http.response.body", "body": form.body(error, request_id)})


def uncached(send: Send) -> Send:
    """`send`, with every answer kept out of every cache."""

    async def send_uncached(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (b"cache-control", b"no-store")]}
        await send(message)

    return send_uncached


def answering_errors(endpoint: Application) -> Application:
    """`endpoint`, whose `GatewayError`s are answered."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await endpoint(scope, receive, send)
        except GatewayError as error:
            form = error_form_for(scope["path"], scope["headers"])
            await send_error(send, error, form, request_id=request_id_of(scope))

    return run
