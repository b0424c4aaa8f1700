"""A receiver of OTLP over HTTP, on a socket: what an OpenTelemetry collector is to a gateway under test."""

import http.server
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint, Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

TRACES, METRICS = "/v1/traces", "/v1/metrics"


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class Collector:
    """Takes what is exported, or does not: `status` and `hold` may be set while it runs."""

    def __init__(self) -> None:
        self.status = 200
        self.received: list[Received] = []
        self.hold = threading.Event()
        """While it is set, nobody gets an answer."""
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.hold.clear()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def raw(self) -> bytes:
        """Every byte of every body."""
        return b"\n".join(each.body for each in self.received)

    @property
    def spans(self) -> list[Span]:
        """Every span, in the order in which they came."""
        return [
            span
            for each in self.received
            if each.path == TRACES
            for resource_spans in ExportTraceServiceRequest.FromString(each.body).resource_spans
            for scope_spans in resource_spans.scope_spans
            for span in scope_spans.spans
        ]

    @property
    def metrics(self) -> dict[str, Metric]:
        """The newest state of each metric."""
        return {
            metric.name: metric
            for each in self.received
            if each.path == METRICS
            for resource_metrics in ExportMetricsServiceRequest.FromString(each.body).resource_metrics
            for scope_metrics in resource_metrics.scope_metrics
            for metric in scope_metrics.metrics
        }

    @property
    def resources(self) -> Iterator[Resource]:
        """Who exported, request by request."""
        for each in self.received:
            if each.path == TRACES:
                yield from (found.resource for found in ExportTraceServiceRequest.FromString(each.body).resource_spans)
            else:
                found_metrics = ExportMetricsServiceRequest.FromString(each.body).resource_metrics
                yield from (found.resource for found in found_metrics)

    def calls(self) -> dict[str, "CallTrace"]:
        """The spans of each call by its request id."""
        spans = self.spans
        servers = [span for span in spans if span.kind == Span.SPAN_KIND_SERVER]
        clients = {span.parent_span_id: span for span in spans if span.kind == Span.SPAN_KIND_CLIENT}
        return {
            attributes(span.attributes)["copilot_api.request_id"]: CallTrace(span, clients.get(span.span_id))
            for span in servers
        }


@dataclass(frozen=True)
class CallTrace:
    """What there is of one call."""

    server: Span
    client: Span | None


def attributes(pairs: Any) -> dict[str, Any]:
    """Attributes as plain values."""
    return {pair.key: _plain(pair) for pair in pairs}


def _plain(pair: KeyValue) -> Any:
    return getattr(pair.value, pair.value.WhichOneof("value") or "string_value")


def points(metric: Metric) -> list[tuple[dict[str, Any], HistogramDataPoint]]:
    """Each series of a histogram: its attributes, and what was counted."""
    return [(attributes(point.attributes), point) for point in metric.histogram.data_points]


def _handler(collector: Collector) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10.0
        """A connection that an exporter keeps and forgets must not outlive its test for long."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            while collector.hold.is_set():
                time.sleep(0.01)
            if collector.status < 300:
                collector.received.append(
                    Received(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                )
            try:
                self.send_response(collector.status)
                self.send_header("content-length", "0")
                self.end_headers()
            except OSError:
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- its name in the base class
            pass

    return Handler
