"""A trace as one line of JSON, which is how it is kept in memory and in files. Pure."""

import msgspec

from copilot_api.capture.models import Reason, Trace, TraceSummary

_decoder = msgspec.json.Decoder(Trace)
_encoder = msgspec.json.Encoder()


class _Head(msgspec.Struct, kw_only=True):
    """What a list needs of a line; the rest is passed over without being kept."""

    number: int = 0
    request_id: str
    at: str
    key_id: str | None = None
    reason: Reason = "key"
    client: str = ""
    endpoint: str = ""
    model: str = ""
    stream: bool = False
    status: int = 0
    cause: str = ""
    duration_ms: float = 0.0
    redactions: dict[str, int] = {}
    withheld: int = 0


_head_decoder = msgspec.json.Decoder(_Head)


def encode_trace(trace: Trace) -> bytes:
    """The line, without its line feed: JSON has none inside."""
    return _encoder.encode(trace)


def decode_trace(line: bytes) -> Trace:
    """The trace in `line`. Raises `msgspec.DecodeError`, or `UnicodeDecodeError`."""
    return _decoder.decode(line)


def summarise(line: bytes) -> TraceSummary:
    """The trace in `line` as a list shows it. Raises as `decode_trace` does."""
    head = _head_decoder.decode(line)
    return TraceSummary(
        number=head.number,
        request_id=head.request_id,
        at=head.at,
        key_id=head.key_id,
        reason=head.reason,
        client=head.client,
        endpoint=head.endpoint,
        model=head.model,
        stream=head.stream,
        status=head.status,
        cause=head.cause,
        duration_ms=head.duration_ms,
        bytes=len(line),
        redactions=sum(head.redactions.values()),
        withheld=head.withheld,
    )
