"""One application answers for three hosts, and nothing a client sends makes it fail."""

import asyncio
import copy
import itertools
import json
import random
from typing import Any

import aiohttp
import pytest

from copilot_api.simulator.app import create_app
from copilot_api.simulator.options import SimulatorOptions
from tests.simulator.client import CHAT, CONVERSATIONS, MESSAGES, RESPONSES, Client, question
from tests.simulator.conftest import Start

POSTS = [*CONVERSATIONS, "/embeddings", "/v1/messages/count_tokens", "/models/gpt-4.1/policy", "/login/device/code"]
RAW = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"x"',
    b"\xff\xfe",
    b"[" * 50_000,
    b'{"a":' * 990 + b"1" + b"}" * 990,
    b'{"model":NaN}',
]
OTHERS: dict[str, dict[str, Any]] = {
    "/embeddings": {"model": "text-embedding-3-small", "input": ["x"], "dimensions": 4, "encoding_format": "float"},
    "/v1/messages/count_tokens": {
        "model": "claude-haiku-4.5",
        "messages": [{"role": "user", "content": "x"}],
        "tools": [],
    },
    "/models/gpt-4.1/policy": {"state": "enabled"},
    "/login/device/code": {"client_id": "Iv1.b507a08c87ecfe98", "scope": ""},
}
ODD: list[Any] = [None, True, 0, -1, 1.5, "", "x", [], {}, [None], [[]], ["x"], [{}], {"type": 1}, 10**30]


@pytest.mark.parametrize("path", POSTS[:-2])
@pytest.mark.parametrize("body", RAW, ids=range(len(RAW)))
def test_what_is_no_json_object_is_refused_as_a_bad_request(simulator: Client, path: str, body: bytes) -> None:
    answer = simulator.api(path, body)
    assert answer.status == 400
    assert "error" in answer.json()


@pytest.mark.parametrize("path", POSTS)
def test_fields_of_the_wrong_type_never_make_it_fail(simulator: Client, path: str) -> None:
    body = question(path, "hi") if path in CONVERSATIONS else dict(OTHERS[path])
    body |= {"thinking": {}, "reasoning": {}, "stream_options": {}, "instructions": "", "system": "", "stop": "x"}
    for name, value in itertools.product(body, ODD):
        assert simulator.api(path, {**body, name: value}).status < 500, (name, value)


@pytest.mark.parametrize("path", CONVERSATIONS)
def test_mangled_conversations_never_make_it_fail(simulator: Client, path: str) -> None:
    """Parts of valid bodies, replaced one by one and at random by values that do not belong there."""
    draw = random.Random(7)
    for _ in range(100):
        body = copy.deepcopy(_rich(path))
        for _ in range(draw.randint(1, 3)):
            _mangle(body, draw)
        answer = simulator.api(path, body, copilot_vision_request="true")
        assert answer.status < 500, body


def _rich(path: str) -> dict[str, Any]:
    """A body with something of everything."""
    body = question(path, "hi")
    body["stream"] = True
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    if path == CHAT:
        image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
        body["messages"] += [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "x"}]},
            {"role": "user", "content": [{"type": "text", "text": "x"}, image]},
        ]
    elif path == RESPONSES:
        body["input"] = [
            {"role": "user", "content": [{"type": "input_text", "text": "x"}]},
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "x"}]},
        ]
    else:
        use = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": [1]}}
        source = {"type": "base64", "media_type": "image/png", "data": "AA=="}
        result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": source}]}
        body["messages"] += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
        body["system"] = [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]
    return body


def _mangle(value: Any, draw: random.Random) -> None:
    """Replace one thing somewhere inside by something odd."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = draw.choice(keys)
    if isinstance(value[key], dict | list) and value[key] and draw.random() < 0.8:
        _mangle(value[key], draw)
    else:
        value[key] = copy.deepcopy(draw.choice(ODD))


def test_unknown_paths_and_methods(simulator: Client) -> None:
    unknown = simulator.call("GET", "/v1/files")
    assert (unknown.status, unknown.text) == (404, "404 page not found\n")
    assert simulator.call("GET", CHAT).status == 405
    assert simulator.call("GET", "/_ping").status == 200
    assert simulator.stats()["by_path"]["other"] == 1


def test_a_body_that_is_too_long_is_refused_by_the_bytes(start: Start) -> None:
    client = start(SimulatorOptions(max_body_bytes=1000))
    answer = client.ask(CHAT, "x" * 2000)
    assert (answer.status, answer.text) == (413, "Request Entity Too Large\n")


def test_request_ids_are_echoed_or_made(simulator: Client) -> None:
    assert simulator.api(CHAT, question(CHAT, "hi"), x_request_id="mine").headers["x-request-id"] == "mine"
    made = [simulator.ask(CHAT, "hi").headers for _ in range(2)]
    assert made[0]["x-request-id"] != made[1]["x-request-id"]
    assert made[0]["x-github-request-id"]


def test_calls_are_counted_as_they_begin_and_end(simulator: Client) -> None:
    simulator.ask(CHAT, "hi")
    simulator.ask(MESSAGES, "SIM-FAULT:500")
    stats = simulator.stats()
    assert (stats["started"], stats["completed"], stats["in_flight"], stats["max_in_flight"]) == (2, 2, 0, 1)
    assert stats["by_path"] == {"/copilot_internal/v2/token": 1, CHAT: 1, MESSAGES: 1}
    assert stats["by_status"] == {"200": 2, "500": 1}
    assert stats["faults"] == {"internal": 1}


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_never_has_two_calls_open_never_counts_two(simulator: Client, stream: bool) -> None:
    body = {**question(CHAT, "hi"), "stream": stream}
    headers = simulator.api_headers()

    async def one_after_the_other() -> None:
        async with aiohttp.ClientSession(headers=headers) as session:
            for _ in range(50):
                async with session.post(f"http://{simulator.host}:{simulator.port}{CHAT}", json=body) as response:
                    await response.read()

    asyncio.run(one_after_the_other())
    assert simulator.stats()["max_in_flight"] == 1


def test_it_can_be_called_without_a_server() -> None:
    """Another test may call the application in its own process, through ASGI alone."""
    body = json.dumps({"model": "gpt-4.1", "messages": [{"role": "user", "content": "hi"}]}).encode()
    scope = {
        "type": "http", "method": "POST", "path": CHAT, "scheme": "http",
        "headers": [(b"authorization", b"Bearer gho_a")],
    }  # fmt: skip
    sent: list[Any] = []

    async def call() -> None:
        finished = asyncio.Event()
        incoming = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            if incoming:
                return incoming.pop()
            await finished.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await create_app()(scope, receive, send)

    asyncio.run(call())
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 200
