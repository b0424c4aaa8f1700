"""The admin pages behind the router, as a browser with a jar for its cookie sees them, without sockets."""

import asyncio
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from copilot_api.admin.answers import Page
from copilot_api.admin.assets import Assets
from copilot_api.admin.auth import Access
from copilot_api.admin.live import LiveTopics, LiveView
from copilot_api.admin.pages import AdminPages
from copilot_api.admin.requests import AdminRequest
from copilot_api.admin.routes import Role, Route, Views, list_routes
from copilot_api.admin.session_api import SessionsApi
from copilot_api.admin.sessions import SessionService
from copilot_api.admin.views.access import AccessViews
from copilot_api.admin.views.assets import AssetViews
from copilot_api.admin.views.sessions import SessionViews
from copilot_api.api.admin_api import AdminApi
from copilot_api.api.door import Door
from copilot_api.api.intake import Networks
from copilot_api.api.operations.table import BY_ID
from copilot_api.api.responses import answering_errors, send_json
from copilot_api.api.routes import Endpoints, Router
from copilot_api.api.security_headers import SecurityHeaders
from copilot_api.audit.models import Origin
from copilot_api.keys.models import Tier
from copilot_api.keys.service import IssuedKey
from copilot_api.observability.events import Observation
from copilot_api.storage.sessions import SqlSessionRepository
from tests.fakes import FakeClock
from tests.stored import Stored

FORM = "application/x-www-form-urlencoded"


class PlainRenderer:
    """A page as JSON, for tests of what is not its look. `csrf` is what its forms bring along."""

    def render(self, name: str, values: Mapping[str, object]) -> str:
        request = values["request"]
        data = {key: value for key, value in values.items() if key not in {"request", "shell"}}
        csrf = request.csrf if isinstance(request, AdminRequest) else ""
        return json.dumps({"template": name, "csrf": csrf, **data}, default=str)

    def render_fragments(self, name: str, values: Mapping[str, object], wanted: str) -> str | None:
        return f"<{wanted}>" if wanted != "unknown" else None


@dataclass
class Reply:
    """One answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def page(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str:
        found = [value for each, value in self.headers if each == name]
        assert len(found) <= 1, f"{name} is repeated"
        return found[0] if found else ""


@dataclass
class Browser:
    """Keeps the cookie of one site, and sends what browsers send."""

    site: "Site"
    cookie: str = ""
    peer: str | None = "127.0.0.1"
    host: str = "127.0.0.1:4141"
    scheme: str = "http"
    sent: dict[str, str] = field(default_factory=dict[str, str])
    """Headers with each request."""

    def ask(self, method: str, target: str, form: Mapping[str, str] | bytes | None = None, **headers: str) -> Reply:
        """One request; a form as it is, without anything that was not given."""
        body = b"" if form is None else form if isinstance(form, bytes) else urlencode(form).encode()
        given = {"host": self.host, **self.sent, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if form is not None:
            given = {"content-type": FORM, **given}
        if self.cookie:
            given["cookie"] = f"capi_session={self.cookie}"
        reply = asyncio.run(self.site.ask(self, method, target, given, body))
        set_cookie = reply.header("set-cookie")
        if found := re.match(r"capi_session=([^;]*)", set_cookie):
            self.cookie = found[1]
        return reply

    def get(self, target: str, **headers: str) -> Reply:
        return self.ask("GET", target, None, **headers)

    def post(self, target: str, form: Mapping[str, str] | None = None, **headers: str) -> Reply:
        """A form of the page `/admin/own`, with its token."""
        csrf = self.get("/admin/own").page["csrf"]
        return self.ask("POST", target, {"csrf": csrf, **(form or {})}, **headers)

    def sign_in(self, key: IssuedKey | str, **form: str) -> Reply:
        secret = key if isinstance(key, str) else key.secret
        return self.ask("POST", "/admin/login", {"key": secret, **form})


class Site:
    """Everything but the sockets."""

    def __init__(self, stored: Stored, clock: FakeClock, *, trusted: Networks = (), more: Iterable[Route] = ()) -> None:
        self.stored, self.clock = stored, clock
        self.observed: list[Observation] = []
        self.refused: list[tuple[str, str, Origin]] = []
        self.done: list[AdminRequest] = []
        """The requests that reached a view of the test's."""
        self.repository = SqlSessionRepository(stored.database, stored.audit)
        self.sessions = SessionService(self.repository, stored.keys, clock)
        self.access = Access(
            stored.keys,
            self.sessions,
            clock,
            stored.audit.append,
            trusted=trusted,
            on_refused=lambda *told: self.refused.append(told),
        )
        self.door = door = Door(stored.keys, clock, is_open=False, trusted=trusted, sessions=self.access)
        own = (
            Route("GET", "/admin", Role.ADMIN, self._show),
            Route("GET", "/admin/own", Role.HOLDER, self._show),
            Route("POST", "/admin/own", Role.HOLDER, self._show),
            Route("GET", "/admin/things/{id}", Role.ADMIN, self._show),
            Route("POST", "/admin/things/{id}", Role.ADMIN, self._show, max_form_bytes=1000),
            Route("GET", "/admin/secret", Role.ADMIN, self._show, needs_step_up=True),
            Route("POST", "/admin/secret", Role.ADMIN, self._show, needs_step_up=True),
        )
        assets = Assets({"app.css": b"body{}"})
        views = Views(AccessViews(self.access), SessionViews(self.sessions), AssetViews(assets), LiveView(LiveTopics()))
        routes = (*list_routes(views), *own, *more)
        # The site's own pages stand in the way of none that the table gets in time.
        unique = {(route.method, route.path): route for route in routes}
        self.assets = assets
        self.pages = AdminPages(unique.values(), self.access, door, PlainRenderer(), clock, self.observed.append)
        api: dict[str, Any] = dict.fromkeys(BY_ID, self.answer_admin)
        api |= dict.fromkeys(("list_sessions", "end_session"), SessionsApi(door, self.access, self.sessions))
        named: dict[str, Any] = dict.fromkeys(Endpoints.__dataclass_fields__, self.answer_admin)
        named |= {"admin_api": AdminApi(api), "pages": self.pages}
        self.router = Router(Endpoints(**named), SecurityHeaders(trusted))

    async def _show(self, request: AdminRequest) -> Page:
        self.done.append(request)
        return Page("own.html", {"form": list(request.form), "parameters": dict(request.parameters)})

    async def answer_admin(self, scope: Any, receive: Any, send: Any) -> None:
        """An endpoint for admins."""

        async def answer(scope: Any, receive: Any, send: Any) -> None:
            key = await self.door.authenticate_admin(self.door.read_head(scope), scope)
            await send_json(send, {"key": key.id})

        await answering_errors(answer)(scope, receive, send)

    def issue(self, tier: Tier = Tier.ADMIN, label: str = "ada", **more: Any) -> IssuedKey:
        return self.stored.keys.issue(label, tier=tier, actor="test", **more)

    def browser(self, key: IssuedKey | None = None, **more: Any) -> Browser:
        """A browser; signed in, where there is a key."""
        browser = Browser(self, **more)
        if key is not None:
            reply = browser.sign_in(key)
            assert (reply.status, bool(browser.cookie)) == (303, True), reply.body
        return browser

    def audited(self) -> list[tuple[str, str, str]]:
        """Who did what to what, oldest first, without the making of keys."""
        events = reversed(self.stored.audit.list_events())
        return [(event.actor, event.action, event.target) for event in events if not event.action.startswith("key.")]

    async def ask(self, browser: Browser, method: str, target: str, headers: dict[str, str], body: bytes) -> Reply:
        """One call of the router."""
        reply = Reply(0, [], b"")
        messages = [{"type": "http.request", "body": body, "more_body": False}]
        path, _, query = target.partition("?")

        async def receive() -> Any:
            return messages.pop() if messages else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                assert reply.status == 0, "started twice"
                reply.status = message["status"]
                reply.headers = [(name.decode(), value.decode()) for name, value in message["headers"]]
            else:
                reply.body += message.get("body", b"")

        scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "scheme": browser.scheme,
            "http_version": "1.1",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
            "client": None if browser.peer is None else (browser.peer, 5000),
            "state": {},
            "extensions": {},
        }
        await self.router(scope, receive, send)
        return reply
