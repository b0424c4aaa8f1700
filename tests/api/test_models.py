"""`GET /v1/models`: what this key may use."""

import asyncio
from typing import Any

import pytest
from openai.pagination import SyncPage
from openai.types import Model

from copilot_api.api.door import Door
from copilot_api.api.models import ModelList
from copilot_api.api.routes import Endpoints, Router
from copilot_api.config.settings import Exposure, ModelAlias
from copilot_api.errors import GatewayError, UpstreamFailed
from copilot_api.keys.models import KeyPolicy
from copilot_api.keys.service import IssuedKey
from copilot_api.upstream.auth import CopilotSession, CopilotSessions
from copilot_api.upstream.catalog import CatalogKeeper
from copilot_api.upstream.github import GitHub
from copilot_api.upstream.hosts import Hosts
from copilot_api.upstream.identities import CredentialSource, Identity
from tests.api.wire import Reply, ask
from tests.fakes import FakeClock
from tests.stored import Stored

CATALOG: dict[str, Any] = {
    "data": [
        {"id": "gpt-4.1", "name": "GPT-4.1", "vendor": "Azure OpenAI", "supported_endpoints": ["/chat/completions"]},
        {"id": "claude-sonnet-4.5", "name": "Claude", "vendor": "Anthropic", "supported_endpoints": ["/chat/completions", "/v1/messages"]},
        {"id": "gpt-5-codex", "name": "Codex", "vendor": "OpenAI", "supported_endpoints": ["/responses"]},
        {"id": "embed", "name": "Embed", "vendor": "OpenAI", "supported_endpoints": ["/embeddings"]},
        {"id": "off", "name": "Off", "vendor": "X", "supported_endpoints": ["/chat/completions"], "policy": {"state": "disabled"}},
        {"id": "vendor/odd name", "name": "Odd", "vendor": "X", "supported_endpoints": ["/chat/completions"]},
    ]
}  # fmt: skip


ALIASES = {"fast": ModelAlias("gpt-4.1"), "gone": ModelAlias("nowhere")}


class StubGitHub(GitHub):
    """A GitHub that knows one catalog, or fails."""

    def __init__(self, outcome: dict[str, Any] | GatewayError) -> None:
        self.hosts = Hosts()
        self.outcome = outcome

    async def fetch_copilot_user(self, github_token: str) -> dict[str, Any]:
        return {}

    async def fetch_models(self, api: str, bearer: str) -> dict[str, Any]:
        if isinstance(self.outcome, GatewayError):
            raise self.outcome
        return self.outcome


class ReadySessions(CopilotSessions):
    """Sessions that are always there."""

    async def get(self) -> CopilotSession:
        return CopilotSession("bearer", "https://api", float("inf"), float("inf"))


def get(door: Door, clock: FakeClock, path: str, secret: str | None, outcome: Any = None, **more: str) -> Reply:
    async def test() -> Reply:
        github = StubGitHub(CATALOG if outcome is None else outcome)
        keeper = CatalogKeeper(github, ReadySessions(github, Identity("gho_x", CredentialSource.FLAG), clock))
        models = ModelList(door, keeper, lambda: Exposure(ALIASES))
        router = Router(Endpoints(**{**dict.fromkeys(Endpoints.__dataclass_fields__, models), "models": models}))
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(keeper.run())
            headers = {} if secret is None else {"authorization": f"Bearer {secret}"}
            headers |= {name.replace("_", "-"): value for name, value in more.items()}
            reply = await ask(router, path, headers=headers)
            keeping.cancel()
        return reply

    return asyncio.run(test())


def test_a_key_sees_what_can_be_used_here(door: Door, clock: FakeClock, client: IssuedKey) -> None:
    """Neither disabled models nor those of endpoints that this gateway lacks."""
    reply = get(door, clock, "/v1/models", client.secret)
    assert [model["id"] for model in reply.json["data"]] == [
        "fast",
        "gpt-4.1",
        "claude-sonnet-4.5",
        "gpt-5-codex",
        "embed",
        "vendor/odd name",
    ]
    SyncPage[Model].model_validate(reply.json)


def test_a_key_sees_only_what_it_may_use(door: Door, clock: FakeClock, stored: Stored) -> None:
    key = stored.keys.issue("narrow", policy=KeyPolicy(("embed", "nothing")), actor="test")
    assert [model["id"] for model in get(door, clock, "/models", key.secret).json["data"]] == ["embed"]
    assert get(door, clock, "/v1/models/gpt-4.1", key.secret).status == 404
    assert get(door, clock, "/v1/models/embed", key.secret).json["id"] == "embed"


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/gpt-4.1"])
@pytest.mark.parametrize("secret", [None, "sk-cap-" + "a" * 52])
def test_without_a_key_nothing_is_told(
    door: Door, clock: FakeClock, client: IssuedKey, path: str, secret: str | None
) -> None:
    reply = get(door, clock, path, secret)
    assert reply.status == 401
    assert b"gpt-4.1" not in reply.body


@pytest.mark.parametrize(
    ("name", "found"),
    [("gpt-4.1", "gpt-4.1"), ("claude-sonnet-4.5", "claude-sonnet-4.5"), ("claude-sonnet-4-5-20250929", "claude-sonnet-4.5"), ("vendor/odd name", "vendor/odd name")],
)  # fmt: skip
def test_one_model_is_found_by_its_names(
    door: Door, clock: FakeClock, client: IssuedKey, name: str, found: str
) -> None:
    reply = get(door, clock, f"/v1/models/{name}", client.secret)
    assert reply.status == 200
    assert reply.json["id"] == found
    Model.model_validate(reply.json, strict=True)


@pytest.mark.parametrize("name", ["nothing", "off", "gone", "GPT-4.1", "gpt-4.1/x", "..", "x" * 50_000])
def test_a_model_that_cannot_be_used_is_not_found(door: Door, clock: FakeClock, client: IssuedKey, name: str) -> None:
    reply = get(door, clock, f"/v1/models/{name}", client.secret)
    assert reply.status == 404
    assert (reply.json["error"]["code"], reply.json["error"]["param"]) == ("model_not_found", "model")
    assert len(reply.body) < 1500


def test_a_catalog_that_cannot_be_read_is_a_503_with_the_reason(
    door: Door, clock: FakeClock, client: IssuedKey
) -> None:
    reply = get(door, clock, "/v1/models", client.secret, UpstreamFailed("the sea cable is cut"))
    assert reply.status == 503
    assert reply.headers is not None
    assert "retry-after" in reply.headers
    assert "the sea cable is cut" in reply.json["error"]["message"]


def test_googles_clients_read_googles_form(door: Door, clock: FakeClock, client: IssuedKey) -> None:
    """Their SDK asks below `/v1` as well; its headers say who it is."""
    below = get(door, clock, "/v1beta/models", client.secret).json
    assert below["models"][0]["name"] == "models/fast"
    assert get(door, clock, "/v1/models", client.secret, x_goog_api_client="google-genai-sdk/3").json == below
    assert get(door, clock, "/v1/models/gpt-4.1", None, x_goog_api_key=client.secret).json["name"] == "models/gpt-4.1"
    both = get(door, clock, "/v1/models/gpt-4.1", client.secret, x_goog_api_key=client.secret)
    assert both.json["id"] == "gpt-4.1", "a bearer is OpenAI's way"
    refused = get(door, clock, "/v1/models", None, x_goog_api_client="google-genai-sdk/3")
    assert (refused.status, refused.json["error"]["status"]) == (401, "UNAUTHENTICATED")


def test_an_alias_is_found_by_its_own_name(door: Door, clock: FakeClock, client: IssuedKey) -> None:
    assert get(door, clock, "/v1/models/fast", client.secret).json["id"] == "fast"
