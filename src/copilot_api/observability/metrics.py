"""
Observations as numbers, counted in memory; `copilot_api.observability.metric_families` names them for Prometheus.

On the way of a call there are dictionaries and integers, no lock and no text. Calls are told by the event loop alone,
other observations by any thread.

What clients choose is no label: a model goes by Copilot's id, a program and a cause are of closed lists. Beyond that
every label is bounded, so that not even a defect can make the numbers grow for ever: what is over a bound counts as
`other`, and that it did is counted too.
"""

from bisect import bisect_left
from collections.abc import Mapping
from datetime import datetime

from copilot_api.clock import Clock
from copilot_api.observability.events import (
    CallEnded,
    CatalogDrifted,
    EndedCall,
    JournalBroken,
    JournalRecovered,
    Observation,
    UsageStorageBroken,
    UsageStorageRecovered,
)

BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""The upper bounds, in seconds, of all histograms: models answer within a tenth of a second or within minutes."""
NONE = "none"
"""The label of what has no model, or no key."""
OTHER = "other"
"""The label of all that is over a bound."""
MAX_KEYS = 1_000
MAX_LABELS: Mapping[str, int] = {
    "endpoint": 20,
    "model": 200,
    "status": 100,
    "cause": 30,
    "client": 60,
    "key": MAX_KEYS,
    "limit": 60,
}
"""How many values of each label are told apart."""
MAX_SERIES = 500
"""How many pairs of endpoint and model are; each has three histograms."""
MAX_OUTCOMES = 5_000
"""How many combinations of all labels of a request are."""

Outcome = tuple[int | str, str, str]
"""Status, cause and client."""


class Histogram:
    """How many durations fell between two bounds, and their sum."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """One more."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds


class CallSums:
    """The calls of one model on one endpoint. Tokens of unknown number count as none."""

    __slots__ = (
        "cache_read_tokens",
        "cache_write_tokens",
        "durations",
        "fallbacks",
        "first_tokens",
        "input_tokens",
        "nano_aiu",
        "outcomes",
        "output_tokens",
        "premium_requests",
        "queue_waits",
        "reasoning_tokens",
        "unknown",
    )

    def __init__(self) -> None:
        self.outcomes: dict[Outcome, int] = {}
        self.durations = Histogram()
        self.first_tokens = Histogram()
        self.queue_waits = Histogram()
        self.input_tokens = self.output_tokens = 0
        self.cache_read_tokens = self.cache_write_tokens = self.reasoning_tokens = 0
        self.nano_aiu = 0
        self.premium_requests = 0.0
        self.unknown = 0
        """Calls whose usage nobody told."""
        self.fallbacks = 0
        """Calls that this model answered in another one's place."""


class KeySums:
    """The calls of one key."""

    __slots__ = ("input_tokens", "nano_aiu", "output_tokens", "requests")

    def __init__(self) -> None:
        self.requests = self.input_tokens = self.output_tokens = self.nano_aiu = 0


class Metrics:
    """An `Observer` that counts. Nothing in it is taken back, but for the numbers of a key that is erased."""

    def __init__(self, clock: Clock, *, max_labels: Mapping[str, int] = MAX_LABELS) -> None:
        self._clock = clock
        self._max_labels = max_labels
        self._known: dict[str, set[str]] = {name: set() for name in max_labels}
        self.started_at = clock.now()
        self.calls: dict[tuple[str, str | None], CallSums] = {}
        """By endpoint and model."""
        self.keys: dict[str | None, KeySums] = {}
        self.would_limit: dict[str, int] = {}
        self.folded: dict[str, int] = dict.fromkeys(max_labels, 0)
        """How often a value of each label counted as `other`."""
        self.counts: dict[type[Observation], int] = {}
        """How often each other thing was observed."""
        self.catalog_changes = 0
        self.catalog_changed_at: datetime | None = None
        self.is_journal_broken = False
        self.is_storage_failing = False
        self._outcomes = 0

    def __call__(self, observation: Observation) -> None:
        """Count it."""
        if type(observation) is CallEnded:
            self._count(observation.call)
            return
        kind = type(observation)
        self.counts[kind] = self.counts.get(kind, 0) + 1
        match observation:
            case CatalogDrifted(count=count):
                self.catalog_changes += count
                self.catalog_changed_at = self._clock.now()
            case JournalBroken() | JournalRecovered():
                self.is_journal_broken = kind is JournalBroken
            case UsageStorageBroken() | UsageStorageRecovered():
                self.is_storage_failing = kind is UsageStorageBroken
            case _:
                pass

    def forget_key(self, key_id: str) -> None:
        """A key that was erased loses its numbers: they bear its id."""
        self.keys.pop(key_id, None)
        self._known["key"].discard(key_id)

    def _count(self, call: EndedCall) -> None:
        model = call.upstream_model
        sums = self.calls.get((call.endpoint, model))
        if sums is None:
            sums = self._open_sums(call.endpoint, model)
        outcome = (call.status, call.cause, call.client)
        outcomes = sums.outcomes
        if outcome in outcomes:
            outcomes[outcome] += 1
        else:
            self._count_new_outcome(outcomes, outcome)
        key = self.keys.get(call.key_id)
        if key is None:
            key = self._open_key(call.key_id)
        key.requests += 1
        sums.durations.add(call.duration)
        if model is not None:
            self._count_answer(call, sums, key)
        if call.would_limit is not None:
            self._count_would_limit(call.would_limit)

    def _count_answer(self, call: EndedCall, sums: CallSums, key: KeySums) -> None:
        """What there is of a call that went upstream."""
        sums.queue_waits.add(call.queue_seconds)
        if call.stream and call.time_to_first_token is not None:
            sums.first_tokens.add(call.time_to_first_token)
        # Less than nothing would be a mistake of the upstream's, and no sum may shrink.
        if (tokens := call.input_tokens) > 0:
            sums.input_tokens += tokens
            key.input_tokens += tokens
        if (tokens := call.output_tokens) > 0:
            sums.output_tokens += tokens
            key.output_tokens += tokens
        if (tokens := call.cache_read_tokens) > 0:
            sums.cache_read_tokens += tokens
        if (tokens := call.cache_write_tokens) > 0:
            sums.cache_write_tokens += tokens
        if (tokens := call.reasoning_tokens) > 0:
            sums.reasoning_tokens += tokens
        if (charge := call.nano_aiu) is not None and charge > 0:
            sums.nano_aiu += charge
            key.nano_aiu += charge
        if (premium := call.premium_requests) > 0:
            sums.premium_requests += premium
        if call.usage_unknown:
            sums.unknown += 1
        if call.fallback_from is not None:
            sums.fallbacks += 1

    # What is new ------------------------------------------------------------------------------------------------

    def _open_sums(self, endpoint: str, model: str | None) -> CallSums:
        endpoint = self._bounded("endpoint", endpoint)
        if model is not None:
            model = self._bounded("model", model)
            if len(self.calls) >= MAX_SERIES and (endpoint, model) not in self.calls:
                model = self._fold("model")
        return self.calls.setdefault((endpoint, model), CallSums())

    def _count_new_outcome(self, outcomes: dict[Outcome, int], raw: tuple[int, str, str]) -> None:
        status, cause, client = raw
        is_kept = str(status) == self._bounded("status", str(status))
        outcome: Outcome = (
            status if is_kept else OTHER,
            self._bounded("cause", cause),
            self._bounded("client", client),
        )
        if outcome not in outcomes:
            if self._outcomes >= MAX_OUTCOMES:
                outcome = (OTHER, OTHER, self._fold("client"))
            self._outcomes += 1
        outcomes[outcome] = outcomes.get(outcome, 0) + 1

    def _open_key(self, key_id: str | None) -> KeySums:
        return self.keys.setdefault(None if key_id is None else self._bounded("key", key_id), KeySums())

    def _count_would_limit(self, names: str) -> None:
        for name in names.split(","):
            limit = self._bounded("limit", name)
            self.would_limit[limit] = self.would_limit.get(limit, 0) + 1

    def _bounded(self, label: str, value: str) -> str:
        """`value`, or `other` where there are too many others already."""
        known = self._known[label]
        if value not in known:
            if len(known) >= self._max_labels[label]:
                return self._fold(label)
            known.add(value)
        return value

    def _fold(self, label: str) -> str:
        self.folded[label] += 1
        return OTHER
