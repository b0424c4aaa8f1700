"""`start --upstream simulator`: the gateway and the simulator in one process, with a data directory that stays."""

import json
from pathlib import Path

import pytest

from tests.harness import GatewayProcess
from tests.journeys.commands import admin_key
from tests.journeys.markers import call_tool, chat, say
from tests.journeys.wire import CHAT, send

NOWHERE = "http://127.0.0.1:9"
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def test_it_needs_no_credential_and_no_network(home: Path) -> None:
    """Whatever the upstream variables say: it talks to itself."""
    with GatewayProcess(home, NOWHERE, "--upstream", "simulator", github_token=None) as gateway:
        key = admin_key(gateway)
        answer = send(gateway.url, CHAT, chat(say("simulated"), stream=True), key=key)
        assert (answer.text, answer.is_done) == ("simulated", True)
        called = send(gateway.url, CHAT, chat(call_tool("look", {}), tools=[TOOL]), key=key)
        assert called.json["choices"][0]["finish_reason"] == "tool_calls"
        assert gateway.output.count("listening on") == 1, "the gateway's address, not the simulator's"
        assert gateway.stop() == 0
    assert not (home / "github_token").exists()
    assert (home / "copilot-api.db").exists()


def test_a_given_credential_does_not_go_there(home: Path) -> None:
    token = "ghu_real0000000000000000000000000000000"
    with GatewayProcess(home, NOWHERE, "--upstream", "simulator", github_token=token) as gateway:
        assert send(gateway.url, "/usage", key=admin_key(gateway)).json["login"] == "octocat"
        assert token not in gateway.output


def test_the_guard_on_no_auth_holds_here_too(home: Path) -> None:
    with pytest.raises(RuntimeError, match="i-accept-account-suspension-risk"):
        GatewayProcess(home, NOWHERE, "--upstream", "simulator", "--no-auth", "--host", "0.0.0.0").start()


def test_usage_of_the_simulated_upstream_is_kept(home: Path) -> None:
    with GatewayProcess(home, NOWHERE, "--upstream", "simulator", github_token=None) as gateway:
        key = admin_key(gateway)
        assert send(gateway.url, CHAT, chat("hello", model="claude-sonnet-4.6"), key=key).status == 200
    report = json.loads(gateway.cli("usage", "--by", "model", "--json"))
    assert [(row["group"], row["requests"]) for row in report["rows"]] == [("claude-sonnet-4.6", 1)]
    assert report["total"]["credits"] > 0
