"""
The admin pages as one application: each request is looked at in one order, and answered by the view of its route.

First how it came (over TLS or from this machine, from our own page), then who sends it, whether the route is for them,
whether the form is of their session, whether the key has to be shown again; the view comes last. Whatever goes wrong
is a page too.
"""

import asyncio
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import replace
from http import HTTPStatus
from typing import Protocol

from copilot_api.admin import csrf
from copilot_api.admin.answers import Answer, Content, Headers, Page, Redirect, Stream, disposition
from copilot_api.admin.arrivals import Arrival, check_same_origin, render_no_cookie
from copilot_api.admin.auth import SAFE_METHODS, Access, SignInRefused, SignInThrottled, is_use
from copilot_api.admin.compression import compress
from copilot_api.admin.forms import parse_form, parse_query
from copilot_api.admin.paths import LOGIN, MY_USAGE, STEP_UP, asking, split_path
from copilot_api.admin.requests import FRAGMENT_HEADER, AdminRequest, SignedIn, StepUpRequired
from copilot_api.admin.routes import Role, Route, RouteTable
from copilot_api.admin.shell import Shell
from copilot_api.api.door import Door
from copilot_api.api.errors import request_id_of
from copilot_api.api.http_exchange import EXCHANGE, Exchange, Receive, Scope, Send
from copilot_api.api.intake import RequestHead, read_body
from copilot_api.clock import Clock
from copilot_api.errors import AdminRequired, GatewayError, InternalError, MethodNotAllowed, RouteNotFound, Unauthorized
from copilot_api.keys.models import Tier
from copilot_api.observability.events import CallCrashed, Observer

STEP_UP_FIELD = "step_up_key"
"""The field in which the page that asks for the key again sends it."""
CHECK_SECONDS = 2.0
"""How often it is looked whether the reader of a stream may still read: so late is the end of a session at most."""
MAX_LIVE = 64
"""So many live streams may the pages of one key have open: a page has one, and each is looked after every second."""

_HTML = (b"content-type", b"text/html; charset=utf-8")

MakeShell = Callable[[AdminRequest | None], Shell]
"""Makes what stands around a page."""


def _make_plain_shell(_request: AdminRequest | None) -> Shell:
    """Nothing has to be said on every page."""
    return Shell()


class TooManyLivePages(GatewayError):
    """As many pages of one key are open as may renew themselves."""

    number, code, status = 222, "too_many_live_pages", 429
    kind, cause = "rate_limit_error", "rate_limited"
    hint = "close some of the tabs that are open; this one shows what it shows until it is loaded again"


class Renderer(Protocol):
    """Makes pages of templates."""

    def render(self, name: str, values: Mapping[str, object]) -> str:
        """
        The whole page. The values always have `request`, an `AdminRequest` (None on pages about errors), and `shell`.
        """
        ...

    def render_fragments(self, name: str, values: Mapping[str, object], wanted: str) -> str | None:
        """Parts of the page, for a script; None where they are not to be had."""
        ...


class AdminPages:
    """See the module."""

    def __init__(
        self,
        routes: Iterable[Route],
        access: Access,
        door: Door,
        renderer: Renderer,
        clock: Clock,
        observe: Observer,
        make_shell: MakeShell = _make_plain_shell,
    ) -> None:
        self._make_shell = make_shell
        self.table = RouteTable(routes)
        self._access = access
        self._door = door
        self._renderer = renderer
        self._clock = clock
        self._observe = observe
        self._live: dict[asyncio.Task[None], str] = {}
        """Live streams, and whose they are."""

    def stop(self) -> None:
        """End what would never end by itself: the gateway goes down."""
        for task in tuple(self._live):
            task.cancel("stopped")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        visit = _Visit(self._access, self._door, self.table, self._clock, scope, receive)
        try:
            answer = await visit.answer()
            if isinstance(answer, Stream):
                await self._send_stream(answer, visit, scope, send)
            else:
                await send_whole(send, *self._render(answer, visit), request_id_of(scope))
        except GatewayError as error:
            await self._refuse(error, scope, send)
        except OSError:
            raise  # the client is gone
        except Exception:  # noqa: BLE001 -- a defect of ours is a page that says so, and a line in the log
            self._observe(CallCrashed(request_id_of(scope), traceback.format_exc()))
            if visit.is_answering:
                return  # what has begun cannot become another answer; left like this it breaks off
            await self._refuse(InternalError("the gateway failed on this page"), scope, send)

    def _render(self, answer: Page | Redirect | Content, visit: "_Visit") -> tuple[int, Headers, bytes]:
        match answer:
            case Page(template, data, status, headers):
                page = self._render_page(template, data, visit.request)
                return status, *compress((_HTML, *headers), page, visit.accept_encoding)
            case Redirect(location, headers):
                return 303, ((b"location", location.encode("ascii")), *headers), b""
            case Content(body, media_type, filename, headers):
                return 200, (*_file_headers(media_type, filename), *headers), body

    def _render_page(self, template: str, data: Mapping[str, object], request: AdminRequest | None) -> bytes:
        values = {"request": request, "shell": self._make_shell(request), **data}
        wanted = "" if request is None else request.header(FRAGMENT_HEADER)
        fragments = self._renderer.render_fragments(template, values, wanted) if wanted else None
        return (self._renderer.render(template, values) if fragments is None else fragments).encode()

    async def _refuse(self, error: GatewayError, scope: Scope, send: Send) -> None:
        status, request_id = error.actual_status, request_id_of(scope)
        data = {
            "status": status,
            "title": HTTPStatus(status).phrase,
            "message": error.message,
            "hint": error.actual_hint,
            "code": error.public_code,
            "request_id": request_id,
            "login": LOGIN if status == HTTPStatus.UNAUTHORIZED else None,
        }
        body = self._render_page("refused.html", data, None)
        await send_whole(send, status, (_HTML, *error.headers()), body, request_id)

    async def _send_stream(self, stream: Stream, visit: "_Visit", scope: Scope, send: Send) -> None:
        exchange: Exchange | None = scope["extensions"].get(EXCHANGE)
        task = asyncio.current_task()
        if exchange is not None:
            exchange.cancel_on_disconnect()
        if stream.is_live and task is not None:
            self._live[task] = self._check_live(visit)
        try:
            async with aclosing(stream.chunks) as chunks:
                headers = (*_file_headers(stream.media_type, stream.filename), *stream.headers)
                visit.is_answering = True
                await _start(send, 200, headers, request_id_of(scope))
                checked_at = self._clock.monotonic()
                async for chunk in chunks:
                    if (now := self._clock.monotonic()) - checked_at >= CHECK_SECONDS:
                        if not await visit.is_still_allowed():
                            # A file that is not whole must not look like it; events just end.
                            return await _end(send) if stream.is_live else None
                        checked_at = now
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await _end(send)
        finally:
            if task is not None:
                self._live.pop(task, None)

    def _check_live(self, visit: "_Visit") -> str:
        """Whose pages one more live stream is for. Raises `TooManyLivePages`."""
        request = visit.request
        owner = "" if request is None or request.signed_in is None else request.signed_in.key.id
        if sum(each == owner for each in self._live.values()) >= MAX_LIVE:
            raise TooManyLivePages(f"{MAX_LIVE} pages of this key renew themselves already")
        return owner


class _Visit:
    """One request on its way to its view."""

    def __init__(
        self, access: Access, door: Door, table: RouteTable, clock: Clock, scope: Scope, receive: Receive
    ) -> None:
        self._access = access
        self._door = door
        self._table = table
        self._clock = clock
        self._scope = scope
        self._receive = receive
        self._head: RequestHead = dict(scope["headers"])
        self.request: AdminRequest | None = None
        """Once it is known whose it is."""
        self.is_answering = False
        """Whether something was sent."""
        self.accept_encoding = _text(self._head.get(b"accept-encoding", b""))

    async def answer(self) -> Answer:
        """What is answered. Raises a `GatewayError` for what is refused."""
        if not self._access.is_on:
            raise RouteNotFound("this gateway has no admin pages", hint="features.webui is off in config.json")
        segments = split_path(self._scope["raw_path"])
        found = None if segments is None else self._table.find(segments)
        method = "GET" if self._scope["method"] == "HEAD" else self._scope["method"]
        route = None if found is None else found.methods.get(method)
        arrival = self._access.read_arrival(self._head, self._scope)
        if route is None or route.is_guarded:
            arrival.check_transport()
        if method not in SAFE_METHODS:
            check_same_origin(self._scope, arrival)
        is_asked = route is None or route.is_guarded  # the look of the pages is everybody's
        signed_in = await self._access.find(arrival, is_use=is_use(self._head)) if is_asked else None
        if signed_in is None and (route is None or route.role is not Role.PUBLIC):
            return self._ask_to_sign_in(arrival)
        if found is None:
            raise RouteNotFound("there is no such page", hint="what there is, is in the menu")
        if route is None:
            raise MethodNotAllowed(method, _text(self._scope["raw_path"]), _list_methods(found.methods))
        if route.role is Role.ADMIN and (signed_in is None or signed_in.key.tier is not Tier.ADMIN):
            if not segments and method in SAFE_METHODS:
                return Redirect(MY_USAGE)  # where everybody arrives
            raise AdminRequired("this page is for admins")
        self.request = self._make_request(method, found.parameters, arrival, signed_in)
        return await self._ask_view(route, self.request)

    async def is_still_allowed(self) -> bool:
        """Whether the session is still the one that it was; where there is none, nothing can end."""
        request = self.request
        if request is None or request.signed_in is None:
            return True
        try:
            found = await self._access.find(request.arrival, is_use=False)
        except GatewayError:
            return False
        return found is not None and found.session.id == request.session.id

    def _make_request(
        self, method: str, parameters: Mapping[str, str], arrival: Arrival, signed_in: SignedIn | None
    ) -> AdminRequest:
        path, query = _text(self._scope["raw_path"]), self._scope["query_string"]
        return AdminRequest(
            method=method,
            path=path,
            target=f"{path}?{_text(query)}" if query else path,
            parameters=parameters,
            query=parse_query(query),
            arrival=arrival,
            head=self._head,
            origin=self._door.find_origin(self._head, self._scope),
            now=self._clock.now(),
            signed_in=signed_in,
        )

    async def _ask_view(self, route: Route, request: AdminRequest) -> Answer:
        try:
            if request.method not in SAFE_METHODS:
                request = self.request = await self._with_form(route, request)
                request = self.request = await self._with_key(request)
            if route.needs_step_up:
                request.require_step_up()
            return await route.view(request)
        except StepUpRequired as error:
            return _ask_for_key(request, error, None)
        except (SignInRefused, SignInThrottled) as error:
            return _ask_for_key(request, error, error.message)

    async def _with_form(self, route: Route, request: AdminRequest) -> AdminRequest:
        exchange: Exchange | None = self._scope["extensions"].get(EXCHANGE)
        body = await read_body(self._receive, self._head, route.max_form_bytes, exchange)
        form = parse_form(body, _text(self._head.get(b"content-type", b"")))
        if route.role is not Role.PUBLIC:
            self._access.check_token(request.arrival, form.get(csrf.FIELD) or _text(self._head.get(csrf.HEADER, b"")))
        return replace(request, form=form.without(csrf.FIELD))

    async def _with_key(self, request: AdminRequest) -> AdminRequest:
        """The same with the key shown again, where the form brings it."""
        whose = request.signed_in
        if whose is None or STEP_UP_FIELD not in request.form:
            return request
        secret, bare = request.form.get(STEP_UP_FIELD).strip(), request.form.without(STEP_UP_FIELD)
        request = self.request = replace(request, form=bare)  # whatever comes of it, no page shows the key again
        signed_in = await self._access.step_up(whose, secret, request.arrival, request.origin)
        return replace(request, signed_in=signed_in, now=self._clock.now())  # not before the key was shown

    def _ask_to_sign_in(self, arrival: Arrival) -> Answer:
        """A page sends to the form; a script, and what would have changed something, is told."""
        scope = self._scope
        mode = self._head.get(b"sec-fetch-mode", b"navigate")
        if scope["method"] not in SAFE_METHODS or mode != b"navigate":
            raise Unauthorized("you are signed out: nothing was done", hint="sign in, then do it again")
        headers: Headers = ()
        if arrival.cookie is not None:
            headers = ((b"set-cookie", render_no_cookie(is_secure=arrival.is_secure)),)
        query = scope["query_string"]
        target = _text(scope["raw_path"]) + (f"?{_text(query)}" if query else "")
        return Redirect(asking(LOGIN, target), headers)


def _ask_for_key(request: AdminRequest, error: GatewayError, problem: str | None) -> Page:
    """The page that asks for the key and sends this request, its form included, once more."""
    action, fields = STEP_UP, [("next", request.target)]
    if request.method not in SAFE_METHODS:
        action, fields = request.target, list(request.form.without(STEP_UP_FIELD))
    data = {"action": action, "fields": fields, "problem": problem}
    return Page("step_up.html", data, error.actual_status, tuple(error.headers()))


def _list_methods(methods: Mapping[str, Route]) -> tuple[str, ...]:
    return tuple(each for method in methods for each in (("GET", "HEAD") if method == "GET" else (method,)))


def _file_headers(media_type: str | None, filename: str | None) -> Headers:
    headers = () if media_type is None else ((b"content-type", media_type.encode("ascii")),)
    return headers if filename is None else (*headers, (b"content-disposition", disposition(filename)))


async def send_whole(send: Send, status: int, headers: Headers, body: bytes, request_id: str) -> None:
    """Send an answer that is there whole."""
    await _start(send, status, headers, request_id)
    await send({"type": "http.response.body", "body": body})


async def _start(send: Send, status: int, headers: Headers, request_id: str) -> None:
    if any(b"\r" in value or b"\n" in value or b"\0" in value for _, value in headers):
        raise ValueError("a header of more than one line")
    complete = [*headers, (b"x-request-id", request_id.encode())]
    await send({"type": "http.response.start", "status": status, "headers": complete})


async def _end(send: Send) -> None:
    await send({"type": "http.response.body", "body": b""})


def _text(raw: bytes) -> str:
    return raw.decode("latin-1")
