"""One period in numbers, to the microsecond: what a page's tiles show, beside the period before."""

from datetime import datetime
from typing import Any

from copilot_api.usage.explorer import render_sums
from copilot_api.usage.filters import Condition
from copilot_api.usage.queries import SumQuery
from copilot_api.usage.rollups import COUNTERS, HISTOGRAMS
from copilot_api.usage.totals import Summing


def summarise(
    ledger: Summing,
    since: datetime,
    until: datetime,
    conditions: tuple[Condition, ...] = (),
    *,
    counters: tuple[str, ...] = COUNTERS,
    histograms: tuple[str, ...] = HISTOGRAMS,
) -> dict[str, Any]:
    """
    Every metric of a period and its percentiles; see `render_sums`. What comes of no counter or histogram that is asked
    for is 0 or None: the fewer there are, the sooner it is known.
    """
    query = SumQuery(since, until, conditions=conditions, histograms=histograms, counters=counters)
    rows = ledger.sum_up(query)
    sums = rows[0].sums if rows else [0] * (len(COUNTERS) + len(HISTOGRAMS))
    return render_sums(sums, has_percentiles=True)
