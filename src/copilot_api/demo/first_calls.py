"""
The first calls of a gateway that is for show: really made, over its own port, so that there are captures to look at.

Each is what one of the well-known programs sends, with what such programs should not send: secrets, which the captures
show as placeholders.
"""

import http.client
import json
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

_READY_SECONDS = 15.0
_SECONDS = 30.0
# Made up, in the form of real ones: rules go by the form.
_AWS_KEY = "AKIA" + "Q3EGSAMPLE7XVWTZ"
_TOKEN = "ghp_" + "n0tAr3alT0ken" + "5ampleXyZ0123456789abc"
_PASSWORD = "postgres://orders:" + "tR0ub4dor-and-3" + "@db.internal:5432/orders"
_ENV_FILE = f"AWS_ACCESS_KEY_ID={_AWS_KEY}\nDATABASE_URL={_PASSWORD}\nGITHUB_TOKEN={_TOKEN}\n"


@dataclass(frozen=True, slots=True)
class Call:
    """A call, and what it is made with."""

    path: str
    body: Mapping[str, Any]
    agent: str
    is_debugged: bool = False
    """Captured for itself, since an admin asks for it; otherwise because its key is."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


_READ_FILE = {
    "name": "Read",
    "description": "Reads a file from the local filesystem.",
    "input_schema": {
        "type": "object",
        "properties": {"file_path": {"type": "string", "description": "The absolute path of the file"}},
        "required": ["file_path"],
    },
}
_CLAUDE_CODE_ASKS = {
    "model": "claude-sonnet-4.6",
    "max_tokens": 2048,
    "stream": True,
    "system": [{"type": "text", "text": "You are Claude Code, Anthropic's official CLI for Claude."}],
    "tools": [_READ_FILE],
}
_QUESTION = {"role": "user", "content": [{"type": "text", "text": "Why does the deploy step of our CI fail?"}]}
_CLAUDE_CODE = "claude-cli/2.1.34 (external, cli)"
CALLS = (
    Call(
        "/v1/messages",
        {
            **_CLAUDE_CODE_ASKS,
            "tool_choice": {"type": "tool", "name": "Read"},
            "messages": [_QUESTION],
        },
        _CLAUDE_CODE,
        headers={"anthropic-version": "2023-06-01"},
    ),
    Call(
        "/v1/messages",
        {
            **_CLAUDE_CODE_ASKS,
            "messages": [
                _QUESTION,
                {
                    "role": "assistant",
                    "content": [
                        {"type": "text", "text": "Let me look at how it is set up."},
                        {"type": "tool_use", "id": "toolu_01", "name": "Read", "input": {"file_path": "/repo/.env"}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "toolu_01",
                            "content": _ENV_FILE,
                        }
                    ],
                },
            ],
        },
        _CLAUDE_CODE,
        headers={"anthropic-version": "2023-06-01"},
    ),
    Call(
        "/v1/responses",
        {
            "model": "gpt-5.3-codex",
            "stream": True,
            "instructions": "You are Codex, based on GPT-5. You are running as a coding agent in the Codex CLI.",
            "input": [
                {
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "Write a test for the parser of dates."}],
                }
            ],
        },
        "codex_cli_rs/0.77.0 (Debian 12; x86_64)",
    ),
    Call(
        "/v1/chat/completions",
        {
            "model": "gpt-4.1",
            "stream": True,
            "messages": [
                {"role": "system", "content": "Answer in one sentence."},
                {"role": "user", "content": "What does HTTP status 429 mean?"},
            ],
        },
        "OpenAI/Python 2.9.0",
        is_debugged=True,
    ),
    Call(
        "/v1/chat/completions",
        {"model": "gpt-4.1-turbo", "messages": [{"role": "user", "content": "Is this model there?"}]},
        "curl/8.14.1",
        is_debugged=True,
    ),
)


def make_first_calls(url: str, *, admin: str, captured: str) -> None:
    """Make them, in a thread: as soon as the gateway at `url` is ready, or not at all."""
    thread = threading.Thread(target=_make_all, args=(url, admin, captured), name="first-calls", daemon=True)
    thread.start()


def _make_all(url: str, admin: str, captured: str) -> None:
    ends = time.monotonic() + _READY_SECONDS
    with suppress(OSError, http.client.HTTPException):  # the gateway is gone: nobody looks any more
        while ask(url, "GET", "/readyz", None, {}) != http.client.OK:
            if time.monotonic() > ends:
                return
            time.sleep(0.1)
        for call in CALLS:
            headers = {"authorization": f"Bearer {admin if call.is_debugged else captured}", "user-agent": call.agent}
            if call.is_debugged:
                headers["x-capi-debug"] = "1"
            ask(url, "POST", call.path, json.dumps(call.body), {**headers, **call.headers})


def ask(url: str, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> int:
    """Make a call and read its answer whole; the status. Raises `OSError` and `HTTPException`."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_SECONDS)
    try:
        connection.request(method, path, body, {"content-type": "application/json", **headers})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()
