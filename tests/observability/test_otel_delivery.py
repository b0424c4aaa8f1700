"""Whether what is exported arrives: said once, counted, and never in words that hold a secret."""

import logging
import socket
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from copilot_api.observability.events import Observation, OtelCallsLost, OtelExportBroken, OtelExportRecovered
from copilot_api.observability.otel_delivery import (
    CALM_SECONDS,
    Delivery,
    LibraryLog,
    WatchedMetricExporter,
    WatchedSpanExporter,
    find_reason,
)
from copilot_api.observability.otel_spans import CallSpans
from tests.collector import Collector
from tests.fakes import FakeClock
from tests.observability.calls import RootLog, ended


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture
def log() -> Iterator[LibraryLog]:
    handler = LibraryLog()
    handler.open()
    handler.complaints = None
    yield handler
    handler.close()


@pytest.fixture
def observed() -> list[Observation]:
    return []


@pytest.fixture
def delivery(observed: list[Observation], clock: FakeClock) -> Delivery:
    return Delivery("traces", clock, observed.append)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="module")
def spans() -> tuple[ReadableSpan, ...]:
    """The two spans of one call."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    CallSpans(provider.get_tracer("test")).make(ended())
    return exporter.get_finished_spans()


def end(exporter: WatchedSpanExporter | WatchedMetricExporter) -> None:
    exporter.shutdown()


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# How it fares -----------------------------------------------------------------------------------------------------


def test_trouble_is_said_once_and_its_end_too(
    delivery: Delivery, observed: list[Observation], clock: FakeClock
) -> None:
    for _ in range(5):
        delivery.failed("it answered HTTP 503", 2)
    assert observed == [OtelExportBroken("traces", "it answered HTTP 503")]
    clock.advance(CALM_SECONDS)
    delivery.arrived()
    delivery.arrived()
    assert observed[1:] == [OtelExportRecovered("traces", 10)]
    delivery.failed("connection refused", 1)
    clock.advance(CALM_SECONDS)
    delivery.arrived()
    assert observed[2:] == [OtelExportBroken("traces", "connection refused"), OtelExportRecovered("traces", 1)]
    assert delivery.lost == 11


def test_a_collector_that_comes_and_goes_does_not_fill_the_log(
    delivery: Delivery, observed: list[Observation], clock: FakeClock
) -> None:
    for _ in range(100):
        delivery.failed("it answered HTTP 503")
        clock.advance(CALM_SECONDS / 3)
        delivery.arrived()
    assert len(observed) == 1


def test_what_was_never_said_is_said_at_the_end(delivery: Delivery, observed: list[Observation]) -> None:
    delivery.end()
    assert observed == []
    delivery.failed("connection refused", 3)
    delivery.end()
    delivery.end()
    assert observed[1:] == [OtelCallsLost(3)]


# What the exporters are told --------------------------------------------------------------------------------------


def test_spans_that_arrive_are_no_news(
    collector: Collector, delivery: Delivery, log: LibraryLog, observed: list[Observation], spans: tuple[ReadableSpan]
) -> None:
    exporter = WatchedSpanExporter(f"{collector.url}/v1/traces", delivery, log)
    assert exporter.export(spans) is SpanExportResult.SUCCESS
    assert (exporter.taken, exporter.done, delivery.lost, observed) == (2, 2, 0, [])
    assert [span.name for span in collector.spans] == ["chat gpt-4.1", "POST /v1/chat/completions"]
    end(exporter)


@pytest.mark.parametrize("status", [400, 401, 404, 413, 500, 501])
def test_a_refusal_is_counted_by_the_call_and_says_its_status(
    status: int,
    collector: Collector,
    delivery: Delivery,
    log: LibraryLog,
    observed: list[Observation],
    spans: tuple[ReadableSpan],
) -> None:
    collector.status = status
    exporter = WatchedSpanExporter(f"{collector.url}/v1/traces", delivery, log)
    with RootLog() as root:
        assert exporter.export(spans) is SpanExportResult.FAILURE
    assert root.lines == [], "the library's own lines go nowhere else"
    assert observed == [OtelExportBroken("traces", f"it answered HTTP {status}")]
    assert (delivery.lost, exporter.done) == (1, 2)
    end(exporter)


def test_metrics_that_do_not_arrive_are_said_too(
    collector: Collector, log: LibraryLog, observed: list[Observation], clock: FakeClock
) -> None:
    collector.status = 403
    exporter = WatchedMetricExporter(f"{collector.url}/v1/metrics", Delivery("metrics", clock, observed.append), log)
    assert exporter.export(MetricsData([])) is MetricExportResult.FAILURE
    assert observed == [OtelExportBroken("metrics", "it answered HTTP 403")]
    collector.status = 200
    clock.advance(CALM_SECONDS)
    assert exporter.export(MetricsData([])) is MetricExportResult.SUCCESS
    assert observed[1:] == [OtelExportRecovered("metrics", 0)]
    end(exporter)


def test_what_cannot_be_encoded_fails_and_no_more(
    collector: Collector, delivery: Delivery, log: LibraryLog, observed: list[Observation]
) -> None:
    exporter = WatchedSpanExporter(f"{collector.url}/v1/traces", delivery, log)
    broken = ReadableSpan("a span without anything")
    assert exporter.export([broken]) is SpanExportResult.FAILURE
    assert isinstance(observed[0], OtelExportBroken)
    end(exporter)


# Reasons ----------------------------------------------------------------------------------------------------------


def test_a_reason_is_a_status_or_what_the_system_said() -> None:
    assert find_reason(("spans", 503, "Service Unavailable")) == "it answered HTTP 503"
    assert find_reason(("Too Many Requests", "spans", 1.5)) == "it answered HTTP 429"
    refused = ConnectionRefusedError(111, "Connection refused")
    assert find_reason((refused, "spans", 1.5)) == "Connection refused"
    assert find_reason((RuntimeError(ValueError(refused)), "spans")) == "Connection refused"
    assert find_reason((RuntimeError("x"), "spans")) == "RuntimeError"
    assert find_reason(()) is None
    assert find_reason(None) is None
    assert find_reason({"a": 1}) is None
    assert find_reason(("spans", 200, "OK")) is None


def test_an_exception_that_quotes_a_header_is_not_quoted() -> None:
    error = ValueError("Invalid header value: 'Bearer s3cret'")
    assert find_reason(("spans", None, error)) == "ValueError"
    assert find_reason(("spans", None, "Invalid header value: 'Bearer s3cret'")) is None


def test_exceptions_in_a_circle_have_an_end() -> None:
    one, other = RuntimeError("one"), RuntimeError("other")
    one.__cause__, other.__cause__ = other, one
    assert find_reason((one,)) == "RuntimeError"


def test_what_libraries_complain_of_is_kept_until_the_export_begins() -> None:
    handler = LibraryLog()
    handler.open()
    try:
        logging.getLogger("opentelemetry.sdk.trace.sampling").warning("Couldn't recognize sampler %s.", "sometimes")
        logging.getLogger("opentelemetry.util.re").warning("Header format invalid! %s", "authorization s3cret")
        logging.getLogger("opentelemetry.sdk").info("nothing of note")
        assert handler.complaints == [
            "Couldn't recognize sampler sometimes.",
            "OTEL_EXPORTER_OTLP_HEADERS takes name=value pairs with commas between them; a part of it is none",
        ]
    finally:
        handler.close()


def test_the_loggers_are_as_before_at_the_end() -> None:
    logger = logging.getLogger("opentelemetry")
    before = (list(logger.handlers), logger.propagate)
    handler = LibraryLog()
    handler.open()
    assert not logger.propagate
    handler.close()
    handler.close()
    assert (list(logger.handlers), logger.propagate) == before


def test_nobody_there_is_said_in_the_words_of_the_system(
    delivery: Delivery, log: LibraryLog, observed: list[Observation], spans: tuple[ReadableSpan]
) -> None:
    """The exporter tries again for its ten seconds; told to end, it gives up."""
    exporter = WatchedSpanExporter(f"http://127.0.0.1:{closed_port()}/v1/traces", delivery, log)
    end(exporter)
    assert exporter.export(spans) is SpanExportResult.FAILURE
    assert isinstance(observed[0], OtelExportBroken)
