"""Ending sessions from the page that lists them."""

from copilot_api.admin.answers import Answer, Redirect
from copilot_api.admin.paths import safe_next
from copilot_api.admin.requests import AdminRequest
from copilot_api.admin.sessions import SessionService
from copilot_api.errors import RouteNotFound


class SessionViews:
    """See the module."""

    def __init__(self, sessions: SessionService) -> None:
        self._sessions = sessions

    async def end(self, request: AdminRequest) -> Answer:
        """Ends a session, and goes back to where it was listed."""
        session_id = request.parameters["id"]
        is_ended = await self._sessions.end_by_id(
            session_id, actor=request.key.id, reason="ended by an admin", origin=request.origin
        )
        if not is_ended:
            raise RouteNotFound("there is no such session", hint="it has ended already")
        return Redirect(safe_next(request.form.get("next")))
