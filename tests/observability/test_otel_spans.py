"""An ended call as spans: the names of the conventions, the times of the call, and nothing that somebody wrote."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Sampler
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv.attributes import error_attributes, http_attributes
from opentelemetry.trace import SpanKind, StatusCode

from copilot_api.gateway import surfaces
from copilot_api.gateway.surface import Surface
from copilot_api.observability.events import CallEnded
from copilot_api.observability.otel_spans import CallSpans, operation_of
from copilot_api.observability.trace_context import TraceContext
from copilot_api.usage.models import Cause
from tests.observability.calls import AT_NANOSECONDS, ended, refused

Made = tuple[ReadableSpan, ReadableSpan | None]


def make(ended_call: CallEnded, sampler: Sampler | None = None) -> list[ReadableSpan]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    count = CallSpans(provider.get_tracer("test")).make(ended_call)
    spans = list(exporter.get_finished_spans())
    assert count == len(spans)
    return spans


def server_and_client(ended_call: CallEnded) -> tuple[ReadableSpan, ReadableSpan]:
    client, server = make(ended_call)
    return server, client


def only(ended_call: CallEnded) -> ReadableSpan:
    [span] = make(ended_call)
    return span


def said(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def id_of(span: ReadableSpan) -> tuple[int, int]:
    assert span.context is not None
    return span.context.trace_id, span.context.span_id


# What they are ----------------------------------------------------------------------------------------------------


def test_a_call_is_a_server_span_and_its_exchange_with_copilot_a_client_span_below() -> None:
    server, client = server_and_client(ended())
    assert (server.name, server.kind) == ("POST /v1/chat/completions", SpanKind.SERVER)
    assert (client.name, client.kind) == ("chat gpt-4.1", SpanKind.CLIENT)
    assert server.parent is None
    assert client.parent is not None
    assert (client.parent.trace_id, client.parent.span_id) == id_of(server)


def test_the_times_are_those_of_the_call() -> None:
    server, client = server_and_client(ended())
    second = 1_000_000_000
    assert (server.start_time, server.end_time) == (AT_NANOSECONDS, AT_NANOSECONDS + 3 * second)
    assert (client.start_time, client.end_time) == (AT_NANOSECONDS + second // 2, AT_NANOSECONDS + 3 * second)
    assert [(event.name, event.timestamp) for event in server.events] == [
        ("copilot_api.dispatched", AT_NANOSECONDS + second // 2)
    ]
    assert [(event.name, event.timestamp) for event in client.events] == [
        ("copilot_api.first_token", AT_NANOSECONDS + second)
    ]
    assert said(client)["gen_ai.response.time_to_first_chunk"] == 0.5


def test_what_the_client_span_says() -> None:
    _, client = server_and_client(ended())
    assert said(client) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "github",
        "gen_ai.request.model": "gpt-4.1",
        "gen_ai.response.model": "gpt-4.1",
        "gen_ai.request.stream": True,
        "gen_ai.response.time_to_first_chunk": 0.5,
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 21,
        "gen_ai.usage.cache_read.input_tokens": 400,
        "gen_ai.usage.cache_creation.input_tokens": 50,
        "gen_ai.usage.reasoning.output_tokens": 7,
        "copilot_api.upstream_endpoint": "/chat/completions",
    }


def test_what_the_server_span_says() -> None:
    server, _ = server_and_client(ended(fallback_from="gpt-5", would_limit="rpm", premium_requests=1.0))
    assert said(server) == {
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "copilot_api.request_id": "req_1",
        "copilot_api.key_id": "key_1",
        "copilot_api.client": "codex",
        "copilot_api.model": "fast",
        "copilot_api.cause": "ok",
        "copilot_api.kind": "turn",
        "copilot_api.stream": True,
        "copilot_api.queue_seconds": 0.4,
        "copilot_api.credits": 2.5,
        "copilot_api.premium_requests": 1.0,
        "copilot_api.would_limit": "rpm",
        "copilot_api.fallback_from": "gpt-5",
    }


def test_every_name_that_is_not_ours_is_one_of_the_conventions() -> None:
    modules = (gen_ai_attributes, error_attributes, http_attributes)
    known = {value for module in modules for value in vars(module).values() if isinstance(value, str)}
    for span in [*server_and_client(ended()), only(refused(Cause.RATE_LIMITED, 429))]:
        assert {name for name in said(span) if not name.startswith("copilot_api.")} <= known


def test_the_guide_lists_every_attribute_and_no_other() -> None:
    page = (Path(__file__).parents[2] / "docs" / "guides" / "opentelemetry.md").read_text()
    _, _, traces = page.partition("On the SERVER span:")
    on_server, _, on_client = traces.partition("## Metrics")[0].partition("On the CLIENT span:")
    listed = [
        {name for row in re.findall(r"(?m)^\| (`.*?) \|", table) for name in re.findall(r"`([\w.]+)`", row)}
        for table in (on_server, on_client)
    ]
    server, client = server_and_client(
        ended(cause=Cause.UPSTREAM_CUT, fallback_from="gpt-5", would_limit="rpm", premium_requests=1.0)
    )
    assert listed == [set(said(server)), set(said(client))]
    assert all(f"`{event.name}`" in page for span in (server, client) for event in span.events)


def test_tokens_stand_on_one_span_only() -> None:
    """Who adds them up over all spans would count them twice."""
    server, _ = server_and_client(ended())
    assert not [name for name in said(server) if name.startswith("gen_ai.")]


@pytest.mark.parametrize(
    ("surface", "operation"),
    [
        (surfaces.CHAT_SURFACE, "chat"),
        (surfaces.RESPONSES_SURFACE, "chat"),
        (surfaces.MESSAGES_SURFACE, "chat"),
        (surfaces.EMBEDDINGS_SURFACE, "embeddings"),
        (surfaces.GEMINI_SURFACE, "generate_content"),
        (surfaces.COUNT_TOKENS_SURFACE, "count_tokens"),
        (surfaces.GEMINI_COUNT_SURFACE, "count_tokens"),
    ],
    ids=lambda value: value.endpoint if isinstance(value, Surface) else value,
)
def test_every_endpoint_has_its_operation(surface: Surface, operation: str) -> None:
    assert operation_of(surface.endpoint) == operation


def test_every_surface_is_in_the_table_above() -> None:
    named = [found for found in vars(surfaces).values() if isinstance(found, Surface)]
    assert len(named) == 7


# Ends that are not well -------------------------------------------------------------------------------------------


def test_a_refused_call_has_no_client_span() -> None:
    server = only(refused(Cause.RATE_LIMITED, 429))
    assert said(server)["error.type"] == "rate_limited"
    assert said(server)["http.response.status_code"] == 429
    assert server.status.status_code is StatusCode.UNSET, "a 4xx is the caller's, by the conventions for servers"
    assert not server.events


def test_a_call_without_a_key_says_no_key_and_no_model() -> None:
    server = only(refused(Cause.UNAUTHORIZED, 401, key_id=None, model=None))
    assert {"copilot_api.key_id", "copilot_api.model", "copilot_api.credits"}.isdisjoint(said(server))


@pytest.mark.parametrize(
    ("cause", "status", "server_status", "client_status"),
    [
        (Cause.UPSTREAM_ERROR, 502, StatusCode.ERROR, StatusCode.ERROR),
        (Cause.UPSTREAM_TIMEOUT, 504, StatusCode.ERROR, StatusCode.ERROR),
        (Cause.UPSTREAM_CUT, 200, StatusCode.ERROR, StatusCode.ERROR),
        (Cause.INTERRUPTED, 200, StatusCode.ERROR, StatusCode.ERROR),
        (Cause.INTERNAL, 0, StatusCode.ERROR, StatusCode.ERROR),
        (Cause.UPSTREAM_RATE_LIMITED, 429, StatusCode.UNSET, StatusCode.ERROR),
        (Cause.BAD_REQUEST, 400, StatusCode.UNSET, StatusCode.ERROR),
        (Cause.CLIENT_ABORTED, 200, StatusCode.UNSET, StatusCode.UNSET),
        (Cause.OK, 200, StatusCode.UNSET, StatusCode.UNSET),
    ],
)
def test_whose_fault_it_was(cause: Cause, status: int, server_status: StatusCode, client_status: StatusCode) -> None:
    server, client = server_and_client(ended(cause=cause, status=status))
    assert (server.status.status_code, client.status.status_code) == (server_status, client_status)
    expected = None if cause is Cause.OK else cause.value
    assert said(server).get("error.type") == said(client).get("error.type") == expected
    assert server.status.description is None
    assert said(server).get("http.response.status_code") == (status or None)


def test_usage_that_nobody_told_is_not_made_up() -> None:
    for call in (
        ended(usage_unknown=True),
        ended(cause=Cause.UPSTREAM_ERROR, status=502, input_tokens=0, output_tokens=0, time_to_first_token=None),
    ):
        _, client = server_and_client(call)
        assert not [name for name in said(client) if name.startswith("gen_ai.usage.")]


def test_an_exchange_without_an_answer_has_no_model_that_answered() -> None:
    _, client = server_and_client(ended(cause=Cause.UPSTREAM_ERROR, status=502, time_to_first_token=None))
    assert "gen_ai.response.model" not in said(client)
    assert not client.events


def test_a_whole_answer_has_no_first_chunk() -> None:
    _, client = server_and_client(ended(stream=False))
    assert "gen_ai.response.time_to_first_chunk" not in said(client)


# The caller's trace -----------------------------------------------------------------------------------------------


def test_the_spans_join_the_trace_of_the_caller() -> None:
    server, client = server_and_client(ended(TraceContext(0xABC, 0xDEF, 1)))
    assert id_of(server)[0] == id_of(client)[0] == 0xABC
    assert server.parent is not None
    assert (server.parent.span_id, server.parent.is_remote) == (0xDEF, True)


def test_each_call_without_a_caller_is_a_trace_of_its_own() -> None:
    assert id_of(only(refused(Cause.OVER_BUDGET, 429)))[0] != id_of(only(refused(Cause.OVER_BUDGET, 429)))[0]


def test_a_trace_that_its_caller_does_not_record_is_not_recorded_here() -> None:
    assert make(ended(TraceContext(0xABC, 0xDEF, 0))) == []


def test_what_the_sampler_leaves_out_costs_nothing_further() -> None:
    assert make(ended(), ALWAYS_OFF) == []


# What would spoil a batch -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda: ended(model="\ud800 x", upstream_model="\udfff"),
        lambda: ended(model="x" * 10_000),
        lambda: ended(input_tokens=2**80, output_tokens=-5, nano_aiu=2**90),
        lambda: ended(duration=-1.0, dispatched_after=-2.0, time_to_first_token=-3.0),
        lambda: ended(dispatched_after=99.0, time_to_first_token=0.1),
    ],
)
def test_no_value_is_more_than_the_wire_can_carry(change: Callable[[], CallEnded]) -> None:
    for span in make(change()):
        span.to_json().encode()
        assert span.start_time is not None
        assert span.end_time is not None
        assert span.end_time >= span.start_time
        assert all(span.start_time <= event.timestamp <= span.end_time for event in span.events)
        for value in said(span).values():
            if isinstance(value, str):
                assert len(value.encode()) <= 600
            elif isinstance(value, int):
                assert 0 <= value < 2**63


def test_a_key_in_the_place_of_a_model_is_struck_out() -> None:
    server, _ = server_and_client(ended(model="sk-cap-" + "a" * 52))
    assert said(server)["copilot_api.model"] == "[redacted]"
