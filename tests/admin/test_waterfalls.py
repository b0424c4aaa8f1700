"""Phases follow upon each other, and cover the whole time of a call."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from copilot_api.admin.waterfalls import list_phases
from copilot_api.capture.models import Leg, Moment, Trace
from copilot_api.usage.models import Cause, UsageEvent

SECONDS = st.floats(0, 600)


def event(**fields: object) -> UsageEvent:
    values: dict[str, object] = {"request_id": "req_1", "at": "2026-07-01T12:00:00+00:00", "identity_id": "default"}
    return UsageEvent(**{**values, **fields})  # type: ignore[arg-type]


@given(SECONDS, SECONDS, SECONDS, st.booleans(), st.booleans(), st.sampled_from(list(Cause)), st.none() | SECONDS)
def test_phases_are_in_order_and_end_with_the_call(
    queue: float, first: float, rest: float, is_upstream: bool, has_first: bool, cause: Cause, started: float | None
) -> None:
    known = event(
        queue_seconds=queue,
        time_to_first_token=queue + first if has_first else None,
        duration=queue + first + rest,
        identity_id="default" if is_upstream else None,
        cause=cause,
    )
    trace = None
    if started is not None:
        leg = Leg(started_ms=started * 1000)
        trace = Trace(request_id="req_1", at=known.at, client_request=Leg(), upstream_request=leg)
    phases = list_phases(known, trace)
    assert all(phase.start <= phase.end for phase in phases)
    assert all(later.start >= earlier.end - 1e-9 for earlier, later in pairwise(phases))
    assert phases[-1].end == known.duration


def test_a_call_that_was_refused_here_never_waited_for_copilot() -> None:
    phases = list_phases(event(identity_id=None, duration=0.002, cause=Cause.RATE_LIMITED, status=429))
    assert [(phase.label, phase.kind) for phase in phases] == [("Answered here", "bad")]


def test_a_stream_has_a_first_token_and_an_answer() -> None:
    known = event(queue_seconds=1.0, time_to_first_token=2.5, duration=9.0, cause=Cause.OK, status=200)
    assert [(phase.label, phase.start, phase.end) for phase in list_phases(known)] == [
        ("Queue", 0.0, 1.0),
        ("First token", 1.0, 2.5),
        ("Answer", 2.5, 9.0),
    ]


def test_what_broke_off_ends_in_red() -> None:
    known = event(time_to_first_token=2.5, duration=9.0, cause=Cause.UPSTREAM_CUT, status=200)
    assert list_phases(known)[-1].kind == "bad"


def test_a_capture_tells_of_the_door_and_of_silences() -> None:
    answer = Leg(timeline=[Moment(500, 10), Moment(700, 10), Moment(4700, 10)])
    trace = Trace(
        request_id="req_1",
        at="2026-07-01T12:00:00+00:00",
        client_request=Leg(),
        upstream_request=Leg(started_ms=300),
        upstream_answer=answer,
    )
    phases = list_phases(event(time_to_first_token=0.5, duration=5.0, cause=Cause.OK), trace)
    assert (phases[0].label, phases[0].end) == ("Door", 0.3)
    assert "3 pieces; the longest silence was 4.00 s" in phases[-1].note
