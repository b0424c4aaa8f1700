"""Traces and metrics of real calls, as a real collector gets them; and calls as ever when it does not."""

import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.collector import CallTrace, Collector, attributes, points
from tests.harness import GITHUB_TOKEN, GatewayProcess, Simulator, wait_until
from tests.journeys.conftest import Journey
from tests.journeys.markers import chat, fault, say
from tests.journeys.wire import CHAT, Answer, send

PROMPT, REPLY = "the quick brown prompt", "the lazy dog answers"
PASSWORD = "s3cret-of-the-collector"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
QUICK = {"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_METRIC_EXPORT_INTERVAL": "300"}
ENVIRONMENT = {
    **QUICK,
    "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{PASSWORD}",
    "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "otel,process",
}


def exporting(home: Path, simulator: Simulator, endpoint: str, **environment: str) -> GatewayProcess:
    """A gateway that exports to `endpoint`; yet to be started."""
    home.mkdir(mode=0o700, exist_ok=True)
    (home / "config.json").write_text(json.dumps({"opentelemetry": {"endpoint": endpoint}}))
    return GatewayProcess(home, simulator.url, **{**QUICK, **environment})


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture(scope="module")
def traced(
    collector: Collector, lone_simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Journey]:
    """A gateway that exports to the collector."""
    home = tmp_path_factory.mktemp("traced") / "home"
    with exporting(home, lone_simulator, collector.url, **ENVIRONMENT) as gateway:
        yield Journey(gateway, lone_simulator, gateway.create_key("traced"))


def spans_of(collector: Collector, answer: Answer) -> CallTrace:
    """The spans of one answer's call, once they are there."""
    wait_until(lambda: answer.request_id in collector.calls(), 15, "spans")
    return collector.calls()[answer.request_id]


def client_of(found: CallTrace) -> tuple[Any, dict[str, Any]]:
    assert found.client is not None
    return found.client, attributes(found.client.attributes)


# What arrives -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_arrives_as_the_ledger_has_it(traced: Journey, collector: Collector, *, stream: bool) -> None:
    before = time.time_ns()
    answer = traced.send(CHAT, chat(f"{PROMPT} {say(REPLY)}", stream=stream))
    after = time.time_ns()
    assert answer.text == REPLY
    found = spans_of(collector, answer)
    server, said = found.server, attributes(found.server.attributes)
    client, asked = client_of(found)
    [event] = traced.events(answer)
    assert (server.name, client.name) == ("POST /v1/chat/completions", "chat gpt-4.1")
    assert client.parent_span_id == server.span_id
    assert client.trace_id == server.trace_id
    assert before - 1_000_000 <= server.start_time_unix_nano <= client.start_time_unix_nano
    assert client.start_time_unix_nano < client.events[0].time_unix_nano <= client.end_time_unix_nano
    assert client.end_time_unix_nano <= server.end_time_unix_nano <= after + 1_000_000
    assert server.end_time_unix_nano - server.start_time_unix_nano == round(event["duration"] * 1e9)
    assert said["http.response.status_code"] == 200
    assert said["copilot_api.request_id"] == answer.request_id
    for name in ("key_id", "client", "cause", "stream", "queue_seconds"):
        assert said[f"copilot_api.{name}"] == event[name], name
    assert said["copilot_api.credits"] == pytest.approx(event["nano_aiu"] / 1e9)
    assert asked["gen_ai.operation.name"] == "chat"
    assert asked["gen_ai.request.model"] == event["upstream_model"]
    assert asked["gen_ai.usage.input_tokens"] == event["input_tokens"] > 0
    assert asked["gen_ai.usage.output_tokens"] == event["output_tokens"] > 0
    assert ("gen_ai.response.time_to_first_chunk" in asked) is stream


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        ("/v1/messages", {**chat("hello"), "max_tokens": 50, "model": "claude-sonnet-4.6"}, "chat claude-sonnet-4.6"),
        ("/v1/responses", {"model": "gpt-5-mini", "input": "hello"}, "chat gpt-5-mini"),
        (
            "/v1/embeddings",
            {"model": "text-embedding-3-small", "input": "hello"},
            "embeddings text-embedding-3-small",
        ),
        (
            "/v1beta/models/gpt-4.1:generateContent",
            {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]},
            "generate_content gpt-4.1",
        ),
    ],
)
def test_each_endpoint_has_its_operation(
    traced: Journey, collector: Collector, path: str, body: Any, name: str
) -> None:
    answer = traced.send(path, body)
    assert answer.status == 200
    client, _ = client_of(spans_of(collector, answer))
    assert client.name == name


def test_a_count_that_is_made_here_is_no_exchange(traced: Journey, collector: Collector) -> None:
    answer = traced.send("/v1/messages/count_tokens", {**chat("hello"), "model": "gpt-4.1"})
    assert answer.status == 200
    assert spans_of(collector, answer).client is None


@pytest.mark.parametrize(
    ("key", "model", "status", "cause"),
    [("sk-cap-wrong", "gpt-4.1", 401, "unauthorized"), (None, "no-such-model", 404, "model_not_found")],
)
def test_a_refused_call_arrives_too(
    traced: Journey, collector: Collector, key: str | None, model: str, status: int, cause: str
) -> None:
    answer = send(traced.gateway.url, CHAT, chat(PROMPT, model=model), key=key or traced.key)
    assert answer.status == status
    found = spans_of(collector, answer)
    said = attributes(found.server.attributes)
    assert found.client is None
    assert (said["http.response.status_code"], said["error.type"], said["copilot_api.cause"]) == (status, cause, cause)
    assert found.server.status.code == 0


@pytest.mark.parametrize(
    ("prompt", "stream", "cause"),
    [("500", False, "upstream_error"), ("midstream-error", True, "upstream_error"), ("cut", True, "upstream_cut")],
)
def test_a_failure_of_the_upstream_is_an_error_on_both_spans(
    traced: Journey, collector: Collector, prompt: str, cause: str, *, stream: bool
) -> None:
    answer = traced.send(CHAT, chat(f"{PROMPT} {fault(prompt)}", stream=stream))
    found = spans_of(collector, answer)
    client, asked = client_of(found)
    assert asked["error.type"] == attributes(found.server.attributes)["error.type"] == cause
    assert client.status.code == found.server.status.code == 2
    assert (client.status.message, found.server.status.message) == ("", "")


def test_metrics_arrive(traced: Journey, collector: Collector) -> None:
    answer = traced.send(CHAT, chat(say(REPLY), stream=True))
    spans_of(collector, answer)

    def is_counted() -> bool:
        metric = collector.metrics.get("gen_ai.server.time_to_first_token")
        return metric is not None and any(point.count for _, point in points(metric))

    wait_until(is_counted, 15, "a time to the first token")
    usage = points(collector.metrics["gen_ai.client.token.usage"])
    assert {said["gen_ai.token.type"] for said, _ in usage} == {"input", "output"}
    models = {said["gen_ai.request.model"] for metric in collector.metrics.values() for said, _ in points(metric)}
    assert "no-such-model" not in models


def test_who_exports_is_what_the_environment_says(traced: Journey, collector: Collector) -> None:
    spans_of(collector, traced.send(CHAT, chat("hello")))
    for resource in collector.resources:
        said = attributes(resource.attributes)
        assert (said["service.name"], said["deployment.environment.name"]) == ("copilot-api", "test")
        assert said["process.pid"], "the detector that the environment asks for has run"
        assert not [name for name in said if name.startswith("process.command")]


# The caller's trace -----------------------------------------------------------------------------------------------


def test_a_call_joins_the_trace_of_its_caller_and_the_upstream_hears_nothing_of_it(
    traced: Journey, collector: Collector
) -> None:
    headers = {
        "traceparent": f"00-{TRACE}-{SPAN}-01",
        "tracestate": "vendor=of-the-caller",
        "baggage": "user=of-the-caller",
    }
    answer = traced.send(CHAT, chat(say(REPLY)), headers=headers)
    found = spans_of(collector, answer)
    assert found.server.trace_id.hex() == TRACE
    assert found.server.parent_span_id.hex() == SPAN
    assert client_of(found)[0].trace_id.hex() == TRACE
    [request] = traced.seen(answer)
    assert {"traceparent", "tracestate", "baggage"}.isdisjoint(request["headers"])
    assert TRACE not in json.dumps(request)
    assert b"of-the-caller" not in collector.raw


@pytest.mark.parametrize("header", ["nonsense", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE.upper()}-{SPAN}-01", "\xff"])
def test_a_traceparent_that_is_none_is_as_if_it_were_not_there(
    traced: Journey, collector: Collector, header: str
) -> None:
    answer = traced.send(CHAT, chat(say(REPLY)), headers={"traceparent": header})
    assert answer.status == 200
    found = spans_of(collector, answer)
    assert not found.server.parent_span_id
    assert found.server.trace_id.hex() != TRACE


# What is not sent -------------------------------------------------------------------------------------------------


def test_nothing_that_was_said_and_no_secret_is_sent(traced: Journey, collector: Collector) -> None:
    headers = {"x-private": "a header of the caller", "user-agent": "codex/1.0 private-build"}
    hidden = "sk-cap-" + "q" * 52
    answers = [
        traced.send(CHAT, chat(f"{PROMPT} {say(REPLY)}", stream=True), headers=headers),
        traced.send(CHAT, chat(PROMPT, model=hidden), headers=headers),
        send(traced.gateway.url, CHAT, chat(PROMPT), key=hidden),
    ]
    for answer in answers:
        spans_of(collector, answer)
    assert {each.headers["authorization"] for each in collector.received} == {f"Bearer {PASSWORD}"}
    for secret in (
        PROMPT, REPLY, traced.key, hidden, GITHUB_TOKEN, PASSWORD, "tid=", "a header of the caller", "private-build",
        "127.0.0.1", str(traced.gateway.home),
    ):  # fmt: skip
        assert secret.encode() not in collector.raw, secret
    assert PASSWORD not in traced.gateway.output


# A collector that is not as it should be --------------------------------------------------------------------------


def closed_endpoint() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def call_many(gateway: GatewayProcess, count: int = 10, key: str | None = None) -> float:
    """Calls, one after the other, that all go well; the seconds that the slowest took."""
    key = key or gateway.create_key("many")
    answers = [send(gateway.url, CHAT, chat(say(REPLY), stream=number % 2 == 0), key=key) for number in range(count)]
    assert {(answer.status, answer.text) for answer in answers} == {(200, REPLY)}
    return max(answer.seconds for answer in answers)


def said_by(gateway: GatewayProcess, text: str) -> list[str]:
    return [line for line in gateway.lines if text in line]


@pytest.mark.parametrize("behaviour", ["nobody there", "500", "503", "hanging", "no such host", "no TLS"])
def test_calls_go_on_as_ever_whatever_the_collector_does(home: Path, simulator: Simulator, behaviour: str) -> None:
    """And the log says it in two lines, one for each signal, and the process ends when it is told to."""
    with Collector() as collector:
        endpoints: dict[str, Callable[[], str]] = {
            "nobody there": closed_endpoint,
            "no such host": lambda: "http://collector.invalid:4318",
            "no TLS": lambda: collector.url.replace("http://", "https://"),
        }
        if behaviour.isdecimal():
            collector.status = int(behaviour)
        if behaviour == "hanging":
            collector.hold.set()
        endpoint = endpoints.get(behaviour, lambda: collector.url)()
        more = {"OTEL_EXPORTER_OTLP_TIMEOUT": "1", "OTEL_EXPORTER_OTLP_HEADERS": f"api-key={PASSWORD}"}
        with exporting(home, simulator, endpoint, **more) as gateway:
            key = gateway.create_key("many")
            assert call_many(gateway, key=key) < 2
            wait_until(lambda: len(said_by(gateway, "does not get what is exported")) == 2, 20, "both signals")
            assert call_many(gateway, key=key) < 2
            began = time.monotonic()
            assert gateway.stop(signal.SIGTERM) == 0
            assert time.monotonic() - began < 8
        collector.hold.clear()
    assert len(said_by(gateway, "does not get what is exported")) == 2
    assert len(said_by(gateway, "calls are missing in the exported traces")) == 1
    assert not [line for line in gateway.lines if "opentelemetry." in line or "Traceback" in line]
    assert PASSWORD not in gateway.output
    assert len(gateway.events()) == 20


def test_spans_that_wait_at_the_end_are_sent(home: Path, simulator: Simulator) -> None:
    with Collector() as collector:
        slow = {"OTEL_BSP_SCHEDULE_DELAY": "60000", "OTEL_METRIC_EXPORT_INTERVAL": "60000"}
        with exporting(home, simulator, collector.url, **slow) as gateway:
            call_many(gateway, 5)
            assert collector.received == []
            assert gateway.stop(signal.SIGTERM) == 0
        assert len(collector.calls()) == 5
        assert sum(point.count for _, point in points(collector.metrics["gen_ai.server.request.duration"])) == 5


def test_a_malformed_variable_with_a_secret_is_told_without_it(home: Path, simulator: Simulator) -> None:
    variables = {"OTEL_EXPORTER_OTLP_HEADERS": f"authorization {PASSWORD}", "OTEL_TRACES_SAMPLER": "sometimes"}
    with Collector() as collector, exporting(home, simulator, collector.url, **variables) as gateway:
        call_many(gateway, 1)
        wait_until(lambda: bool(collector.spans), 15, "spans")
    assert len(said_by(gateway, "OTEL_EXPORTER_OTLP_HEADERS takes name=value pairs")) == 1
    assert said_by(gateway, "sometimes")
    assert PASSWORD not in gateway.output


def test_the_environments_sampler_decides_what_is_traced_and_metrics_count_all(
    home: Path, simulator: Simulator
) -> None:
    with Collector() as collector:
        with exporting(home, simulator, collector.url, OTEL_TRACES_SAMPLER="always_off") as gateway:
            call_many(gateway, 5)
        assert collector.spans == []
        assert sum(point.count for _, point in points(collector.metrics["gen_ai.server.request.duration"])) == 5
    assert not said_by(gateway, "calls are missing")


def test_a_change_of_the_endpoint_waits_for_the_next_start(home: Path, simulator: Simulator) -> None:
    with Collector() as collector, exporting(home, simulator, collector.url) as gateway:
        (home / "config.json").write_text('{"opentelemetry": {"endpoint": "http://127.0.0.1:1"}}')
        wait_until(lambda: bool(said_by(gateway, "until the gateway is restarted")), 15, "told")
        call_many(gateway, 1)
        wait_until(lambda: bool(collector.spans), 15, "spans")


def test_without_an_endpoint_nothing_is_exported(home: Path, simulator: Simulator) -> None:
    """Though the variables that other programs of the machine go by name one."""
    with Collector() as collector:
        variables = {**QUICK, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        with GatewayProcess(home, simulator.url, **variables) as gateway:
            call_many(gateway, 3)
        assert collector.received == []
