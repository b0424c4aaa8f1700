"""What the holder of a key wants to know: what is left of each limit, what was used, and whether anybody records."""

from datetime import datetime

from copilot_api.admin import key_usage
from copilot_api.admin.answers import Answer, Page
from copilot_api.admin.causes import words_of
from copilot_api.admin.components import Column
from copilot_api.admin.date_range import DateRange, read_range
from copilot_api.admin.figures import change
from copilot_api.admin.model_names import list_names
from copilot_api.admin.requests import AdminRequest
from copilot_api.admin.services import PageServices
from copilot_api.keys.models import ApiKey
from copilot_api.upstream.prices import NANO_PER_CREDIT
from copilot_api.usage.repository import EventQuery

CALLS_SHOWN = 10
_AGE_SECONDS = 5.0
_BLOCKS = ("limits", "tiles", "charts", "calls")
_COLUMNS = (
    Column("at", "Time"),
    Column("model", "Model"),
    Column("outcome", "Outcome"),
    Column("tokens", "Tokens", is_number=True, title="In and out"),
    Column("credits", "Credits", is_number=True),
    Column("duration", "Time taken", is_number=True),
    Column("client", "Client"),
)


class MyUsageView:
    """See the module."""

    def __init__(self, services: PageServices) -> None:
        self._services = services

    async def show(self, request: AdminRequest) -> Answer:
        """The page about the key of whoever asks, and no other."""
        services, key = self._services, request.key
        period = read_range(request.query, request.now, "30d")
        data: dict[str, object] = {
            "key": key,
            "period": period,
            "capture": key.capture_at(request.now) if services.may_capture() else None,
        }
        is_whole = request.wants_whole(*_BLOCKS)
        if is_whole or request.wants("limits"):
            standings = await key_usage.ask_standings(services, [key])
            data["standings"] = standings.get(key.id, [])
        if is_whole or request.wants("tiles", "charts"):
            data |= await self._show_figures(key, period)
        if is_whole or request.wants("calls"):
            data |= {"calls": await self._find_calls(key, period), "columns": _COLUMNS}
        if is_whole:
            data["models"] = list_names(services, request.now, key)
        return Page("my_usage/page.html", data)

    async def _show_figures(self, key: ApiKey, period: DateRange) -> dict[str, object]:
        found = await key_usage.ask_figures(self._services, key.id, period)
        now, before = found.now, found.before
        tokens = [row["input_tokens"] + row["output_tokens"] for row in (now, before)]
        return {
            "found": found,
            "tokens": tokens[0],
            "error_share": now["errors"] / now["requests"] if now["requests"] else None,
            "changes_of": {
                "requests": change(now["requests"], before["requests"]),
                "tokens": change(*tokens),
                "credits": change(now["credits"], before["credits"]),
            },
        }

    async def _find_calls(self, key: ApiKey, period: DateRange) -> list[dict[str, object]]:
        """The newest of the period, as far as they are found at once."""
        services = self._services
        query = EventQuery(period.since, period.until, (key_usage.of_key(key.id),), CALLS_SHOWN)

        async def find() -> list[dict[str, object]]:
            page = await services.threads.ask(lambda: services.ledger.get_page(query))
            return [
                {
                    "event": event,
                    "at": datetime.fromisoformat(event.at),
                    "words": words_of(event.cause),
                    "tokens": event.input_tokens + event.output_tokens,
                    "credits": None if event.nano_aiu is None else event.nano_aiu / NANO_PER_CREDIT,
                }
                for event in page.events
            ]

        times = (period.since, period.until) if period.is_custom else (services.events_stored(),)
        return await services.recent.get(("my-usage", key.id, period.name, *times), _AGE_SECONDS, find)
