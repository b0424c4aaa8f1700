"""
Every admin URL that is a page, in one table, with who may ask for it beside it.

A page is added to `list_routes`: its views come as methods of an object that holds the services which it asks.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from copilot_api.admin.answers import Answer
from copilot_api.admin.live import LiveView
from copilot_api.admin.paths import LOGIN, LOGOUT, MY_USAGE, STATIC, STEP_UP, Pattern
from copilot_api.admin.requests import AdminRequest
from copilot_api.admin.services import PageServices
from copilot_api.admin.views.access import AccessViews
from copilot_api.admin.views.assets import AssetViews
from copilot_api.admin.views.audit import AuditViews
from copilot_api.admin.views.identities import IdentityViews
from copilot_api.admin.views.key_changes import KeyChangeViews
from copilot_api.admin.views.keys import KeyViews
from copilot_api.admin.views.models import ModelViews
from copilot_api.admin.views.my_usage import MyUsageView
from copilot_api.admin.views.overview import OverviewView
from copilot_api.admin.views.requests import RequestViews
from copilot_api.admin.views.sessions import SessionViews
from copilot_api.admin.views.set_up import SET_UP, SetUpViews
from copilot_api.admin.views.settings import SettingsViews
from copilot_api.admin.views.styleguide import StyleguideView
from copilot_api.admin.views.system import SystemView
from copilot_api.admin.views.trace_dry_run import MAX_FORM_BYTES as MAX_DRY_RUN_BYTES
from copilot_api.admin.views.trace_dry_run import TraceDryRunView
from copilot_api.admin.views.trace_tail import TraceTailViews
from copilot_api.admin.views.traces import TraceViews
from copilot_api.admin.views.usage import UsageView

MAX_FORM_BYTES = 64 * 1024
MAX_LOGIN_BYTES = 8 * 1024

View = Callable[[AdminRequest], Awaitable[Answer]]
"""Answers one request. What it raises as a `GatewayError` is answered with a page that says so."""


class Role(StrEnum):
    """Who may ask."""

    PUBLIC = "public"
    """Everybody."""
    HOLDER = "holder"
    """Whoever signed in, with a client's key or an admin's."""
    ADMIN = "admin"
    """Whoever signed in with an admin's key."""


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path."""

    method: Literal["GET", "POST"]
    """`GET` also answers `HEAD`, and changes nothing."""
    path: str
    """See `Pattern`."""
    role: Role
    view: View
    needs_step_up: bool = False
    """Whether the key is asked for again, see `AdminRequest.require_step_up`."""
    max_form_bytes: int = MAX_FORM_BYTES
    is_guarded: bool = True
    """False for what may also go out over plain HTTP to another machine: the look of the page that refuses it."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a path leads to."""

    methods: Mapping[str, Route]
    parameters: Mapping[str, str]


class RouteTable:
    """Finds the route of a path. A path without names goes before one with names."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        table: dict[str, dict[str, Route]] = {}
        for route in self.routes:
            methods = table.setdefault(route.path, {})
            if route.method in methods:
                raise ValueError(f"two routes for {route.method} {route.path}")
            methods[route.method] = route
        self._patterns = [
            (Pattern(path), methods) for path, methods in sorted(table.items(), key=lambda item: "{" in item[0])
        ]

    def find(self, segments: tuple[str, ...]) -> Found | None:
        """The routes of a path, by method; None where there is none."""
        for pattern, methods in self._patterns:
            parameters = pattern.match(segments)
            if parameters is not None:
                return Found(methods, parameters)
        return None


@dataclass(frozen=True, slots=True)
class Views:
    """What the table leads to."""

    access: AccessViews
    sessions: SessionViews
    assets: AssetViews
    live: LiveView
    tail: TraceTailViews | None = None
    """None without services."""
    styleguide: StyleguideView | None = None
    """Only in the demo."""


def list_page_routes(services: PageServices) -> tuple[Route, ...]:
    """The part of the table that asks the gateway's services."""
    overview, usage, requests = OverviewView(services), UsageView(services), RequestViews(services)
    return (
        Route("GET", "/admin", Role.ADMIN, overview.show),
        Route("GET", "/admin/usage", Role.ADMIN, usage.show),
        Route("GET", "/admin/requests", Role.ADMIN, requests.browse),
        Route("GET", "/admin/requests/{request_id}", Role.ADMIN, requests.show),
        Route("POST", "/admin/requests/{request_id}/cancel", Role.ADMIN, requests.cancel),
        *_list_key_routes(services),
        *_list_record_routes(services),
        *_list_gateway_routes(services),
    )


def _list_gateway_routes(services: PageServices) -> tuple[Route, ...]:
    """The gateway itself, and what it goes by."""
    settings, system, models = SettingsViews(services), SystemView(services), ModelViews(services)
    identities = IdentityViews(services)
    return (
        Route("GET", "/admin/identities", Role.ADMIN, identities.show),
        Route("POST", "/admin/identities/{id}/resume", Role.ADMIN, identities.resume),
        Route("POST", "/admin/identities/{id}/sign-in", Role.ADMIN, identities.sign_in, needs_step_up=True),
        Route("POST", "/admin/identities/{id}/sign-in/cancel", Role.ADMIN, identities.cancel_sign_in),
        Route("GET", "/admin/models", Role.ADMIN, models.browse),
        Route("GET", "/admin/models/edit", Role.ADMIN, models.ask_edit),
        Route("POST", "/admin/models/edit", Role.ADMIN, models.edit),
        Route("GET", "/admin/system", Role.ADMIN, system.show),
        Route("GET", "/admin/settings", Role.ADMIN, settings.show),
        Route("POST", "/admin/settings", Role.ADMIN, settings.change),
        Route("GET", "/admin/settings/history", Role.ADMIN, settings.browse),
        Route("GET", "/admin/settings/history/{id}", Role.ADMIN, settings.show_version),
        Route("POST", "/admin/settings/history/{id}", Role.ADMIN, settings.roll_back),
    )


def _list_record_routes(services: PageServices) -> tuple[Route, ...]:
    """What was done, and what was said."""
    audit, traces, dry_run = AuditViews(services), TraceViews(services), TraceDryRunView(services)
    of_trace = "/admin/traces/{request_id}"
    return (
        Route("GET", "/admin/traces", Role.ADMIN, traces.browse),
        Route("GET", "/admin/traces/dry-run", Role.ADMIN, dry_run.show),
        Route("POST", "/admin/traces/dry-run", Role.ADMIN, dry_run.run, max_form_bytes=MAX_DRY_RUN_BYTES),
        Route("GET", "/admin/traces/days/{date}", Role.ADMIN, traces.download, needs_step_up=True),
        Route("GET", of_trace, Role.ADMIN, traces.show, needs_step_up=True),
        Route("POST", f"{of_trace}/replay", Role.ADMIN, traces.replay, needs_step_up=True),
        Route("GET", f"{of_trace}/replays/{{replay_id}}", Role.ADMIN, traces.compare, needs_step_up=True),
        Route("GET", "/admin/audit", Role.ADMIN, audit.browse),
        Route("POST", "/admin/audit/verify", Role.ADMIN, audit.verify),
        Route("GET", "/admin/audit/{seq}", Role.ADMIN, audit.show),
    )


def _list_key_routes(services: PageServices) -> tuple[Route, ...]:
    """Keys for admins; and for whoever holds one, their own."""
    keys, my_usage, set_up = KeyViews(services), MyUsageView(services), SetUpViews(services)
    changes = KeyChangeViews(services, keys)
    return (
        Route("GET", "/admin/keys", Role.ADMIN, keys.browse),
        Route("GET", "/admin/keys/new", Role.ADMIN, changes.ask_new),
        Route("POST", "/admin/keys/new", Role.ADMIN, changes.create),
        Route("GET", "/admin/keys/revoke", Role.ADMIN, changes.ask_revoke),
        Route("POST", "/admin/keys/revoke", Role.ADMIN, changes.revoke),
        Route("GET", "/admin/keys/{id}", Role.ADMIN, keys.show),
        Route("GET", "/admin/keys/{id}/edit", Role.ADMIN, changes.ask_edit),
        Route("POST", "/admin/keys/{id}/edit", Role.ADMIN, changes.edit),
        Route("POST", "/admin/keys/{id}/rotate", Role.ADMIN, changes.rotate),
        Route("POST", "/admin/keys/{id}/capture", Role.ADMIN, changes.capture),
        Route("POST", "/admin/keys/{id}/capture/end", Role.ADMIN, changes.end_capture),
        Route("POST", "/admin/keys/{id}/export", Role.ADMIN, changes.export, needs_step_up=True),
        Route("POST", "/admin/keys/{id}/erase", Role.ADMIN, changes.erase),
        Route("GET", MY_USAGE, Role.HOLDER, my_usage.show),
        Route("GET", SET_UP, Role.HOLDER, set_up.show),
        Route("POST", f"{SET_UP}/probe", Role.HOLDER, set_up.probe),
    )


def list_routes(views: Views, services: PageServices | None = None) -> tuple[Route, ...]:
    """The table; without services only what gets one in and out."""
    access = views.access
    in_demo: tuple[Route, ...] = ()
    if views.styleguide is not None:
        in_demo = (Route("GET", "/admin/_styleguide", Role.HOLDER, views.styleguide.show),)
    of_tail: tuple[Route, ...] = ()
    if views.tail is not None:
        of_tail = (
            Route("GET", "/admin/traces/tail", Role.ADMIN, views.tail.show),
            Route("GET", "/admin/traces/tail/events", Role.ADMIN, views.tail.follow),
        )
    return (
        Route("GET", STATIC, Role.PUBLIC, views.assets.show, is_guarded=False),
        Route("GET", LOGIN, Role.PUBLIC, access.ask),
        Route("POST", LOGIN, Role.PUBLIC, access.sign_in, max_form_bytes=MAX_LOGIN_BYTES),
        Route("POST", LOGOUT, Role.HOLDER, access.sign_out),
        Route("GET", STEP_UP, Role.HOLDER, access.ask_again),
        Route("POST", STEP_UP, Role.HOLDER, access.go_on, needs_step_up=True, max_form_bytes=MAX_LOGIN_BYTES),
        Route("POST", "/admin/sessions/{id}/end", Role.ADMIN, views.sessions.end),
        Route("GET", "/admin/live", Role.HOLDER, views.live.follow),
        *of_tail,
        *in_demo,
        *(() if services is None else list_page_routes(services)),
    )
