"""What a page of usage asks: metric, groups, division of time and how it is shown, as they stand in its URL."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from copilot_api.admin.date_range import DateRange
from copilot_api.admin.forms import Fields
from copilot_api.errors import BadRequest
from copilot_api.usage.explorer import MAX_BUCKETS, MAX_MINUTES, Metric, choose_bucket
from copilot_api.usage.percentiles import Timing
from copilot_api.usage.queries import Bucket, Dimension
from copilot_api.usage.totals import DIMENSIONS

GROUPS: dict[str, Dimension] = {group.value: dimension for group, dimension in DIMENSIONS.items()}
GROUP_LABELS = {
    "key": "Key",
    "model": "Model",
    "client": "Client",
    "endpoint": "Endpoint",
    "cause": "Cause",
    "status": "Status",
    "kind": "What for",
    "upstream": "Answering model",
    "identity": "Identity",
}


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric as pages name and write it."""

    label: str
    unit: str
    format: str = "short"
    """See `chart`."""


MEASURES: dict[str, Measure] = {
    Metric.REQUESTS: Measure("Requests", "requests"),
    Metric.CREDITS: Measure("Credits", "credits"),
    Metric.PREMIUM_REQUESTS: Measure("Premium requests", "premium requests"),
    Metric.INPUT_TOKENS: Measure("Input tokens", "tokens"),
    Metric.OUTPUT_TOKENS: Measure("Output tokens", "tokens"),
    Metric.CACHE_READ_TOKENS: Measure("Tokens out of the cache", "tokens"),
    Metric.CACHE_WRITE_TOKENS: Measure("Tokens into the cache", "tokens"),
    Metric.REASONING_TOKENS: Measure("Reasoning tokens", "tokens"),
    Metric.ERRORS: Measure("Errors", "errors"),
    Metric.WOULD_LIMIT: Measure("Would have been limited", "requests"),
    Timing.TIME_TO_FIRST_TOKEN: Measure("Time to first token", "s", "seconds"),
    Timing.DURATION: Measure("Duration", "s", "seconds"),
}
BUCKETS = {"auto": "Auto", Bucket.MINUTE: "Minute", Bucket.HOUR: "Hour", Bucket.DAY: "Day"}


@dataclass(frozen=True, slots=True)
class UsageChoice:
    """See the module."""

    metric: str
    """A `Metric` or a `Timing`."""
    groups: tuple[str, ...]
    """Names of `GROUPS`; none or up to two."""
    bucket: Bucket
    wanted_bucket: str
    """As it was asked for; `auto` too."""
    is_compared: bool
    is_cumulative: bool

    @property
    def timing(self) -> Timing | None:
        """Where what is shown are times, which."""
        return Timing(self.metric) if self.metric in set(Timing) else None

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """What is grouped by."""
        return tuple(GROUPS[name] for name in self.groups)

    @property
    def measure(self) -> Measure:
        """How the metric is named and written."""
        return MEASURES[self.metric]


def read_choice(query: Fields, period: DateRange) -> UsageChoice:
    """Of a page's URL. Raises `BadRequest` for what there is not; a bucket that does not suit the period gives way."""
    metric = _choose(query, "metric", MEASURES, Metric.REQUESTS.value)
    first = _choose(query, "by", GROUPS, "")
    second = _choose(query, "then", GROUPS, "") if first else ""
    groups = tuple(dict.fromkeys(filter(None, (first, second))))
    wanted = _choose(query, "bucket", BUCKETS, "auto")
    bucket = choose_bucket(period.since, period.until)
    if wanted != "auto" and suits(Bucket(wanted), period.span):
        bucket = Bucket(wanted)
    elif wanted != "auto":
        wanted = "auto"
    timing = metric in set(Timing)
    return UsageChoice(
        metric, groups, bucket, wanted, bool(query.get("compare")), bool(query.get("cumulative")) and not timing
    )


def suits(bucket: Bucket, span: timedelta) -> bool:
    """Whether a period of that length can be divided so."""
    if bucket is Bucket.MINUTE and span > MAX_MINUTES:
        return False
    return span / timedelta(microseconds=bucket.microseconds) <= MAX_BUCKETS - 2


def check_span(since: datetime, until: datetime) -> None:
    """Raise `BadRequest` for a period that no chart has room for."""
    if not suits(Bucket.DAY, until - since):
        raise BadRequest("the range is too long", param="since", hint="look at up to three years at a time")


def _choose(query: Fields, name: str, known: Iterable[str], default: str) -> str:
    value, choices = query.get(name) or default, list(known)
    if value and value not in choices:
        raise BadRequest(f"there is no {name} {value[:40]!r}", param=name, hint=f"one of {', '.join(choices)}")
    return value
