"""A desk for each test, and what the shared simulator saw of the run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.agents.programs import Desk, programs
from tests.harness import GatewayProcess, Simulator

ToolTurns = Callable[[str, str], list[dict[str, Any]]]
"""The requests with a marker in them that declare a tool, in order of arrival."""


@pytest.fixture
def desk(gateway: GatewayProcess, client_key: str, tmp_path: Path) -> Desk:
    """An empty home, an empty working directory, the shared gateway and a key of it."""
    programs()
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    return Desk(home, work, gateway.url, client_key)


@pytest.fixture
def tool_turns(simulator: Simulator) -> ToolTurns:
    """See `ToolTurns`. Requests without the tool are titles and the like, which agents ask for in between."""

    def find(marker: str, tool: str) -> list[dict[str, Any]]:
        asked = [request for request in simulator.requests if marker in json.dumps(request["body"])]
        return [request for request in asked if tool in tool_names(request["body"])]

    return find


def tool_names(body: dict[str, Any]) -> set[str]:
    """The tools that a request to any endpoint declares."""
    return {tool.get("name") or tool.get("function", {}).get("name") for tool in body.get("tools") or ()}


def results(request: dict[str, Any]) -> list[str]:
    """The texts of the tool results that a request to any endpoint carries."""
    body = request["body"]
    match request["path"]:
        case "/chat/completions":
            return [text(message["content"]) for message in body["messages"] if message["role"] == "tool"]
        case "/responses":
            return [text(item["output"]) for item in body["input"] if item.get("type") == "function_call_output"]
        case "/v1/messages":
            blocks = [block for message in body["messages"] for block in blocks_of(message["content"])]
            return [text(block.get("content", "")) for block in blocks if block["type"] == "tool_result"]
        case path:
            raise AssertionError(f"a tool turn on {path}")


def blocks_of(content: Any) -> list[dict[str, Any]]:
    """The content of a message as blocks, also where it is a string."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def text(content: Any) -> str:
    """The text of a content that is a string or a list of parts."""
    return "".join(block.get("text", "") for block in blocks_of(content))


def check_tool_loop(turns: list[dict[str, Any]], path: str, result: str) -> None:
    """
    Two turns went to that endpoint: the user's, and the agent's with the result of the tool. On a busy machine an agent
    loses patience now and then, and sends the same once more.
    """
    assert len(turns) <= 3
    turns = [turn for number, turn in enumerate(turns) if not number or turn["body"] != turns[number - 1]["body"]]
    told = [(turn["at"], turn["headers"]["x-initiator"]) for turn in turns]
    assert [turn["path"] for turn in turns] == [path, path], told
    assert [turn["headers"]["x-initiator"] for turn in turns] == ["user", "agent"]
    assert results(turns[0]) == []
    assert len(results(turns[1])) == 1
    assert result in results(turns[1])[0]
