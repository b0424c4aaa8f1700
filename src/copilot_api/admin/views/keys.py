"""The keys: all of them in a list, and one with its usage, its limits and what was done about it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import cast

from copilot_api.admin import key_usage
from copilot_api.admin.answers import Answer, Page
from copilot_api.admin.components import Choice, Column, Tone
from copilot_api.admin.date_range import range_url, read_range
from copilot_api.admin.figures import change
from copilot_api.admin.key_effects import LAST_ADMIN, Revocation, count_calls, foresee_revocation
from copilot_api.admin.key_lists import ALL, ENDED, USABLE, KeyChoice, KeyListing, list_keys, read_key_choice
from copilot_api.admin.key_usage import RecentUse
from copilot_api.admin.links import page_url, sort_url
from copilot_api.admin.once import make_form_id
from copilot_api.admin.positions import read_trail
from copilot_api.admin.requests import AdminRequest
from copilot_api.admin.services import PageServices
from copilot_api.admin.standings import Standing, find_tightest
from copilot_api.audit.lines import AuditRecord
from copilot_api.audit.search import AuditPage, AuditQuery
from copilot_api.gateway.under_way import list_under_way
from copilot_api.keys.documents import name_status
from copilot_api.keys.models import ApiKey, Tier
from copilot_api.keys.names import KeyNames
from copilot_api.keys.service import KeyNotFound
from copilot_api.keys.sessions import Session

LINES_SHOWN = 12
MOST_LINES = 1000
"""So many lines of the audit log are looked through at most for those about a key."""
SOON = timedelta(days=7)
"""A key that expires within that stands out."""
MOST_SESSIONS = 500
_BLOCKS = ("tiles", "charts", "limits", "calls")
"""The parts of the page of a key that renew themselves."""
_TABS = {USABLE: "In use", ENDED: "Ended", ALL: "All"}
_DONE = {
    "revoked": "Revoked: refused from the next call on.",
    "saved": "Saved, and in force from the next call on.",
    "unchanged": "Nothing was different, so nothing was changed.",
    "capture": "The calls of this key are captured from now on.",
    "capture-ended": "The calls of this key are not captured any more.",
    "again": "That form was sent already. What it did stands here; a secret is shown once only.",
    "erased": "Erased.",
}
"""What a form just did, by the word in the URL behind it."""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key, as its row shows it."""

    key: ApiKey
    status: str
    tone: Tone
    expires_soon: bool
    use: RecentUse | None
    tightest: Standing | None
    """The fullest of its limits; None where it has none, or it is not known yet."""
    is_captured: bool


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the audit log about a key."""

    action: str
    at: datetime
    actor: str
    reason: str
    changes: tuple[tuple[str, object, object], ...]
    """Fields with what they said before and after."""


class KeyViews:
    """See the module."""

    def __init__(self, services: PageServices) -> None:
        self._services = services

    # All of them ----------------------------------------------------------------------------------------------------

    async def browse(self, request: AdminRequest) -> Answer:
        """The list."""
        services, now = self._services, request.now
        choice = read_key_choice(request.query)
        listing = list_keys(services.keys.list_known(), choice, now)
        rows: list[KeyRow] = []
        if request.wants_whole() or request.wants("keys"):
            rows = await self._make_rows(listing.keys, now)
        fields = [(name, value) for name, value in request.query if name != "done"]
        data: dict[str, object] = {
            "choice": choice,
            "tabs": _list_tabs(request, choice, listing),
            "tiers": _list_tiers(request, choice),
            "rows": rows,
            "days": key_usage.DAYS,
            "columns": _list_columns(request, choice),
            "pages": read_trail(request.query).make_pager(request.path, fields, _count(listing), listing.next),
            "keep": [(name, value) for name, value in fields if name not in {"q", "after", "back"}],
            "done": _DONE.get(request.query.get("done")),
            "base_url": request.arrival.base_url,
        }
        return Page("keys/list.html", data)

    async def _make_rows(self, keys: list[ApiKey], now: datetime) -> list[KeyRow]:
        services = self._services
        used = await key_usage.ask_recent_use(services, [key.id for key in keys], now)
        limited = [key for key in keys if key.is_valid_at(now) and _has_limits(key)]
        standings = await key_usage.ask_standings(services, limited)
        may_capture = services.may_capture()
        return [
            KeyRow(
                key,
                name_status(key, now),
                tone_of(key, now),
                is_expiring(key, now),
                used.get(key.id),
                find_tightest(standings.get(key.id, ())),
                may_capture and key.capture_at(now) is not None,
            )
            for key in keys
        ]

    # One of them ----------------------------------------------------------------------------------------------------

    async def show(self, request: AdminRequest) -> Answer:
        """One key by its id."""
        key = find_key(self._services, request.parameters["id"])
        return await self.show_key(request, key)

    async def show_key(self, request: AdminRequest, key: ApiKey, problems: dict[str, str] | None = None) -> Page:
        """The page of a key; `problems` are those of a form of it that was just sent, by field."""
        services, now = self._services, request.now
        period = read_range(request.query, now, "7d")
        data: dict[str, object] = {
            "key": key,
            "period": None if problems else period,  # its links lead back to the URL that a form was sent to
            "names": KeyNames(services.keys.list_known()),
            "list_url": partial(range_url, period),
            "status": name_status(key, now),
            "tone": tone_of(key, now),
            "expires_soon": is_expiring(key, now),
            "may_capture": services.may_capture(),
            "capture": key.capture_at(now) if services.may_capture() else None,
            "old_secrets_end_at": services.keys.list_overlaps(key.id, now),
            "may_erase": services.privacy is not None,
            "is_own": key.id == request.key.id,
            "problems": problems or {},
            "typed": dict(request.form) if problems else {},
            "form_id": make_form_id(),
            "last_admin": LAST_ADMIN,
            "done": _DONE.get(request.query.get("done")),
        }
        is_whole = request.wants_whole(*_BLOCKS)
        if is_whole or request.wants("tiles", "charts"):
            data |= await self._show_figures(key, request)
        if is_whole or request.wants("limits"):
            standings = await key_usage.ask_standings(services, [key])
            data["standings"] = standings.get(key.id, [])
        if is_whole or request.wants("calls"):
            data["calls"] = self._list_calls(key.id)
        if is_whole:
            lines = await services.threads.ask(lambda: self._find_lines(key.id))
            revocation = await self.foresee(request, [key])
            data |= {
                "lines": [_make_line(record) for record in lines.events],
                "has_more_lines": lines.next is not None,
                "revocation": revocation,
            }
        return Page("keys/detail.html", data, 400 if problems else 200)

    async def _show_figures(self, key: ApiKey, request: AdminRequest) -> dict[str, object]:
        found = await key_usage.ask_figures(self._services, key.id, read_range(request.query, request.now, "7d"))
        now, before = found.now, found.before
        tokens = [row["input_tokens"] + row["output_tokens"] for row in (now, before)]
        shares = [row["errors"] / row["requests"] if row["requests"] else None for row in (now, before)]
        times = [row["time_to_first_token"]["p95"] for row in (now, before)]
        return {
            "found": found,
            "tokens": tokens[0],
            "error_share": shares[0],
            "ttft": times[0],
            "changes_of": {
                "requests": change(now["requests"], before["requests"]),
                "tokens": change(*tokens),
                "credits": change(now["credits"], before["credits"]),
                "errors": change(*shares),
                "ttft": change(*times),
            },
        }

    def _list_calls(self, key_id: str) -> list[object]:
        services = self._services
        own = {name: record for name, record in services.under_way.items() if record.event.key_id == key_id}
        return [*list_under_way(own, services.slots.places(), services.clock.monotonic())]

    def _find_lines(self, key_id: str) -> AuditPage:
        return self._services.audit.get_page(AuditQuery(target=key_id), LINES_SHOWN, max_lines=MOST_LINES)

    async def foresee(self, request: AdminRequest, keys: list[ApiKey]) -> Revocation:
        """What revoking these keys would do now."""
        services = self._services
        sessions: list[Session] = (await services.sessions.list_page(limit=MOST_SESSIONS)).sessions
        return foresee_revocation(
            keys, services.keys.list_known(), count_calls(services.under_way), sessions, request.key.id, request.now
        )


def _make_line(record: AuditRecord) -> _Line:
    detail = record.detail
    before, after = (_as_fields(detail.get(name)) for name in ("before", "after"))
    changes = tuple((name, before.get(name), value) for name, value in after.items())
    return _Line(record.action, record.moment, record.actor, str(detail.get("reason") or ""), changes)


def _as_fields(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def find_key(services: PageServices, key_id: str) -> ApiKey:
    """The key with that id, as far as it is known. Asks nobody; raises `KeyNotFound`."""
    key = next((key for key in services.keys.list_known() if key.id == key_id), None)
    if key is None:
        raise KeyNotFound(
            "there is no such key", hint="it may have been erased; /admin/keys lists those that there are"
        )
    return key


def tone_of(key: ApiKey, now: datetime) -> Tone:
    """How a key's status is coloured."""
    tones: dict[str, Tone] = {"valid": "good", "not yet valid": "", "expired": "warn"}
    return tones.get(name_status(key, now), "")


def is_expiring(key: ApiKey, now: datetime) -> bool:
    """Whether it is valid, and not for long."""
    return key.is_valid_at(now) and key.expires_at is not None and key.expires_at - now < SOON


def _has_limits(key: ApiKey) -> bool:
    policy = key.policy
    return bool(policy.budgets) or any(each is not None for each in (policy.rpm, policy.tpm, policy.max_in_flight))


def _count(listing: KeyListing) -> str:
    return f"{listing.found:,} key{'' if listing.found == 1 else 's'}"


def _list_tabs(request: AdminRequest, choice: KeyChoice, listing: KeyListing) -> list[Choice]:
    return [
        Choice(
            label,
            page_url(
                request.path, request.query, show="" if kind == USABLE else kind, after=None, back=None, done=None
            ),
            kind == choice.shown,
            listing.counts[kind],
        )
        for kind, label in _TABS.items()
    ]


def _list_tiers(request: AdminRequest, choice: KeyChoice) -> list[Choice]:
    labels = {"": "Both", Tier.CLIENT.value: "Client", Tier.ADMIN.value: "Admin"}
    return [
        Choice(
            label,
            page_url(request.path, request.query, tier=tier, after=None, back=None, done=None),
            tier == choice.tier,
        )
        for tier, label in labels.items()
    ]


def _list_columns(request: AdminRequest, choice: KeyChoice) -> list[Column]:
    fields = [(name, value) for name, value in request.query if name != "done"]

    def sort(name: str, first: str = "-") -> str:
        return sort_url(request.path, fields, name, choice.sort, first=first)

    return [
        Column("label", "Key", sort=sort("label", "")),
        Column("status", "Status"),
        Column("used", "Last used", sort=sort("used")),
        Column("shape", f"{key_usage.DAYS} days", title=f"Requests on each of the last {key_usage.DAYS} days"),
        Column("requests", "Requests", is_number=True, title=f"In the last {key_usage.DAYS} days"),
        Column("credits", "Credits", is_number=True, title=f"In the last {key_usage.DAYS} days"),
        Column("limit", "Fullest limit", title="Of its own limits and budgets the one that is used up most"),
        Column("posture", "Posture", title="What is only observed, and whether it is captured"),
        Column("expires", "Expires", sort=sort("expires", "")),
        Column("created", "Created", sort=sort("created")),
    ]
