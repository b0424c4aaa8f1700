"""
`/admin/api/keys/{id}/debug`: have a key's calls captured for a while, go on capturing them, or end it.

    POST {"reason": "why", "seconds": 3600}     or "minutes"; at most 24 hours
    POST {"off": true}, or DELETE

For admin keys only. Each change is on record before it is in force, and in force on the key's next call.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from copilot_api.api.door import Door
from copilot_api.api.http_exchange import EXCHANGE, Receive, Scope, Send
from copilot_api.api.intake import read_body
from copilot_api.api.operations.keys import CaptureWish
from copilot_api.api.responses import answering_errors, send_json, uncached
from copilot_api.errors import BadRequest
from copilot_api.keys.captures import CaptureForbidden
from copilot_api.keys.models import ApiKey, CaptureOrder
from copilot_api.keys.service import KeyService

PREFIX, SUFFIX = "/admin/api/keys/", "/debug"
"""What stands around the key's id in the path."""
MAX_BODY_BYTES = 16 * 1024
_HINT = 'send {"reason": "why", "minutes": 60}, or {"off": true}'


class KeyCaptures:
    """See the module."""

    def __init__(self, door: Door, keys: KeyService, is_allowed: Callable[[], bool]) -> None:
        self._door = door
        self._keys = keys
        self._is_allowed = is_allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        await answering_errors(self._answer)(scope, receive, uncached(send))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = self._door.read_head(scope)
        admin = await self._door.authenticate_admin(head, scope)
        origin = self._door.find_origin(head, scope)
        key_id = scope["path"].removeprefix(PREFIX).removesuffix(SUFFIX)
        wish = CaptureWish(off=True)
        if scope["method"] == "POST":
            wish = parse_wish(await read_body(receive, head, MAX_BODY_BYTES, scope["extensions"].get(EXCHANGE)))
        if wish.off:
            key = await asyncio.to_thread(self._keys.stop_capture, key_id, actor=admin.id, origin=origin)
        else:
            if not self._is_allowed():
                raise CaptureForbidden("captures are switched off on this gateway")
            reason, seconds = wish.reason or "", _seconds(wish)
            key = await asyncio.to_thread(
                self._keys.start_capture, key_id, reason, seconds, actor=admin.id, origin=origin
            )
        await send_json(send, render_captured(key), request_id=origin.request_id)


def render_captured(key: ApiKey) -> dict[str, Any]:
    """A key, as far as its capture goes."""
    return {"id": key.id, "label": key.label, "capture": None if key.capture is None else render_order(key.capture)}


def render_order(order: CaptureOrder) -> dict[str, str]:
    """An order as an admin sees it."""
    return {
        "reason": order.reason,
        "by": order.by,
        "since": order.since.isoformat(timespec="seconds"),
        "until": order.until.isoformat(timespec="seconds"),
    }


def parse_wish(body: bytes) -> CaptureWish:
    """What a body asks for. Raises `BadRequest`."""
    try:
        wish = msgspec.json.decode(body, type=CaptureWish)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body cannot be read: {error}", hint=_HINT) from None
    if wish.off and (wish.reason, wish.seconds, wish.minutes) != (None, None, None):
        raise BadRequest("a capture is either begun or ended", param="off", hint=_HINT)
    return wish


def _seconds(wish: CaptureWish) -> float:
    match wish.seconds, wish.minutes:
        case float() as seconds, None:
            return seconds
        case None, float() as minutes:
            return minutes * 60
        case _:
            raise BadRequest("say how long, once: seconds or minutes", param="seconds", hint=_HINT)
