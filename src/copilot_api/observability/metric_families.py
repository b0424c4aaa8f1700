"""
What `GET /metrics` tells: what was counted, and how things stand at that moment, as metric families of the library's.

`docs/guides/monitoring.md` lists them all.
"""

import platform
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.process_collector import ProcessCollector

from copilot_api import __version__
from copilot_api.observability.events import (
    Braked,
    CatalogRefreshFailed,
    CatalogStorageBroken,
    ConfigRejected,
    ConfigReloaded,
    Observation,
    TokenRenewalFailed,
    TokenRenewed,
)
from copilot_api.observability.metrics import BUCKETS, NONE, CallSums, Histogram, Metrics

_PREFIX = "copilot_api_"
_BOUNDS = (*map(str, BUCKETS), "+Inf")
_CALL = ("endpoint", "model")
_COUNTED: tuple[tuple[type[Observation], str, str], ...] = (
    (ConfigReloaded, "config_reloads", "Changes of config.json that came into force."),
    (ConfigRejected, "config_rejections", "Times that config.json could not be used; the last good one stayed."),
    (TokenRenewed, "token_renewals", "Fresh Copilot tokens."),
    (TokenRenewalFailed, "token_renewal_failures", "Attempts to renew the Copilot token that failed."),
    (CatalogRefreshFailed, "catalog_refresh_failures", "Readings of Copilot's list of models that failed."),
    (CatalogStorageBroken, "catalog_storage_failures", "Times that the list of models could not be stored."),
    (Braked, "brakes", "Times that the slots were made fewer because Copilot showed that it was too much."),
)
_TOKENS: tuple[tuple[str, Callable[[CallSums], int]], ...] = (
    ("input", lambda sums: sums.input_tokens),
    ("output", lambda sums: sums.output_tokens),
    ("cache_read", lambda sums: sums.cache_read_tokens),
    ("cache_write", lambda sums: sums.cache_write_tokens),
    ("reasoning", lambda sums: sums.reasoning_tokens),
)


@dataclass(frozen=True, slots=True)
class IdentityStanding:
    """How the slots of one identity stand."""

    identity: str
    slots: int
    """When all is well."""
    slots_allowed: int
    """What the brake allows."""
    slots_taken: int
    waiting: int
    is_stopped: bool


@dataclass(frozen=True, slots=True)
class CaptureStanding:
    """What became of captures since the start, and what they take now."""

    kept: int
    dropped: int
    withheld: int
    not_written: int
    waiting_bytes: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand at one moment."""

    calls_in_flight: int
    identities: tuple[IdentityStanding, ...]
    journal_waiting_bytes: int
    events_lost: int
    catalog_models: int
    is_config_rejected: bool
    log_lines_dropped: int
    captures: CaptureStanding


class MetricFamilies:
    """A custom collector of the library's. `standing` says how things stand; it must not block."""

    def __init__(self, metrics: Metrics, standing: Callable[[], Standing], *, nano_per_credit: int) -> None:
        self._metrics = metrics
        self._find_standing = standing
        self._nano_per_credit = nano_per_credit
        self._process = ProcessCollector(registry=None)

    def collect(self) -> Iterator[Metric]:
        """Every metric, one after the other, each as it is when its turn comes."""
        yield self._requests()
        yield self._histogram(
            "request_duration", "Calls from arrival to end, refused ones included.", lambda sums: sums.durations
        )
        yield self._histogram(
            "time_to_first_token",
            "Calls from arrival to the first of the answer itself, of streams that have one.",
            lambda sums: sums.first_tokens,
        )
        yield self._histogram(
            "queue_wait", "What calls waited for a slot, of those that got one.", lambda sums: sums.queue_waits
        )
        yield from self._by_model()
        yield from self._by_key()
        yield self._counter(
            "would_limit",
            "Calls that a limit would have refused, were it enforced.",
            "limit",
            self._metrics.would_limit.items(),
        )
        yield from self._counted()
        yield from self._standing(self._find_standing())
        yield from self._process.collect()

    # Calls ------------------------------------------------------------------------------------------------------

    def _requests(self) -> Metric:
        family = CounterMetricFamily(
            f"{_PREFIX}requests",
            "Calls that have ended. status is 0 where none was sent; model is none where nothing went upstream.",
            labels=("endpoint", "model", "status", "cause", "client"),
        )
        for (endpoint, model), sums in self._metrics.calls.items():
            for (status, cause, client), count in sums.outcomes.items():
                family.add_metric((endpoint, model or NONE, str(status), cause, client), count)
        return family

    def _histogram(self, name: str, documentation: str, find: Callable[[CallSums], Histogram]) -> Metric:
        family = HistogramMetricFamily(f"{_PREFIX}{name}_seconds", documentation, labels=_CALL, unit="seconds")
        for (endpoint, model), sums in self._metrics.calls.items():
            histogram, seen = find(sums), 0
            buckets: list[tuple[str, float]] = []
            for bound, count in zip(_BOUNDS, histogram.counts, strict=True):
                seen += count
                buckets.append((bound, seen))
            if seen:
                family.add_metric((endpoint, model or NONE), buckets, histogram.total)
        return family

    def _by_model(self) -> Iterator[Metric]:
        by_model: dict[str, list[CallSums]] = {}
        for (_, model), sums in self._metrics.calls.items():
            if model is not None:
                by_model.setdefault(model, []).append(sums)
        tokens = CounterMetricFamily(
            f"{_PREFIX}tokens",
            "Tokens as Copilot counted them. input has the cached ones in it, output the reasoning.",
            labels=("model", "type"),
        )
        for model, of_model in by_model.items():
            for kind, find in _TOKENS:
                tokens.add_metric((model, kind), sum(map(find, of_model)))
        yield tokens

        def summed(find: Callable[[CallSums], float]) -> Iterator[tuple[str, float]]:
            return ((model, sum(map(find, of_model))) for model, of_model in by_model.items())

        yield self._counter(
            "credits",
            "AI credits that calls cost.",
            "model",
            ((model, nano / self._nano_per_credit) for model, nano in summed(lambda sums: sums.nano_aiu)),
        )
        yield self._counter(
            "premium_requests", "Premium requests that calls cost.", "model", summed(lambda sums: sums.premium_requests)
        )
        yield self._counter(
            "unknown_usage_requests",
            "Calls whose usage Copilot did not say; their tokens are not counted.",
            "model",
            summed(lambda sums: sums.unknown),
        )
        yield self._counter(
            "fallback_requests",
            "Calls that this model answered in another one's place.",
            "model",
            summed(lambda sums: sums.fallbacks),
        )

    def _by_key(self) -> Iterator[Metric]:
        keys = [(key_id or NONE, sums) for key_id, sums in self._metrics.keys.items()]
        yield self._counter("key_requests", "Calls by key.", "key", ((key, sums.requests) for key, sums in keys))
        tokens = CounterMetricFamily(
            f"{_PREFIX}key_tokens", "Tokens by key, as Copilot counted them.", labels=("key", "type")
        )
        for key, sums in keys:
            tokens.add_metric((key, "input"), sums.input_tokens)
            tokens.add_metric((key, "output"), sums.output_tokens)
        yield tokens
        yield self._counter(
            "key_credits",
            "AI credits that calls cost, by key.",
            "key",
            ((key, sums.nano_aiu / self._nano_per_credit) for key, sums in keys),
        )

    # The process ------------------------------------------------------------------------------------------------

    def _counted(self) -> Iterator[Metric]:
        metrics = self._metrics
        for kind, name, documentation in _COUNTED:
            yield CounterMetricFamily(f"{_PREFIX}{name}", documentation, value=metrics.counts.get(kind, 0))
        yield CounterMetricFamily(
            f"{_PREFIX}catalog_changes",
            "Things that Copilot changed of its list of models.",
            value=metrics.catalog_changes,
        )
        changed = _gauge("catalog_change_timestamp_seconds", "When Copilot's list of models was last seen to change.")
        if metrics.catalog_changed_at is not None:
            changed.add_metric((), metrics.catalog_changed_at.timestamp())
        yield changed
        yield _gauge("journal_broken", "1 while the usage journal cannot be written.", metrics.is_journal_broken)
        yield _gauge(
            "ledger_storage_failing", "1 while usage events cannot be stored; they wait.", metrics.is_storage_failing
        )
        yield self._counter(
            "folded_labels",
            "Calls that count as other since there are too many labels.",
            "label",
            metrics.folded.items(),
        )
        build = {"version": __version__, "python": platform.python_version()}
        yield InfoMetricFamily(f"{_PREFIX}build", "What runs.", value=build)
        yield _gauge("start_time_seconds", "When the gateway started.", metrics.started_at.timestamp())

    def _standing(self, standing: Standing) -> Iterator[Metric]:
        yield _gauge("calls_in_flight", "Calls that have arrived and not ended.", standing.calls_in_flight)

        def by_identity(name: str, documentation: str, find: Callable[[IdentityStanding], float]) -> Metric:
            family = GaugeMetricFamily(f"{_PREFIX}{name}", documentation, labels=("identity",))
            for each in standing.identities:
                family.add_metric((each.identity,), find(each))
            return family

        yield by_identity(
            "slots", "How many calls may be at Copilot at once when all is well.", lambda each: each.slots
        )
        yield by_identity("slots_allowed", "How many may be now: the brake's word.", lambda each: each.slots_allowed)
        yield by_identity("slots_taken", "How many calls are at Copilot.", lambda each: each.slots_taken)
        yield by_identity("queue_length", "How many calls wait for a slot.", lambda each: each.waiting)
        yield by_identity(
            "braked", "1 while the brake allows fewer slots.", lambda each: each.slots_allowed < each.slots
        )
        yield by_identity("stopped", "1 since GitHub flagged the account, until resumed.", lambda each: each.is_stopped)
        yield _gauge(
            "journal_waiting_bytes", "What of the journal is not in the database yet.", standing.journal_waiting_bytes
        )
        yield CounterMetricFamily(
            f"{_PREFIX}usage_events_lost", "Usage events that could be kept nowhere.", value=standing.events_lost
        )
        yield _gauge("catalog_models", "Models on Copilot's list.", standing.catalog_models)
        yield _gauge("config_rejected", "1 while config.json as it is cannot be used.", standing.is_config_rejected)
        yield CounterMetricFamily(
            f"{_PREFIX}log_lines_dropped",
            "Log lines that nobody took from standard error in time.",
            value=standing.log_lines_dropped,
        )
        yield from self._captures(standing.captures)

    def _captures(self, captures: CaptureStanding) -> Iterator[Metric]:
        yield self._counter(
            "captures",
            "Captured calls whose trace is kept, and those that left none.",
            "outcome",
            (("kept", captures.kept), ("dropped", captures.dropped)),
        )
        yield CounterMetricFamily(
            f"{_PREFIX}captures_withheld",
            "Bodies, headers and targets of traces that are not kept since they may still hold a secret.",
            value=captures.withheld,
        )
        yield CounterMetricFamily(
            f"{_PREFIX}traces_not_written",
            "Traces that are in memory and could not be written to disk.",
            value=captures.not_written,
        )
        yield _gauge("captures_waiting_bytes", "What captures take that are not redacted yet.", captures.waiting_bytes)
        yield _gauge("traces_memory_bytes", "What traces take in memory.", captures.memory_bytes)

    def _counter(self, name: str, documentation: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
        family = CounterMetricFamily(f"{_PREFIX}{name}", documentation, labels=(label,))
        for value, count in values:
            family.add_metric((value,), count)
        return family


def _gauge(name: str, documentation: str, value: float | None = None) -> GaugeMetricFamily:
    unit = name.rpartition("_")[2]
    return GaugeMetricFamily(
        f"{_PREFIX}{name}", documentation, value=value, unit=unit if unit in {"seconds", "bytes"} else ""
    )
