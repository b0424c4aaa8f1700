"""What is declared of how it stands."""

from dataclasses import fields
from datetime import UTC, datetime

import msgspec

from copilot_api.api.operations.ledger import Sums
from copilot_api.api.operations.standing import CapturesStanding, DatabaseStanding, Period
from copilot_api.observability.metric_families import CaptureStanding
from copilot_api.usage.explorer import render_sums
from copilot_api.usage.rollups import COUNTERS, HISTOGRAMS
from copilot_api.usage.upkeep import LedgerState

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


def test_a_period_without_calls_is_one_like_any_other() -> None:
    nothing = render_sums([0] * (len(COUNTERS) + len(HISTOGRAMS)), has_percentiles=True)
    period = Period(NOW, NOW, msgspec.convert(nothing, Sums))
    assert msgspec.json.decode(msgspec.json.encode(period), type=Period) == period


def test_all_that_is_counted_of_captures_and_known_of_the_ledger_is_told() -> None:
    assert {field.name for field in fields(CaptureStanding)} <= set(CapturesStanding.__struct_fields__)
    names = {field.name for field in fields(LedgerState)} - {"total_bytes"}
    assert names <= set(DatabaseStanding.__struct_fields__)
