"""The catalog is the recorded one, and decides which model answers where."""

import pytest

from copilot_api.simulator.catalog import Catalog
from copilot_api.simulator.replies import load_document
from tests.simulator.client import CHAT, MESSAGES, RESPONSES, Client


def test_the_list_is_the_recorded_one(simulator: Client) -> None:
    answer = simulator.call("GET", "/models", headers=simulator.api_headers())
    assert answer.json() == load_document("models.json")


@pytest.mark.parametrize(
    ("path", "model", "code"),
    [
        (CHAT, "gpt-5.3-codex", "unsupported_api_for_model"),
        (CHAT, "text-embedding-3-small", "unsupported_api_for_model"),
        (CHAT, "gpt-41-copilot", "unsupported_api_for_model"),
        (RESPONSES, "gpt-4.1", "unsupported_api_for_model"),
        (MESSAGES, "gpt-4.1", "unsupported_api_for_model"),
        (CHAT, "auto", "model_not_supported"),
        (CHAT, "gpt-99", "model_not_supported"),
        (CHAT, "grok-code-fast-1", "model_not_supported"),
        (MESSAGES, "claude-opus-4.7", "model_not_supported"),
    ],
)
def test_a_model_answers_only_where_it_is_listed_and_enabled(
    simulator: Client, path: str, model: str, code: str
) -> None:
    answer = simulator.ask(path, "hi", model=model)
    assert (answer.status, answer.json()["error"]["code"]) == (400, code)


def test_a_policy_can_be_flipped_and_shows_in_the_list(simulator: Client) -> None:
    flipped = simulator.api("/models/claude-opus-4.7/policy", {"state": "enabled"}, openai_intent="chat-policy")
    assert flipped.status == 200
    assert simulator.ask(MESSAGES, "hi", model="claude-opus-4.7").status == 200
    models = simulator.call("GET", "/models", headers=simulator.api_headers()).json()["data"]
    assert next(model for model in models if model["id"] == "claude-opus-4.7")["policy"]["state"] == "enabled"
    assert simulator.api("/models/gpt-99/policy", {"state": "enabled"}).status == 404
    assert simulator.api("/models/gpt-4.1/policy", {"state": "maybe"}).status == 400


def test_two_catalogs_do_not_share_their_policies() -> None:
    one, other = Catalog(), Catalog()
    assert one.set_policy("grok-code-fast-1", "enabled")
    assert one.document != other.document
    assert len(other.ids()) == 18
