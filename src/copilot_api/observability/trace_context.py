"""
Whose trace a call is part of: the `traceparent` header of W3C Trace Context, read strictly.

Its ids are all that is taken. `tracestate` and `baggage` hold whatever callers like, so they are not even looked at.
None of the three goes on to the upstream.
"""

import re
from dataclasses import dataclass

_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[ -~]*)?")
_KNOWN_FLAGS = 0x03
"""Sampled, and that the trace id is random. What the others will mean nobody knows yet, so they are not passed on."""


@dataclass(frozen=True, slots=True)
class TraceContext:
    """The caller's span, as it names itself."""

    trace_id: int
    span_id: int
    flags: int

    @property
    def is_sampled(self) -> bool:
        """Whether the caller records its own part of the trace."""
        return bool(self.flags & 0x01)


def parse_traceparent(value: bytes | None) -> TraceContext | None:
    """
    The caller's span; None where there is none, or it is not as the standard has it. Of versions to come the part that
    they share with the first is read, as the standard asks.
    """
    found = _TRACEPARENT.fullmatch(value) if value is not None else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == b"ff" or (version == b"00" and more is not None):
        return None
    context = TraceContext(int(trace_id, 16), int(span_id, 16), int(flags, 16) & _KNOWN_FLAGS)
    return context if context.trace_id and context.span_id else None
