"""What a trace is."""

import msgspec

from copilot_api.capture.models import Attempt, Cut, Leg, Moment, Trace
from tests.capture.kept import make_trace


def test_a_trace_survives_being_written_and_read() -> None:
    answer = Leg(status=200, headers=[("a", "b"), ("a", "c")], cut=Cut(3, "ab"), timeline=[Moment(1.5, 2)])
    trace = make_trace(7, client_answer=answer, earlier_attempts=[Attempt(request=Leg(), answer=answer)])
    assert msgspec.json.decode(msgspec.json.encode(trace), type=Trace) == trace


def test_a_moment_takes_few_bytes_where_there_are_thousands() -> None:
    assert msgspec.json.encode(Moment(1.5, 20)) == b"[1.5,20]"
