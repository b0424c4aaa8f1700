"""Which model a call gets, and what speaks against it."""

import json
from typing import Any

import pytest

from copilot_api.config.settings import ModelAlias
from copilot_api.errors import GatewayError, ModelNotAllowed, ModelNotFound
from copilot_api.gateway.plan import ModelLacksEndpoint, Plan, find_model, is_allowed, list_models, make_plan
from copilot_api.gateway.surfaces import (
    CHAT_SURFACE,
    EMBEDDINGS_SURFACE,
    GEMINI_SURFACE,
    MESSAGES_SURFACE,
    RESPONSES_SURFACE,
)
from copilot_api.keys.models import ApiKey
from copilot_api.protocols.base import Envelope
from copilot_api.protocols.chat.request import parse_request
from copilot_api.upstream.catalog import Catalog
from tests.gateway.calls import make_key, make_model

CATALOG = Catalog(
    [
        make_model("gpt-4.1"),
        make_model("claude-sonnet-4.5", "/chat/completions", "/v1/messages", multiplier=1.5),
        make_model("codex", "/responses"),
        make_model("embed", "/embeddings"),
        make_model("off", is_enabled=False),
        make_model("nothing-known", "/"),
    ]
)


def plan(model: str, key: ApiKey | None = None, *, role: str = "user", surface: Any = CHAT_SURFACE) -> Plan:
    request = parse_request(f'{{"model":"{model}","messages":[{{"role":"{role}","content":"x"}}]}}'.encode())
    return make_plan(request, surface, key or make_key(), CATALOG, {})


def test_a_call_gets_its_model() -> None:
    found = plan("gpt-4.1")
    assert (found.model.id, found.route.upstream_endpoint, found.premium_requests) == (
        "gpt-4.1",
        "/chat/completions",
        1.0,
    )


@pytest.mark.parametrize("name", ["claude-sonnet-4.5", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929"])
def test_a_model_is_found_by_its_vendors_own_spelling(name: str) -> None:
    assert plan(name).model.id == "claude-sonnet-4.5"


def test_what_follows_from_a_users_call_costs_no_premium_request() -> None:
    assert plan("claude-sonnet-4.5").premium_requests == 1.5
    assert plan("claude-sonnet-4.5", role="tool").premium_requests == 0.0


@pytest.mark.parametrize(
    ("model", "error", "status", "code"),
    [
        ("unknown", ModelNotFound, 404, "model_not_found"), ("off", ModelNotFound, 404, "model_not_found"),
        ("embed", ModelLacksEndpoint, 400, "unsupported_api_for_model"),
        ("x" * 5000, ModelNotFound, 404, "model_not_found"),
    ],
)  # fmt: skip
def test_a_model_that_cannot_serve_is_refused(model: str, error: type[GatewayError], status: int, code: str) -> None:
    with pytest.raises(error) as refusal:
        plan(model)
    assert (refusal.value.actual_status, refusal.value.public_code, refusal.value.param) == (status, code, "model")
    assert refusal.value.actual_hint
    assert len(refusal.value.message) < 500


def test_a_key_may_use_what_it_was_given() -> None:
    assert plan("gpt-4.1", make_key("gpt-4.1", "codex")).model.id == "gpt-4.1"
    with pytest.raises(ModelNotAllowed) as refusal:
        plan("claude-sonnet-4.5", make_key("gpt-4.1"))
    assert (refusal.value.status, refusal.value.param) == (403, "model")


def test_a_key_may_use_its_model_by_each_of_its_names() -> None:
    assert plan("claude-sonnet-4-5-20250929", make_key("claude-sonnet-4.5")).model.id == "claude-sonnet-4.5"
    assert plan("claude-sonnet-4-5", make_key("claude-sonnet-4-5")).model.id == "claude-sonnet-4.5"


def test_a_key_does_not_learn_what_it_may_not_use() -> None:
    """Whether a model is disabled, or speaks another protocol, is none of the business of a key that may not use it."""
    for model in ("off", "codex"):
        with pytest.raises(ModelNotAllowed):
            plan(model, make_key("gpt-4.1"))


def test_an_unknown_model_is_unknown_to_every_key() -> None:
    with pytest.raises(ModelNotFound):
        plan("unknown", make_key("gpt-4.1"))


def test_a_list_holds_what_can_really_be_used() -> None:
    assert [model.id for model in list_models(CATALOG, make_key(), {})] == [
        "gpt-4.1",
        "claude-sonnet-4.5",
        "codex",
        "embed",
    ]
    assert [model.id for model in list_models(CATALOG, make_key("embed", "off"), {})] == ["embed"]
    assert list_models(CATALOG, make_key("none"), {}) == []


def test_every_listed_model_can_be_planned() -> None:
    for key in (make_key(), make_key("claude-sonnet-4.5", "embed")):
        for listed in list_models(CATALOG, key, {}):
            model = CATALOG.find(listed.id)
            assert model is not None
            assert is_allowed(model, listed.id, key)
            surface = EMBEDDINGS_SURFACE if listed.id == "embed" else CHAT_SURFACE
            assert plan(listed.id, key, surface=surface).model is model


def routed(surface: Any, model: str, **traits: str) -> str:
    body = {
        "model": model,
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "x"}],
        "input": "x",
        "contents": [{"parts": [{"text": "x"}]}],
    }
    if surface is CHAT_SURFACE:
        del body["input"]
    request = surface.parse_request(json.dumps(body).encode(), Envelope(model=model))
    return make_plan(request, surface, make_key(), ROUTED, {}).route.upstream_endpoint


EVERY = ("/chat/completions", "/responses", "/v1/messages")
ROUTED = Catalog(
    [
        make_model("gpt-all", *EVERY), make_model("gpt-no-responses", EVERY[0], EVERY[2]), make_model("claude-all", *EVERY), make_model("claude-no-messages", *EVERY[:2]),
        make_model("other-all", *EVERY), make_model("other-responses", EVERY[1]), make_model("other-messages", EVERY[2]), make_model("chat-only", EVERY[0]),
    ]
)  # fmt: skip


@pytest.mark.parametrize(
    ("surface", "model", "endpoint"),
    [
        (CHAT_SURFACE, "claude-all", EVERY[0]), (RESPONSES_SURFACE, "claude-all", EVERY[1]), (MESSAGES_SURFACE, "gpt-all", EVERY[2]),
        (RESPONSES_SURFACE, "chat-only", EVERY[0]), (MESSAGES_SURFACE, "chat-only", EVERY[0]), (MESSAGES_SURFACE, "other-responses", EVERY[1]),
        (CHAT_SURFACE, "other-responses", EVERY[1]), (CHAT_SURFACE, "other-messages", EVERY[2]), (RESPONSES_SURFACE, "other-messages", EVERY[2]),
        (RESPONSES_SURFACE, "gpt-no-responses", EVERY[0]), (MESSAGES_SURFACE, "claude-no-messages", EVERY[0]),
        (GEMINI_SURFACE, "claude-all", EVERY[2]), (GEMINI_SURFACE, "gpt-all", EVERY[1]), (GEMINI_SURFACE, "other-all", EVERY[0]),
    ],
)  # fmt: skip
def test_a_call_passes_through_where_it_can_and_else_goes_to_the_vendors_own_protocol(
    surface: Any, model: str, endpoint: str
) -> None:
    assert routed(surface, model) == endpoint


def test_an_alias_is_a_name_for_a_model_and_says_how_much_it_thinks() -> None:
    aliases = {"quick": ModelAlias("gpt-4.1", "low"), "lost": ModelAlias("nowhere")}
    request = parse_request(b'{"model":"quick","messages":[{"role":"user","content":"x"}]}')
    found = make_plan(request, CHAT_SURFACE, make_key("quick"), CATALOG, aliases)
    assert found.model.id == "gpt-4.1"
    with pytest.raises(ModelNotFound):
        find_model("lost", make_key(), CATALOG, aliases)
    assert [model.id for model in list_models(CATALOG, make_key("quick"), aliases)] == ["quick"]
