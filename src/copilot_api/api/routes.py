"""Every public URL in one table, with and without its version."""

from collections.abc import Mapping
from dataclasses import dataclass

from copilot_api import __version__
from copilot_api.api.errors import error_form_for
from copilot_api.api.http_exchange import Application, Receive, Scope, Send
from copilot_api.api.responses import answering_errors, send_error, send_json
from copilot_api.errors import MethodNotAllowed, RouteNotFound

Methods = Mapping[str, Application]

_MODEL_PREFIXES = ("/v1/models/", "/models/")
_GEMINI_PREFIX = "/v1beta/models/"


async def _without_file(scope: Scope, receive: Receive, send: Send) -> None:
    raise RouteNotFound("this gateway does not keep its settings in a file")


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
    identities: Application
    ledger_usage: Application
    ledger_waste: Application
    ledger_events: Application
    healthz: Application
    readyz: Application
    metrics: Application
    config: Application = _without_file
    config_preview: Application = _without_file


class Router:
    """Finds the endpoint of a request. Lookups by path: no patterns, so nothing to get wrong or to be slow."""

    def __init__(self, endpoints: Endpoints) -> None:
        models = answering_errors(endpoints.models)
        config, preview = answering_errors(endpoints.config), answering_errors(endpoints.config_preview)
        table: dict[str, Methods] = {
            "/": {"GET": index, "HEAD": index},
            "/healthz": {"GET": endpoints.healthz, "HEAD": endpoints.healthz},
            "/readyz": {"GET": endpoints.readyz, "HEAD": endpoints.readyz},
            "/metrics": {"GET": endpoints.metrics, "HEAD": endpoints.metrics},
            "/v1beta/models": {"GET": models, "HEAD": models},
            "/admin/api/identities": {"GET": answering_errors(endpoints.identities)},
            "/admin/api/usage": {"GET": endpoints.ledger_usage},
            "/admin/api/usage/waste": {"GET": endpoints.ledger_waste},
            "/admin/api/events": {"GET": endpoints.ledger_events},
            "/admin/api/config": {"GET": config, "PUT": config},
            "/admin/api/config/preview": {"POST": preview},
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
            "GET /admin/api/identities",
            "GET /admin/api/usage",
            "GET /admin/api/usage/waste",
            "GET /admin/api/events",
            "GET /admin/api/config",
            "PUT /admin/api/config",
            "POST /admin/api/config/preview",
            "GET /healthz",
            "GET /readyz",
            "GET /metrics",
        ],
    }
    await send_json(send, document)
