"""Some operations of the admin API behind the router, on what is stored, and what an admin gets of them."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from copilot_api.api.admin_endpoint import Act, AdminEndpoint
from copilot_api.api.door import Door
from copilot_api.audit.lines import AuditRecord
from tests.api.admin_router import make_admin_router
from tests.api.wire import Reply, ask
from tests.fakes import FakeClock
from tests.stored import Stored


@dataclass
class AdminSite:
    """See the module. Every answer is looked at for what all answers have."""

    stored: Stored
    door: Door
    clock: FakeClock
    secret: str

    def serve(self, acts: Mapping[str, Act]) -> None:
        """Put these behind the router, by the ids of their operations."""
        self.router = make_admin_router({name: AdminEndpoint(self.door, self.clock, act) for name, act in acts.items()})

    def call(self, method: str, path: str, body: Any = None, *, secret: str | None = None, **query: str) -> Reply:
        """What is answered."""
        return asyncio.run(self.ask(method, path, body, secret=secret, **query))

    async def ask(self, method: str, path: str, body: Any = None, *, secret: str | None = None, **query: str) -> Reply:
        """The same inside a loop."""
        headers = {"authorization": f"Bearer {secret or self.secret}", "user-agent": "ci/1.0"}
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        target = f"/admin/api{path}"
        reply = await ask(
            self.router, target, method=method, query=urlencode(query).encode(), headers=headers, body=content
        )
        assert reply.headers is not None
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-request-id"].startswith("req_")
        return reply

    def audited(self) -> AuditRecord:
        """The newest line."""
        return self.stored.audit.list_events(limit=1)[0]


def error_of(reply: Reply) -> tuple[int, str, str | None]:
    """Status, code and field of an error."""
    error = reply.json["error"]
    return reply.status, error["code"], error["param"]
