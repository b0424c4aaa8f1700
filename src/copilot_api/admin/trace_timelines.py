"""Where the time of a captured call went: its legs, and the pieces of its stream with the silences between. Pure."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

from copilot_api.admin.components import Phase
from copilot_api.admin.figures import seconds, size
from copilot_api.capture.models import Leg, Moment, Trace

MAX_BURSTS = 16
"""So many stretches of pieces are told apart, at the longest silences."""
LEAST_SILENCE_MS = 50.0
"""What is shorter is no silence."""
_LEAST_TOTAL = 0.001


def list_leg_phases(trace: Trace) -> list[Phase]:
    """The legs in order, earlier tries among them, in seconds since the call arrived."""
    return list(_list_leg_phases(trace))


def total_seconds(trace: Trace) -> float:
    """How long all of it took: nothing ends later."""
    legs = (trace.client_request, trace.upstream_request, trace.upstream_answer, trace.client_answer)
    ends = [leg.ended_ms or leg.started_ms for leg in legs if leg is not None]
    return max(trace.duration_ms, *ends) / 1000 or _LEAST_TOTAL


def streamed_leg(trace: Trace) -> Leg | None:
    """The answer whose pieces are shown: Copilot's, or what the gateway itself streamed."""
    for leg in (trace.upstream_answer, trace.client_answer):
        if leg is not None and len(leg.timeline) > 1:
            return leg
    return None


def list_bursts(timeline: Sequence[Moment]) -> list[Phase]:
    """The pieces, as stretches between silences, and the silences."""
    return list(_list_bursts(timeline))


def longest_silence(timeline: Sequence[Moment]) -> float:
    """In seconds; 0 where there is only one piece."""
    return max((later.ms - earlier.ms for earlier, later in pairwise(timeline)), default=0.0) / 1000


def _list_leg_phases(trace: Trace) -> Iterator[Phase]:
    yield _phase("Client's request", trace.client_request, size(trace.client_request.bytes))
    for number, attempt in enumerate(trace.earlier_attempts, start=1):
        answer = attempt.answer
        end = attempt.request if answer is None else answer
        outcome = "no answer" if answer is None else f"answered {answer.status}"
        started, ended = attempt.request.started_ms, max(attempt.request.started_ms, end.ended_ms or end.started_ms)
        yield Phase(f"Try {number}", started / 1000, ended / 1000, "bad", outcome)
    sent, answer = trace.upstream_request, trace.upstream_answer
    if sent is not None:
        yield _phase("To Copilot", sent, size(sent.bytes))
        if answer is not None:
            waited_from = sent.ended_ms or sent.started_ms
            first = max(waited_from, answer.started_ms)
            yield Phase("Wait", waited_from / 1000, first / 1000, "first", "until Copilot began to answer")
    if answer is not None:
        yield _phase("From Copilot", answer, _describe_answer(answer), is_answer=True)
    if trace.client_answer is not None:
        yield _phase("To the client", trace.client_answer, _describe_answer(trace.client_answer), is_answer=True)


def _phase(label: str, leg: Leg, note: str, *, is_answer: bool = False) -> Phase:
    ended = leg.started_ms if leg.ended_ms is None else max(leg.started_ms, leg.ended_ms)
    kind: Literal["", "good", "bad"] = ""
    if leg.error or (is_answer and leg.status >= 400):
        kind = "bad"
    elif is_answer:
        kind = "good"
    return Phase(label, leg.started_ms / 1000, ended / 1000, kind, note)


def _describe_answer(leg: Leg) -> str:
    pieces = f" in {len(leg.timeline)} pieces" if len(leg.timeline) > 1 else ""
    return f"{leg.status or 'no status'}, {size(leg.bytes)}{pieces}"


def _list_bursts(timeline: Sequence[Moment]) -> Iterator[Phase]:
    starts = [0, *_find_breaks(timeline), len(timeline)]
    for begin, end in pairwise(starts):
        pieces = timeline[begin:end]
        if not pieces:
            continue
        count, weight = len(pieces), size(sum(piece.bytes for piece in pieces))
        label = f"Piece {begin + 1}" if count == 1 else f"Pieces {begin + 1} to {end}"
        yield Phase(label, pieces[0].ms / 1000, pieces[-1].ms / 1000, "good", weight)
        if end < len(timeline):
            gap = (timeline[end].ms - pieces[-1].ms) / 1000
            yield Phase("Silence", pieces[-1].ms / 1000, timeline[end].ms / 1000, "wait", f"nothing for {seconds(gap)}")


def _find_breaks(timeline: Sequence[Moment]) -> list[int]:
    """Where the longest silences end: the numbers of the pieces behind them, in order."""
    gaps = [(later.ms - earlier.ms, number) for number, (earlier, later) in enumerate(pairwise(timeline), start=1)]
    longest = sorted((gap for gap in gaps if gap[0] >= LEAST_SILENCE_MS), reverse=True)[: MAX_BURSTS - 1]
    return sorted(number for _, number in longest)
