"""The operations on captures, and on what is on record."""

import msgspec

from copilot_api.api.operations.operation import Body, Operation, Parameter, Refusal, refusal
from copilot_api.audit.lines import AuditRecord
from copilot_api.capture.answer_diff import AnswerDiff
from copilot_api.capture.models import Trace, TraceSummary
from copilot_api.capture.queries import TraceDayNotFound, TraceNotFound
from copilot_api.gateway.replay import ReplayImpossible
from copilot_api.keys.captures import CaptureForbidden

TRACES, AUDIT = "traces", "audit"
_TRACE_NOT_FOUND = refusal(TraceNotFound)
_LOOKED_AT = "Each look is on record before it is answered."


class TraceDay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file of one day."""

    date: str
    bytes: int


class TraceList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Some captures, newest first. A page may be short, or empty, and not be the last."""

    traces: list[TraceSummary]
    next: int | None
    """`before` of the next page; null at the end."""
    days: list[TraceDay]


class RuleStrike(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A secret that a rule strikes."""

    rule: str
    line: int
    path: str
    via: list[str]
    length: int
    placeholder: str


class NearMissDocument(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What looks like a secret, and no rule strikes."""

    line: int
    column: int
    length: int
    entropy: float
    reason: str


class SuspicionDocument(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What the verifier still finds in the outcome."""

    kind: str
    line: int
    column: int
    length: int


class DryRunDocument(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What redaction would make of a text."""

    text: str | None
    """Null where a capture of it would be withheld."""
    hits: list[RuleStrike]
    near_misses: list[NearMissDocument]
    suspicions: list[SuspicionDocument]


class DryRunWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A text to be tried."""

    text: str
    media_type: str = ""


class ReplayWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a captured request is to be sent again."""

    model: str | None = None
    """Another model than the captured one."""


class ReplayOutcome(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What came of sending it again."""

    request_id: str
    replay_of: str
    key_id: str
    status: int
    cause: str
    notes: list[str]
    diff: AnswerDiff | None
    """Null where the answer could not be captured."""


class AuditList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is on record, newest first. A page may be short, or empty, and not be the last."""

    events: list[AuditRecord]
    next: int | None
    """`before` of the next page; null at the end."""


class Expectation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A head that was kept elsewhere, and has to be in the chain still."""

    expect: str | None = None
    """As `verify` gave it: number and hash of a line, `12:9f2c…`."""


class AuditHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The newest line: what to keep elsewhere."""

    seq: int
    hash: str
    at: str


class AuditVerdict(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Whether the log is as it was written."""

    ok: bool
    head: AuditHead | None
    lines: int
    files: int
    problems: list[str]
    notes: list[str]


OPERATIONS = (
    Operation(
        id="list_traces",
        method="GET",
        path="/admin/api/traces",
        tag=TRACES,
        summary="List captured calls, newest first",
        about=_LOOKED_AT,
        answer=TraceList,
        parameters=(
            Parameter("key", "a key's id, label or visible prefix"),
            Parameter("model", "a model, as the client called it"),
            Parameter("status", "`429`, `4xx`, `>=400`"),
            Parameter("since", "how long ago (`30m`, `24h`, `7d`), or a time"),
            Parameter("until", "until when"),
            Parameter("q", "a part of the request id"),
            Parameter("limit", "how many, 500 at most; 50 without it", int),
            Parameter("before", "where the page before ended: its `next`, as it is", int),
        ),
    ),
    Operation(
        id="tail_traces",
        method="GET",
        path="/admin/api/traces/tail",
        tag=TRACES,
        summary="Follow captures as they are kept, as server-sent events",
        about=_LOOKED_AT,
        answer=None,
        parameters=(Parameter("after", "only those with a higher number, as far as they are in memory", int),),
        headers=(Parameter("Last-Event-ID", "the same, as browsers send it when they come back"),),
        media_types=("text/event-stream",),
        refusals=(Refusal(429, "too_many_tails"),),
    ),
    Operation(
        id="try_redaction",
        method="POST",
        path="/admin/api/traces/redact",
        tag=TRACES,
        summary="Try what redaction would make of a text",
        about="Nothing of it is kept, not even in a log.",
        answer=DryRunDocument,
        body=Body(bytes, schema_kind=DryRunWish, example={"text": "my key is ghp_…"}),
    ),
    Operation(
        id="show_trace",
        method="GET",
        path="/admin/api/traces/{id}",
        tag=TRACES,
        summary="Show one capture by its call's request id",
        about=f"{_LOOKED_AT} Fields that are empty are left out.",
        answer=Trace,
        refusals=(_TRACE_NOT_FOUND, Refusal(404, "route_not_found")),
        is_sensitive=True,
    ),
    Operation(
        id="replay_trace",
        method="POST",
        path="/admin/api/traces/{id}/replay",
        tag=TRACES,
        summary="Send a captured request again, and compare the answers",
        about="A call like any other, which spends credits: it counts for the key that asks. Its own status is in the "
        "answer, whose status is 200.",
        answer=ReplayOutcome,
        body=Body(bytes, is_required=False, schema_kind=ReplayWish, example={"model": "gpt-5-mini"}),
        refusals=(
            _TRACE_NOT_FOUND,
            Refusal(404, "route_not_found"),
            refusal(ReplayImpossible),
            refusal(CaptureForbidden),
        ),
        is_sensitive=True,
    ),
    Operation(
        id="download_traces",
        method="GET",
        path="/admin/traces/{date}.jsonl",
        tag=TRACES,
        summary="Download the captures of one day, one a line",
        about=_LOOKED_AT,
        answer=None,
        media_types=("application/x-ndjson",),
        refusals=(refusal(TraceDayNotFound), Refusal(404, "route_not_found")),
        is_sensitive=True,
    ),
    Operation(
        id="list_audit",
        method="GET",
        path="/admin/api/audit",
        tag=AUDIT,
        summary="List what is on record, newest first",
        answer=AuditList,
        parameters=(
            Parameter("limit", "how many lines, 500 at most; 50 without it", int),
            Parameter("before", "only lines with a lower number: `next` of the page before", int),
            Parameter("since", "from when on: a time, or how long ago (`24h`)"),
            Parameter("until", "until when"),
            Parameter("actor", "only lines that have exactly this"),
            Parameter("action", "only this action; `any` is all"),
            Parameter("target", "only lines that have exactly this"),
            Parameter("request_id", "only lines that have exactly this"),
        ),
    ),
    Operation(
        id="verify_audit",
        method="POST",
        path="/admin/api/audit/verify",
        tag=AUDIT,
        summary="Prove that no line of the audit log was edited, cut, added or moved",
        about="What is wrong is in the answer, whose status is 200 all the same.",
        answer=AuditVerdict,
        body=Body(Expectation, is_required=False),
    ),
)
