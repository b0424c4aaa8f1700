"""What was captured: listed, one in full, sent again and compared. Every look is on record before it is answered."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import msgspec

from copilot_api.admin.answers import Answer, Page, Redirect
from copilot_api.admin.causes import CauseWords, words_of
from copilot_api.admin.components import Choice, Column
from copilot_api.admin.differences import read_unified
from copilot_api.admin.model_names import list_names
from copilot_api.admin.once import FIELD, SentForms, make_form_id
from copilot_api.admin.positions import read_trail
from copilot_api.admin.requests import AdminRequest
from copilot_api.admin.services import PageServices
from copilot_api.admin.trace_legs import list_legs
from copilot_api.admin.trace_queries import TypedTraces, list_trace_fields, list_trace_terms, read_trace_query
from copilot_api.admin.trace_timelines import (
    list_bursts,
    list_leg_phases,
    longest_silence,
    streamed_leg,
    total_seconds,
)
from copilot_api.admin.transcripts import read_transcript
from copilot_api.api.trace_access import Visitor, sign
from copilot_api.api.trace_replay import compare_answers, read_envelope
from copilot_api.audit.models import Action
from copilot_api.capture.models import Trace, TraceSummary
from copilot_api.capture.queries import TraceDayNotFound, TracePage
from copilot_api.errors import GatewayError
from copilot_api.gateway.replay import prepare_replay
from copilot_api.keys.names import KeyNames
from copilot_api.usage.models import Cause

PATH = "/admin/traces"
PAGE_TRACES = 50
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
COLUMNS = (
    Column("at", "Time"),
    Column("key", "Key"),
    Column("model", "Model"),
    Column("outcome", "Outcome"),
    Column("duration", "Took", is_number=True),
    Column("redactions", "Redacted", is_number=True, title="How many secrets were taken out"),
    Column("bytes", "Size", is_number=True, title="How much is kept of it"),
    Column("reason", "Why", title="Why it was captured"),
    Column("client", "Client"),
    Column("endpoint", "Endpoint"),
)


@dataclass(frozen=True, slots=True)
class TraceRow:
    """A trace, as its row shows it."""

    summary: TraceSummary
    at: datetime
    words: CauseWords | None
    """What its cause means; None for one of another version."""


def make_row(summary: TraceSummary) -> TraceRow:
    """The row of a trace."""
    return TraceRow(summary, datetime.fromisoformat(summary.at), _words_of(summary.cause))


def visitor_of(request: AdminRequest) -> Visitor:
    """Who looks, as the audit log says it."""
    return Visitor(request.key.id, request.origin, request.key)


def list_places(current: str) -> list[Choice]:
    """The pages about traces, as tabs."""
    places = (("Kept", PATH), ("Live tail", f"{PATH}/tail"), ("Dry run of redaction", f"{PATH}/dry-run"))
    return [Choice(label, href, href == current) for label, href in places]


class TraceViews:
    """See the module."""

    def __init__(self, services: PageServices) -> None:
        self._services = services
        self._sent = SentForms()

    # The list -------------------------------------------------------------------------------------------------------

    async def browse(self, request: AdminRequest) -> Answer:
        """One page of traces, newest first. A mistake in the query is told beside it, with what was typed."""
        services, keys = self._services, self._services.keys.list_known()
        names = KeyNames(keys)
        typed, trail = read_trace_query(request.query, request.now, names, PAGE_TRACES), read_trail(request.query)
        found = TracePage((), None)
        if not typed.problem and request.wants("list"):
            await sign(services.audit.append, visitor_of(request), Action.TRACES_LISTED, "traces", **typed.asked)
            found = await services.threads.ask(lambda: services.traces.list_traces(typed.query))
        captured = [(key, order) for key in keys if (order := key.capture_at(request.now)) is not None]
        data: dict[str, object] = {
            "period": typed.period,
            "places": list_places(PATH),
            "typed": typed,
            "names": names,
            "fields": list_trace_fields(names, sorted({each.model for each in found.traces if each.model})),
            "terms": list_trace_terms(typed.text, PATH, request.query),
            "columns": COLUMNS,
            "rows": [make_row(summary) for summary in found.traces],
            "pages": trail.make_pager(PATH, request.query, _tell_count(found, typed), _older(found)),
            "captured": captured,
            "may_capture": services.may_capture(),
            "days": await services.threads.ask(services.traces.files.list_days),
        }
        return Page("traces/list.html", data)

    async def download(self, request: AdminRequest) -> Answer:
        """The way to a day's file, which the API gives to whoever has just shown the key. Raises `TraceDayNotFound`."""
        date = request.parameters["date"]
        if not _DATE.fullmatch(date):
            raise TraceDayNotFound("there is no such day")
        return Redirect(f"{PATH}/{date}.jsonl")

    # One trace ------------------------------------------------------------------------------------------------------

    async def show(self, request: AdminRequest) -> Answer:
        """One trace by its call's request id. Raises `StorageUnavailable` where the look cannot be put on record."""
        request_id = request.parameters["request_id"]
        trace = await self._read(request, request_id)
        if trace is None:
            return Page("traces/missing.html", {"request_id": request_id}, 404)
        return Page("traces/detail.html", await self._describe(trace))

    async def _read(self, request: AdminRequest, request_id: str) -> Trace | None:
        services = self._services
        trace = await services.threads.ask(lambda: services.traces.find(request_id))
        if trace is not None:
            await sign(services.audit.append, visitor_of(request), Action.TRACE_READ, request_id, key_id=trace.key_id)
        return trace

    async def _describe(self, trace: Trace, *, model: str = "", problem: str = "") -> dict[str, object]:
        services = self._services
        streamed = streamed_leg(trace)
        transcript, legs = await services.threads.ask(
            lambda: (read_transcript(trace, read_envelope(trace)), list_legs(trace))
        )
        return {
            "trace": trace,
            "arrived_at": datetime.fromisoformat(trace.at),
            "words": _words_of(trace.cause),
            "names": KeyNames(services.keys.list_known()),
            "phases": list_leg_phases(trace),
            "total": total_seconds(trace),
            "bursts": [] if streamed is None else list_bursts(streamed.timeline),
            "streamed": streamed,
            "silence": 0.0 if streamed is None else longest_silence(streamed.timeline),
            "transcript": transcript,
            "legs": legs,
            "replayable": _why_not_replayable(trace) if services.may_capture() else "captures are forbidden here",
            "models": list_names(services, services.clock.now()),
            "model": model,
            "problem": problem,
            "form_field": FIELD,
            "form_id": make_form_id(),
        }

    # Replay ---------------------------------------------------------------------------------------------------------

    async def replay(self, request: AdminRequest) -> Answer:
        """
        Sends a captured request again, which spends credits, and goes on to the comparison. A form counts once: sent
        again it leads to where it led.
        """
        services, request_id = self._services, request.parameters["request_id"]
        session, form_id, model = request.session.id, request.form.get(FIELD), request.form.get("model").strip()
        known = self._sent.find(session, form_id)
        if known is not None:
            return Redirect(known or f"{PATH}?q={quote(request_id, safe='')}")
        trace = await self._read(request, request_id)
        if trace is None:
            return Page("traces/missing.html", {"request_id": request_id}, 404)
        self._sent.begin(session, form_id)
        try:
            replayed = await services.replays.replay(visitor_of(request), trace, model or None)
        except GatewayError as error:
            self._sent.forget(session, form_id)
            data = await self._describe(trace, model=model, problem=error.message)
            return Page("traces/detail.html", data, error.actual_status)
        location = f"{PATH}/{quote(request_id, safe='')}/replays/{quote(replayed.record.event.request_id, safe='')}"
        self._sent.note(session, form_id, location)
        return Redirect(location)

    async def compare(self, request: AdminRequest) -> Answer:
        """A trace and what was answered when it was sent again."""
        before_id, after_id = request.parameters["request_id"], request.parameters["replay_id"]
        before = await self._read(request, before_id)
        after = None if before is None else await self._read(request, after_id)
        if before is None or (after is not None and after.replay_of != before_id):
            return Page("traces/missing.html", {"request_id": before_id if before is None else after_id}, 404)
        if after is None:
            return Page("traces/uncompared.html", {"before": before, "replay_id": after_id})
        diff = await self._services.threads.ask(lambda: compare_answers(before, after))
        data: dict[str, object] = {
            "before": before,
            "after": after,
            "diff": diff,
            "changes": [(name, show_value(was), show_value(now)) for name, (was, now) in diff.changes.items()],
            "lines": read_unified(diff.text),
            "differences": _tell_differences(before, after),
            "words": _words_of(after.cause),
        }
        return Page("traces/compare.html", data)


def show_value(value: Any) -> str:
    """A value of an answer, as text."""
    if value is None or value == "":
        return "none"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _words_of(cause: str) -> CauseWords | None:
    return words_of(Cause(cause)) if cause in set(Cause) else None


def _older(found: TracePage) -> str | None:
    return None if found.next_before is None else str(found.next_before)


def _tell_count(found: TracePage, typed: TypedTraces) -> str:
    count = len(found.traces)
    text = f"{count} trace{'' if count == 1 else 's'}" if count else "no traces"
    return f"{text}, the oldest that is kept included" if found.next_before is None and not typed.problem else text


def _why_not_replayable(trace: Trace) -> str:
    try:
        prepare_replay(trace, read_envelope(trace), None)
    except GatewayError as error:
        return error.message
    return ""


def _tell_differences(before: Trace, after: Trace) -> list[str]:
    """How the two requests differ."""
    try:
        notes = list(prepare_replay(before, read_envelope(before), None).notes)
    except GatewayError:
        notes = []
    if before.model != after.model:
        notes.append(f"the model was {after.model} instead of {before.model}")
    return notes
