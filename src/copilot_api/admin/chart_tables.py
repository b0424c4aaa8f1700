"""
The rows of the table that a chart stands for.

Pages of a week hold thousands of cells, and they hold nothing but numbers and times: a template takes three times as
long for them as this.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from markupsafe import Markup

from copilot_api.admin.components import Series
from copilot_api.admin.figures import Number, exact
from copilot_api.admin.moments import show_minute


def chart_rows(times: Sequence[datetime], series: Sequence[Series]) -> Markup:
    """One for each point in time, with each series' number."""
    columns = [map(_cell, each.values) for each in series]
    rows = (
        f'<tr><th scope="row">{show_minute(at)}</th>{"".join(cells)}</tr>'
        for at, *cells in zip(times, *columns, strict=True)
    )
    return Markup("\n".join(rows))  # noqa: S704 -- numbers, and elements that escape what they hold


@lru_cache(maxsize=16384)
def _cell(value: Number | None) -> str:
    """A page that is seen again has the same numbers, but for the newest."""
    return f'<td class="number">{exact(value)}</td>'
