"""A client of the simulator over real sockets, for its tests."""

import base64
import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any

from copilot_api.simulator.app import SimulatorApp

CHAT, RESPONSES, MESSAGES = "/chat/completions", "/responses", "/v1/messages"
CONVERSATIONS = (CHAT, RESPONSES, MESSAGES)
MODELS = {CHAT: "gpt-4.1", RESPONSES: "gpt-5.3-codex", MESSAGES: "claude-sonnet-4.6"}
TOOL_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)

    def events(self) -> list[Any]:
        """The JSON payloads of a stream, in order; `[DONE]` as that string."""
        payloads = [line[6:] for line in self.text.splitlines() if line.startswith("data: ")]
        return [payload if payload == "[DONE]" else json.loads(payload) for payload in payloads]

    def event_names(self) -> list[str]:
        return [line[7:] for line in self.text.splitlines() if line.startswith("event: ")]


class Client:
    """Knows one simulator, and a token for it."""

    def __init__(self, app: SimulatorApp, host: str, port: int) -> None:
        self.app, self.host, self.port = app, host, port
        self._token: str | None = None
        self._connection = http.client.HTTPConnection(host, port, timeout=10)

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """One request, on the connection of the last one if that is still open."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        try:
            self._connection.request(method, path, data, headers or {})
            response = self._connection.getresponse()
            received = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, received, response.read())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        self._connection.close()

    def control(self, path: str, **fields: Any) -> Any:
        """A POST to the control interface that has to work."""
        answer = self.call("POST", f"/_sim{path}", fields)
        assert answer.status == 200, answer.text
        return answer.json()

    def stats(self) -> Any:
        return self.call("GET", "/_sim/stats").json()

    def exchange(self, github_token: str = "ghu_sample") -> str:
        headers = {"authorization": f"token {github_token}"}
        token: str = self.call("GET", "/copilot_internal/v2/token", headers=headers).json()["token"]
        return token

    def api_headers(self, **more: str) -> dict[str, str]:
        """The headers every editor sends; underscores in names become dashes."""
        if self._token is None:
            self._token = self.exchange()
        headers = {
            "authorization": f"Bearer {self._token}",
            "content-type": "application/json",
            "editor-version": "vscode/1.120.0",
            "copilot-integration-id": "vscode-chat",
            "x-github-api-version": "2025-10-01",
        }
        return {**headers, **{name.replace("_", "-"): value for name, value in more.items()}}

    def api(self, path: str, body: Any, **more: str) -> Answer:
        return self.call("POST", path, body, self.api_headers(**more))

    def ask(self, path: str, text: str, stream: bool = False, **fields: Any) -> Answer:
        """A question on one of the conversation endpoints, with one tool declared."""
        return self.api(path, {**question(path, text), "stream": stream, **fields})

    def open(self, path: str, body: Any) -> socket.socket:
        """Send a request and leave the reading to the test, which closes the socket."""
        data = json.dumps(body).encode()
        host = f"{self.host}:{self.port}"
        headers = {**self.api_headers(), "host": host, "content-length": str(len(data)), "connection": "close"}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        connection = socket.create_connection((self.host, self.port), timeout=10)
        connection.sendall(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + data)
        return connection


def question(path: str, text: str) -> dict[str, Any]:
    """A body of that endpoint's protocol that asks one thing and declares one tool."""
    if path == RESPONSES:
        tool: dict[str, Any] = {"type": "function", "name": "get_weather", "parameters": TOOL_SCHEMA}
        return {"model": MODELS[path], "input": text, "tools": [tool]}
    messages = [{"role": "user", "content": text}]
    if path == MESSAGES:
        tool = {"name": "get_weather", "input_schema": TOOL_SCHEMA}
        return {"model": MODELS[path], "messages": messages, "max_tokens": 1000, "tools": [tool]}
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": TOOL_SCHEMA}}
    return {"model": MODELS[path], "messages": messages, "tools": [tool]}


def marker(kind: str, payload: Any, *, padded: bool = False) -> str:
    """A marker with its payload in base64url."""
    text = payload if isinstance(payload, str) else json.dumps(payload)
    encoded = base64.urlsafe_b64encode(text.encode()).decode()
    return f"SIM-{kind}:{encoded if padded else encoded.rstrip('=')}"


def text_deltas(path: str, answer: Answer) -> list[str]:
    """The pieces of text of a streamed answer, whichever protocol it is in."""
    events = [event for event in answer.events() if event != "[DONE]"]
    if path == RESPONSES:
        return [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    if path == MESSAGES:
        deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
        return [delta["text"] for delta in deltas if delta["type"] == "text_delta"]
    choices = [choice for event in events for choice in event["choices"] or []]
    return [choice["delta"]["content"] for choice in choices if choice["delta"].get("content")]


def argument_deltas(path: str, answer: Answer) -> list[str]:
    """The pieces of tool call arguments of a streamed answer."""
    events = [event for event in answer.events() if event != "[DONE]"]
    if path == RESPONSES:
        return [event["delta"] for event in events if event["type"] == "response.function_call_arguments.delta"]
    if path == MESSAGES:
        deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
        return [delta["partial_json"] for delta in deltas if delta.get("partial_json")]
    choices = [choice for event in events for choice in event["choices"]]
    calls = [call for choice in choices for call in choice["delta"].get("tool_calls", [])]
    return [call["function"]["arguments"] for call in calls if call["function"].get("arguments")]


def whole_text(path: str, answer: Answer) -> str:
    """The text of a whole answer."""
    body = answer.json()
    if path == RESPONSES:
        parts = [part for item in body["output"] if item["type"] == "message" for part in item["content"]]
        return "".join(part["text"] for part in parts)
    if path == MESSAGES:
        return "".join(block["text"] for block in body["content"] if block["type"] == "text")
    return "".join(choice["message"].get("content") or "" for choice in body["choices"])


def whole_calls(path: str, answer: Answer) -> list[tuple[str, str]]:
    """The tool calls of a whole answer: names and arguments as JSON."""
    body = answer.json()
    if path == RESPONSES:
        return [(item["name"], item["arguments"]) for item in body["output"] if item["type"] == "function_call"]
    if path == MESSAGES:
        uses = [block for block in body["content"] if block["type"] == "tool_use"]
        return [(use["name"], json.dumps(use["input"], separators=(",", ":"))) for use in uses]
    calls = [call for choice in body["choices"] for call in choice["message"].get("tool_calls", [])]
    return [(call["function"]["name"], call["function"]["arguments"]) for call in calls]
