"""
`/admin/api/audit`: what is on record, for programs and pages. For admin keys only, kept by no cache.

It is read from the end of the files, page by page, in a thread of its own: no number of questions holds up a call.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from copilot_api.api.door import Door
from copilot_api.api.errors import request_id_of
from copilot_api.api.http_exchange import EXCHANGE, Receive, Scope, Send
from copilot_api.api.ledger_parameters import Parameters
from copilot_api.api.responses import answering_errors, send_json, uncached
from copilot_api.audit.lines import describe_record
from copilot_api.audit.log import AuditLog
from copilot_api.audit.models import Action
from copilot_api.audit.search import AuditQuery
from copilot_api.clock import Clock

MAX_PAGE = 500
MAX_LINES = 50_000
"""How many lines are looked at for one page: what is rare comes in pages that are short, or empty, and go on."""
_ANY = "any"
_MOST = 999_999_999


class AuditApi:
    """See the module."""

    def __init__(self, door: Door, log: AuditLog, clock: Clock) -> None:
        self._door = door
        self._log = log
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="audit")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET`: a page of what is on record, newest first."""
        await answering_errors(self._answer)(scope, receive, uncached(send))

    async def _answer(self, scope: Scope, _receive: Receive, send: Send) -> None:
        await self._door.authenticate_admin(self._door.read_head(scope), scope)
        if (exchange := scope["extensions"].get(EXCHANGE)) is not None:
            exchange.cancel_on_disconnect()  # what still waits for the thread gives up its place
        loop = asyncio.get_running_loop()
        document = await loop.run_in_executor(self._thread, self._find, scope["query_string"])
        await send_json(send, document, request_id=request_id_of(scope))

    def _find(self, query_string: bytes) -> dict[str, Any]:
        given = Parameters(query_string, self._clock.now(), lambda _: ())
        action = given.choice("action", (_ANY, *Action))
        query = AuditQuery(
            since=given.time("since"),
            until=given.time("until"),
            actor=given.text("actor") or None,
            action=None if action == _ANY else action,
            target=given.text("target") or None,
            request_id=given.text("request_id") or None,
            before_seq=given.number("before", 1, _MOST) if given.text("before") else None,
        )
        limit = given.number("limit", 50, MAX_PAGE)
        given.check_all_known()
        page = self._log.get_page(query, limit, MAX_LINES)
        return {"events": [describe_record(record) for record in page.events], "next": page.next}
