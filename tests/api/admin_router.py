"""A router with nothing behind it but some operations of the admin API."""

from copilot_api.api.admin_api import AdminApi
from copilot_api.api.http_exchange import Application, Receive, Scope, Send
from copilot_api.api.routes import Endpoints, Router


async def nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    """What is behind all else."""
    raise NotImplementedError


def make_admin_router(endpoints: dict[str, Application]) -> Router:
    """The router; `endpoints` by the ids of their operations."""
    names: dict[str, Application] = dict.fromkeys(Endpoints.__dataclass_fields__, nowhere)
    names["admin_api"] = AdminApi(endpoints)
    return Router(Endpoints(**names))
