"""The export as a whole, on real sockets: what arrives, and that nobody waits for what does not."""

import logging
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Self

import pytest

from copilot_api.observability.events import (
    CallEnded,
    Notice,
    Observation,
    OtelCallsLost,
    OtelExportBroken,
    TokenRenewed,
)
from copilot_api.observability.otel import OtelTarget, OtelUnavailable
from copilot_api.observability.otel_export import BROKEN_SECONDS, MAX_WAITING, OtelExport, make_resource
from copilot_api.observability.trace_context import TraceContext
from copilot_api.usage.models import Cause, UsageEvent
from tests.collector import Collector, attributes, points
from tests.fakes import FakeClock
from tests.harness import wait_until
from tests.observability.calls import RootLog, ended, refused


class Exporting:
    """An export that is ended with its test."""

    def __init__(self, url: str, variables: Mapping[str, str] | None = None, **target: bool) -> None:
        self.observed: list[Observation] = []
        self.export = OtelExport(OtelTarget(url, **target), variables or {}, FakeClock())
        self.export.start(self.observed.append)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.export.close(0.1)

    def call(self, *calls: CallEnded) -> None:
        for each in calls:
            self.export(each)

    @property
    def troubles(self) -> list[OtelExportBroken]:
        return [each for each in self.observed if isinstance(each, OtelExportBroken)]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture
def silent() -> Iterator[str]:
    """A port that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def closed_url() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_calls_arrive_as_spans_and_as_metrics(collector: Collector) -> None:
    with Exporting(collector.url) as exporting:
        calls = [ended(TraceContext(0xABC, 0xDEF, 1), request_id="req_a"), refused(Cause.RATE_LIMITED, 429)]
        exporting.call(*calls, TokenRenewed("https://api.example"))  # type: ignore[arg-type]
        exporting.export.close()
        assert exporting.observed == []
    found = collector.calls()
    assert set(found) == {"req_a", "req_1"}
    client = found["req_a"].client
    assert client is not None
    assert found["req_a"].server.trace_id == client.trace_id == (0xABC).to_bytes(16, "big")
    assert found["req_a"].server.parent_span_id == (0xDEF).to_bytes(8, "big")
    assert found["req_1"].client is None
    assert sum(point.count for _, point in points(collector.metrics["gen_ai.server.request.duration"])) == 2
    assert {each.headers["content-type"] for each in collector.received} == {"application/x-protobuf"}


def test_who_exports_is_said_with_each_request(collector: Collector) -> None:
    with Exporting(collector.url) as exporting:
        exporting.call(ended())
    instances = set()
    for resource in collector.resources:
        said = attributes(resource.attributes)
        assert (said["service.name"], said["telemetry.sdk.language"]) == ("copilot-api", "python")
        assert said["service.version"]
        instances.add(said["service.instance.id"])
        assert not [name for name in said if name.startswith("process.command")]
    assert len(instances) == 1


def test_each_signal_can_be_left_out(collector: Collector) -> None:
    with Exporting(collector.url, has_metrics=False) as exporting:
        exporting.call(ended())
        exporting.export.close()
    assert {each.path for each in collector.received} == {"/v1/traces"}
    collector.received.clear()
    with Exporting(collector.url, has_traces=False) as exporting:
        exporting.call(ended())
        exporting.export.close()
    assert {each.path for each in collector.received} == {"/v1/metrics"}


def test_a_path_and_a_slash_at_the_end_of_the_endpoint_are_right(collector: Collector) -> None:
    with Exporting(f"{collector.url}/otlp/", has_metrics=False) as exporting:
        exporting.call(ended())
        exporting.export.close()
    assert {each.path for each in collector.received} == {"/otlp/v1/traces"}


def test_the_event_may_change_after_it_was_observed(collector: Collector) -> None:
    """Whoever is told reads it at once and keeps no reference."""
    with Exporting(collector.url) as exporting:
        event = UsageEvent(request_id="req_then", at="2026-07-01T12:00:00+00:00", endpoint="/v1/responses")
        exporting.export(CallEnded(event))
        event.request_id, event.endpoint = "req_later", "/v1/other"
        exporting.export.close()
    assert list(collector.calls()) == ["req_then"]


def test_a_call_that_cannot_be_put_into_words_costs_no_other(collector: Collector) -> None:
    with Exporting(collector.url) as exporting:
        exporting.call(ended(at="yesterday"), ended(request_id="req_next"))
        exporting.export.close()
        assert [each.reason for each in exporting.troubles] == ["it could not be put into words: ValueError"]
        assert exporting.export.lost == 1
    assert list(collector.calls()) == ["req_next"]


def test_calls_on_many_threads_all_arrive(collector: Collector) -> None:
    with Exporting(collector.url) as exporting:

        def observe(name: int) -> None:
            exporting.call(*[ended(request_id=f"req_{name}_{number}") for number in range(50)])

        threads = [threading.Thread(target=observe, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        exporting.export.close()
        assert exporting.export.lost == 0
    assert len(collector.calls()) == 200


# A collector that is not as it should be --------------------------------------------------------------------------


def test_a_collector_that_refuses_is_said_once_and_every_call_is_counted(collector: Collector) -> None:
    collector.status = 500
    with Exporting(collector.url, {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "2"}, has_metrics=False) as exporting:
        exporting.call(*[ended() for _ in range(20)])
        exporting.export.close()
        assert exporting.observed == [OtelExportBroken("traces", "it answered HTTP 500"), OtelCallsLost(20)]


def test_a_collector_that_never_answers_is_left_behind_at_the_end(collector: Collector) -> None:
    collector.hold.set()
    with Exporting(collector.url) as exporting:
        exporting.call(*[ended() for _ in range(10)])
        began = time.monotonic()
        exporting.export.close(0.4)
        assert time.monotonic() - began < 2
        assert exporting.export.lost == 10
        assert exporting.observed == [
            OtelExportBroken("traces", "not sent within 0.4 s at the end"),
            OtelCallsLost(10),
        ]
        collector.hold.clear()


def test_the_line_before_a_slow_collector_is_bounded_and_what_is_over_is_counted(collector: Collector) -> None:
    collector.hold.set()
    sizes = {"OTEL_BSP_MAX_QUEUE_SIZE": "20", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10"}
    with Exporting(collector.url, sizes, has_metrics=False) as exporting:
        exporting.call(*[ended(request_id=f"req_{number}") for number in range(100)])
        wait_until(lambda: exporting.export.lost >= 80, 10, "the rest counted")
        time.sleep(0.3)
        lost = exporting.export.lost
        # Twenty spans wait, and ten more may be on their way.
        assert 85 <= lost <= 90
        assert [each.reason for each in exporting.troubles] == ["the collector takes them too slowly"]
        collector.hold.clear()
        exporting.export.close()
        assert exporting.export.lost == lost
    assert len(collector.calls()) == 100 - lost


def test_more_calls_at_once_than_can_wait_are_counted(collector: Collector) -> None:
    export = OtelExport(OtelTarget(collector.url), {}, FakeClock())  # whose thread has not begun
    for _ in range(MAX_WAITING + 7):
        export(ended())
    assert export.lost == 7


def test_nobody_there_is_said_and_does_not_hold_up_the_end() -> None:
    with Exporting(closed_url()) as exporting:
        exporting.call(ended())
        began = time.monotonic()
        exporting.export.close(1.0)
        assert time.monotonic() - began < 2.5
        assert exporting.export.lost == 1


def test_a_port_that_never_answers_holds_up_nobody(silent: str) -> None:
    with Exporting(silent) as exporting:
        exporting.call(*[ended() for _ in range(100)])
        began = time.monotonic()
        exporting.export.close(0.3)
        assert time.monotonic() - began < 2


def test_of_a_collector_that_is_known_to_be_down_less_is_hoped_at_the_end(collector: Collector) -> None:
    collector.status = 500
    with Exporting(collector.url, {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "2"}, has_metrics=False) as exporting:
        exporting.call(*[ended() for _ in range(2)])
        wait_until(lambda: bool(exporting.troubles), 10, "trouble")
        collector.hold.set()
        exporting.call(ended())
        began = time.monotonic()
        exporting.export.close(30.0)
        assert time.monotonic() - began < BROKEN_SECONDS + 2
        collector.hold.clear()


def test_something_that_is_no_collector_is_said_in_the_words_of_the_system() -> None:
    """TLS to a port that speaks none."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        stopping = threading.Event()

        def answer() -> None:
            listener.settimeout(0.05)
            while not stopping.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.recv(1000)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        try:
            url = f"https://127.0.0.1:{listener.getsockname()[1]}"
            with Exporting(url, has_metrics=False) as exporting:
                exporting.call(ended())
                exporting.export.close(2.0)
                assert exporting.export.lost == 1
                [trouble] = exporting.troubles
                assert "127.0.0.1" not in trouble.reason
        finally:
            stopping.set()
            thread.join()


@pytest.mark.parametrize("status", [500, 503])
def test_nothing_of_the_library_is_logged(collector: Collector, status: int) -> None:
    collector.status = status
    with RootLog() as root, Exporting(collector.url) as exporting:
        exporting.call(*[ended() for _ in range(300)])
        exporting.export.close(0.5)
        assert exporting.export.lost == 300
    assert not [line for line in root.lines if line.startswith("opentelemetry")]


# What the operator got wrong --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_BSP_MAX_QUEUE_SIZE": "many"},
        {"OTEL_BSP_MAX_QUEUE_SIZE": "1"},
        {"OTEL_BSP_MAX_QUEUE_SIZE": "-5"},
        {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "1e3"},
        {"OTEL_BSP_MAX_QUEUE_SIZE": "10", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "20"},
    ],
)
def test_a_size_that_cannot_be_is_refused(variables: Mapping[str, str], collector: Collector) -> None:
    with pytest.raises(OtelUnavailable) as caught:
        Exporting(collector.url, variables)
    assert "OTEL_BSP" in caught.value.message or "max_queue_size" in caught.value.message
    assert not [thread for thread in threading.enumerate() if thread.name == "otel-calls"]


def test_a_queue_that_is_smaller_than_a_usual_batch_gets_smaller_batches(collector: Collector) -> None:
    with Exporting(collector.url, {"OTEL_BSP_MAX_QUEUE_SIZE": "6"}) as exporting:
        exporting.call(ended())
        exporting.export.close()
    assert len(collector.spans) == 2


def test_an_export_that_never_began_can_be_closed() -> None:
    OtelExport(OtelTarget("http://127.0.0.1:1"), {}, FakeClock()).close()


def test_the_resource_has_a_name_a_version_and_an_instance() -> None:
    said: dict[str, Any] = dict(make_resource().attributes)
    assert said["service.name"]
    assert said["service.version"]
    assert said["service.instance.id"]


def test_complaints_are_noticed_at_the_start() -> None:
    """The variables are the process's own, so the complaint is made here by the logger that would make it."""
    export = OtelExport(OtelTarget("http://127.0.0.1:1"), {}, FakeClock())
    observed: list[Observation] = []
    export._log.open()
    logging.getLogger("opentelemetry.sdk.trace.sampling").warning("Couldn't recognize sampler %s.", "sometimes")
    logging.getLogger("opentelemetry.sdk.trace.sampling").warning("Couldn't recognize sampler %s.", "sometimes")
    export.start(observed.append)
    export.close(0.2)
    assert [each for each in observed if isinstance(each, Notice)] == [
        Notice("OpenTelemetry: Couldn't recognize sampler sometimes.")
    ]
