"""Which model a call gets, and what speaks against it."""

import json
from dataclasses import replace
from typing import Any

import pytest

from copilot_api.config.settings import Exposure, ModelAlias
from copilot_api.errors import GatewayError, ModelNotAllowed, ModelNotFound
from copilot_api.gateway.plan import (
    ModelLacksEndpoint,
    Plan,
    broken_aliases,
    choose,
    is_allowed,
    list_models,
    make_plan,
)
from copilot_api.gateway.surfaces import (
    CHAT_SURFACE,
    EMBEDDINGS_SURFACE,
    GEMINI_SURFACE,
    MESSAGES_SURFACE,
    RESPONSES_SURFACE,
)
from copilot_api.keys.models import ApiKey, KeyPolicy
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

CATALOG_ONLY = Exposure()


def plan(model: str, key: ApiKey | None = None, *, role: str = "user", surface: Any = CHAT_SURFACE) -> Plan:
    request = parse_request(f'{{"model":"{model}","messages":[{{"role":"{role}","content":"x"}}]}}'.encode())
    choice = choose(model, key or make_key(), CATALOG, CATALOG_ONLY)
    return make_plan(request, surface, choice, choice.models[0])


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
    assert [model.id for model in list_models(CATALOG, make_key(), CATALOG_ONLY)] == [
        "gpt-4.1",
        "claude-sonnet-4.5",
        "codex",
        "embed",
    ]
    assert [model.id for model in list_models(CATALOG, make_key("embed", "off"), CATALOG_ONLY)] == ["embed"]
    assert list_models(CATALOG, make_key("none"), CATALOG_ONLY) == []


def test_every_listed_model_can_be_planned() -> None:
    for key in (make_key(), make_key("claude-sonnet-4.5", "embed")):
        for listed in list_models(CATALOG, key, CATALOG_ONLY):
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
    choice = choose(model, make_key(), ROUTED, CATALOG_ONLY)
    return make_plan(request, surface, choice, choice.models[0]).route.upstream_endpoint


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


# What the operator exposes


def expose(*, listed: bool = False, default: str = "", **aliases: ModelAlias) -> Exposure:
    return Exposure(aliases, listed, default)


def ids(name: str, exposure: Exposure, key: ApiKey | None = None) -> list[str]:
    """The models that a name means."""
    return [model.id for model in choose(name, key or make_key(), CATALOG, exposure).models]


def listed(exposure: Exposure, key: ApiKey | None = None) -> list[str]:
    return [model.id for model in list_models(CATALOG, key or make_key(), exposure)]


def test_an_alias_is_a_name_for_a_model_and_says_how_much_it_thinks() -> None:
    exposure = expose(quick=ModelAlias("gpt-4.1", "low"), lost=ModelAlias("nowhere"))
    choice = choose("quick", make_key("quick"), CATALOG, exposure)
    request = parse_request(b'{"model":"quick","messages":[{"role":"user","content":"x"}]}')
    assert make_plan(request, CHAT_SURFACE, choice, choice.models[0]).model.id == "gpt-4.1"
    with pytest.raises(ModelNotFound):
        choose("lost", make_key(), CATALOG, exposure)
    assert listed(exposure, make_key("quick")) == ["quick"]


def test_with_only_the_listed_exposed_the_rest_of_the_catalog_is_not_there() -> None:
    exposure = expose(listed=True, quick=ModelAlias("gpt-4.1"))
    assert ids("quick", exposure) == ["gpt-4.1"]
    for name in ("gpt-4.1", "codex", "unknown"):
        with pytest.raises(ModelNotFound):
            ids(name, exposure)
    assert listed(exposure) == ["quick"]


def test_an_entry_that_is_switched_off_is_not_there_also_under_the_models_own_name() -> None:
    exposure = expose(codex=ModelAlias("codex", is_enabled=False), quick=ModelAlias("gpt-4.1", is_enabled=False))
    for name in ("codex", "quick"):
        with pytest.raises(ModelNotFound, match="switched off"):
            ids(name, exposure)
    assert {"codex", "quick"}.isdisjoint(listed(exposure))
    assert ids("gpt-4.1", exposure) == ["gpt-4.1"]


@pytest.mark.parametrize("named", ["key_1", "the label", "sk-cap-aaaa"])
def test_an_entry_is_for_the_keys_that_it_names_by_id_label_or_prefix(named: str) -> None:
    mine, others = ModelAlias("gpt-4.1", allowed_keys=(named,)), ModelAlias("gpt-4.1", allowed_keys=("somebody",))
    exposure = expose(mine=mine, others=others)
    assert ids("mine", exposure) == ["gpt-4.1"]
    with pytest.raises(ModelNotAllowed):
        ids("others", exposure)
    assert "others" not in listed(exposure)
    assert "mine" in listed(exposure)


def test_an_entry_widens_no_key() -> None:
    with pytest.raises(ModelNotAllowed):
        ids("quick", expose(quick=ModelAlias("gpt-4.1", allowed_keys=("key_1",))), make_key("codex"))


def test_the_models_of_an_entry_are_tried_in_its_order_without_those_that_are_not_there() -> None:
    alias = ModelAlias("nowhere", fallback=("codex", "off", "gpt-4.1"))
    assert ids("best", expose(best=alias)) == ["codex", "gpt-4.1"]


def test_the_default_answers_for_names_that_nothing_goes_by() -> None:
    exposure = expose(default="quick", quick=ModelAlias("gpt-4.1", "low"))
    assert ids("gpt-3.5-turbo", exposure) == ["gpt-4.1"]
    assert ids("codex", exposure) == ["codex"]
    choice = choose("gpt-3.5-turbo", make_key("quick"), CATALOG, exposure)
    assert choice.alias is not None
    assert choice.alias.default_effort == "low"
    with pytest.raises(ModelNotAllowed):
        ids("gpt-3.5-turbo", exposure, make_key("codex"))
    assert ids("codex", expose(listed=True, default="quick", quick=ModelAlias("gpt-4.1"))) == ["gpt-4.1"]


def test_a_scope_that_is_only_observed_refuses_nothing_and_hides_nothing() -> None:
    key = replace(make_key("gpt-4.1"), policy=KeyPolicy(("gpt-4.1",), observe=("models",)))
    choice = choose("codex", key, CATALOG, CATALOG_ONLY)
    assert choice.is_out_of_scope
    assert not choose("gpt-4.1", key, CATALOG, CATALOG_ONLY).is_out_of_scope
    assert len(listed(CATALOG_ONLY, key)) == 4


def test_an_alias_is_broken_when_neither_its_model_nor_any_that_takes_its_place_is_there() -> None:
    aliases = {
        "fine": ModelAlias("gpt-4.1"),
        "spelled": ModelAlias("claude-sonnet-4-5"),
        "saved": ModelAlias("nowhere", fallback=("gone", "codex")),
        "disabled": ModelAlias("off"),
        "switched-off": ModelAlias("nowhere", is_enabled=False),
        "lost": ModelAlias("nowhere", fallback=("gone",)),
    }
    assert broken_aliases(Exposure(aliases), CATALOG) == ["lost"]
    assert broken_aliases(CATALOG_ONLY, CATALOG) == []
