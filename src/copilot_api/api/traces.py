"""
`/admin/api/traces` and `/admin/traces/{date}.jsonl`: what was captured, for admins, and over the local socket for the
user of this machine.

Every look at a capture is put on record before it is answered; what cannot be put on record is not shown. Nothing of it
is kept by caches. What has to be read from files is read in threads of its own, and holds up no call.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from copilot_api.api.errors import request_id_of
from copilot_api.api.http_exchange import EXCHANGE, Receive, Scope, Send
from copilot_api.api.ledger_parameters import Parameters
from copilot_api.api.responses import answering_errors, send_json, uncached
from copilot_api.api.trace_access import Access, Visitor, sign
from copilot_api.api.trace_download import open_day, send_day
from copilot_api.api.trace_dry_run import answer_dry_run
from copilot_api.api.trace_parameters import parse_query
from copilot_api.api.trace_replay import ReplayServices, TraceReplays
from copilot_api.api.trace_tail import TraceTails, parse_after
from copilot_api.audit.models import Action
from copilot_api.capture.queries import TraceQuery
from copilot_api.errors import BadRequest, MethodNotAllowed, RouteNotFound

_ACTIONS = re.compile(r"/admin/api/traces/([A-Za-z0-9_-]{1,64})(/replay)?", re.ASCII)
_FILE = re.compile(rb"/admin/traces/([0-9]{4}-[0-9]{2}-[0-9]{2})\.jsonl")
MAX_AT_ONCE = 2

T = TypeVar("T")


class TracesApi:
    """See the module."""

    def __init__(self, access: Access, services: ReplayServices, tails: TraceTails) -> None:
        self._access = access
        self._services = services
        self._tails = tails
        self._replays = TraceReplays(services)
        self._threads = ThreadPoolExecutor(MAX_AT_ONCE, thread_name_prefix="traces")
        self._dry_thread = ThreadPoolExecutor(1, thread_name_prefix="dry-run")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        await answering_errors(self._route)(scope, receive, _never_sniffed(uncached(send)))

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        visitor = await self._access.enter(scope)
        methods = self._find(scope)
        act = methods.get(scope["method"])
        if act is None:
            raise MethodNotAllowed(scope["method"], scope["path"][:200], tuple(methods))
        if (exchange := scope["extensions"].get(EXCHANGE)) is not None:
            exchange.cancel_on_disconnect()
        await act(visitor, scope, receive, send)

    def _find(self, scope: Scope) -> Mapping[str, "_Act"]:
        """What is at this path, by method. Raises `RouteNotFound`."""
        path: str = scope["path"]
        match path:
            case "/admin/api/traces":
                return {"GET": self._list}
            case "/admin/api/traces/tail":
                return {"GET": self._tail}
            case "/admin/api/traces/redact":
                return {"POST": self._redact}
            case _:
                pass
        if found := _ACTIONS.fullmatch(path):
            return {"POST": self._replay} if found[2] else {"GET": self._show}
        # By the path as it was sent: nothing in it may stand for anything else.
        if _FILE.fullmatch(scope["raw_path"]):
            return {"GET": self._download}
        raise RouteNotFound("there is nothing at this path")

    # Looking --------------------------------------------------------------------------------------------------------

    async def _list(self, visitor: Visitor, scope: Scope, _receive: Receive, send: Send) -> None:
        query, asked = await self._run(self._parse_query, scope["query_string"])
        await sign(self._services.append, visitor, Action.TRACES_LISTED, "traces", **asked)
        await _send(send, scope, await self._run(self._list_traces, query))

    def _parse_query(self, query_string: bytes) -> tuple[TraceQuery, dict[str, object]]:
        return parse_query(self._parameters(query_string))

    def _parameters(self, query_string: bytes) -> Parameters:
        return Parameters(query_string, self._services.clock.now(), self._find_keys)

    def _find_keys(self, text: str) -> list[str]:
        keys = self._services.keys.list_keys()
        return [key.id for key in keys if text in {key.id, key.label, key.prefix}] or [text]

    def _list_traces(self, query: TraceQuery) -> dict[str, Any]:
        traces = self._services.traces
        page = traces.list_traces(query)
        days = [{"date": day.date, "bytes": day.bytes} for day in traces.files.list_days()]
        return {"traces": page.traces, "next": page.next_before, "days": days}

    async def _show(self, visitor: Visitor, scope: Scope, _receive: Receive, send: Send) -> None:
        _refuse_parameters(scope)
        request_id = scope["path"].rpartition("/")[2]
        trace = await self._run(self._services.traces.get, request_id)
        await sign(self._services.append, visitor, Action.TRACE_READ, request_id, key_id=trace.key_id)
        await _send(send, scope, trace)

    async def _tail(self, visitor: Visitor, scope: Scope, _receive: Receive, send: Send) -> None:
        given = self._parameters(scope["query_string"])
        after = parse_after(dict(scope["headers"]), given.text("after"))
        given.check_all_known()
        self._tails.check_room()
        await sign(self._services.append, visitor, Action.TRACES_TAILED, "traces", after=after)
        await self._tails.send(visitor, after, scope, send)

    async def _download(self, visitor: Visitor, scope: Scope, _receive: Receive, send: Send) -> None:
        _refuse_parameters(scope)
        date = scope["path"].rpartition("/")[2].removesuffix(".jsonl")
        with await open_day(self._services.traces.files, date, self._threads) as day:
            await sign(self._services.append, visitor, Action.TRACES_DOWNLOADED, date, bytes=day.bytes)
            await send_day(send, request_id_of(scope), day, self._run)

    # Trying ---------------------------------------------------------------------------------------------------------

    async def _redact(self, _visitor: Visitor, scope: Scope, receive: Receive, send: Send) -> None:
        _refuse_parameters(scope)
        await _send(send, scope, await answer_dry_run(scope, receive, self._run_dry))

    async def _replay(self, visitor: Visitor, scope: Scope, receive: Receive, send: Send) -> None:
        _refuse_parameters(scope)
        request_id = scope["path"].split("/")[-2]
        trace = await self._run(self._services.traces.get, request_id)
        await _send(send, scope, await self._replays.run(visitor, trace, scope, receive))

    async def _run(self, function: Callable[..., T], *arguments: object) -> T:
        """Call what blocks. A caller who hangs up meanwhile gives up its place."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    async def _run_dry(self, function: Callable[..., T], *arguments: object) -> T:
        """The same for what takes time instead of waiting: one after the other."""
        return await asyncio.get_running_loop().run_in_executor(self._dry_thread, function, *arguments)


_Act = Callable[[Visitor, Scope, Receive, Send], Awaitable[None]]


def _never_sniffed(send: Send) -> Send:
    """`send`, whose answers no browser takes for anything but what they say they are."""

    async def send_as_it_is(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (b"x-content-type-options", b"nosniff")]}
        await send(message)

    return send_as_it_is


async def _send(send: Send, scope: Scope, document: object) -> None:
    """Answer, under the id that the audit log has."""
    await send_json(send, document, request_id=request_id_of(scope))


def _refuse_parameters(scope: Scope) -> None:
    if scope["query_string"]:
        raise BadRequest("this endpoint takes no parameters")
