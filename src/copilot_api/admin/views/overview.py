"""The first page: how things are, on one screen."""

import asyncio
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from copilot_api.admin import overview
from copilot_api.admin.answers import Answer, Page
from copilot_api.admin.components import Column
from copilot_api.admin.credit_words import describe_account
from copilot_api.admin.date_range import DateRange, range_url, read_range
from copilot_api.admin.figures import change
from copilot_api.admin.requests import AdminRequest
from copilot_api.admin.risk import MOST, describe_risk
from copilot_api.admin.services import PageServices
from copilot_api.gateway.under_way import CallUnderWay, Phase, list_under_way
from copilot_api.keys.names import KeyNames

CALLS_SHOWN = 50
_SLOW_SECONDS = 60.0
"""A call that has not begun to answer after that stands out."""
_PHASES = {
    Phase.READING: ("reading", ""),
    Phase.QUEUED: ("queued", "warn"),
    Phase.WAITING: ("waiting", "accent"),
    Phase.STREAMING: ("streaming", "good"),
    Phase.ENDING: ("ending", ""),
}
_CALL_COLUMNS = (
    Column("key", "Key"),
    Column("model", "Model"),
    Column("phase", "Phase", title="Queued here, waiting for Copilot's first token, or streaming"),
    Column("age", "Age", is_number=True),
    Column("ttft", "TTFT", is_number=True, title="Time to the first token"),
    Column("client", "Client"),
    Column("end", ""),
)
_KEY_COLUMNS = (
    Column("key", "Key"),
    Column("requests", "Requests", is_number=True),
    Column("credits", "Credits", is_number=True),
    Column("share", "Share", title="Of all credits in this range; of the requests where there are no credits"),
    Column("errors", "Errors", is_number=True),
)
_FAILURE_COLUMNS = (
    Column("cause", "Cause"),
    Column("count", "Calls", is_number=True),
    Column("who", "Whose doing"),
    Column("last", "Last"),
)


@dataclass(frozen=True, slots=True)
class _Call:
    """A call under way, as its row shows it."""

    call: CallUnderWay
    phase: str
    tone: str
    is_slow: bool


class OverviewView:
    """See the module."""

    def __init__(self, services: PageServices) -> None:
        self._services = services

    async def show(self, request: AdminRequest) -> Answer:
        """The page, or those parts of it that are asked for."""
        services, period = self._services, read_range(request.query, request.now).in_buckets()
        names, list_url = KeyNames(services.keys.list_known()), partial(range_url, period)
        data: dict[str, object] = {"period": period, "list_url": list_url, "names": names}
        if request.wants("tiles", "calls", "account"):
            data |= self._show_calls()
        for found in await asyncio.gather(*self._ask(request, period)):  # each waits for a thread of its own
            data |= found
        return Page("overview/page.html", data)

    def _ask(self, request: AdminRequest, period: DateRange) -> Iterator[Awaitable[dict[str, object]]]:
        if request.wants("tiles", "charts", "keys"):
            yield self._show_figures(period)
        if request.wants("keys"):
            yield self._show_keys(period)
        if request.wants("failures"):
            yield self._show_failures(period)
        if request.wants("charts"):
            yield self._show_marks(period)
        if request.wants("account"):
            yield self._show_account(request.now)
        if request.wants("news"):
            yield self._show_news(request.now)

    async def _show_keys(self, period: DateRange) -> dict[str, object]:
        return {"keys": await overview.ask_keys(self._services, period), "key_columns": _KEY_COLUMNS}

    async def _show_failures(self, period: DateRange) -> dict[str, object]:
        return {"failures": await overview.ask_failures(self._services, period), "failure_columns": _FAILURE_COLUMNS}

    async def _show_marks(self, period: DateRange) -> dict[str, object]:
        return {"marks": await overview.ask_marks(self._services, period)}

    async def _show_news(self, now: datetime) -> dict[str, object]:
        return {"changes": await overview.ask_changes(self._services, now)}

    def _show_calls(self) -> dict[str, object]:
        services = self._services
        now = services.clock.monotonic()
        calls = list_under_way(services.under_way, services.slots.places(), now)
        return {
            "calls": [_describe(call) for call in calls[:CALLS_SHOWN]],
            "calls_count": len(calls),
            "call_columns": _CALL_COLUMNS,
            "in_flight": services.slots.in_flight,
            "waiting": services.slots.waiting,
            "slots": services.slots.brake.slots(now),
            "risk": describe_risk(services.slots.brake, now),
            "most_risk": MOST,
        }

    async def _show_figures(self, period: DateRange) -> dict[str, object]:
        found = await overview.ask_figures(self._services, period)
        now, before = found.now, found.before
        return {
            "found": found,
            "tokens": _tokens(now),
            "error_share": _share(now),
            "changes_of": {
                "requests": change(now["requests"], before["requests"]),
                "tokens": change(_tokens(now), _tokens(before)),
                "credits": change(now["credits"], before["credits"]),
                "errors": change(_share(now), _share(before)),
                "ttft": change(_p95(now), _p95(before)),
            },
            "ttft": _p95(now),
        }

    async def _show_account(self, now: datetime) -> dict[str, object]:
        quota = self._services.quota
        reading = quota.reading
        if reading is None:
            failure = quota.failure
            return {"account": None, "account_failure": failure.message if failure is not None else None}
        report = await self._services.reports.get(reading)
        return {"account": describe_account(report, now), "account_failure": None, "read_at": reading.at}


def _describe(call: CallUnderWay) -> _Call:
    word, tone = _PHASES[call.phase]
    is_slow = call.phase in {Phase.WAITING, Phase.QUEUED} and call.age_seconds > _SLOW_SECONDS
    if call.queue_place is not None:
        word = f"{word}, place {call.queue_place}"
    return _Call(call, word, "bad" if is_slow else tone, is_slow)


def _tokens(row: dict[str, Any]) -> int:
    tokens: int = row["input_tokens"] + row["output_tokens"]
    return tokens


def _share(row: dict[str, Any]) -> float | None:
    """What part of the calls failed; None of none."""
    return row["errors"] / row["requests"] if row["requests"] else None


def _p95(row: dict[str, Any]) -> float | None:
    found: float | None = row["time_to_first_token"]["p95"]
    return found
