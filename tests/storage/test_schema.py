import msgspec
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from copilot_api.storage.schema import metadata, usage_events
from copilot_api.usage.models import UsageEvent


def test_the_ledger_has_a_column_for_every_field_of_an_event_in_its_order() -> None:
    """And behind them the series that it counts in."""
    assert tuple(usage_events.columns.keys()) == (*UsageEvent.__struct_fields__, "series_id")


def test_a_column_may_be_empty_exactly_where_its_field_may_be_none() -> None:
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(UsageEvent)}
    optional = {name for name, kind in fields.items() if "None" in str(kind)}
    assert {column.name for column in usage_events.columns if column.nullable} == {*optional, "series_id"}


def test_what_was_added_to_the_ledger_stands_at_its_end() -> None:
    """A database that was migrated has it there; one that is new must not differ, since rows are stored by place."""
    added = ["nano_aiu_estimated", "estimated_tokens", "would_limit", "fallback_from", "kind", "series_id"]
    assert list(usage_events.columns.keys())[-6:] == added
    assert all(usage_events.c[name].nullable or usage_events.c[name].server_default is not None for name in added)


def test_every_table_can_be_made_in_postgresql_too() -> None:
    for table in metadata.sorted_tables:
        assert str(CreateTable(table).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
