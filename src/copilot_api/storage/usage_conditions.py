"""Conditions on events as SQL, on the events themselves or on the series that count them."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Table, and_, false, not_, or_

from copilot_api.usage.filters import Condition, Match


def render_conditions(table: Table, conditions: Iterable[Condition]) -> list[ColumnElement[bool]]:
    """One expression for each."""
    return [_render(table, condition) for condition in conditions]


def _render(table: Table, condition: Condition) -> ColumnElement[bool]:
    column = table.c[condition.column]
    found = _render_match(column, condition)
    if not condition.is_negated:
        return found
    # What is not there is not of any value, which SQL does not say by itself.
    return not_(found) if condition.match is Match.IS_SET else or_(column.is_(None), not_(found))


def _render_match(column: ColumnElement[object], condition: Condition) -> ColumnElement[bool]:
    values = condition.values
    match condition.match:
        case Match.IS_SET:
            return column.is_not(None)
        case Match.IS:
            return column.in_(values) if values else false()
        case Match.CONTAINS:
            return or_(*(column.icontains(str(value), autoescape=True) for value in values)) if values else false()
        case Match.AT_LEAST:
            return and_(*(column >= value for value in values))
        case Match.MORE_THAN:
            return and_(*(column > value for value in values))
        case Match.AT_MOST:
            return and_(*(column <= value for value in values))
        case Match.LESS_THAN:
            return and_(*(column < value for value in values))
