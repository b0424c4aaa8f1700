"""opencode, through each of the AI SDK's packages that a gateway can be given as."""

import pytest

from tests.agents.conftest import ToolTurns, check_tool_loop
from tests.agents.programs import Desk, Finished, opencode
from tests.journeys.markers import call_tool

pytestmark = pytest.mark.timeout(600)  # the first run on a machine installs the programs

COMPATIBLE, OPENAI, ANTHROPIC = "@ai-sdk/openai-compatible", "@ai-sdk/openai", "@ai-sdk/anthropic"
# A run costs seconds of processor time; every pair of package and endpoint is in tests/sdk_node/ai.mjs.
RUNS = [
    pytest.param(COMPATIBLE, "gpt-4.1", "/chat/completions", id="chat native"),
    pytest.param(COMPATIBLE, "claude-opus-4.8", "/v1/messages", id="chat to messages"),
    pytest.param(OPENAI, "gpt-5.4", "/responses", id="responses native"),
    pytest.param(ANTHROPIC, "claude-sonnet-4.5", "/v1/messages", id="messages native"),
    pytest.param(ANTHROPIC, "gpt-5.4", "/responses", id="messages to responses"),
]


def answer(run: Finished) -> str:
    """The final text of a run that went well."""
    lines = run.check().lines
    assert "error" not in [line["type"] for line in lines], run.out
    assert lines[-1]["type"] == "step_finish"
    assert lines[-1]["part"]["reason"] == "stop"
    return str([line["part"]["text"] for line in lines if line["type"] == "text"][-1])


@pytest.mark.parametrize(("provider", "model", "path"), RUNS)
def test_it_runs_a_command(desk: Desk, tool_turns: ToolTurns, provider: str, model: str, path: str) -> None:
    command = f"printf 'Grüße 🏔' > {desk.work}/made.txt; echo it-ran"
    marker = call_tool("bash", {"command": command, "description": "Make it"})
    run = opencode(desk, f"Make the file. {marker}", model=model, provider=provider)
    assert answer(run) == "SIM-RESULT: it-ran\n"
    assert (desk.work / "made.txt").read_text() == "Grüße 🏔"
    check_tool_loop(tool_turns(marker, "bash"), path, "it-ran")
    steps = [line["part"] for line in run.lines if line["type"] == "step_finish"]
    assert [step["reason"] for step in steps] == ["tool-calls", "stop"]
    assert all(step["tokens"]["output"] > 0 for step in steps)
    assert all(step["tokens"]["total"] > 1000 for step in steps)
