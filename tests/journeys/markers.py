"""What a prompt says so that the simulator answers as a test wants it to."""

import base64
import json
from typing import Any


def say(text: str) -> str:
    """Answer exactly this text."""
    return f"SIM-SAY:{_encode(text)}"


def call_tool(name: str, arguments: dict[str, Any]) -> str:
    """Call that tool; once its result is there, answer `SIM-RESULT: ` and the result."""
    return f"SIM-CALL:{_encode(json.dumps({'name': name, 'arguments': arguments}))}"


def fault(name: str) -> str:
    """Go wrong in that way."""
    return f"SIM-FAULT:{name}"


def chat(prompt: str, *, model: str = "gpt-4.1", stream: bool = False, **more: Any) -> dict[str, Any]:
    """The body of a chat call with one message of the user."""
    body = {"model": model, "messages": [{"role": "user", "content": prompt}], **more}
    return {**body, "stream": True} if stream else body


def _encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
