"""The ledger's endpoints behind the router, as an admin sees them."""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from copilot_api.api.door import Door
from copilot_api.api.ledger import LedgerApi
from copilot_api.keys.service import IssuedKey
from copilot_api.observability.events import Observation
from copilot_api.usage.repository import UsageRepository
from tests.api.admin_router import make_admin_router
from tests.api.wire import Reply, ask, get
from tests.fakes import FakeClock
from tests.stored import Stored

USAGE, WASTE, EVENTS = "/admin/api/usage", "/admin/api/usage/waste", "/admin/api/events"
PATHS = [USAGE, WASTE, EVENTS]
HALF_A_DAY = 0.499
"""How many days of events there are: up to the time of the clock."""


@dataclass
class Site:
    """The endpoints behind the router, and what an admin gets of them."""

    stored: Stored
    door: Door
    clock: FakeClock
    admin: IssuedKey
    ledger: UsageRepository
    observed: list[Observation] = field(default_factory=list[Observation])

    def __post_init__(self) -> None:
        api = LedgerApi(
            self.door,
            self.stored.keys,
            self.ledger,
            self.clock,
            self.observed.append,
            append=self.stored.audit.append,
        )
        self.router = make_admin_router({"get_usage": api.usage, "get_waste": api.waste, "list_events": api.events})

    def ask(self, path: str, query: bytes = b"", secret: str | None = "", **values: str) -> Reply:
        """The answer to a question; an admin's where no other secret, or None, is given."""
        secret = self.admin.secret if secret == "" else secret
        headers = {} if secret is None else {"authorization": f"Bearer {secret}"}
        return asyncio.run(ask(self.router, path, query=query or urlencode(values).encode(), headers=headers))

    def find(self, path: str, **values: str) -> Any:
        """The same, where it is an answer in JSON."""
        reply = self.ask(path, urlencode(values).encode())
        assert reply.status == 200, reply.body
        return reply.json

    def request(self, target: str) -> bytes:
        """A question as it goes over the wire."""
        return get(target, f"authorization: Bearer {self.admin.secret}")
