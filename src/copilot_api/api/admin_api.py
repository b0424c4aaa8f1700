"""
The admin API: finds the operation of a request in the table (`copilot_api.api.operations.table`), and what answers it.

Nothing is served that the table does not declare, and so nothing that its description lacks.
"""

from collections.abc import Mapping

from copilot_api.api.admin_endpoint import NAMES, OPERATION
from copilot_api.api.http_exchange import Application, Receive, Scope, Send
from copilot_api.api.operations.table import BY_ID, find_methods
from copilot_api.api.responses import send_error
from copilot_api.errors import MethodNotAllowed, RouteNotFound


class AdminApi:
    """See the module."""

    def __init__(self, endpoints: Mapping[str, Application]) -> None:
        """`endpoints` by the ids of their operations. Raises `ValueError` for one that no operation declares."""
        if unknown := sorted(endpoints.keys() - BY_ID.keys()):
            raise ValueError(f"no operation declares {', '.join(unknown)}")
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        path: str = scope["path"]
        path = path.rstrip("/")
        methods = find_methods(path)
        if not methods:
            await send_error(send, RouteNotFound(f"there is no endpoint {path[:200]!r}"))
            return
        operation = methods.get(scope["method"])
        if operation is None:
            await send_error(send, MethodNotAllowed(scope["method"][:40], path[:200], tuple(methods)))
            return
        endpoint = self._endpoints.get(operation.id)
        if endpoint is None:
            await send_error(send, RouteNotFound("this gateway does not keep its settings in a file"))
            return
        found = operation.pattern.fullmatch(path)
        scope["state"][OPERATION] = operation
        scope["state"][NAMES] = {} if found is None else found.groupdict()
        await endpoint(scope, receive, send)
