"""
`/admin/api/sessions`: who is signed in at the admin pages, for programs.

    GET              the sessions, newest first; `limit`, and `before` with the `next` of the page before
    DELETE …/{id}    ends one

For admin keys, and sessions of admins. Ending one is on record, and in force with its next request.
"""

from typing import Any

from copilot_api.admin.auth import Access
from copilot_api.admin.forms import Fields, parse_query
from copilot_api.admin.sessions import SessionService
from copilot_api.api.door import Door
from copilot_api.api.http_exchange import Receive, Scope, Send
from copilot_api.api.responses import answering_errors, send_json, uncached
from copilot_api.errors import BadRequest, GatewayError
from copilot_api.keys.sessions import Session, digest_cookie

PREFIX = "/admin/api/sessions/"
DEFAULT_LIMIT, MAX_LIMIT = 100, 500
_PARAMETERS = ("limit", "before")


class SessionNotFound(GatewayError):
    """No session by that id; it may have ended."""

    number, code, status = 221, "session_not_found", 404
    kind, cause, is_final = "invalid_request_error", "bad_request", True
    hint = "GET /admin/api/sessions lists the sessions"


class SessionsApi:
    """See the module."""

    def __init__(self, door: Door, access: Access, sessions: SessionService) -> None:
        self._door = door
        self._access = access
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        await answering_errors(self._answer)(scope, receive, uncached(send))

    async def _answer(self, scope: Scope, _receive: Receive, send: Send) -> None:
        head = self._door.read_head(scope)
        admin = await self._door.authenticate_admin(head, scope)
        origin = self._door.find_origin(head, scope)
        if scope["method"] != "DELETE":
            cookie = self._access.read_arrival(head, scope).cookie
            document = await self._list(parse_query(scope["query_string"]), cookie)
            await send_json(send, document, request_id=origin.request_id)
            return
        session_id = scope["path"].removeprefix(PREFIX).rstrip("/")
        if not await self._sessions.end_by_id(session_id, actor=admin.id, reason="ended by an admin", origin=origin):
            raise SessionNotFound("there is no such session")
        await send_json(send, {"id": session_id, "ended": True}, request_id=origin.request_id)

    async def _list(self, query: Fields, cookie: str | None) -> dict[str, Any]:
        for name, _ in query:
            if name not in _PARAMETERS:
                raise BadRequest(f"there is no parameter {name[:40]!r}", param=name[:40], hint="limit and before are")
        limit = _parse_limit(query.get("limit", str(DEFAULT_LIMIT)))
        page = await self._sessions.list_page(limit=limit, before=query.get("before") or None)
        own = None if cookie is None else digest_cookie(cookie)
        return {"sessions": [render_session(each, own) for each in page.sessions], "next": page.next}


def render_session(session: Session, own: bytes | None) -> dict[str, Any]:
    """A session as an admin sees it; `own` is the digest of the cookie of whoever looks."""
    return {
        "id": session.id,
        "key_id": session.key_id,
        "created_at": session.created_at.isoformat(timespec="seconds"),
        "seen_at": session.seen_at.isoformat(timespec="seconds"),
        "ends_at": session.ends_at.isoformat(timespec="seconds"),
        "address": session.address,
        "user_agent": session.user_agent,
        "is_current": session.digest == own,
    }


def _parse_limit(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 4 or not 1 <= int(text) <= MAX_LIMIT:
        raise BadRequest("limit is no number that will do", param="limit", hint=f"from 1 to {MAX_LIMIT}")
    return int(text)
