"""
One operation of the admin API, answered: who asks is found, what is asked is read as the operation declares it, and
what comes of it, or why nothing does, is answered under the request id that the audit log has. No cache keeps it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from copilot_api.api.bodies import read_json
from copilot_api.api.door import Door
from copilot_api.api.http_exchange import Receive, Scope, Send
from copilot_api.api.intake import RequestHead
from copilot_api.api.ledger_parameters import FindKeys, Parameters
from copilot_api.api.operations.operation import Operation
from copilot_api.api.responses import answering_errors, uncached
from copilot_api.audit.models import Origin
from copilot_api.clock import Clock
from copilot_api.errors import BadRequest
from copilot_api.keys.models import ApiKey

OPERATION, NAMES = "operation", "names"
"""Where a request's state has the operation that was found for it, and what stands in its path."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked, by whom."""

    admin: ApiKey
    origin: Origin
    head: RequestHead = field(repr=False)
    names: Mapping[str, str]
    """What stands in the path, by name."""
    given: Parameters
    body: Any = None
    """The body, as its operation's type; None where it has none."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer that is more than a document."""

    document: object
    headers: tuple[tuple[bytes, bytes], ...] = ()


Act = Callable[[Asked], Awaitable[object]]
"""Does what is asked; gives what is answered as JSON, or an `Answered`. Raises a `GatewayError`."""


class AdminEndpoint:
    """See the module."""

    def __init__(self, door: Door, clock: Clock, act: Act, find_keys: FindKeys = lambda _: ()) -> None:
        self._door = door
        self._clock = clock
        self._act = act
        self._find_keys = find_keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        await answering_errors(self._answer)(scope, receive, uncached(send))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        operation: Operation = scope["state"][OPERATION]
        asked = await enter(self._door, self._clock, operation, scope, receive, self._find_keys)
        found = await self._act(asked)
        document, headers = (found.document, found.headers) if isinstance(found, Answered) else (found, ())
        content = msgspec.json.encode(document)
        request_id = (asked.origin.request_id or "").encode()
        await send(
            {
                "type": "http.response.start",
                "status": operation.status,
                "headers": [(b"content-type", b"application/json"), (b"x-request-id", request_id), *headers],
            }
        )
        await send({"type": "http.response.body", "body": content})


async def enter(
    door: Door,
    clock: Clock,
    operation: Operation,
    scope: Scope,
    receive: Receive,
    find_keys: FindKeys = lambda _: (),
) -> Asked:
    """
    Who asks, and what. Raises `Unauthorized` or `AdminRequired` before anything is read, then what is wrong with the
    request.
    """
    head = door.read_head(scope)
    admin = await door.authenticate_admin(head, scope)
    given = Parameters(scope["query_string"], clock.now(), find_keys)
    known = [parameter.name for parameter in operation.parameters]
    if unknown := next((name for name in given.names if name not in known), None):
        hint = f"there are {', '.join(known)}" if known else "this operation takes none"
        raise BadRequest(f"there is no parameter {unknown[:100]!r}", param=unknown[:100], hint=hint)
    body = None if operation.body is None else await read_json(operation.body, head, scope, receive)
    return Asked(admin, door.find_origin(head, scope), head, scope["state"].get(NAMES, {}), given, body)
