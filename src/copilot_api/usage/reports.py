"""What people and programs ask of the ledger, in the shapes that they are promised."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TypedDict

from copilot_api.upstream.prices import NANO_PER_CREDIT
from copilot_api.usage.filters import Condition
from copilot_api.usage.totals import Group, Summing, UsageTotals, add_totals, list_totals

Row = dict[str, str | int | float | None]
"""One group's sums, by name; `group` says whose, and of a key `label` too. The row of the total has neither."""


class Report(TypedDict):
    """The usage of a period."""

    since: str
    until: str
    rows: list[Row]
    total: Row


def report_usage(
    ledger: Summing,
    since: datetime,
    until: datetime,
    group: Group,
    *,
    key_id: str | None = None,
    conditions: tuple[Condition, ...] = (),
    labels: Mapping[str, str] | None = None,
) -> Report:
    """The usage of a period by group. With `labels`, by key id, each row of a key says its label too."""
    totals = list_totals(ledger, since, until, group, key_id=key_id, conditions=conditions)
    rows = [render_totals(row) for row in totals]
    if group is Group.KEY and labels is not None:
        for row in rows:
            row["label"] = labels.get(str(row["group"]))
    total = render_totals(add_totals(totals))
    del total["group"]
    return {"since": since.isoformat(), "until": until.isoformat(), "rows": rows, "total": total}


def render_totals(totals: UsageTotals) -> Row:
    """One row of a report; the charge is in AI credits."""
    row: Row = asdict(totals)
    premium_requests = row.pop("premium_requests")
    del row["nano_aiu"]
    return {**row, "credits": totals.nano_aiu / NANO_PER_CREDIT, "premium_requests": premium_requests}
