"""Ended calls as histograms of the conventions."""

import re
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, Metric
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics

from copilot_api.observability.events import CallEnded
from copilot_api.observability.otel_metrics import DURATION_BUCKETS, NO_MODEL, TOKEN_BUCKETS, CallMetrics
from copilot_api.usage.models import Cause
from tests.observability.calls import ended, refused

OPERATION = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "github", "gen_ai.request.model": "gpt-4.1"}


def record(*calls: CallEnded) -> dict[str, Metric]:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    metrics = CallMetrics(provider.get_meter("test"))
    for call in calls:
        metrics.record(call)
    found = reader.get_metrics_data()
    assert found is not None
    return {
        metric.name: metric
        for each in found.resource_metrics
        for scope in each.scope_metrics
        for metric in scope.metrics
    }


def points(metric: Metric) -> list[tuple[dict[str, Any], HistogramDataPoint]]:
    found = [point for point in metric.data.data_points if isinstance(point, HistogramDataPoint)]
    return [(dict(point.attributes or {}), point) for point in found]


def test_a_streamed_call_is_in_every_histogram() -> None:
    found = record(ended())
    sums = {name: points(metric)[0][1].sum for name, metric in found.items() if name != "gen_ai.client.token.usage"}
    assert sums == {
        "gen_ai.client.operation.duration": 2.5,
        "gen_ai.client.operation.time_to_first_chunk": 0.5,
        "gen_ai.server.request.duration": 3.0,
        "gen_ai.server.time_to_first_token": 1.0,
        "gen_ai.server.time_per_output_token": pytest.approx(0.1),
    }
    tokens = points(found["gen_ai.client.token.usage"])
    assert {attributes["gen_ai.token.type"]: point.sum for attributes, point in tokens} == {"input": 1000, "output": 21}


def test_names_and_units_are_those_of_the_conventions() -> None:
    known = {value for value in vars(gen_ai_metrics).values() if isinstance(value, str)}
    found = record(ended())
    assert set(found) <= known
    assert {name: metric.unit for name, metric in found.items()} == {
        name: "{token}" if name.endswith("token.usage") else "s" for name in found
    }
    names = {name for metric in found.values() for attributes, _ in points(metric) for name in attributes}
    assert names <= {value for value in vars(gen_ai_attributes).values() if isinstance(value, str)}


def test_the_buckets_are_those_of_the_conventions() -> None:
    found = record(ended())
    assert points(found["gen_ai.client.token.usage"])[0][1].explicit_bounds == TOKEN_BUCKETS
    assert [4**power for power in range(14)] == list(TOKEN_BUCKETS)
    assert points(found["gen_ai.client.operation.duration"])[0][1].explicit_bounds == DURATION_BUCKETS
    assert [pytest.approx(0.01 * 2**power) for power in range(14)] == list(DURATION_BUCKETS)
    assert points(found["gen_ai.server.time_to_first_token"])[0][1].explicit_bounds[-1] == 10.0
    assert points(found["gen_ai.server.time_per_output_token"])[0][1].explicit_bounds[-1] == 2.5


def test_the_guide_lists_every_metric_and_no_other() -> None:
    page = (Path(__file__).parents[2] / "docs" / "guides" / "opentelemetry.md").read_text()
    assert set(re.findall(r"(?m)^\| `(gen_ai\.(?:client|server)\.[\w.]+)` \|", page)) == set(record(ended()))


def test_a_whole_answer_has_no_times_of_tokens() -> None:
    assert set(record(ended(stream=False))) == {
        "gen_ai.client.token.usage",
        "gen_ai.client.operation.duration",
        "gen_ai.server.request.duration",
    }


def test_a_refused_call_is_only_a_call_and_of_no_model() -> None:
    """What a caller wrote as a model is no label: anybody could make series without end."""
    found = record(*[refused(Cause.MODEL_NOT_FOUND, 404, model=f"made-up-{number}") for number in range(50)])
    assert set(found) == {"gen_ai.server.request.duration"}
    [(attributes, point)] = points(found["gen_ai.server.request.duration"])
    assert attributes == {**OPERATION, "gen_ai.request.model": NO_MODEL, "error.type": "model_not_found"}
    assert point.count == 50


def test_a_failed_exchange_says_why_and_counts_no_tokens() -> None:
    failed = ended(cause=Cause.UPSTREAM_ERROR, status=502, input_tokens=0, output_tokens=0, time_to_first_token=None)
    found = record(failed)
    assert set(found) == {"gen_ai.client.operation.duration", "gen_ai.server.request.duration"}
    for metric in found.values():
        [(attributes, _)] = points(metric)
        assert attributes == {**OPERATION, "error.type": "upstream_error"}


def test_a_broken_stream_counts_what_is_known_of_it() -> None:
    found = record(ended(cause=Cause.UPSTREAM_CUT))
    assert "gen_ai.client.token.usage" in found
    assert "gen_ai.client.operation.time_to_first_chunk" in found
    assert "gen_ai.server.time_to_first_token" not in found, "that is of successful answers"


def test_usage_that_nobody_told_is_not_counted_as_nothing() -> None:
    assert "gen_ai.client.token.usage" not in record(ended(usage_unknown=True))


def test_embeddings_have_no_output_to_count() -> None:
    found = record(ended(endpoint="/v1/embeddings", stream=False, output_tokens=0))
    [(attributes, _)] = points(found["gen_ai.client.token.usage"])
    assert (attributes["gen_ai.operation.name"], attributes["gen_ai.token.type"]) == ("embeddings", "input")


def test_no_number_spoils_a_sum() -> None:
    found = record(ended(input_tokens=2**2000, duration=-5.0, time_to_first_token=-1.0))
    for metric in found.values():
        for _, point in points(metric):
            assert 0 <= float(point.sum) < 1e16
