"""A chart's table has a row for each point, with every number as it is."""

from datetime import UTC, datetime, timedelta

import pytest

from copilot_api.admin.chart_tables import chart_rows
from copilot_api.admin.components import Series

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


def test_each_point_is_a_row_with_the_numbers_of_all_series() -> None:
    rows = chart_rows([NOON, NOON + timedelta(hours=1)], [Series("a", [1234, None]), Series("b", [0.5, 2])])
    first, second = str(rows).splitlines()
    assert first.startswith('<tr><th scope="row"><time datetime="2026-12-01T12:00:00Z"')
    assert first.endswith('<td class="number">1,234</td><td class="number">0.5</td></tr>')
    assert second.endswith('<td class="number">\u2013</td><td class="number">2</td></tr>')


def test_nothing_is_no_row() -> None:
    assert chart_rows([], [Series("a", [])]) == ""


def test_a_series_of_another_length_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="zip"):
        chart_rows([NOON], [Series("a", [1, 2])])
