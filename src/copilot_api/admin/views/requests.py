"""Every call, newest first; one of them in full; and ending one that is under way."""

import asyncio
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from copilot_api.admin.answers import Answer, Page, Redirect
from copilot_api.admin.causes import CauseWords, list_advice, words_of
from copilot_api.admin.components import Column, Pager
from copilot_api.admin.curl import KEY_VARIABLE, render_curl
from copilot_api.admin.event_queries import TypedQuery, list_fields, list_terms, read_query
from copilot_api.admin.paths import safe_next
from copilot_api.admin.positions import Trail, read_trail
from copilot_api.admin.requests import FRAGMENT_HEADER, AdminRequest
from copilot_api.admin.services import PageServices
from copilot_api.admin.waterfalls import list_phases
from copilot_api.api.ledger_parameters import parse_position, render_position
from copilot_api.audit.models import Action, AuditEvent
from copilot_api.capture.lines import decode_trace
from copilot_api.capture.models import Trace
from copilot_api.errors import BadRequest
from copilot_api.gateway.under_way import CallUnderWay, cancel_call, find_under_way, list_under_way
from copilot_api.keys.names import KeyNames
from copilot_api.upstream.prices import NANO_PER_CREDIT
from copilot_api.usage.models import UsageEvent
from copilot_api.usage.repository import EventPage, EventQuery

PAGE_EVENTS = 50
MOST_TRIES, PAUSE_SECONDS = 6, 0.2
"""How often a call that has just ended is looked for in the ledger, and how long is waited in between."""
_OWN_ID = re.compile(r"req_[0-9a-f]{20,40}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEAR = timedelta(minutes=10)
"""How far around a call its neighbours are looked for."""
_COLUMNS = (
    Column("at", "Time"),
    Column("key", "Key"),
    Column("model", "Model"),
    Column("outcome", "Outcome"),
    Column("input", "In", is_number=True, title="Input tokens, cached ones too"),
    Column("output", "Out", is_number=True, title="Output tokens, reasoning too"),
    Column("credits", "Credits", is_number=True),
    Column("ttft", "TTFT", is_number=True, title="Time to the first token"),
    Column("duration", "Time", is_number=True, title="From its arrival to its end"),
    Column("client", "Client"),
    Column("endpoint", "Endpoint"),
)


@dataclass(frozen=True, slots=True)
class _Row:
    """An event, as its row shows it."""

    event: UsageEvent
    at: datetime
    words: CauseWords
    credits: float | None


class RequestViews:
    """See the module."""

    def __init__(self, services: PageServices) -> None:
        self._services = services

    # The list -------------------------------------------------------------------------------------------------------

    async def browse(self, request: AdminRequest) -> Answer:
        """One page of calls. A mistake in the query is told beside it, with what was typed."""
        names = KeyNames(self._services.keys.list_known())
        typed, trail = read_query(request.query, request.now, names), read_trail(request.query)
        found = EventPage([], None)
        if not typed.problem and request.wants("list"):
            found = await self._find_page(typed, trail)
        data: dict[str, object] = {
            "period": typed.period,
            "typed": typed,
            "names": names,
            "fields": list_fields(names, *_list_seen(found)),
            "terms": list_terms(typed.text, request.path, request.query),
            "columns": _COLUMNS,
            "rows": [_make_row(event) for event in found.events],
            "pages": _make_pager(request, trail, found),
            "is_first": not trail.after,
            "searched_to": None if found.next is None else _moment(found.next.at),
            "files": _list_files(typed),
            "base_url": request.arrival.base_url,
        }
        return Page("requests/list.html", data)

    async def _find_page(self, typed: TypedQuery, trail: Trail) -> EventPage:
        after = parse_position(trail.after) if trail.after else None
        if trail.after and after is None:
            raise BadRequest("this is no place in the list", param="after", hint="begin with the newest")
        period = typed.period
        if after is not None and after.at >= _microseconds(period.until):
            after = None
        query = EventQuery(period.since, period.until, typed.conditions, PAGE_EVENTS, after)
        return await self._services.threads.ask(lambda: self._services.ledger.get_page(query))

    # One call -------------------------------------------------------------------------------------------------------

    async def show(self, request: AdminRequest) -> Answer:
        """
        One call by its request id, from the ledger, or as it is while it is under way. Between the two it is in neither
        for a moment: whoever has it open is told so, and whoever opens it then waits a little.
        """
        services, request_id = self._services, request.parameters["request_id"]
        names = KeyNames(services.keys.list_known())
        call = self._find_under_way(request_id)
        event = None if call is not None else await self._find_event(request)
        if event is None and (call is not None or _was_under_way(request)):
            return Page("requests/under_way.html", {"call": call, "names": names, "request_id": request_id})
        if event is None:
            data: dict[str, object] = {"request_id": request_id, "names": names}
            return Page("requests/missing.html", data, 404)
        return Page("requests/detail.html", self._describe(request, event, names))

    async def _find_event(self, request: AdminRequest) -> UsageEvent | None:
        services, request_id = self._services, request.parameters["request_id"]
        tries = 1 if request.header(FRAGMENT_HEADER) or _OWN_ID.fullmatch(request_id) is None else MOST_TRIES
        for left in range(tries - 1, -1, -1):
            event = await services.threads.ask(lambda: services.ledger.find_event(request_id))
            if event is not None or not left:
                return event
            await asyncio.sleep(PAUSE_SECONDS)
        return None

    def _describe(self, request: AdminRequest, event: UsageEvent, names: KeyNames) -> dict[str, object]:
        line = self._services.traces.ring.find(event.request_id)
        trace: Trace | None = None if line is None else decode_trace(line)
        at = datetime.fromisoformat(event.at)
        return {
            "event": event,
            "row": _make_row(event),
            "arrived_at": at,
            "ended_at": at + timedelta(seconds=event.duration),
            "names": names,
            "phases": list_phases(event, trace),
            "advice": list_advice(event),
            "would_limit": event.would_limit.split(",") if event.would_limit else [],
            "tokens": event.input_tokens + event.output_tokens,
            "trace": trace,
            "curl": render_curl(event, request.arrival.base_url),
            "key_variable": KEY_VARIABLE,
            "around": (at - _NEAR, at + _NEAR),
        }

    def _find_under_way(self, request_id: str) -> CallUnderWay | None:
        record = self._services.under_way.get(request_id)
        if record is None:
            return None
        services = self._services
        return list_under_way({request_id: record}, services.slots.places(), services.clock.monotonic())[0]

    # Ending one -----------------------------------------------------------------------------------------------------

    async def cancel(self, request: AdminRequest) -> Answer:
        """Ends a call that is under way, and goes back to where it was shown. Raises `CallNotUnderWay`."""
        services, request_id = self._services, request.parameters["request_id"]
        record = find_under_way(services.under_way, request_id)
        detail: dict[str, object] = {"key_id": record.event.key_id, "model": record.event.model}
        audited = AuditEvent(request.key.id, Action.CALL_CANCELLED, request_id, detail, request.origin)
        await services.threads.ask(lambda: services.audit.append(audited))
        cancel_call(services.under_way, request_id)
        return Redirect(safe_next(request.form.get("next")))


def _was_under_way(request: AdminRequest) -> bool:
    """Whether the page that asks shows a call that was under way when it was fetched."""
    return bool(request.header(FRAGMENT_HEADER)) and request.wants("call")


def _make_row(event: UsageEvent) -> _Row:
    charge = None if event.nano_aiu is None else event.nano_aiu / NANO_PER_CREDIT
    return _Row(event, datetime.fromisoformat(event.at), words_of(event.cause), charge)


def _list_seen(found: EventPage) -> tuple[list[str], list[str]]:
    """Models and programs that there are, for suggestions: those on the page."""
    models = {event.model for event in found.events if event.model}
    return sorted(models), sorted({event.client for event in found.events})


def _make_pager(request: AdminRequest, trail: Trail, found: EventPage) -> Pager:
    count = len(found.events)
    text = "no calls" if not count else f"{count} call{'' if count == 1 else 's'}"
    if found.next is None:
        text += ", the oldest of this range included"
    elif count < PAGE_EVENTS:
        text += f", looked through back to {_moment(found.next.at):%Y-%m-%d %H:%M} UTC"
    older = None if found.next is None else render_position(found.next)
    return trail.make_pager(request.path, request.query, text, older)


def _list_files(typed: TypedQuery) -> dict[str, dict[str, str]]:
    """What the API is asked for the same calls as a file."""
    period = typed.period
    common = {"q": typed.text, "since": period.since.isoformat(), "until": period.until.isoformat()}
    return {kind: {**common, "format": kind} for kind in ("csv", "ndjson")}


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)
