"""What a rollup counts, as SQL over the events themselves: the same numbers, for the ends of a period."""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Integer, and_, case, cast, func, or_

from copilot_api.storage.schema import usage_events
from copilot_api.usage.models import Cause
from copilot_api.usage.rollups import COUNTERS, HISTOGRAMS, MICROSECONDS, MOST_OF_A_CALL

_columns = usage_events.c
_is_error = or_(_columns.status >= 400, _columns.cause.not_in([Cause.OK.value, Cause.CLIENT_ABORTED.value]))
_went_on = and_(_columns.identity_id.is_not(None), _columns.duration > 0)
_charge = func.coalesce(_columns.nano_aiu, 0)


def _one_if(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, 1), else_=0)


def _possible(value: ColumnElement[int]) -> ColumnElement[int]:
    return case((value > MOST_OF_A_CALL, MOST_OF_A_CALL), (value < 0, 0), else_=value)


def _millionths(value: ColumnElement[float]) -> ColumnElement[int]:
    return cast(func.round(func.coalesce(value, 0.0) * MICROSECONDS), BigInteger)


_VALUES: dict[str, ColumnElement[int]] = {
    "requests": cast(1, Integer),
    "errors": _one_if(_is_error),
    "would_limit": _one_if(_columns.would_limit.is_not(None)),
    "unknown": _one_if(_columns.usage_unknown),
    "charged": _one_if(_columns.nano_aiu.is_not(None)),
    "input_tokens": _columns.input_tokens,
    "output_tokens": _columns.output_tokens,
    "cache_read_tokens": _columns.cache_read_tokens,
    "cache_write_tokens": _columns.cache_write_tokens,
    "reasoning_tokens": _columns.reasoning_tokens,
    "estimated_tokens": _columns.estimated_tokens,
    "nano_aiu": _charge,
    "estimated_nano_aiu": case((_columns.nano_aiu_estimated, _charge), else_=0),
    "micro_premium_requests": _millionths(_columns.premium_requests),
    "queue_microseconds": _millionths(_columns.queue_seconds),
    "duration_microseconds": case((_went_on, _millionths(_columns.duration)), else_=0),
    "first_token_microseconds": _millionths(_columns.time_to_first_token),
    "bytes_in": _columns.bytes_in,
    "bytes_out": _columns.bytes_out,
}
EVENT_SUMS = {name: func.sum(_possible(_VALUES[name])) for name in COUNTERS}
EVENT_TIMES: dict[str, ColumnElement[Any]] = dict(
    zip(HISTOGRAMS, (case((_went_on, _columns.duration), else_=None), _columns.time_to_first_token), strict=True)
)
"""What each histogram counts; nothing where it is null."""
