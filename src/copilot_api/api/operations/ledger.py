"""The operations on the ledger: sums, what nobody wrote, and single calls."""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from copilot_api.api.operations.operation import Operation, Parameter
from copilot_api.usage.models import UsageEvent
from copilot_api.usage.queries import Bucket

TAG = "usage"
_PERIOD = (
    Parameter("since", "from when on: how long ago (`30m`, `24h`, `7d`), or a time; the last 24 hours without it"),
    Parameter("until", "until when; now without it"),
)
_QUERY = Parameter("q", "only calls that meet a query, such as `key:ci status:>=400`")

GroupValue = str | int | bool | None


class Percentiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long it took, in seconds; null where nothing was measured."""

    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None


class Sums(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Sums over calls. Charges are in AI credits, times in seconds."""

    requests: int
    errors: int
    credits: float
    premium_requests: float
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    would_limit: int
    """Calls that a limit would have refused, were it not only observed."""
    unknown: int
    """Calls whose consumption is not known."""
    estimated_credits: float
    """The part of the credits that the gateway reckoned itself."""
    queue_seconds: float
    """The wait of all calls together."""
    bytes_in: int
    bytes_out: int
    duration: Percentiles | UnsetType = UNSET
    """With `percentiles` only."""
    time_to_first_token: Percentiles | UnsetType = UNSET


class GroupSums(Sums, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The sums of one group."""

    group: list[GroupValue]


class Previous(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The period before, of the same length."""

    since: str
    until: str
    total: Sums


class Line(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The metrics that were asked for, over time: a number for each of `starts`."""

    group: list[GroupValue] | UnsetType | None = UNSET
    """Null for all that is in no other line; the total has none."""
    requests: list[float] | UnsetType = UNSET
    errors: list[float] | UnsetType = UNSET
    credits: list[float] | UnsetType = UNSET
    premium_requests: list[float] | UnsetType = UNSET
    input_tokens: list[float] | UnsetType = UNSET
    output_tokens: list[float] | UnsetType = UNSET
    cache_read_tokens: list[float] | UnsetType = UNSET
    cache_write_tokens: list[float] | UnsetType = UNSET
    reasoning_tokens: list[float] | UnsetType = UNSET
    would_limit: list[float] | UnsetType = UNSET


class Series(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The period over time."""

    starts: list[str]
    total: Line
    lines: list[Line]


class Usage(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The usage of a period, which is widened to whole buckets."""

    since: str
    until: str
    group: list[str]
    bucket: Bucket | None
    total: Sums
    previous: Previous | UnsetType = UNSET
    rows: list[GroupSums] | UnsetType = UNSET
    """Where something is grouped: the largest groups, by the first metric."""
    other: Sums | UnsetType | None = UNSET
    """The rest of them; null where every group is shown."""
    labels: dict[str, str] | UnsetType = UNSET
    """The labels of the keys that are named."""
    series: Series | UnsetType = UNSET


class Share(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A part of all calls."""

    requests: int
    share_of_requests: float
    input_tokens: int
    output_tokens: int
    credits: float
    share_of_credits: float


class KindShare(Share, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The calls of one kind that one program made."""

    kind: str | None
    client: str | None


class Waste(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What calls were for that nobody wrote."""

    since: str
    until: str
    rows: list[KindShare]
    overhead: Share
    total: Share


class EventList(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Some calls, newest first. A page may be short, or empty, and not be the last."""

    since: str
    until: str
    events: list[UsageEvent]
    next: str | None
    """`after` of the next page; null at the end."""
    searched_to: str | None
    """How far back it was looked for this page."""


OPERATIONS = (
    Operation(
        id="get_usage",
        method="GET",
        path="/admin/api/usage",
        tag=TAG,
        summary="Sum up usage, by group and over time",
        answer=Usage,
        parameters=(
            *_PERIOD,
            _QUERY,
            Parameter("by", "one or two of key, model, upstream, client, endpoint, kind, cause, status, identity"),
            Parameter(
                "bucket",
                "how time is divided; `auto` suits the period",
                Literal["auto", "none", "minute", "hour", "day"],
            ),
            Parameter(
                "metric",
                "what is shown over time, some of requests, errors, credits, …; groups are ordered by the first",
            ),
            Parameter("top", "how many groups, 200 at most; 10 without it", int),
            Parameter("compare", "`1` adds the period before", Literal["1", "0", "true", "false", "yes", "no"]),
            Parameter("percentiles", "`1` adds percentiles of times", Literal["1", "0", "true", "false", "yes", "no"]),
            Parameter("format", "`csv` for a table", Literal["json", "csv"]),
        ),
        media_types=("application/json", "text/csv"),
    ),
    Operation(
        id="get_waste",
        method="GET",
        path="/admin/api/usage/waste",
        tag=TAG,
        summary="Say what calls were for that nobody wrote",
        answer=Waste,
        parameters=(*_PERIOD, _QUERY),
    ),
    Operation(
        id="list_events",
        method="GET",
        path="/admin/api/events",
        tag=TAG,
        summary="List single calls, newest first, or download all of a period",
        answer=EventList,
        parameters=(
            *_PERIOD,
            _QUERY,
            Parameter("limit", "how many, 500 at most; 50 without it", int),
            Parameter("after", "where the page before ended: its `next`, as it is"),
            Parameter("format", "`csv` or `ndjson` for all of the period as a file", Literal["json", "csv", "ndjson"]),
        ),
        media_types=("application/json", "text/csv", "application/x-ndjson"),
    ),
)
