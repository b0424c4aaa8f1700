"""
One ended call as spans, by OpenTelemetry's semantic conventions for HTTP and for generative AI.

A span of kind SERVER is the call as its caller sees it. Where the call went upstream, a span of kind CLIENT below it
is the exchange with Copilot: `chat gpt-4.1`. All of `gen_ai.*` stands on that one alone, so that whoever adds tokens up
over spans counts each once. Both are made after the end, from the times that the call noted while it ran.

The names of the conventions are written out here, as of version 1.41: they are in development, and packages that carry
them drop and move them.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue

from copilot_api.observability.events import CallEnded, EndedCall
from copilot_api.observability.logs import strike_secrets
from copilot_api.observability.trace_context import TraceContext

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.41.0"
PROVIDER: Final = "github"
"""`gen_ai.provider.name`: the conventions have no name for Copilot, and this is what Copilot's own editors say."""

Attributes = dict[str, AttributeValue]

_OPERATIONS = {
    "/v1/chat/completions": "chat",
    "/v1/responses": "chat",
    "/v1/messages": "chat",
    "/v1/embeddings": "embeddings",
    "/v1beta/generateContent": "generate_content",
    "/v1/messages/count_tokens": "count_tokens",
    "/v1beta/countTokens": "count_tokens",
}
_MAX_TEXT = 200
_MAX_NUMBER = 10**15
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_BROKEN_OFF = {
    "upstream_error",
    "upstream_rate_limited",
    "upstream_timeout",
    "upstream_cut",
    "interrupted",
    "internal",
}
"""What fails an answer whose status 200 was sent already."""
OK: Final = "ok"
CLIENT_ABORTED: Final = "client_aborted"


def operation_of(endpoint: str) -> str:
    """`gen_ai.operation.name`: what the caller asked for, whatever it is translated to."""
    return _OPERATIONS.get(endpoint) or endpoint.rpartition("/")[2]


class CallSpans:
    """Makes the spans of ended calls."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def make(self, ended: CallEnded) -> int:
        """Make them, and hand them to whatever the tracer's provider exports to: so many, which sampling may make 0."""
        call = ended.call
        start = _nanoseconds(call.at)
        end = start + _after(call.duration)
        server = self._tracer.start_span(
            f"POST {call.endpoint}",
            context=_parent(ended.trace),
            kind=SpanKind.SERVER,
            attributes=_server_attributes(call),
            start_time=start,
        )
        if not server.get_span_context().trace_flags.sampled:
            return 0
        made = 1
        if call.upstream_model is not None and ended.dispatched_after is not None:
            made = 2
            sent = min(start + _after(ended.dispatched_after), end)
            server.add_event("copilot_api.dispatched", timestamp=sent)
            self._make_client(call, trace.set_span_in_context(server), start, sent, end)
        if _is_failed(call):
            server.set_status(Status(StatusCode.ERROR))
        server.end(end)
        return made

    def _make_client(self, call: EndedCall, context: Context, start: int, sent: int, end: int) -> None:
        attributes = _client_attributes(call)
        first = call.time_to_first_token
        first_at = None if first is None else min(max(start + _after(first), sent), end)
        if first_at is not None and call.stream:
            attributes["gen_ai.response.time_to_first_chunk"] = (first_at - sent) / 1e9
        client = self._tracer.start_span(
            f"{operation_of(call.endpoint)} {_clean(call.upstream_model or '')}",
            context=context,
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=sent,
        )
        if first_at is not None:
            client.add_event("copilot_api.first_token", timestamp=first_at)
        if call.cause not in {OK, CLIENT_ABORTED}:
            client.set_status(Status(StatusCode.ERROR))
        client.end(end)


def _server_attributes(call: EndedCall) -> Attributes:
    optional: dict[str, AttributeValue | None] = {
        "http.response.status_code": call.status or None,
        "error.type": None if call.cause == OK else str(call.cause),
        "copilot_api.key_id": call.key_id,
        "copilot_api.model": None if call.model is None else _clean(call.model),
        "copilot_api.would_limit": call.would_limit,
        "copilot_api.fallback_from": call.fallback_from,
        "copilot_api.credits": None if call.nano_aiu is None else bounded(call.nano_aiu) / 1e9,
    }
    return {
        "http.request.method": "POST",
        "http.route": call.endpoint,
        "copilot_api.request_id": call.request_id,
        "copilot_api.client": call.client,
        "copilot_api.cause": str(call.cause),
        "copilot_api.kind": call.kind,
        "copilot_api.stream": call.stream,
        "copilot_api.queue_seconds": call.queue_seconds,
        "copilot_api.premium_requests": call.premium_requests,
        **{name: value for name, value in optional.items() if value is not None},
    }


def _client_attributes(call: EndedCall) -> Attributes:
    model = _clean(call.upstream_model or "")
    attributes: Attributes = {
        "gen_ai.operation.name": operation_of(call.endpoint),
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.request.model": model,
        "gen_ai.request.stream": call.stream,
    }
    if call.upstream_endpoint is not None:
        attributes["copilot_api.upstream_endpoint"] = call.upstream_endpoint
    if call.cause != OK:
        attributes["error.type"] = str(call.cause)
    if call.time_to_first_token is not None:
        attributes["gen_ai.response.model"] = model
    if is_usage_known(call):
        attributes["gen_ai.usage.input_tokens"] = bounded(call.input_tokens)
        attributes["gen_ai.usage.output_tokens"] = bounded(call.output_tokens)
        attributes["gen_ai.usage.cache_read.input_tokens"] = bounded(call.cache_read_tokens)
        attributes["gen_ai.usage.cache_creation.input_tokens"] = bounded(call.cache_write_tokens)
        attributes["gen_ai.usage.reasoning.output_tokens"] = bounded(call.reasoning_tokens)
    return attributes


def _is_failed(call: EndedCall) -> bool:
    """Whether the span is an error. By the conventions for servers what the caller got a 4xx for is none."""
    return call.status >= 500 or (call.status < 400 and call.cause in _BROKEN_OFF)


def _parent(caller: TraceContext | None) -> Context:
    """The context below which a call's own span is: its caller's span, else none."""
    if caller is None:
        return Context()
    flags = trace.TraceFlags(caller.flags)
    context = trace.SpanContext(caller.trace_id, caller.span_id, is_remote=True, trace_flags=flags)
    return trace.set_span_in_context(trace.NonRecordingSpan(context), Context())


def _nanoseconds(at: str) -> int:
    return (datetime.fromisoformat(at) - _EPOCH) // _MICROSECOND * 1000


def is_usage_known(call: EndedCall) -> bool:
    """Whether there are numbers of tokens; none are known of a call that failed before there were any."""
    return not call.usage_unknown and bool(call.input_tokens or call.output_tokens)


def _after(seconds: float) -> int:
    return max(0, round(seconds * 1e9))


def bounded(number: int) -> int:
    """A number as the wire has a place for: one that is too large would spoil all that is sent with it."""
    return min(max(0, number), _MAX_NUMBER)


def _clean(text: str) -> str:
    """A name that somebody else chose, as the wire can carry it, and without what looks like a secret."""
    return strike_secrets(text[:_MAX_TEXT].encode("utf-8", "replace").decode())
