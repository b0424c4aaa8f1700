"""The gateway itself: what somebody should look after, what it runs on, what it keeps, and who is signed in."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from copilot_api.admin.answers import Answer, Page
from copilot_api.admin.components import Column, Pager
from copilot_api.admin.links import page_url
from copilot_api.admin.lockdown import list_rungs
from copilot_api.admin.requests import AdminRequest
from copilot_api.admin.services import PageServices
from copilot_api.api.operations.standing import System
from copilot_api.keys.names import KeyNames
from copilot_api.keys.sessions import Session
from copilot_api.upstream.clock_skew import describe_skew

PATH = "/admin/system"
PAGE_SESSIONS = 25
FRESH_SECONDS = 3.0
"""A look at the gateway counts for so long, however many tabs are open."""
_SESSION_COLUMNS = (
    Column("key", "Key"),
    Column("since", "Signed in"),
    Column("seen", "Last used"),
    Column("ends", "Ends", title="If nobody uses it any more"),
    Column("address", "From"),
    Column("agent", "Browser"),
    Column("end", ""),
)
_KEPT_COLUMNS = (
    Column("what", "What"),
    Column("days", "Kept for", is_number=True),
    Column("oldest", "Oldest"),
    Column("round", "Last round"),
)
_FEATURES = {
    "auth": "Authentication",
    "webui": "Admin pages",
    "telemetry": "Ledger",
    "debug": "Captures",
    "metrics": "Metrics",
}


@dataclass(frozen=True, slots=True)
class _Kept:
    """One kind of what is stored, with how long it is kept."""

    what: str
    days: int
    oldest: datetime | None
    failure: str | None
    """Why the last round of forgetting did not come to its end."""
    ended_at: datetime | None
    """When one last did since the start."""
    note: str = ""


class SystemView:
    """See the module."""

    def __init__(self, services: PageServices) -> None:
        self._services = services

    async def show(self, request: AdminRequest) -> Answer:
        """The page, or those parts of it that are asked for."""
        services = self._services
        known = services.keys.list_known()
        data: dict[str, object] = {"names": KeyNames(known)}
        if request.wants("standing"):
            system = await services.recent.get("system", FRESH_SECONDS, services.system.get)
            data |= {
                "system": system,
                "kept": _list_kept(system),
                "kept_columns": _KEPT_COLUMNS,
                "clock": _tell_clock(system.clock_ahead_seconds),
                "rungs": list_rungs(services.system.in_force, known, request.now),
                "features": [(_FEATURES.get(name, name), is_on) for name, is_on in system.features.items()],
            }
        if request.wants("sessions"):
            data |= await self._show_sessions(request)
        return Page("system/page.html", data)

    async def _show_sessions(self, request: AdminRequest) -> dict[str, object]:
        before = request.query.get("before")
        page = await self._services.sessions.list_page(limit=PAGE_SESSIONS, before=before or None)
        own = request.session.id
        count = len(page.sessions)
        older = None if page.next is None else page_url(PATH, request.query, before=page.next)
        first = page_url(PATH, request.query, before=None) if before else None
        text = f"{count} session{'' if count == 1 else 's'}"
        pages = Pager(text, older=older, first=first) if older or first else None
        return {
            "sessions": [(session, session.id == own) for session in _own_first(page.sessions, own)],
            "session_columns": _SESSION_COLUMNS,
            "session_pages": pages,
            "here": request.target,
        }


def _own_first(sessions: list[Session], own: str) -> list[Session]:
    return sorted(sessions, key=lambda session: session.id != own)


def _tell_clock(ahead_seconds: float | None) -> str:
    if ahead_seconds is None:
        return "GitHub has not said yet what time it is"
    return describe_skew(timedelta(seconds=ahead_seconds))


def _list_kept(system: System) -> list[_Kept]:
    retention, database = system.retention, system.database
    oldest_event = None if database is None else database.oldest_event
    oldest_rollup = None if database is None else database.oldest_rollup

    def kept(what: str, days: int, oldest: datetime | None, upkeep: str, note: str = "") -> _Kept:
        return _Kept(what, days, oldest, retention.failures.get(upkeep), retention.ended_at.get(upkeep), note)

    return [
        kept("Usage events", retention.events_days, oldest_event, "usage"),
        kept("Their sums", retention.rollups_days, oldest_rollup, "usage"),
        kept("Audit log", retention.audit_days, None, "audit"),
        kept(
            "Captures on disk", retention.traces_days, None, "traces", "" if retention.traces_days else "in memory only"
        ),
    ]
