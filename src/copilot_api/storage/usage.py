"""The ledger, in SQL."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from operator import itemgetter

import msgspec
from sqlalchemy import Connection, func, select

from copilot_api.admission.budget import NOTHING, Amounts
from copilot_api.storage.database import Database
from copilot_api.storage.erasures import replace_erased
from copilot_api.storage.instants import to_microseconds
from copilot_api.storage.rollups import RollupWriter, parts
from copilot_api.storage.schema import usage_events
from copilot_api.storage.usage_pages import UsagePages
from copilot_api.storage.usage_sums import UsageSums
from copilot_api.usage.filters import Condition, Match
from copilot_api.usage.models import UsageEvent
from copilot_api.usage.queries import Dimension, SumQuery, SumRow
from copilot_api.usage.repository import EventPage, EventQuery
from copilot_api.usage.rollups import RolledEvent
from copilot_api.usage.totals import name_sums, of_key

_MAX_INTEGER = 2**63 - 1
_FIELDS = UsageEvent.__struct_fields__
_AT, _KEY, _CAUSE = _FIELDS.index("at"), _FIELDS.index("key_id"), _FIELDS.index("cause")
_MANY_EVENTS = 5000
"""So many at once are a backlog."""
_Row = tuple[object, ...]
_rolled = itemgetter(*map(_FIELDS.index, RolledEvent._fields))
"""Of the columns of events those that rollups count, in their order."""
_columns = usage_events.c
_WENT_UPSTREAM = Condition(Dimension.IDENTITY.value, Match.IS_SET, ())


class SqlUsageRepository:
    """See `UsageRepository`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rollups = RollupWriter(database.backend)
        self._sums = UsageSums(database)
        self._pages = UsagePages(database)
        self._statement: str | None = None

    def add_events(self, events: Sequence[UsageEvent]) -> int:
        """See `UsageRepository`."""
        if not events:
            return 0
        rows = _render_rows(events)
        try:
            return self._insert(rows)
        except (OverflowError, UnicodeError):
            # One absurd number out of an answer must not keep its whole batch out of the ledger for ever.
            return self._insert([tuple([_storable(value) for value in row]) for row in rows])

    def list_events(
        self, since: datetime, until: datetime, conditions: tuple[Condition, ...] = ()
    ) -> Iterator[UsageEvent]:
        """See `UsageRepository`."""
        return self._pages.list_events(since, until, conditions)

    def get_page(self, query: EventQuery) -> EventPage:
        """See `UsageRepository`."""
        return self._pages.get_page(query)

    def find_event(self, request_id: str) -> UsageEvent | None:
        """See `UsageRepository`."""
        return self._pages.find_event(request_id)

    def sum_up(self, query: SumQuery) -> list[SumRow]:
        """See `UsageRepository`."""
        return self._sums.sum_up(query)

    def spent(self, key_id: str | None, since: datetime, until: datetime) -> Amounts:
        """See `SpentBefore`. What went upstream counts; of what never did there is nothing to count."""
        conditions = (_WENT_UPSTREAM,) if key_id is None else (_WENT_UPSTREAM, of_key(key_id))
        rows = self.sum_up(SumQuery(since, until, conditions=conditions))
        if not rows:
            return NOTHING
        spent = name_sums(rows[0].sums)
        tokens = spent["input_tokens"] + spent["output_tokens"] + spent["estimated_tokens"]
        return (spent["nano_aiu"], spent["micro_premium_requests"] / 1_000_000, tokens, spent["requests"])

    def _insert(self, rows: list[_Row]) -> int:
        # SQLAlchemy writes the statement once and the driver takes the rows: what Core does to each of them costs more
        # than storing it, and this runs for every call that the gateway serves.
        with self._database.begin() as connection:
            new = _without_known(connection, replace_erased(connection, rows, _KEY))
            if not new:
                return 0
            columns = list(zip(*new, strict=True))
            if len(new) >= _MANY_EVENTS:
                self._database.backend.expect_much(connection)
            ids = self._rollups.add(connection, _rolled(columns))
            if self._statement is None:
                self._statement = _compile_insert(connection)
            connection.exec_driver_sql(self._statement, list(zip(*columns, ids, strict=True)))
        return len(new)


def _compile_insert(connection: Connection) -> str:
    names = [*_FIELDS, "series_id"]
    statement = usage_events.insert().values(dict.fromkeys(names, None))
    compiled = statement.compile(dialect=connection.dialect, column_keys=names)
    if list(compiled.positiontup or ()) != names:
        raise TypeError("the ledger's columns are not in the order of an event's fields")
    return str(compiled)


def _without_known(connection: Connection, rows: list[_Row]) -> list[_Row]:
    """The rows whose request ids are not in the ledger, each once."""
    wanted = {str(row[0]): row for row in reversed(rows)}  # the first of an id counts
    newest = connection.scalar(select(func.max(_columns.request_id)))
    if newest is not None:
        # Ids are in the order of arrival, so that of most nothing needs to be asked.
        old = [request_id for request_id in wanted if request_id <= newest]
        for part in parts(old):
            for known in connection.scalars(select(_columns.request_id).where(_columns.request_id.in_(part))):
                del wanted[known]
    return list(reversed(wanted.values()))


def _render_rows(events: Sequence[UsageEvent]) -> list[_Row]:
    """The events' values in the order of their fields, which is that of the columns."""
    columns: list[Sequence[object]] = list(zip(*map(msgspec.structs.astuple, events), strict=True))
    columns[_AT] = [_read_time(event.at) for event in events]
    columns[_CAUSE] = [event.cause.value for event in events]
    return list(zip(*columns, strict=True))


def _read_time(text: str) -> int:
    at = datetime.fromisoformat(text)
    return to_microseconds(at if at.tzinfo else at.replace(tzinfo=UTC))


def _storable(value: object) -> object:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, int):
        return max(-_MAX_INTEGER, min(value, _MAX_INTEGER))
    return value
