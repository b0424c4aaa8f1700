"""Every public URL in one table, with and without `/v1`."""

from collections.abc import Mapping
from dataclasses import dataclass

from copilot_api import __version__
from copilot_api.api.http_exchange import Application, Receive, Scope, Send
from copilot_api.api.responses import answering_errors, send_error, send_json
from copilot_api.errors import MethodNotAllowed, RouteNotFound

MODEL_PREFIX = "/v1/models/"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What the table leads to."""

    chat: Application
    embeddings: Application
    models: Application
    usage: Application
    token: Application
    healthz: Application
    readyz: Application


class Router:
    """Finds the endpoint of a request. Lookups by path: no patterns, so nothing to get wrong or to be slow."""

    def __init__(self, endpoints: Endpoints) -> None:
        models = answering_errors(endpoints.models)
        table: dict[str, Mapping[str, Application]] = {
            "/": {"GET": index, "HEAD": index},
            "/healthz": {"GET": endpoints.healthz, "HEAD": endpoints.healthz},
            "/readyz": {"GET": endpoints.readyz, "HEAD": endpoints.readyz},
        }
        for path, methods in {
            "/chat/completions": {"POST": endpoints.chat},
            "/embeddings": {"POST": endpoints.embeddings},
            "/models": {"GET": models, "HEAD": models},
            "/usage": {"GET": answering_errors(endpoints.usage)},
            "/token": {"GET": answering_errors(endpoints.token)},
        }.items():
            table[path] = table[f"/v1{path}"] = methods
        self._table = table
        self._model = {"GET": models, "HEAD": models}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            return
        path = scope["path"]
        methods = self._table.get(path)
        if methods is None:
            methods = self._find(path, scope)
        if methods is None:
            await send_error(send, RouteNotFound(f"there is no endpoint {path[:200]!r}"))
            return
        endpoint = methods.get(scope["method"])
        if endpoint is None:
            await send_error(send, MethodNotAllowed(scope["method"], path, tuple(methods)))
            return
        await endpoint(scope, receive, send)

    def _find(self, path: str, scope: Scope) -> Mapping[str, Application] | None:
        """What the table cannot hold: a model's own URL, a trailing slash, and `/v1` written twice by a base URL."""
        path = path.rstrip("/").replace("/v1/v1/", "/v1/", 1)
        for prefix in (MODEL_PREFIX, MODEL_PREFIX.removeprefix("/v1")):
            if path.startswith(prefix):
                scope["state"]["rest"] = path.removeprefix(prefix)
                return self._model
        return self._table.get(path)


async def index(scope: Scope, receive: Receive, send: Send) -> None:
    """What this is and where to go."""
    document = {
        "name": "copilot-api",
        "version": __version__,
        "endpoints": [
            "POST /v1/chat/completions",
            "POST /v1/embeddings",
            "GET /v1/models",
            "GET /v1/models/{id}",
            "GET /usage",
            "GET /token",
            "GET /healthz",
            "GET /readyz",
        ],
    }
    await send_json(send, document)
