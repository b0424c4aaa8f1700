"""
Traces: what was captured, to be listed, read, watched and erased.

The newest are in memory; those of the days that `retention.traces_days` allows are in files besides. What is asked here
blocks where files have to be read: call it from a thread. `subscribe` and `keep` belong to the event loop.
"""

from collections.abc import Callable
from datetime import datetime

from copilot_api.capture.files import TraceFiles
from copilot_api.capture.lines import decode_trace
from copilot_api.capture.live import Gap, Subscription
from copilot_api.capture.models import Trace, TraceSummary
from copilot_api.capture.queries import MAX_LIMIT, ForgottenTraces, TraceNotFound, TracePage, TraceQuery
from copilot_api.capture.ring import Kept, Ring

__all__ = [
    "ForgottenTraces",
    "Gap",
    "Subscription",
    "TraceNotFound",
    "TracePage",
    "TraceQuery",
    "Traces",
]

SCAN_BYTES = 64 * 1024 * 1024
"""How much of the files one page of a list reads."""

ForgetWaiting = Callable[[str], int]
"""Drops what is on its way here of one key; says how many captures that were. Called from any thread."""


class Traces:
    """
    See the module. A trace's number grows by one with each; a process begins with the microseconds since 1970, or
    after what the files hold, so that the order holds over restarts.
    """

    def __init__(self, ring: Ring, files: TraceFiles, started_at: datetime) -> None:
        self.ring = ring
        self.files = files
        self.forget_waiting: ForgetWaiting = lambda _: 0
        self._watchers: set[Subscription] = set()
        self._first = self._last = int(started_at.timestamp() * 1_000_000)

    # Reading --------------------------------------------------------------------------------------------------------

    def list_traces(self, query: TraceQuery) -> TracePage:
        """Some traces, newest first: those in memory, then those that are in files only. Blocks."""
        limit = max(1, min(query.limit, MAX_LIMIT))
        found: list[TraceSummary] = []
        before = query.before
        for summary in self.ring.list_summaries():
            if query.before is not None and summary.number >= query.before:
                continue
            before = summary.number
            if query.matches(summary):
                found.append(summary)
                if len(found) == limit:
                    return TracePage(tuple(found), before)
        read = 0
        for summary in self.files.iter_summaries(before):
            read += summary.bytes
            if query.matches(summary):
                found.append(summary)
            if len(found) == limit or read > SCAN_BYTES:
                return TracePage(tuple(found), summary.number)
        return TracePage(tuple(found), None)

    def find(self, request_id: str) -> Trace | None:
        """The trace of this call, from memory or from the files; None when there is none. Blocks."""
        line = self.ring.find(request_id)
        return self.files.find(request_id) if line is None else decode_trace(line)

    def get(self, request_id: str) -> Trace:
        """The same. Raises `TraceNotFound`."""
        trace = self.find(request_id)
        if trace is None:
            raise TraceNotFound(f"there is no trace of the call {request_id[:100]!a}")
        return trace

    def subscribe(self, after: int | None, max_bytes: int) -> Subscription:
        """
        Every trace from now on; with `after` first those in memory with a larger number, and how many of them are in
        memory no more. What waits for its reader takes about `max_bytes` at most.
        """
        if after is None:
            return Subscription(self._watchers, max_bytes)
        missed = max(0, self.ring.gone - max(after, self._first))
        return Subscription(self._watchers, max_bytes, self.ring.list_after(after), missed)

    # Keeping --------------------------------------------------------------------------------------------------------

    def follow_files(self) -> None:
        """Have the numbers go on behind those in the files. Blocks; to be called before the first trace is kept."""
        self._first = self._last = max(self._last, self.files.last_number())

    def next_number(self) -> int:
        """The number that the next trace has to have."""
        return self._last + 1

    def keep(self, kept: Kept, is_wanted: Callable[[], bool]) -> bool:
        """
        Keep a trace in memory, and tell whoever watches. `is_wanted` is asked once nobody can erase anything
        meanwhile; says whether it was wanted.
        """
        if not self.ring.add(kept, is_wanted):
            return False
        self._last = kept.summary.number
        for watcher in tuple(self._watchers):
            watcher.tell(kept.summary)
        return True

    # Erasing --------------------------------------------------------------------------------------------------------

    def forget_key(self, key_id: str) -> ForgottenTraces:
        """
        Delete every trace that holds what this key's holder sent, those of calls that are under way too. Blocks. Raises
        `StorageUnavailable` when the files cannot be written; what is in memory is gone then.
        """
        memory = self.forget_waiting(key_id) + self.ring.forget_key(key_id)
        for watcher in tuple(self._watchers):
            watcher.forget_key(key_id)
        lines, files = self.files.forget_key(key_id)
        return ForgottenTraces(memory, lines, files)
