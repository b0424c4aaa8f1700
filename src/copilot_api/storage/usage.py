"""The ledger, in SQL."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Double, RowMapping, and_, case, cast, func, or_, select

from copilot_api.admission.budget import Amounts
from copilot_api.storage.database import Database
from copilot_api.storage.instants import from_microseconds, to_microseconds
from copilot_api.storage.schema import usage_events
from copilot_api.usage.models import Cause, UsageEvent
from copilot_api.usage.repository import Group, Traffic, UsageTotals

_DAY = 86_400 * 1_000_000
_PAGE_ROWS = 1_000
_MAX_INTEGER = 2**63 - 1

_FIELDS = UsageEvent.__struct_fields__
_AT, _CAUSE = _FIELDS.index("at"), _FIELDS.index("cause")

_columns = usage_events.c
_groups: dict[Group, ColumnElement[object]] = {
    Group.KEY: _columns.key_id,
    Group.MODEL: _columns.model,
    Group.CLIENT: _columns.client,
    Group.DAY: _columns.at // _DAY,
}
_is_error = or_(_columns.status >= 400, _columns.cause.not_in([Cause.OK.value, Cause.CLIENT_ABORTED.value]))


class SqlUsageRepository:
    """See `UsageRepository`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statement: str | None = None

    def add_events(self, events: Sequence[UsageEvent]) -> int:
        """See `UsageRepository`."""
        if not events:
            return 0
        rows = [_render_row(event) for event in events]
        try:
            return self._insert(rows)
        except (OverflowError, UnicodeError):
            # One absurd number out of an answer must not keep its whole batch out of the ledger for ever.
            return self._insert([tuple([_storable(value) for value in row]) for row in rows])

    def list_events(self, since: datetime, until: datetime, key_id: str | None = None) -> Iterator[UsageEvent]:
        """See `UsageRepository`."""
        last_at, last_id = to_microseconds(since), ""
        while True:
            page = self._fetch_page(last_at, last_id, to_microseconds(until), key_id)
            yield from (_parse_event(row) for row in page)
            if len(page) < _PAGE_ROWS:
                return
            last_at, last_id = page[-1]["at"], page[-1]["request_id"]

    def totals(self, since: datetime, until: datetime, group: Group, key_id: str | None = None) -> list[UsageTotals]:
        """See `UsageRepository`."""
        by = _groups[group]
        statement = (
            select(
                by.label("group"),
                func.count().label("requests"),
                func.sum(case((_is_error, 1), else_=0)).label("errors"),
                *(_sum(name) for name in _SUMMED),
                func.count(_columns.would_limit).label("would_limit"),
            )
            .where(*_in_period(to_microseconds(since), to_microseconds(until), key_id))
            .group_by(by)
            .order_by(by)
        )
        with self._database.connect() as connection:
            return [_parse_totals(row, group) for row in connection.execute(statement).mappings()]

    def spent(self, key_id: str | None, since: datetime, until: datetime) -> Amounts:
        """See `SpentBefore`. What went upstream counts; of what never did there is nothing to count."""
        # Absurd numbers out of answers are in the ledger too, and sums of integers that overflow are errors.
        inputs, outputs, estimates, nano_aiu = (
            cast(column, Double)
            for column in (_columns.input_tokens, _columns.output_tokens, _columns.estimated_tokens, _columns.nano_aiu)
        )
        statement = select(
            func.coalesce(func.sum(nano_aiu), 0.0),
            func.coalesce(func.sum(_columns.premium_requests), 0.0),
            func.coalesce(func.sum(inputs + outputs + estimates), 0.0),
            func.count(),
        ).where(*_in_period(to_microseconds(since), to_microseconds(until), key_id), _columns.identity_id.is_not(None))
        with self._database.connect() as connection:
            charged, premium_requests, tokens, requests = connection.execute(statement).one()
        return (int(charged), float(premium_requests), int(tokens), int(requests))

    def traffic(self, since: datetime, until: datetime) -> list[Traffic]:
        """See `UsageRepository`."""
        by = (_columns.key_id, _columns.model, _columns.endpoint, _went_to)
        statement = (
            select(
                *by,
                func.count().label("requests"),
                func.sum(case((_is_measured, 1), else_=0)).label("measured_requests"),
                *(func.sum(case((_is_measured, cast(_columns[name], Double)))).label(name) for name in _TRAFFIC_SUMS),
            )
            .where(*_in_period(to_microseconds(since), to_microseconds(until), None), _tells_of_the_model)
            .group_by(*by)
        )
        with self._database.connect() as connection:
            return [_parse_traffic(row) for row in connection.execute(statement).mappings()]

    def _insert(self, rows: list[tuple[object, ...]]) -> int:
        # SQLAlchemy writes the statement once and the driver takes the rows: what Core does to each of them costs more
        # than storing it, and this runs for every call that the gateway serves.
        with self._database.begin() as connection:
            if self._statement is None:
                statement = self._database.backend.insert_new(usage_events).values(dict.fromkeys(_FIELDS, None))
                compiled = statement.compile(dialect=connection.dialect, column_keys=list(_FIELDS))
                if tuple(compiled.positiontup or ()) != _FIELDS:
                    raise TypeError("the ledger's columns are not in the order of an event's fields")
                self._statement = str(compiled)
            return connection.exec_driver_sql(self._statement, rows).rowcount

    def _fetch_page(self, last_at: int, last_id: str, until: int, key_id: str | None) -> Sequence[RowMapping]:
        statement = (
            select(usage_events)
            .where(*_in_period(last_at, until, key_id), or_(_columns.at > last_at, _columns.request_id > last_id))
            .order_by(_columns.at, _columns.request_id)
            .limit(_PAGE_ROWS)
        )
        with self._database.connect() as connection:
            return connection.execute(statement).mappings().all()


_SUMMED = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "nano_aiu",
    "premium_requests",
)


_TRAFFIC_SUMS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "nano_aiu")
_is_upstream = _columns.identity_id.is_not(None)
_is_measured = and_(_is_upstream, _columns.usage_unknown.is_(False))
_went_to = case((_is_upstream, _columns.upstream_model)).label("upstream_model")
"""A call that was refused went to no model."""
_tells_of_the_model = and_(
    _columns.key_id.is_not(None),
    _columns.model.is_not(None),
    or_(_is_upstream, _columns.cause.in_([Cause.MODEL_NOT_FOUND.value, Cause.MODEL_NOT_ALLOWED.value])),
)


def _sum(name: str) -> ColumnElement[object]:
    return func.coalesce(func.sum(_columns[name]), 0).label(name)


def _in_period(since: int, until: int, key_id: str | None) -> list[ColumnElement[bool]]:
    conditions = [_columns.at >= since, _columns.at < until]
    return conditions if key_id is None else [*conditions, _columns.key_id == key_id]


def _render_row(event: UsageEvent) -> tuple[object, ...]:
    """The event's values in the order of its fields, which is that of the columns."""
    row = list(msgspec.structs.astuple(event))
    at = datetime.fromisoformat(event.at)
    row[_AT] = to_microseconds(at if at.tzinfo else at.replace(tzinfo=UTC))
    row[_CAUSE] = event.cause.value
    return tuple(row)


def _parse_event(row: RowMapping) -> UsageEvent:
    values: dict[str, Any] = {**row, "at": from_microseconds(row["at"]).isoformat(), "cause": Cause(row["cause"])}
    return UsageEvent(**values)


def _parse_totals(row: RowMapping, group: Group) -> UsageTotals:
    values: dict[str, Any] = dict(row)
    if group is Group.DAY:
        values["group"] = from_microseconds(row["group"] * _DAY).date().isoformat()
    return UsageTotals(**values)


def _parse_traffic(row: RowMapping) -> Traffic:
    sums = {name: None if row[name] is None else int(row[name]) for name in _TRAFFIC_SUMS}
    tokens = {name: sums[name] or 0 for name in _TRAFFIC_SUMS if name != "nano_aiu"}
    values: dict[str, Any] = {**row, **sums, **tokens}
    return Traffic(**values)


def _storable(value: object) -> object:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, int):
        return max(-_MAX_INTEGER, min(value, _MAX_INTEGER))
    return value
