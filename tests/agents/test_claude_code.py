"""Claude Code in print mode: it writes files and runs commands, whichever endpoint its model is served on."""

import json
from typing import Any

import pytest

from tests.agents.conftest import ToolTurns, check_tool_loop
from tests.agents.programs import CLAUDE_CODE, CLAUDE_CODE_2_0, Desk, Finished, claude
from tests.harness import GatewayProcess, wait_until
from tests.journeys.markers import call_tool, fault, say

pytestmark = pytest.mark.timeout(600)  # the first run on a machine installs the programs

MESSAGES, RESPONSES, CHAT = "/v1/messages", "/responses", "/chat/completions"
CONTENT = "Grüße 🏔\n\tsecond line\n"

MODELS = [
    pytest.param("claude-sonnet-4.5", MESSAGES, id="native"),
    pytest.param("claude-opus-4.8", MESSAGES, id="native adaptive"),
    pytest.param("claude-sonnet-4-6", MESSAGES, id="native by its dashed name"),
    pytest.param("gpt-5.4", RESPONSES, id="through Responses"),
    pytest.param("gpt-4.1", CHAT, id="through Chat Completions"),
    pytest.param("gemini-2.5-pro", CHAT, id="Gemini through Chat Completions"),
]


def answer(run: Finished) -> str:
    """The final text of a run that went well."""
    outcome = json.loads(run.check().out)
    assert outcome["subtype"] == "success"
    assert outcome["is_error"] is False
    return str(outcome["result"])


@pytest.mark.parametrize(("model", "path"), MODELS)
def test_it_writes_a_file(desk: Desk, tool_turns: ToolTurns, model: str, path: str) -> None:
    target = desk.work / "note.txt"
    marker = call_tool("Write", {"file_path": str(target), "content": CONTENT})
    run = claude(desk, f"Write the note. {marker}", model=model)
    assert answer(run).startswith("SIM-RESULT: File created successfully")
    assert target.read_text() == CONTENT
    check_tool_loop(tool_turns(marker, "Write"), path, "File created successfully")
    outcome = json.loads(run.out)
    assert outcome["num_turns"] == 2
    assert outcome["usage"]["output_tokens"] > 0
    used = outcome["usage"]
    assert used["input_tokens"] + used["cache_read_input_tokens"] + used["cache_creation_input_tokens"] > 1000


@pytest.mark.parametrize("model", ["claude-sonnet-4.6", "gpt-5.4", "gpt-4.1"])
def test_a_failing_command_is_told_as_a_result(desk: Desk, tool_turns: ToolTurns, model: str) -> None:
    """`is_error: true` with text is a result like any other."""
    marker = call_tool("Bash", {"command": f"ls {desk.work}; echo told >&2; exit 3", "description": "Fail"})
    assert "told" in answer(claude(desk, marker, model=model))
    assert len(tool_turns(marker, "Bash")) == 2


@pytest.mark.parametrize("model", ["claude-sonnet-4.5", "gpt-5.4", "gpt-4.1"])
def test_it_streams_what_is_said(desk: Desk, model: str) -> None:
    """With partial messages the events of the stream themselves are printed."""
    flags = ("--verbose", "--include-partial-messages")
    run = claude(desk, say("one two three four"), *flags, model=model, output_format="stream-json").check()
    events = [line["event"] for line in run.lines if line["type"] == "stream_event"]
    names = [event["type"] for event in events]
    assert names[0] == "message_start"
    assert names[-2:] == ["message_delta", "message_stop"]
    assert names.count("content_block_start") == names.count("content_block_stop") >= 1
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    said = [delta["text"] for delta in deltas if delta["type"] == "text_delta"]
    assert "".join(said) == "one two three four"
    assert len(said) >= 3
    assert run.lines[-1]["result"] == "one two three four"


def test_the_key_may_come_as_an_api_key(desk: Desk) -> None:
    variables = {"ANTHROPIC_API_KEY": desk.key}
    assert answer(claude(desk, say("let in"), model="claude-sonnet-4.5", environment=variables)) == "let in"


def test_two_prompts_are_one_conversation(desk: Desk, tool_turns: ToolTurns) -> None:
    """What was said and thought before comes back with the next prompt and is taken."""
    first = json.loads(claude(desk, say("remembered"), model="claude-sonnet-4.5").check().out)
    marker = say(f"second in {desk.work}")
    run = claude(desk, marker, "--resume", first["session_id"], model="claude-sonnet-4.5")
    assert answer(run) == f"second in {desk.work}"
    [turn] = tool_turns(marker, "Write")
    assert turn["headers"]["x-initiator"] == "user"
    assert "remembered" in json.dumps(turn["body"]["messages"])


@pytest.mark.parametrize("model", ["claude-sonnet-4.5", "gpt-5.4"])
def test_the_older_line_works_too(desk: Desk, tool_turns: ToolTurns, model: str) -> None:
    """Version 2.0 counts tokens first and warms up with dated model names."""
    target = desk.work / "old.txt"
    marker = call_tool("Write", {"file_path": str(target), "content": CONTENT})
    assert answer(claude(desk, marker, model=model, program=CLAUDE_CODE_2_0)).startswith("SIM-RESULT: File created")
    assert target.read_text() == CONTENT
    turns = tool_turns(marker, "Write")
    assert [turn["headers"]["x-initiator"] for turn in turns if turn["path"] != "/v1/messages/count_tokens"] == [
        "user",
        "agent",
    ]


@pytest.mark.parametrize("program", [CLAUDE_CODE, CLAUDE_CODE_2_0], ids=["2.1", "2.0"])
def test_a_wrong_key_is_reported_at_once(desk: Desk, program: str) -> None:
    """Without `x-should-retry: false` it would try ten times, for three minutes."""
    variables = {"ANTHROPIC_AUTH_TOKEN": "sk-cap-" + "a" * 52}
    run = claude(desk, say("never"), model="claude-sonnet-4.5", environment=variables, program=program)
    assert run.code == 1
    assert "never" not in run.out
    assert "401" in run.out
    assert "req_" in run.out


def test_an_unknown_model_is_reported(desk: Desk) -> None:
    run = claude(desk, say("never"), model="claude-unknown-9")
    assert run.code == 1
    outcome = json.loads(run.out)
    assert outcome["is_error"] is True
    assert "claude-unknown-9" in outcome["result"]


def test_a_stream_that_breaks_is_no_silent_success(desk: Desk) -> None:
    """Half an answer must not pass for a whole one."""
    run = claude(
        desk,
        fault("midstream-error"),
        model="claude-sonnet-4.5",
        environment={"ANTHROPIC_AUTH_TOKEN": desk.key, "CLAUDE_CODE_MAX_RETRIES": "0"},
    )
    assert run.code == 1
    assert json.loads(run.out)["is_error"] is True


def test_the_conversation_is_accounted_to_its_key(desk: Desk, gateway: GatewayProcess) -> None:
    """Each turn is a usage event that names the client, the model and the endpoint."""
    marker = call_tool("Write", {"file_path": str(desk.work / "n"), "content": "x"})
    answer(claude(desk, marker, model="claude-haiku-4.5"))

    def turns() -> list[dict[str, Any]]:
        return [event for event in gateway.events() if event["model"] == "claude-haiku-4.5" and event["stream"]]

    wait_until(lambda: len(turns()) >= 2, 10, "both turns are stored")
    assert {event["client"] for event in turns()} == {"claude-code"}
    assert {event["upstream_endpoint"] for event in turns()} == {"/v1/messages"}
    assert [event["initiator"] for event in turns()[:2]] == ["user", "agent"]
    assert all(event["output_tokens"] > 0 and not event["usage_unknown"] for event in turns())
