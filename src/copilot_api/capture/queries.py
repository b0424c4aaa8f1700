"""Which traces are asked for, and what is answered. Pure."""

from dataclasses import dataclass
from datetime import datetime

from copilot_api.capture.models import TraceSummary
from copilot_api.errors import GatewayError

MAX_LIMIT = 500
"""The most traces of one page."""


class TraceNotFound(GatewayError):
    """No trace by that request id, or not any more."""

    number, code, status = 110, "trace_not_found", 404
    kind, cause, is_final = "invalid_request_error", "bad_request", True
    hint = "a trace is there if its key was captured at that time, until newer ones need the room"


class TraceDayNotFound(GatewayError):
    """No file of traces by that name. Whatever is no date, or no file of ours, is not told apart from it."""

    number, code, status = 111, "trace_day_not_found", 404
    kind, cause, is_final = "invalid_request_error", "bad_request", True
    hint = "traces are kept in files while retention.traces_days is over 0; ask for a day as YYYY-MM-DD"


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """Some traces, newest first. What is not said does not matter."""

    key_id: str | None = None
    model: str | None = None
    """As the client called it."""
    min_status: int = 0
    max_status: int = 999
    since: datetime | None = None
    """When the call arrived: at this moment or later."""
    until: datetime | None = None
    """Before this moment."""
    text: str = ""
    """A part of the request id."""
    before: int | None = None
    """Only traces with a smaller number: the `next_before` of the page before."""
    limit: int = 50
    """At most so many, and never more than `MAX_LIMIT`."""

    def matches(self, summary: TraceSummary) -> bool:
        """Whether this trace is one of them; `before` and `limit` aside."""
        return (
            (self.key_id is None or summary.key_id == self.key_id)
            and (self.model is None or summary.model == self.model)
            and self.min_status <= summary.status <= self.max_status
            and self.text in summary.request_id
            and self._is_in_time(summary)
        )

    def _is_in_time(self, summary: TraceSummary) -> bool:
        if self.since is None and self.until is None:
            return True
        at = datetime.fromisoformat(summary.at)
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)


@dataclass(frozen=True, slots=True)
class TracePage:
    """
    Some traces, newest first. A page may be short, or empty, although there are more: files are read a bounded piece
    at a time.
    """

    traces: tuple[TraceSummary, ...]
    next_before: int | None
    """Where the next page goes on (`TraceQuery.before`); None when there is none."""


@dataclass(frozen=True, slots=True)
class ForgottenTraces:
    """What was deleted of one key."""

    memory: int
    """Traces in memory, those on their way there included."""
    lines: int
    """Traces in files."""
    files: int
    """Files that were written anew or deleted."""
