"""Codex: it speaks Responses with every model and runs its commands, whichever endpoint the model is served on."""

import base64
import json

import pytest

from tests.agents.conftest import ToolTurns, check_tool_loop
from tests.agents.programs import Desk, Finished, codex
from tests.journeys.markers import call_tool, fault, say

pytestmark = pytest.mark.timeout(600)  # the first run on a machine installs the programs

MODELS = [
    pytest.param("gpt-5.4", "/responses", id="native"),
    pytest.param("gpt-5.3-codex", "/responses", id="native codex"),
    pytest.param("claude-sonnet-4.6", "/v1/messages", id="through Messages"),
    pytest.param("claude-opus-4.8", "/v1/messages", id="Messages only"),
    pytest.param("gpt-4.1", "/chat/completions", id="through Chat Completions"),
    pytest.param("gemini-2.5-pro", "/chat/completions", id="Gemini through Chat Completions"),
]
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def items(run: Finished, kind: str) -> list[dict[str, object]]:
    """What was completed, of one kind."""
    completed = [line["item"] for line in run.check().lines if line["type"] == "item.completed"]
    return [item for item in completed if item["type"] == kind]


def answer(run: Finished) -> str:
    """The final text of a run that went well."""
    assert run.lines[-1]["type"] == "turn.completed"
    return str(items(run, "agent_message")[-1]["text"])


@pytest.mark.parametrize(("model", "path"), MODELS)
def test_it_runs_a_command(desk: Desk, tool_turns: ToolTurns, model: str, path: str) -> None:
    marker = call_tool("exec_command", {"cmd": f"printf 'Grüße 🏔' > {desk.work}/made.txt; echo it-ran"})
    run = codex(desk, f"Make the file. {marker}", model=model)
    said = answer(run)
    assert said.startswith("SIM-RESULT: ")
    assert "it-ran" in said
    assert (desk.work / "made.txt").read_text() == "Grüße 🏔"
    [executed] = items(run, "command_execution")
    assert (executed["exit_code"], executed["status"]) == (0, "completed")
    check_tool_loop(tool_turns(marker, "exec_command"), path, "it-ran")
    usage = run.lines[-1]["usage"]
    assert usage["input_tokens"] > 1000
    assert usage["output_tokens"] > 0


@pytest.mark.parametrize("model", ["gpt-5.4", "claude-sonnet-4.6", "gpt-4.1"])
def test_it_looks_at_an_image(desk: Desk, tool_turns: ToolTurns, model: str) -> None:
    """The result of `view_image` is a list with an image in it, which Copilot wants announced in a header."""
    (desk.work / "pixel.png").write_bytes(PIXEL)
    marker = call_tool("view_image", {"path": str(desk.work / "pixel.png")})
    answer(codex(desk, marker, model=model))
    turns = tool_turns(marker, "view_image")
    assert len(turns) == 2
    assert turns[1]["headers"]["copilot-vision-request"] == "true"
    assert "base64" in json.dumps(turns[1]["body"])


@pytest.mark.parametrize("model", ["gpt-5.4", "claude-sonnet-4.6", "gpt-4.1"])
def test_two_prompts_are_one_conversation(desk: Desk, tool_turns: ToolTurns, model: str) -> None:
    """Reasoning and messages of the first turn come back with the second and are taken."""
    first = codex(desk, say("remembered"), model=model)
    assert answer(first) == "remembered"
    session = str(first.lines[0]["thread_id"])
    marker = call_tool("exec_command", {"cmd": f"ls {desk.work}; echo again"})
    run = codex(desk, marker, "resume", session, model=model)
    assert "again" in answer(run)
    turns = tool_turns(marker, "exec_command")
    assert [turn["headers"]["x-initiator"] for turn in turns] == ["user", "agent"]
    assert all("remembered" in json.dumps(turn["body"]) for turn in turns)


def test_a_wrong_key_ends_the_run(desk: Desk) -> None:
    run = codex(Desk(desk.home, desk.work, desk.gateway_url, "sk-cap-" + "a" * 52), say("never"), model="gpt-5.4")
    assert run.code == 1
    assert "401" in run.out
    assert "never" not in run.out


def test_an_unknown_model_ends_the_run(desk: Desk) -> None:
    run = codex(desk, say("never"), model="gpt-99")
    assert run.code == 1
    assert "gpt-99" in run.out
    assert "never" not in run.out


@pytest.mark.parametrize("model", ["gpt-5.4", "claude-sonnet-4.6", "gpt-4.1"])
@pytest.mark.parametrize("name", ["midstream-error", "cut"])
def test_a_stream_that_breaks_ends_the_run(desk: Desk, model: str, name: str) -> None:
    """Half an answer must not pass for a whole one."""
    run = codex(desk, fault(name), model=model)
    assert run.code == 1
    assert run.lines[-1]["type"] == "turn.failed"
