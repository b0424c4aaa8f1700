"""Every public URL, and what is none."""

import asyncio
from typing import Any

import pytest

from copilot_api import __version__
from copilot_api.api.http_exchange import Receive, Scope, Send
from copilot_api.api.responses import send_json
from copilot_api.api.routes import Endpoints, Router
from copilot_api.errors import Unauthorized
from tests.api.wire import Reply, ask


def named(name: str) -> Any:
    """An endpoint that says its name and what was left of the path."""

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, {"endpoint": name, "rest": scope["state"].get("rest")})

    return endpoint


@pytest.fixture
def router() -> Router:
    return Router(Endpoints(**{name: named(name) for name in Endpoints.__dataclass_fields__}))


def call(router: Router, path: str, method: str = "GET") -> Reply:
    return asyncio.run(ask(router, path, method=method))


POSTS = {
    "/chat/completions": "chat",
    "/responses": "responses",
    "/messages": "messages",
    "/messages/count_tokens": "count_tokens",
    "/embeddings": "embeddings",
}
GETS = {"/models": "models", "/usage": "usage", "/token": "token"}


@pytest.mark.parametrize("slash", ["", "/", "//"])
@pytest.mark.parametrize("prefix", ["", "/v1", "/v1/v1"])
@pytest.mark.parametrize(
    ("path", "method", "name"), [*((p, "POST", n) for p, n in POSTS.items()), *((p, "GET", n) for p, n in GETS.items())]
)
def test_an_endpoint_is_found_with_and_without_v1(
    router: Router, path: str, method: str, name: str, prefix: str, slash: str
) -> None:
    """Base URLs come with `/v1`, without it, and with it written twice; none of them is worth a redirect."""
    reply = call(router, prefix + path + slash, method)
    assert (reply.status, reply.json["endpoint"]) == (200, name)


@pytest.mark.parametrize(("path", "name"), [("/healthz", "healthz"), ("/readyz", "readyz")])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_probes_are_found(router: Router, path: str, name: str, method: str) -> None:
    assert call(router, path, method).status == 200
    assert call(router, path).json["endpoint"] == name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/admin/api", "admin_api"), ("/admin/api/", "admin_api"), ("/admin/api/keys", "admin_api"), ("/admin/api/x/y", "admin_api"),
        ("/admin/traces/2026-07-01.jsonl", "admin_api"), ("/admin", "pages"), ("/admin/", "pages"), ("/admin/apis", "pages"),
        ("/admin/traces/2026-07-01", "pages"), ("/admin/keys", "pages"),
    ],
)  # fmt: skip
def test_what_is_below_admin_is_for_pages_or_for_programs_and_has_no_version(
    router: Router, path: str, name: str
) -> None:
    for method in ("GET", "POST", "DELETE", "TRACE"):
        assert call(router, path, method).json["endpoint"] == name
    assert call(router, f"/v1{path}").status == 404
    assert call(router, "/administrator").status == 404


@pytest.mark.parametrize("prefix", ["", "/v1", "/v1/v1"])
@pytest.mark.parametrize(
    ("model", "rest"), [("gpt-4.1", "gpt-4.1"), ("gpt-4.1/", "gpt-4.1"), ("vendor/odd:name", "vendor/odd:name"), ("a/b/c", "a/b/c"), ("models", "models")]
)  # fmt: skip
def test_a_model_has_a_url_of_its_own(router: Router, prefix: str, model: str, rest: str) -> None:
    reply = call(router, f"{prefix}/models/{model}")
    assert reply.json == {"endpoint": "models", "rest": rest}


def test_the_index_says_what_there_is(router: Router) -> None:
    reply = call(router, "/")
    assert (reply.json["name"], reply.json["version"]) == ("copilot-api", __version__)
    for line in reply.json["endpoints"]:
        method, path = line.split(" ")
        assert call(router, path.replace("{id}", "gpt-4.1"), method).status == 200, line
    assert call(router, "/", "HEAD").status == 200


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/chat/completions", "POST"), ("/chat/completions/", "POST"), ("/embeddings", "POST"), ("/v1/models", "GET, HEAD"),
        ("/v1/models/gpt-4.1", "GET, HEAD"), ("/usage", "GET"), ("/v1/token", "GET"), ("/healthz", "GET, HEAD"), ("/", "GET, HEAD"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "", "POST", "GET"])
def test_another_method_is_refused_with_those_allowed(router: Router, path: str, allowed: str, method: str) -> None:
    if method in allowed.split(", "):
        return
    reply = call(router, path, method)
    assert reply.status == 405
    assert reply.headers is not None
    assert reply.headers["allow"] == allowed
    assert reply.json["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "path",
    [
        "", "//", "/v1/", "/v1", "/V1/models", "/v2/models", "/v1/v1/v1/models", "/models2", "/model", "/v1models", "//models", "/v1//models",
        "/chat", "/chat/completions/x", "/embeddings/x", "/usage/x", "/token/x", "/healthz/x", "/v1/healthz", "/../models", "/v1/../models",
        "/v1/responses/resp_1", "/_sim/stats", "/administrator", "*", "/\x00", "/é", "/" + "x" * 100_000, "/models\n",
    ],
)  # fmt: skip
def test_what_is_no_url_of_ours_is_not_found(router: Router, path: str) -> None:
    reply = call(router, path)
    assert reply.status == 404
    assert reply.json["error"]["code"] == "route_not_found"
    assert len(reply.body) < 1500
    assert reply.headers is not None
    assert "location" not in reply.headers


def test_an_endpoint_that_refuses_is_answered_in_the_envelope(router: Router) -> None:
    async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
        raise Unauthorized("no")

    names = Endpoints.__dataclass_fields__
    refusing_router = Router(Endpoints(**dict.fromkeys(names, refusing)))
    for path in ("/v1/models", "/usage", "/token", "/models/x"):
        assert call(refusing_router, path).status == 401


def test_another_kind_of_scope_is_left_alone(router: Router) -> None:
    async def nothing(*_: Any) -> Any:
        raise AssertionError("nothing is said")

    asyncio.run(router({"type": "lifespan"}, nothing, nothing))
    asyncio.run(router({"type": "websocket", "path": "/"}, nothing, nothing))


@pytest.mark.parametrize(
    ("path", "method", "name", "rest"),
    [
        ("/v1beta/models", "GET", "models", None),
        ("/v1beta/models/gpt-4.1", "GET", "models", "gpt-4.1"),
        ("/v1beta/models/gpt-4.1:generateContent", "POST", "gemini", "gpt-4.1:generateContent"),
        ("/v1beta/models/a:b:streamGenerateContent", "POST", "gemini", "a:b:streamGenerateContent"),
        ("/v1beta/models/gpt-4.1:countTokens", "POST", "gemini_count", "gpt-4.1:countTokens"),
        ("/v1/models/gpt-4.1:generateContent", "POST", "gemini", "gpt-4.1:generateContent"),
        ("/models/gpt-4.1:generateContent", "POST", "gemini", "gpt-4.1:generateContent"),
    ],
)
def test_gemini_names_its_model_and_action_in_the_path(
    router: Router, path: str, method: str, name: str, rest: str | None
) -> None:
    assert call(router, path, method).json == {"endpoint": name, "rest": rest}


@pytest.mark.parametrize("path", ["/v1beta/models/x:embedContent", "/v1beta/nothing", "/v1beta/models/x:"])
def test_what_gemini_has_and_we_have_not_is_an_error_in_its_envelope(router: Router, path: str) -> None:
    reply = call(router, path, "POST")
    assert reply.status in {404, 405}
    assert reply.json["error"]["status"] in {"NOT_FOUND", "UNIMPLEMENTED"}


def test_pitfall_111_a_base_url_with_v1_in_it_reaches_messages(router: Router) -> None:
    assert call(router, "/v1/v1/messages", "POST").json["endpoint"] == "messages"
    assert call(router, "/messages", "POST").json["endpoint"] == "messages"


@pytest.mark.parametrize(
    "path",
    [
        "/admin",
        "/admin/",
        "/admin/keys/x",
        "/admin/traces",
        "/admin/traces/req_1",
        "/admin/apis",
        "/admin/static/x/y.js",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_what_is_for_people_goes_to_the_pages(router: Router, path: str, method: str) -> None:
    """They say themselves what there is, so that even what is not there looks like one of them."""
    assert call(router, path, method).json["endpoint"] == "pages"


@pytest.mark.parametrize("path", ["/admin/api", "/admin/api/sessions/ses_x", "/admin/traces/2026-07-01.jsonl"])
def test_what_is_for_programs_does_not(router: Router, path: str) -> None:
    assert call(router, path, "DELETE").json["endpoint"] == "admin_api"


@pytest.mark.parametrize("path", ["/admin", "/admin/api/sessions", "/admin/api/none", "/admin/api"])
def test_every_answer_under_admin_is_kept_from_frames_and_caches(router: Router, path: str) -> None:
    headers = call(router, path).headers or {}
    assert (headers["x-frame-options"], headers["cache-control"]) == ("DENY", "no-store")
    assert "x-frame-options" not in (call(router, "/v1/models").headers or {})
