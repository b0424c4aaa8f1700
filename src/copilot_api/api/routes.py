"""Every public URL in one table, with and without its version."""

from collections.abc import Mapping
from dataclasses import dataclass

from copilot_api import __version__
from copilot_api.api.errors import error_form_for
from copilot_api.api.http_exchange import Application, Receive, Scope, Send
from copilot_api.api.operations.table import OPERATIONS
from copilot_api.api.responses import answering_errors, send_error, send_json
from copilot_api.api.security_headers import SecurityHeaders
from copilot_api.errors import MethodNotAllowed, RouteNotFound

Methods = Mapping[str, Application]

_MODEL_PREFIXES = ("/v1/models/", "/models/")
_GEMINI_PREFIX = "/v1beta/models/"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What the table leads to."""

    chat: Application
    responses: Application
    messages: Application
    count_tokens: Application
    embeddings: Application
    gemini: Application
    gemini_count: Application
    models: Application
    usage: Application
    token: Application
    healthz: Application
    readyz: Application
    metrics: Application
    admin_api: Application
    """Every path under /admin/api, and files of captures."""
    pages: Application
    """What is for people: every other path under /admin."""


class Router:
    """Finds the endpoint of a request. Lookups by path: no patterns, so nothing to get wrong or to be slow."""

    def __init__(self, endpoints: Endpoints, headers: SecurityHeaders | None = None) -> None:
        self._headers = headers or SecurityHeaders()
        self._pages, self._admin_api = endpoints.pages, endpoints.admin_api
        models = answering_errors(endpoints.models)
        table: dict[str, Methods] = {
            "/": {"GET": index, "HEAD": index},
            "/healthz": {"GET": endpoints.healthz, "HEAD": endpoints.healthz},
            "/readyz": {"GET": endpoints.readyz, "HEAD": endpoints.readyz},
            "/metrics": {"GET": endpoints.metrics, "HEAD": endpoints.metrics},
            "/v1beta/models": {"GET": models, "HEAD": models},
        }
        for path, methods in {
            "/chat/completions": {"POST": endpoints.chat},
            "/responses": {"POST": endpoints.responses},
            "/messages": {"POST": endpoints.messages},
            "/messages/count_tokens": {"POST": endpoints.count_tokens},
            "/embeddings": {"POST": endpoints.embeddings},
            "/models": {"GET": models, "HEAD": models},
            "/usage": {"GET": answering_errors(endpoints.usage)},
            "/token": {"GET": answering_errors(endpoints.token)},
        }.items():
            table[path] = table[f"/v1{path}"] = methods
        self._table = table
        self._model = {"GET": models, "HEAD": models}
        self._gemini_actions: Mapping[str, Methods] = {
            "generateContent": {"POST": endpoints.gemini},
            "streamGenerateContent": {"POST": endpoints.gemini},
            "countTokens": {"POST": endpoints.gemini_count},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            return
        path = scope["path"]
        if path.startswith("/admin"):
            send = self._headers.around(scope, send)
            if path[6:7] in {"", "/"}:
                await (self._pages if _is_page(path) else self._admin_api)(scope, receive, send)
                return
        methods = self._table.get(path)
        if methods is None:
            methods = self._find(path, scope)
        if methods is None:
            form = error_form_for(path, scope["headers"])
            await send_error(send, RouteNotFound(f"there is no endpoint {path[:200]!r}"), form)
            return
        endpoint = methods.get(scope["method"])
        if endpoint is None:
            form = error_form_for(path, scope["headers"])
            await send_error(send, MethodNotAllowed(scope["method"], path, tuple(methods)), form)
            return
        await endpoint(scope, receive, send)

    def _find(self, path: str, scope: Scope) -> Methods | None:
        """What the table cannot hold: a model's own URL, a trailing slash, and `/v1` written twice by a base URL."""
        path = path.rstrip("/").replace("/v1/v1/", "/v1/", 1)
        if path.startswith("/v1beta/"):
            return self._find_gemini(path, scope)
        action = path.rpartition(":")[2]
        if action in self._gemini_actions and path.startswith(_MODEL_PREFIXES):
            return self._find_gemini(f"/v1beta{path.removeprefix('/v1')}", scope)
        for prefix in _MODEL_PREFIXES:
            if path.startswith(prefix):
                scope["state"]["rest"] = path.removeprefix(prefix)
                return self._model
        return self._table.get(path)

    def _find_gemini(self, path: str, scope: Scope) -> Methods | None:
        """`/v1beta/models/{model}` and `/v1beta/models/{model}:{action}`."""
        if not path.startswith(_GEMINI_PREFIX):
            return self._table.get(path)
        rest = path.removeprefix(_GEMINI_PREFIX)
        scope["state"]["rest"] = rest
        model, _, action = rest.rpartition(":")
        return self._gemini_actions.get(action, self._model) if model else self._model


def _is_page(path: str) -> bool:
    """Whether a path that begins with `/admin` is for people."""
    if path.startswith("/admin/traces/") and path.endswith(".jsonl"):
        return False
    return path == "/admin" or (path.startswith("/admin/") and path != "/admin/api" and path[:11] != "/admin/api/")


async def index(scope: Scope, receive: Receive, send: Send) -> None:
    """What this is and where to go."""
    document = {
        "name": "copilot-api",
        "version": __version__,
        "endpoints": [
            "POST /v1/chat/completions",
            "POST /v1/responses",
            "POST /v1/messages",
            "POST /v1/messages/count_tokens",
            "POST /v1/embeddings",
            "POST /v1beta/models/{model}:generateContent",
            "POST /v1beta/models/{model}:streamGenerateContent",
            "POST /v1beta/models/{model}:countTokens",
            "GET /v1/models",
            "GET /v1/models/{id}",
            "GET /v1beta/models",
            "GET /usage",
            "GET /token",
            *(f"{operation.method} {operation.path}" for operation in OPERATIONS),
            "GET /admin",
            "GET /healthz",
            "GET /readyz",
            "GET /metrics",
        ],
    }
    await send_json(send, document)
