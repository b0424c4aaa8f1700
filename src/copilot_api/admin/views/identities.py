"""Whose GitHub credential calls ride on: how it stands with it, and letting calls go on after a stop."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from copilot_api.admin.answers import Answer, Page, Redirect
from copilot_api.admin.components import Column, Limit, Series
from copilot_api.admin.credit_words import AccountWords, describe_account
from copilot_api.admin.links import page_url
from copilot_api.admin.model_lists import News, make_news
from copilot_api.admin.requests import AdminRequest
from copilot_api.admin.risk import MOST, describe_risk
from copilot_api.admin.services import PageServices
from copilot_api.api.operations.account import AccountStanding
from copilot_api.api.sign_in import Asker, SignInNotFound, SignInUnderWay
from copilot_api.audit.lines import AuditRecord
from copilot_api.audit.search import AuditQuery
from copilot_api.upstream.drift import CatalogChange
from copilot_api.upstream.identities import DEFAULT_IDENTITY

PATH = "/admin/identities"
FRESH_SECONDS = 2.0
DRIFT_FOR, DRIFT_SHOWN = timedelta(days=30), 12
_LEAST_READINGS = 2
SIGNALS_SHOWN, _SIGNAL_LINES = 8, 5_000
_NEWS_SECONDS = 20.0
_ALLOWANCE_COLUMNS = (
    Column("name", "Allowance"),
    Column("used", "Used", is_number=True),
    Column("of", "Of", is_number=True),
    Column("left", "Left"),
    Column("resets", "Resets"),
)
_DONE = {
    "resumed": "Resumed. Calls go out again within a second or two, one at a time to begin with.",
    "not-stopped": "It was not stopped: nothing was changed.",
    "signing-in": "GitHub gave a code: type it on GitHub's page.",
    "cancelled": "No login is under way: nothing was changed.",
}


@dataclass(frozen=True, slots=True)
class _Use:
    """How the allowance was used up since the readings begin, for a chart."""

    times: list[datetime]
    series: list[Series]
    limits: list[Limit]
    unit: str


class IdentityViews:
    """See the module. There is one identity for now, the default one."""

    def __init__(self, services: PageServices) -> None:
        self._services = services

    async def show(self, request: AdminRequest) -> Answer:
        """The page, or those parts of it that are asked for."""
        data: dict[str, object] = {"done": _DONE.get(request.query.get("done"))}
        if request.wants("standing"):
            data |= await self._show_standing(request.now)
        if request.wants("sign_in"):
            data |= self._show_sign_in()
        if request.wants("news"):
            data |= await self._show_news(request.now)
        return Page("identities/page.html", data)

    async def sign_in(self, request: AdminRequest) -> Answer:
        """Begins a login at GitHub; the page shows the code. One that is under way already is shown as well."""
        by = Asker(request.key.id, request.origin)
        with suppress(SignInUnderWay):
            await self._services.sign_ins.start(request.parameters["id"], by)
        return Redirect(page_url(PATH, (), done="signing-in") + "#sign-in")

    async def cancel_sign_in(self, request: AdminRequest) -> Answer:
        """Ends the login, or forgets what became of it."""
        with suppress(SignInNotFound):
            await self._services.sign_ins.cancel(request.parameters["id"])
        return Redirect(page_url(PATH, (), done="cancelled") + "#sign-in")

    def _show_sign_in(self) -> dict[str, object]:
        sign_ins = self._services.sign_ins
        login = sign_ins.current
        return {
            "sign_in": login,
            "code_ends_at": None if login is None else _moment(login.expires_at),
            "may_sign_in": sign_ins.may_start,
        }

    async def resume(self, request: AdminRequest) -> Answer:
        """Lets calls go out again after the account was flagged."""
        services, identity_id = self._services, request.parameters["id"]
        resumed = await services.identities.resume(identity_id, request.key.id, request.origin)
        return Redirect(page_url(PATH, (), done="resumed" if resumed.was_stopped else "not-stopped"))

    async def _show_standing(self, now: datetime) -> dict[str, object]:
        services = self._services
        found = await services.recent.get("identities", FRESH_SECONDS, services.identities.list_all)
        identity = found.identities[0] if found.identities else None
        brake = services.slots.brake
        expires_at = None if identity is None else identity.token.expires_at
        quota = None if identity is None else identity.quota
        return {
            "identity": identity,
            "expires_at": _moment(expires_at),
            "account": await self._describe_account(now),
            "read_at": None if services.quota.reading is None else services.quota.reading.at,
            "resets": {} if quota is None else {each.name: _moment(each.resets_at) for each in quota.snapshots},
            "use": None if quota is None else _chart_use(quota),
            "allowance_columns": _ALLOWANCE_COLUMNS,
            "risk": describe_risk(brake, services.clock.monotonic()),
            "most_risk": MOST,
        }

    async def _describe_account(self, now: datetime) -> AccountWords | None:
        reading = self._services.quota.reading
        return None if reading is None else describe_account(await self._services.reports.get(reading), now)

    async def _show_news(self, now: datetime) -> dict[str, object]:
        services, since = self._services, now - DRIFT_FOR

        def find() -> tuple[list[AuditRecord], list[tuple[CatalogChange, News]]]:
            query = AuditQuery(since=since, target=DEFAULT_IDENTITY)
            signals = services.audit.get_page(query, SIGNALS_SHOWN, _SIGNAL_LINES).events
            changes = services.catalogs.list_changes(since, DRIFT_SHOWN)
            return signals, [(change, make_news(change)) for change in changes]

        signals, changes = await services.recent.get(
            ("identities", "news", services.state()), _NEWS_SECONDS, lambda: services.threads.ask(find)
        )
        return {"signals": signals, "changes": changes}


def _chart_use(quota: AccountStanding) -> _Use | None:
    """How the use of the allowance grew; None before there is a line to draw."""
    readings = quota.readings
    if len(readings) < _LEAST_READINGS:
        return None
    last = readings[-1].entitlement
    return _Use(
        [datetime.fromisoformat(each.at) for each in readings],
        [Series("used", [each.used for each in readings])],
        [Limit(last, "allowance")] if last else [],
        quota.unit or "requests",
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
