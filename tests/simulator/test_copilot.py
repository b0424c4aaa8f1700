"""API calls carry credentials and recent headers, and cost what the model costs."""

from typing import Any
from urllib.parse import parse_qs

import pytest

from copilot_api.simulator.options import SimulatorOptions
from tests.simulator.client import CHAT, Client, question
from tests.simulator.conftest import Start


@pytest.mark.parametrize(
    ("version", "status"), [("2025-04-01", 200), ("2026-06-01", 200), ("next", 200), ("2024-12-31", 466), ("", 466)]
)
def test_an_api_version_that_is_too_old_or_missing_is_refused(simulator: Client, version: str, status: int) -> None:
    answer = simulator.api(CHAT, question(CHAT, "hi"), x_github_api_version=version)
    assert answer.status == status
    if status == 466:
        assert answer.text.startswith("bad request: the specified API version is no longer supported.")


def test_an_editor_has_to_say_its_version(simulator: Client) -> None:
    assert simulator.api(CHAT, question(CHAT, "hi"), editor_version="").status == 400


def test_a_direct_token_needs_no_editor(simulator: Client) -> None:
    answer = simulator.call("POST", CHAT, question(CHAT, "hi"), {"authorization": "Bearer gho_a"})
    assert answer.status == 200


def _remaining(answer: Any) -> float:
    snapshot = parse_qs(answer.headers["x-quota-snapshot-premium_interactions"])
    assert list(snapshot) == ["ent", "ov", "ovPerm", "rem", "rst"]
    return float(snapshot["rem"][0])


def test_premium_usage_moves_by_the_multiplier_for_human_turns_only(simulator: Client) -> None:
    haiku = {**question(CHAT, "hi"), "model": "claude-haiku-4.5"}
    shares = [_remaining(simulator.api(CHAT, question(CHAT, "hi"), x_initiator="user"))]
    shares.append(_remaining(simulator.api(CHAT, haiku, x_initiator="agent")))
    assert shares == [90.3333, 90.3333]
    assert _remaining(simulator.api(CHAT, haiku, x_initiator="user")) == pytest.approx(100 * 270.67 / 300, abs=1e-3)
    assert _remaining(simulator.api(CHAT, haiku)) == pytest.approx(100 * 270.34 / 300, abs=1e-3)


def test_a_refused_call_costs_nothing(simulator: Client) -> None:
    simulator.ask(CHAT, "SIM-FAULT:429", model="claude-haiku-4.5")
    simulator.ask(CHAT, "hi", model="claude-haiku-4.5", messages=[])
    assert _remaining(simulator.ask(CHAT, "hi")) == 90.3333


def test_a_spent_quota_refuses_premium_models_and_leaves_the_free_ones(start: Start) -> None:
    client = start(SimulatorOptions(premium_used=300, overage_permitted=False))
    refused = client.ask(CHAT, "hi", model="claude-haiku-4.5")
    assert (refused.status, refused.json()["error"]["code"]) == (402, "quota_exceeded")
    assert refused.headers["retry-after"].endswith("T00:00:00Z")
    assert _remaining(refused) == 0
    assert client.ask(CHAT, "hi").status == 200


def test_auto_mode_gives_a_session(simulator: Client) -> None:
    session = simulator.api("/models/session", {"auto_mode": {"model_hints": ["auto"]}}).json()
    assert session["selected_model"] in session["available_models"]
    assert session["session_token"].count(".") == 2


def test_the_next_turn_of_a_long_conversation_reads_the_cache(simulator: Client) -> None:
    first = {"role": "user", "content": "long " * 2000}
    body = {**question(CHAT, ""), "messages": [first]}
    assert simulator.api(CHAT, body).json()["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
    body["messages"] += [{"role": "assistant", "content": "yes"}, {"role": "user", "content": "and now?"}]
    usage = simulator.api(CHAT, body).json()["usage"]
    assert 1024 <= usage["prompt_tokens_details"]["cached_tokens"] <= usage["prompt_tokens"]
