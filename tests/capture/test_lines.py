"""A trace as a line: what a list needs is read without the rest."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_api.capture.lines import decode_trace, encode_trace, summarise
from copilot_api.capture.models import Leg
from tests.capture.kept import make_line, make_trace


@given(st.text(), st.text())
def test_a_line_is_one_line_whatever_was_said(body: str, header: str) -> None:
    trace = make_trace(1, client_request=Leg(body=body, headers=[("a", header)]))
    line = encode_trace(trace)
    assert b"\n" not in line
    assert decode_trace(line) == trace


def test_a_summary_says_what_the_trace_does() -> None:
    line = make_line(7, stream=True, client="curl", redactions={"jwt": 2, "aws": 1}, withheld=3, cause="ok")
    summary = summarise(line)
    assert (summary.number, summary.request_id, summary.key_id, summary.model) == (7, "req_7", "key_a", "gpt-4.1")
    assert (summary.redactions, summary.withheld, summary.bytes) == (3, 3, len(line))
    assert (summary.stream, summary.client, summary.cause, summary.status) == (True, "curl", "ok", 200)


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b'{"number": 1}', make_line(1)[:-10], b"\xff" + make_line(1)])
def test_what_is_no_trace_is_refused(broken: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        summarise(broken)
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        decode_trace(broken)
