"""Where the time of a call went, from its usage event, and from its capture where there is one. Pure."""

from collections.abc import Iterator
from itertools import pairwise

from copilot_api.admin.components import Phase
from copilot_api.capture.models import Trace
from copilot_api.usage.models import Cause, UsageEvent

_LEAST_SECONDS = 0.0005
"""What is shorter is no phase of its own."""


def list_phases(event: UsageEvent, trace: Trace | None = None) -> list[Phase]:
    """The phases in order, from the arrival to the end."""
    return list(_list_phases(event, trace))


def _list_phases(event: UsageEvent, trace: Trace | None) -> Iterator[Phase]:
    end, first = event.duration, event.time_to_first_token
    is_whole = event.cause is Cause.OK
    if event.identity_id is None:  # it never went upstream
        queue = min(event.queue_seconds, end)
        if queue >= _LEAST_SECONDS:
            yield Phase("Queue", 0.0, queue, "wait", "for limits, its turn, or a slot")
        yield Phase("Answered here", queue, end, "good" if is_whole else "bad", "nothing was sent to Copilot")
        return
    sent = _find_sent(event, trace)
    door = max(0.0, sent - event.queue_seconds)
    if door >= _LEAST_SECONDS:
        yield Phase("Door", 0.0, door, note="the body is read, the key and the model looked up")
    if event.queue_seconds >= _LEAST_SECONDS:
        yield Phase("Queue", door, sent, "wait", "for limits, its turn, or a slot")
    if first is None:
        yield Phase("Copilot", sent, end, "" if is_whole else "bad", "no token came")
        return
    yield Phase("First token", sent, max(sent, first), "first", "until Copilot's first token was here")
    note = "the rest of the answer" + _describe_pieces(trace)
    yield Phase("Answer", max(sent, first), end, "good" if is_whole else "bad", note)


def _find_sent(event: UsageEvent, trace: Trace | None) -> float:
    """When it went upstream; the ledger knows only how long it waited, so the door counts as nothing."""
    latest = event.duration if event.time_to_first_token is None else event.time_to_first_token
    if trace is not None and trace.upstream_request is not None:
        return min(trace.upstream_request.started_ms / 1000, latest)
    return min(event.queue_seconds, latest)


def _describe_pieces(trace: Trace | None) -> str:
    if trace is None or trace.upstream_answer is None or len(trace.upstream_answer.timeline) < 2:
        return ""
    timeline = trace.upstream_answer.timeline
    longest = max(later.ms - earlier.ms for earlier, later in pairwise(timeline)) / 1000
    return f", in {len(timeline)} pieces; the longest silence was {longest:.2f} s"
