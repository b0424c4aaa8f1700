"""Where the time of a capture went: legs in order, silences where they were, nothing that ends before it begins."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from copilot_api.admin.trace_timelines import (
    MAX_BURSTS,
    list_bursts,
    list_leg_phases,
    longest_silence,
    streamed_leg,
    total_seconds,
)
from copilot_api.capture.models import Attempt, Leg, Moment, Trace
from tests.capture.kept import make_trace


def trace(**more: object) -> Trace:
    return make_trace(1, **more)


def test_legs_come_in_the_order_in_which_they_went() -> None:
    found = trace(
        client_request=Leg(ended_ms=2.0),
        earlier_attempts=[
            Attempt(request=Leg(started_ms=3.0), answer=Leg(status=503, started_ms=9.0, ended_ms=10.0)),
            Attempt(request=Leg(started_ms=11.0)),
        ],
        upstream_request=Leg(started_ms=12.0, ended_ms=13.0),
        upstream_answer=Leg(status=200, started_ms=50.0, ended_ms=90.0),
        client_answer=Leg(status=200, started_ms=51.0, ended_ms=91.0, error="the client hung up"),
        duration_ms=91.0,
    )
    assert [(phase.label, phase.start, phase.end, phase.kind) for phase in list_leg_phases(found)] == [
        ("Client's request", 0.0, 0.002, ""),
        ("Try 1", 0.003, 0.01, "bad"),
        ("Try 2", 0.011, 0.011, "bad"),
        ("To Copilot", 0.012, 0.013, ""),
        ("Wait", 0.013, 0.05, "first"),
        ("From Copilot", 0.05, 0.09, "good"),
        ("To the client", 0.051, 0.091, "bad"),
    ]
    assert total_seconds(found) == 0.091


def test_a_call_that_never_went_upstream_has_what_there_is() -> None:
    found = trace(client_answer=Leg(status=429, started_ms=1.0))
    assert [(phase.label, phase.kind) for phase in list_leg_phases(found)] == [
        ("Client's request", ""),
        ("To the client", "bad"),
    ]
    assert total_seconds(trace()) > 0


def test_the_answer_that_came_in_pieces_is_the_one_shown() -> None:
    pieces = [Moment(1.0, 1), Moment(2.0, 1)]
    upstream, client = Leg(timeline=pieces), Leg(timeline=[*pieces, Moment(3.0, 1)])
    assert streamed_leg(trace(upstream_answer=upstream, client_answer=client)) == upstream
    assert streamed_leg(trace(upstream_answer=Leg(), client_answer=client)) == client
    assert streamed_leg(trace()) is None


def test_silences_stand_between_stretches_of_pieces() -> None:
    timeline = [Moment(100.0, 5), Moment(110.0, 5), Moment(600.0, 7), Moment(601.0, 3)]
    assert [(phase.label, phase.kind, phase.note) for phase in list_bursts(timeline)] == [
        ("Pieces 1 to 2", "good", "10 B"),
        ("Silence", "wait", "nothing for 490 ms"),
        ("Pieces 3 to 4", "good", "10 B"),
    ]
    assert longest_silence(timeline) == 0.49
    assert longest_silence([]) == 0.0


@given(st.lists(st.floats(0, 600_000), max_size=200).map(sorted))
def test_the_stretches_are_all_of_the_pieces_and_few(times: list[float]) -> None:
    phases = list_bursts([Moment(time, 1) for time in times])
    assert all(phase.start <= phase.end for phase in phases)
    assert all(earlier.end <= later.start for earlier, later in pairwise(phases))
    assert sum(phase.kind == "good" for phase in phases) <= MAX_BURSTS
    if times:
        assert (phases[0].start, phases[-1].end) == (times[0] / 1000, times[-1] / 1000)
