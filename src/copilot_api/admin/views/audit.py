"""What is on record: a time line, each line in full, and the proof that nobody changed it."""

from dataclasses import dataclass
from datetime import datetime

from copilot_api.admin.answers import Answer, Page, Redirect
from copilot_api.admin.audit_queries import TypedAudit, list_audit_fields, list_audit_terms, parse_seq, read_audit_query
from copilot_api.admin.audit_words import (
    diff_of,
    is_as_written,
    link_of_target,
    list_facts,
    summarise_change,
    tone_of_action,
    words_of_action,
)
from copilot_api.admin.components import Column, Tone
from copilot_api.admin.paths import safe_next
from copilot_api.admin.positions import read_trail
from copilot_api.admin.requests import AdminRequest
from copilot_api.admin.services import PageServices
from copilot_api.audit.lines import AuditRecord, describe_record, parse_link
from copilot_api.audit.search import AuditPage, AuditQuery
from copilot_api.audit.verify import Verdict
from copilot_api.keys.names import KeyNames

PATH = "/admin/audit"
PAGE_LINES = 50
MAX_LINES = 5_000
"""How many lines are looked at for one page: what is rare comes in pages that are short, or empty, and go on."""
_BEGINNING = "2000-01-01T00:00"
_COLUMNS = (
    Column("at", "Time"),
    Column("actor", "Who"),
    Column("action", "What"),
    Column("target", "Target"),
    Column("change", "Detail"),
    Column("address", "From"),
)
_NO_HEAD = "This is no head: write it as it was given, 12:9f2c…"


@dataclass(frozen=True, slots=True)
class _Row:
    """A line, as the time line shows it."""

    record: AuditRecord
    at: datetime
    words: str
    tone: Tone
    change: str


@dataclass(frozen=True, slots=True)
class Proof:
    """The last verification, for all who look: the log is one."""

    verdict: Verdict
    at: datetime
    by: str
    """The label of the key that asked for it."""
    expected: str
    """The head that had to be in it; empty where none was given."""


class AuditViews:
    """See the module."""

    def __init__(self, services: PageServices) -> None:
        self._services = services
        self._proof: Proof | None = None

    async def browse(self, request: AdminRequest) -> Answer:
        """One page of lines, newest first. A mistake in the query is told beside it, with what was typed."""
        return await self._browse(request)

    async def _browse(self, request: AdminRequest, *, expect: str = "", problem: str = "") -> Page:
        names = KeyNames(self._services.keys.list_known())
        typed, trail = read_audit_query(request.query, request.now, names), read_trail(request.query)
        found = AuditPage([], None)
        if not typed.problem and request.wants("list"):
            found = await self._services.threads.ask(
                lambda: self._services.audit.get_page(typed.query, PAGE_LINES, MAX_LINES)
            )
        older = None if found.next is None else str(found.next)
        data: dict[str, object] = {
            "period": typed.period,
            "typed": typed,
            "names": names,
            "fields": list_audit_fields(names),
            "terms": list_audit_terms(typed.text, PATH, request.query),
            "columns": _COLUMNS,
            "rows": [_make_row(record, names) for record in found.events],
            "pages": trail.make_pager(PATH, request.query, _tell_count(found, typed), older),
            "beginning": _BEGINNING,
            "here": request.target if request.method == "GET" else PATH,
            "proof": self._proof,
            "expect": expect,
            "expect_problem": problem,
        }
        return Page("audit/list.html", data, 400 if problem else 200)

    async def show(self, request: AdminRequest) -> Answer:
        """One line in full, by its number."""
        text = request.parameters["seq"]
        seq = parse_seq(text)
        query = AuditQuery(before_seq=None if seq is None else seq + 1)
        found = await self._services.threads.ask(lambda: self._services.audit.get_page(query, 1))
        names = KeyNames(self._services.keys.list_known())
        record = found.events[0] if found.events and found.events[0].seq == seq else None
        if record is None:
            return Page("audit/missing.html", {"seq": text}, 404)
        data: dict[str, object] = {
            "record": record,
            "row": _make_row(record, names),
            "names": names,
            "diff": diff_of(record.detail),
            "facts": list_facts(record.detail),
            "target_href": link_of_target(record),
            "is_as_written": is_as_written(record),
            "document": describe_record(record),
        }
        return Page("audit/detail.html", data)

    async def verify(self, request: AdminRequest) -> Answer:
        """Looks at the whole log, and goes back to where that was asked for, which shows what was found."""
        text = request.form.get("expect").strip()
        expected = parse_link(text) if text else None
        if text and expected is None:
            return await self._browse(request, expect=text, problem=_NO_HEAD)
        verdict = await self._services.verifier.check(expected)
        self._proof = Proof(verdict, self._services.clock.now(), request.key.label, text)
        wish = safe_next(request.form.get("next"))
        return Redirect(f"{wish if wish.partition('?')[0] == PATH else PATH}#proof")


def _make_row(record: AuditRecord, names: KeyNames) -> _Row:
    return _Row(
        record,
        record.moment,
        words_of_action(record.action),
        tone_of_action(record.action),
        summarise_change(record.detail, names),
    )


def _tell_count(found: AuditPage, typed: TypedAudit) -> str:
    count = len(found.events)
    text = f"{count} line{'' if count == 1 else 's'}" if count else "no lines"
    if found.next is None:
        return f"{text}, the oldest of this range included" if not typed.problem else text
    return text if count == PAGE_LINES else f"{text}, looked through down to line {found.next}"
