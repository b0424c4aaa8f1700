"""That the ledger says what the agents' calls were for: the calls that they make by themselves, and those of helpers."""

import json
from collections import Counter
from collections.abc import Callable

import pytest

from tests.agents.programs import CLAUDE_CODE_2_0, Desk, claude, codex, opencode
from tests.harness import GatewayProcess, wait_until
from tests.journeys.markers import call_tool, say

pytestmark = pytest.mark.timeout(600)  # the first run on a machine installs the programs

ExpectKinds = Callable[..., None]
"""Waits until the ledger has calls of these kinds, at least so many of each, and no others."""
HELPER = {"description": "Look around", "prompt": f"Look around. {say('looked around')}"}


@pytest.fixture
def expect_kinds(gateway: GatewayProcess) -> ExpectKinds:
    """See `ExpectKinds`; calls from before the test do not count."""
    before = {event["request_id"] for event in gateway.events()}

    def wait(**least: int) -> None:
        found: Counter[str] = Counter()

        def are_there() -> bool:
            events = [event for event in gateway.events() if event["request_id"] not in before]
            found.clear()
            found.update(event["kind"] for event in events)
            return all(found[kind] >= count for kind, count in least.items())

        wait_until(are_there, 10, f"calls of these kinds: {least}")
        assert set(found) == set(least)

    return wait


def test_claude_code_sums_a_conversation_up(desk: Desk, expect_kinds: ExpectKinds) -> None:
    first = json.loads(claude(desk, say("one"), model="claude-sonnet-4.5").check().out)
    claude(desk, "/compact", "--resume", first["session_id"], model="claude-sonnet-4.5").check()
    expect_kinds(turn=1, compaction=1)


@pytest.mark.parametrize("model", ["claude-opus-4.8", "gpt-5.4"])
def test_claude_code_has_a_helper(desk: Desk, expect_kinds: ExpectKinds, model: str) -> None:
    marker = call_tool("Agent", {**HELPER, "subagent_type": "Explore"})
    claude(desk, marker, model=model, tools="Agent,Read").check()
    expect_kinds(turn=2, subagent=1)


def test_the_older_claude_code_warms_up_and_has_a_helper(desk: Desk, expect_kinds: ExpectKinds) -> None:
    marker = call_tool("Task", {**HELPER, "subagent_type": "general-purpose"})
    claude(desk, marker, model="claude-sonnet-4.5", tools="Task,Read", program=CLAUDE_CODE_2_0).check()
    expect_kinds(turn=2, subagent=1, warm_up=1)


@pytest.mark.parametrize("model", ["gpt-5.4", "claude-sonnet-4.6"])
def test_codex_sums_a_conversation_up(desk: Desk, expect_kinds: ExpectKinds, model: str) -> None:
    session = str(codex(desk, say("one"), model=model).check().lines[0]["thread_id"])
    codex(desk, say("two"), "-c", "model_auto_compact_token_limit=10", "resume", session, model=model).check()
    expect_kinds(turn=2, compaction=1)


def test_codex_has_a_reviewer(desk: Desk, expect_kinds: ExpectKinds) -> None:
    codex(desk, say("no mistakes"), "review", model="gpt-5.4").check()
    expect_kinds(subagent=1)


def test_opencode_makes_a_title_and_has_a_helper(desk: Desk, expect_kinds: ExpectKinds) -> None:
    marker = call_tool("task", {**HELPER, "subagent_type": "general"})
    opencode(desk, marker, model="claude-sonnet-4.5", provider="@ai-sdk/anthropic").check()
    expect_kinds(turn=2, title=1, subagent=1)
