"""What the explorer answers (`copilot_api.usage.explorer`), as charts take it."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from copilot_api.admin.components import Series
from copilot_api.admin.palette import OTHER

NO_VALUE = "none"
"""What events are shown under that have no value of what is grouped by."""

NameValue = Callable[[object], str]
"""What a value of a dimension is called."""


def name_value(value: object) -> str:
    """The value of any dimension but the key."""
    return NO_VALUE if value is None or value == "" else str(value)


def read_times(answer: dict[str, Any]) -> list[datetime]:
    """When the buckets begin."""
    return [read_time(text) for text in answer["series"]["starts"]]


def read_time(text: str) -> datetime:
    """A time of the explorer's; a day begins at midnight in UTC."""
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def read_series(answer: dict[str, Any], metric: str, names: Sequence[NameValue] = (name_value,)) -> list[Series]:
    """
    The groups over time, the largest first and what is left of the whole last; `names` are those of the group's values.

    A group without any is left out: of a period that has other metrics it may be among the largest all the same.
    """
    lines = [line for line in answer["series"]["lines"] if any(line[metric])]
    return [_make_series(line, metric, names) for line in lines]


def read_total(answer: dict[str, Any], *metrics: str) -> list[float]:
    """The sum of some metrics over time, of everything."""
    total = answer["series"]["total"]
    return [sum(values) for values in zip(*(total[metric] for metric in metrics), strict=True)]


def name_group(group: Sequence[object], names: Sequence[NameValue]) -> str:
    """A group in words: `ci · gpt-5-mini`."""
    return " · ".join(name(value) for name, value in zip(names, group, strict=True))


def _make_series(line: dict[str, Any], metric: str, names: Sequence[NameValue]) -> Series:
    group = line["group"]
    if group is None:
        return Series(OTHER, line[metric], "everything else")
    # Its colour is that of its first value, wherever that is shown: of a key by its id, which does not change.
    return Series(" · ".join(name_value(value) for value in group), line[metric], name_group(group, names))
