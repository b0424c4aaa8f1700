"""
The waste report: what calls were for that nobody wrote, by what kind of call it was and which program made it.

Warm-ups, titles, probes and summaries are a client's own doing, and cost like any other call. Which call is which is
recognised when it comes in, by a table of what clients are seen to send (`copilot_api.gateway.kinds`).
"""

from datetime import datetime
from typing import Any

from copilot_api.upstream.prices import NANO_PER_CREDIT
from copilot_api.usage.filters import Condition
from copilot_api.usage.queries import Dimension, SumQuery, SumRow
from copilot_api.usage.totals import Summing, name_sums

ASKED_FOR = frozenset({"turn", "embeddings"})
"""What somebody asked for: everything else is overhead."""


def report_waste(
    ledger: Summing, since: datetime, until: datetime, conditions: tuple[Condition, ...] = ()
) -> dict[str, Any]:
    """Each kind of each program with its share of all, the dearest first, and what overhead there is together."""
    group = (Dimension.KIND, Dimension.CLIENT)
    rows = ledger.sum_up(SumQuery(since, until, group, conditions=conditions))
    total = _add(rows)
    shown: list[dict[str, Any]] = [
        {"kind": row.group[0], "client": row.group[1], **_render(_add([row]), total)} for row in rows
    ]
    shown.sort(key=lambda row: (-row["credits"], -row["requests"], row["kind"], row["client"]))
    return {
        "since": since.isoformat(),
        "until": until.isoformat(),
        "rows": shown,
        "overhead": _render(_add([row for row in rows if row.group[0] not in ASKED_FOR]), total),
        "total": _render(total, total),
    }


def _add(rows: list[SumRow]) -> dict[str, int]:
    sums = [name_sums(row.sums) for row in rows]
    names = ("requests", "input_tokens", "output_tokens", "nano_aiu")
    return {name: sum(each[name] for each in sums) for name in names}


def _render(sums: dict[str, int], total: dict[str, int]) -> dict[str, Any]:
    return {
        "requests": sums["requests"],
        "share_of_requests": _share(sums["requests"], total["requests"]),
        "input_tokens": sums["input_tokens"],
        "output_tokens": sums["output_tokens"],
        "credits": sums["nano_aiu"] / NANO_PER_CREDIT,
        "share_of_credits": _share(sums["nano_aiu"], total["nano_aiu"]),
    }


def _share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0
