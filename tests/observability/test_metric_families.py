"""What is told to Prometheus, by name."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric

from copilot_api import __version__
from copilot_api.observability.events import (
    Braked,
    CatalogDrifted,
    CatalogRefreshFailed,
    CatalogStorageBroken,
    ConfigRejected,
    ConfigReloaded,
    JournalBroken,
    Observation,
    TokenRenewalFailed,
    TokenRenewed,
    UsageStorageBroken,
)
from copilot_api.observability.metric_families import CaptureStanding, IdentityStanding, MetricFamilies, Standing
from copilot_api.observability.metrics import Metrics
from copilot_api.usage.models import Cause
from tests.fakes import FakeClock
from tests.observability.test_metrics import ended

QUIET = Standing(0, (IdentityStanding("default", 8, 8, 0, 0, is_stopped=False),), 0, 0, 0, is_config_rejected=False, log_lines_dropped=0, captures=CaptureStanding(0, 0, 0, 0, 0, 0))  # fmt: skip


def collect(*observations: Observation, standing: Standing = QUIET) -> dict[str, Metric]:
    metrics = Metrics(FakeClock())
    for observation in observations:
        metrics(observation)
    found = list(MetricFamilies(metrics, lambda: standing, nano_per_credit=1_000_000_000).collect())
    names = [family.name for family in found]
    assert len(set(names)) == len(names)
    return {family.name: family for family in found}


def values(family: Metric) -> dict[tuple[str, ...], float]:
    """The values of a family by those of its labels."""
    return {tuple(sample.labels.values()): sample.value for sample in family.samples}


def value(family: Metric) -> float:
    [sample] = family.samples
    return float(sample.value)


def test_calls_are_told_with_all_their_labels() -> None:
    found = collect(ended(), ended(), ended(status=429, cause=Cause.RATE_LIMITED, upstream_model=None, client="codex"))
    assert values(found["copilot_api_requests"]) == {
        ("/v1/chat/completions", "gpt-4.1", "200", "ok", "curl"): 2,
        ("/v1/chat/completions", "none", "429", "rate_limited", "codex"): 1,
    }


def test_usage_is_told_by_model_over_all_endpoints() -> None:
    found = collect(
        ended(nano_aiu=1_500_000_000),
        ended(endpoint="/v1/messages", nano_aiu=500_000_000, premium_requests=1.0, usage_unknown=True, fallback_from="x"),
        ended(upstream_model=None),
    )  # fmt: skip
    assert values(found["copilot_api_tokens"]) == {
        ("gpt-4.1", "input"): 60, ("gpt-4.1", "output"): 8, ("gpt-4.1", "cache_read"): 40, ("gpt-4.1", "cache_write"): 10,
        ("gpt-4.1", "reasoning"): 4,
    }  # fmt: skip
    assert values(found["copilot_api_credits"]) == {("gpt-4.1",): 2.0}
    assert values(found["copilot_api_premium_requests"]) == {("gpt-4.1",): 1.33}
    assert values(found["copilot_api_unknown_usage_requests"]) == {("gpt-4.1",): 1}
    assert values(found["copilot_api_fallback_requests"]) == {("gpt-4.1",): 1}


def test_usage_is_told_by_key() -> None:
    found = collect(ended(nano_aiu=2_000_000_000), ended(key_id="key_2"), ended(key_id=None, upstream_model=None))
    assert values(found["copilot_api_key_requests"]) == {("key_1",): 1, ("key_2",): 1, ("none",): 1}
    assert values(found["copilot_api_key_tokens"])["key_2", "input"] == 30
    assert values(found["copilot_api_key_tokens"])["key_2", "output"] == 4
    assert values(found["copilot_api_key_credits"])["key_1",] == 2.0


@pytest.mark.parametrize("name", ["request_duration", "time_to_first_token", "queue_wait"])
def test_durations_are_histograms_in_seconds(name: str) -> None:
    family = collect(ended(duration=0.7, time_to_first_token=0.7, queue_seconds=0.7))[f"copilot_api_{name}_seconds"]
    assert (family.type, family.unit) == ("histogram", "seconds")
    buckets = {sample.labels["le"]: sample.value for sample in family.samples if sample.name.endswith("_bucket")}
    assert (buckets["0.5"], buckets["1.0"], buckets["+Inf"]) == (0, 1, 1)
    assert {sample.labels["endpoint"] for sample in family.samples} == {"/v1/chat/completions"}
    assert [sample.value for sample in family.samples if sample.name.endswith("_sum")] == [0.7]


def test_a_histogram_without_a_call_is_not_there() -> None:
    assert collect(ended(upstream_model=None))["copilot_api_queue_wait_seconds"].samples == []


def test_limits_that_are_only_observed_are_told_by_limit() -> None:
    assert values(collect(ended(would_limit="rpm,tpm"))["copilot_api_would_limit"]) == {("rpm",): 1, ("tpm",): 1}


@pytest.mark.parametrize(
    ("observation", "name"),
    [
        (ConfigReloaded("x"), "config_reloads"),
        (ConfigRejected("x"), "config_rejections"),
        (TokenRenewed("x"), "token_renewals"),
        (TokenRenewalFailed("x"), "token_renewal_failures"),
        (CatalogRefreshFailed("x"), "catalog_refresh_failures"),
        (CatalogStorageBroken("x"), "catalog_storage_failures"),
        (CatalogDrifted(1, "x"), "catalog_changes"),
        (Braked(2, "x"), "brakes"),
        (JournalBroken("x"), "journal_broken"),
        (UsageStorageBroken("x"), "ledger_storage_failing"),
    ],
)
def test_what_happens_is_told_and_what_does_not_is_zero(observation: Observation, name: str) -> None:
    assert value(collect(observation)[f"copilot_api_{name}"]) == 1
    assert value(collect()[f"copilot_api_{name}"]) == 0


@pytest.mark.parametrize(
    ("field", "reads", "name"),
    [
        ("calls_in_flight", 3, "calls_in_flight"), ("journal_waiting_bytes", 4096, "journal_waiting_bytes"), ("events_lost", 7, "usage_events_lost"),
        ("catalog_models", 25, "catalog_models"), ("is_config_rejected", True, "config_rejected"), ("log_lines_dropped", 9, "log_lines_dropped"),
    ],
)  # fmt: skip
def test_how_things_stand_is_read_when_it_is_asked_for(field: str, reads: Any, name: str) -> None:
    assert value(collect(standing=replace(QUIET, **{field: reads}))[f"copilot_api_{name}"]) == float(reads)


def test_what_became_of_captures_is_told() -> None:
    found = collect(standing=replace(QUIET, captures=CaptureStanding(5, 4, 3, 2, 100, 200)))
    assert values(found["copilot_api_captures"]) == {("kept",): 5, ("dropped",): 4}
    for name, expected in (
        ("captures_withheld", 3),
        ("traces_not_written", 2),
        ("captures_waiting_bytes", 100),
        ("traces_memory_bytes", 200),
    ):
        assert value(found[f"copilot_api_{name}"]) == expected


def test_slots_are_told_by_identity() -> None:
    identities = (
        IdentityStanding("default", 8, 2, 2, 5, is_stopped=False),
        IdentityStanding("ada", 4, 4, 1, 0, is_stopped=True),
    )
    found = collect(standing=replace(QUIET, identities=identities))
    told = {name: values(found[f"copilot_api_{name}"]) for name in ("slots", "slots_allowed", "slots_taken", "queue_length", "braked", "stopped")}  # fmt: skip
    assert told == {
        "slots": {("default",): 8, ("ada",): 4},
        "slots_allowed": {("default",): 2, ("ada",): 4},
        "slots_taken": {("default",): 2, ("ada",): 1},
        "queue_length": {("default",): 5, ("ada",): 0},
        "braked": {("default",): 1, ("ada",): 0},
        "stopped": {("default",): 0, ("ada",): 1},
    }


def test_it_says_what_runs_and_since_when() -> None:
    found = collect()
    [build] = found["copilot_api_build"].samples
    assert build.labels["version"] == __version__
    assert value(found["copilot_api_start_time_seconds"]) == FakeClock().now().timestamp()
    assert found["copilot_api_catalog_change_timestamp_seconds"].samples == []
    changed = collect(CatalogDrifted(1, "x"))["copilot_api_catalog_change_timestamp_seconds"]
    assert value(changed) == FakeClock().now().timestamp()


def test_the_process_tells_what_it_takes() -> None:
    assert value(collect()["process_resident_memory_bytes"]) > 1_000_000
    assert value(collect()["process_cpu_seconds"]) > 0


def test_what_was_folded_is_told_by_label() -> None:
    folded = values(collect(*(ended(client=f"program{number}") for number in range(70)))["copilot_api_folded_labels"])
    assert folded["client",] == 10
    assert folded["key",] == 0


def test_the_guide_lists_every_metric_with_its_labels_and_no_other() -> None:
    page = (Path(__file__).parents[2] / "docs" / "guides" / "monitoring.md").read_text()
    listed = dict(re.findall(r"(?m)^\| `(copilot_api_\w+)` \| (.*?) \|", page))
    told: dict[str, str] = {}
    suffixes = {"counter": "_total", "info": "_info"}
    for family in collect(ended(would_limit="rpm")).values():
        if not family.name.startswith("process_"):
            labels = [sample.labels for sample in family.samples] or [{}]
            names = [name for name in labels[0] if name != "le"]
            told[family.name + suffixes.get(family.type, "")] = ", ".join(f"`{name}`" for name in names)
    assert listed == told
    of_histograms = {f"{name}_bucket" for name in told if name.endswith("_seconds")}
    assert set(re.findall(r"copilot_api_\w+", page)) <= set(told) | of_histograms, "in questions and alerts, too"
