"""Captures as they come: a page, and the stream of its rows, which goes on where it was paused."""

from collections.abc import Callable, Mapping

import msgspec

from copilot_api.admin.answers import Answer, Page, Stream
from copilot_api.admin.requests import AdminRequest
from copilot_api.admin.services import PageServices
from copilot_api.admin.trace_queries import TypedTraces, list_trace_fields, list_trace_terms, read_trace_query
from copilot_api.admin.views.traces import COLUMNS, PATH, list_places, make_row, visitor_of
from copilot_api.api.trace_access import sign
from copilot_api.api.trace_tail import parse_after
from copilot_api.audit.models import Action
from copilot_api.capture.models import TraceSummary
from copilot_api.errors import BadRequest
from copilot_api.keys.names import KeyNames

TAIL = f"{PATH}/tail"
_ROW = "traces/tail_row.html"
_ANY_LIMIT = 1

Render = Callable[[str, Mapping[str, object]], str]
"""Makes a page, or a part of one, of a template."""


class TraceTailViews:
    """See the module."""

    def __init__(self, services: PageServices, render: Render) -> None:
        self._services = services
        self._render = render

    async def show(self, request: AdminRequest) -> Answer:
        """The page, without a row: those come by the stream. A mistake in the query is told beside it."""
        names = KeyNames(self._services.keys.list_known())
        typed = read_trace_query(request.query.without("range", "since", "until"), request.now, names, _ANY_LIMIT)
        data: dict[str, object] = {
            "places": list_places(TAIL),
            "typed": typed,
            "fields": list_trace_fields(names),
            "terms": list_trace_terms(typed.text, TAIL, request.query),
            "columns": COLUMNS,
            "may_capture": self._services.may_capture(),
            "is_captured": any(key.capture_at(request.now) for key in self._services.keys.list_known()),
        }
        return Page("traces/tail.html", data)

    async def follow(self, request: AdminRequest) -> Answer:
        """
        The stream: rows as events `trace`, with `?after=` from behind that one on. Raises `TooManyTails`, and
        `StorageUnavailable` where it cannot be put on record.
        """
        services = self._services
        names = KeyNames(services.keys.list_known())
        typed = read_trace_query(request.query.without("after"), request.now, names, _ANY_LIMIT)
        if typed.problem:
            raise BadRequest(typed.problem, param="q")
        after = parse_after(request.head, request.query.get("after"))
        services.tails.check_room()
        visitor = visitor_of(request)
        detail = {"after": after, **({"q": typed.asked["q"]} if typed.text else {})}
        await sign(services.audit.append, visitor, Action.TRACES_TAILED, "traces", **detail)
        events = services.tails.follow(visitor, after, lambda summary: self._write(summary, typed))
        return Stream(events, "text/event-stream", is_live=True)

    def _write(self, summary: TraceSummary, typed: TypedTraces) -> bytes | None:
        if not typed.query.matches(summary):
            return None
        names = KeyNames(self._services.keys.list_known())
        return msgspec.json.encode({"html": self._render(_ROW, {"row": make_row(summary), "names": names})})
