"""The caller's trace: what the standard allows is read, all else is as if it were not there."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from copilot_api.observability.trace_context import TraceContext, parse_traceparent

PROPERTY = settings(derandomize=True, deadline=None, database=None, max_examples=500)
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_the_example_of_the_standard() -> None:
    assert parse_traceparent(f"00-{TRACE}-{SPAN}-01".encode()) == TraceContext(int(TRACE, 16), int(SPAN, 16), 1)


@pytest.mark.parametrize(
    ("flags", "kept", "is_sampled"), [("00", 0, False), ("01", 1, True), ("03", 3, True), ("ff", 3, True)]
)
def test_only_flags_that_mean_something_are_kept(flags: str, kept: int, is_sampled: bool) -> None:
    found = parse_traceparent(f"00-{TRACE}-{SPAN}-{flags}".encode())
    assert found is not None
    assert (found.flags, found.is_sampled) == (kept, is_sampled)


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    wanted = TraceContext(int(TRACE, 16), int(SPAN, 16), 1)
    assert parse_traceparent(f"01-{TRACE}-{SPAN}-01".encode()) == wanted
    assert parse_traceparent(f"cc-{TRACE}-{SPAN}-01-what.the-future.will-be".encode()) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01 ",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}x-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-zz",
        f"00_{TRACE}_{SPAN}_01",
        "sk-cap-abcdefghijklmnop",
    ],
)
def test_what_the_standard_does_not_allow_is_none(text: str) -> None:
    assert parse_traceparent(text.encode()) is None


def test_no_header_is_none() -> None:
    assert parse_traceparent(None) is None


@PROPERTY
@given(
    st.integers(0, 255) | st.just(0),
    st.integers(0, 2**128 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(0, 255),
    st.none() | st.tuples(st.integers(0, 55), st.integers(0, 2), st.text("0123456789abcdefABCDEFg-_", max_size=3)),
)
def test_it_reads_what_the_sdk_reads(
    version: int, trace_id: int, span_id: int, flags: int, slip: tuple[int, int, str] | None
) -> None:
    """Also where somebody's hand slipped: a few characters in place of a few others."""
    text = f"{version:02x}-{trace_id:032x}-{span_id:016x}-{flags:02x}"
    if slip is not None:
        place, length, instead = slip
        text = text[:place] + instead + text[place + length :]
    context = TraceContextTextMapPropagator().extract({"traceparent": text})
    theirs = trace.get_current_span(context).get_span_context()
    ours = parse_traceparent(text.encode())
    assert (ours is not None) is theirs.is_valid
    if ours is not None:
        assert (ours.trace_id, ours.span_id) == (theirs.trace_id, theirs.span_id)
        assert ours.is_sampled is bool(theirs.trace_flags.sampled)
