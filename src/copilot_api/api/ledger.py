"""
`/admin/api/usage` and `/admin/api/events`: the ledger for programs and pages. For admin keys only, kept by no cache.

Sums answer in milliseconds however many events there are; events come in pages, or all of a period as a file, streamed.
What is asked of the ledger is asked in threads of its own, so that no number of questions holds up a call to a model.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import msgspec

from copilot_api.api.door import Door
from copilot_api.api.errors import request_id_of
from copilot_api.api.http_exchange import EXCHANGE, Receive, Scope, Send
from copilot_api.api.ledger_files import LedgerFile, events_file, groups_file, lines_file, series_file
from copilot_api.api.ledger_parameters import Parameters, render_moment, render_position
from copilot_api.api.responses import answering_errors, send_json, uncached
from copilot_api.audit.models import Action, AuditEvent
from copilot_api.clock import Clock
from copilot_api.errors import BadRequest, GatewayError
from copilot_api.keys.models import ApiKey
from copilot_api.keys.service import KeyService
from copilot_api.observability.events import Notice, Observer
from copilot_api.observability.logs import strike_secrets
from copilot_api.usage.explorer import MAX_TOP, ExploreQuery, explore
from copilot_api.usage.queries import Dimension
from copilot_api.usage.repository import EventQuery, UsageRepository
from copilot_api.usage.waste import report_waste

MAX_PAGE = 500
_MAX_WORD = 200
MAX_AT_ONCE = 2
"""How many questions are answered at the same time; the others wait. More would be no quicker, and slow down calls."""


class _Keys:
    """The keys as one question needs them: read when they are first asked for, and once."""

    def __init__(self, keys: KeyService) -> None:
        self._keys = keys

    @cached_property
    def _listed(self) -> list[ApiKey]:
        return self._keys.list_keys()

    def find(self, text: str) -> list[str]:
        """The ids of those that go by a text. One that none goes by may be the id of a key that is no more."""
        return [key.id for key in self._listed if text in {key.id, key.label, key.prefix}] or [text]

    def label(self, ids: Iterable[object]) -> dict[str, str]:
        """The labels of these."""
        wanted = set(ids)
        return {key.id: key.label for key in self._listed if key.id in wanted} if wanted else {}


_Ask = Callable[[Parameters, _Keys], "Mapping[str, Any] | LedgerFile"]


class LedgerApi:
    """See the module."""

    def __init__(
        self,
        door: Door,
        keys: KeyService,
        ledger: UsageRepository,
        clock: Clock,
        observe: Observer = lambda _: None,
        *,
        append: Callable[[AuditEvent], None],
    ) -> None:
        self._door = door
        self._keys = keys
        self._ledger = ledger
        self._clock = clock
        self._observe = observe
        self._append = append
        # Its own: one whose caller hung up goes on until it has its answer, and still counts as one of them.
        self._threads = ThreadPoolExecutor(MAX_AT_ONCE, thread_name_prefix="ledger")
        # One for all files, piece by piece: whoever looks at a page does not wait for a piece that is hard to find.
        self._file_thread = ThreadPoolExecutor(1, thread_name_prefix="ledger-file")

    async def usage(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET`: sums by group and over time."""
        await self._answer(self._explore, scope, receive, send)

    async def waste(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET`: what calls were for that nobody wrote."""
        await self._answer(self._report_waste, scope, receive, send)

    async def events(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET`: a page of events, or all of a period as a file."""
        await self._answer(self._list_events, scope, receive, send)

    async def _answer(self, ask: _Ask, scope: Scope, receive: Receive, send: Send) -> None:
        async def run(scope: Scope, _receive: Receive, send: Send) -> None:
            head = self._door.read_head(scope)
            admin = await self._door.authenticate_admin(head, scope)
            if (exchange := scope["extensions"].get(EXCHANGE)) is not None:
                exchange.cancel_on_disconnect()  # what still waits for a thread gives up its place
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(self._threads, self._find_answer, ask, scope["query_string"])
            if isinstance(answer, LedgerFile):
                origin = self._door.find_origin(head, scope)
                detail = {"file": answer.name, **self._describe(scope["query_string"])}
                event = AuditEvent(admin.id, Action.USAGE_EXPORTED, "usage", detail, origin)
                await asyncio.to_thread(self._append, event)
                await self._send_file(send, answer, request_id_of(scope))
            else:
                await send_json(send, answer)

        await answering_errors(run)(scope, receive, uncached(send))

    def _find_answer(self, ask: _Ask, query_string: bytes) -> msgspec.Raw | LedgerFile:
        keys = _Keys(self._keys)
        answer = ask(Parameters(query_string, self._clock.now(), keys.find), keys)
        return answer if isinstance(answer, LedgerFile) else msgspec.Raw(msgspec.json.encode(answer))

    def _describe(self, query_string: bytes) -> dict[str, object]:
        """What was asked for, in its own words, for the record."""
        given = Parameters(query_string, self._clock.now(), lambda _: ())
        return {name: strike_secrets(given.text(name)[:_MAX_WORD]) for name in given.names}

    async def _send_file(self, send: Send, file: LedgerFile, request_id: str) -> None:
        """
        Send it piece by piece, each made when the last has left: the client sets the pace. What fails before the first
        piece is an error with a status; after it the answer is left without its end, so that the connection is closed
        and no client takes the file for whole.
        """
        chunk = await self._make_piece(file)
        headers = [
            (b"content-type", file.media_type.encode()),
            (b"content-disposition", f'attachment; filename="{file.name}"'.encode()),
            (b"x-request-id", request_id.encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        while chunk is not None:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            try:
                chunk = await self._make_piece(file)
            except GatewayError as error:
                self._observe(Notice(f"the download of {file.name} broke off: {error.message}"))
                return
        await send({"type": "http.response.body", "body": b""})

    async def _make_piece(self, file: LedgerFile) -> bytes | None:
        return await asyncio.get_running_loop().run_in_executor(self._file_thread, next, file.chunks, None)

    # Sums -------------------------------------------------------------------------------------------------------

    def _explore(self, given: Parameters, keys: _Keys) -> Mapping[str, Any] | LedgerFile:
        found = given.filter(is_for_sums=True)
        since, until = given.period(found)
        group = given.groups()
        query = ExploreQuery(
            since,
            until,
            group,
            given.bucket(since, until),
            found.conditions,
            given.metrics(),
            given.number("top", 10, MAX_TOP),
            is_compared=given.switch("compare"),
            has_percentiles=given.switch("percentiles"),
        )
        is_csv = given.choice("format", ("json", "csv")) == "csv"
        is_over_time = bool(given.text("bucket")) or not group
        given.check_all_known()
        answer = explore(self._ledger, query)
        if Dimension.KEY in group:
            place = group.index(Dimension.KEY)
            answer["labels"] = keys.label(row["group"][place] for row in answer["rows"])
        if not is_csv:
            return answer
        return series_file(answer) if is_over_time and "series" in answer else groups_file(answer)

    def _report_waste(self, given: Parameters, _keys: _Keys) -> Mapping[str, Any]:
        found = given.filter(is_for_sums=True)
        since, until = given.period(found)
        given.check_all_known()
        return report_waste(self._ledger, since, until, found.conditions)

    # Events -----------------------------------------------------------------------------------------------------

    def _list_events(self, given: Parameters, _keys: _Keys) -> Mapping[str, Any] | LedgerFile:
        found = given.filter()
        since, until = given.period(found)
        kind = given.choice("format", ("json", "csv", "ndjson"))
        if kind != "json":
            if paging := next((name for name in ("limit", "after") if given.text(name)), None):
                raise BadRequest(f"{paging}: a file has no pages, it holds all of the period", param=paging)
            given.check_all_known()
            events = self._ledger.list_events(since, until, found.conditions)
            return events_file(events) if kind == "csv" else lines_file(events)
        limit, after = given.number("limit", 50, MAX_PAGE), given.position("after", until)
        given.check_all_known()
        page = self._ledger.get_page(EventQuery(since, until, found.conditions, limit, after))
        return {
            "since": since.isoformat(),
            "until": until.isoformat(),
            "events": page.events,
            "next": None if page.next is None else render_position(page.next),
            "searched_to": None if page.next is None else render_moment(page.next),
        }
