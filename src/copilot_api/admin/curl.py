"""A call like one of the ledger's, as a line for a shell. The ledger keeps no bodies: what was said is to be put in."""

import json
import shlex
import urllib.parse
from typing import Any

from copilot_api.usage.models import UsageEvent

KEY_VARIABLE = "COPILOT_API_KEY"
_SAY = "Say hello."


def render_curl(event: UsageEvent, base_url: str) -> str:
    """The line; the key is a variable of the shell, never a secret."""
    path, body = _make_request(event)
    flags = "-N " if event.stream else ""
    return (
        f"curl {flags}{shlex.quote(base_url + path)} \\\n"
        f'  -H "Authorization: Bearer ${KEY_VARIABLE}" \\\n'
        f"  -H 'Content-Type: application/json' \\\n"
        f"  -d {shlex.quote(json.dumps(body, ensure_ascii=False))}"
    )


def _make_request(event: UsageEvent) -> tuple[str, dict[str, Any]]:
    model, path = event.model or "gpt-4.1", event.endpoint
    if path.startswith("/v1beta/"):
        action = path.removeprefix("/v1beta/")
        if action == "generateContent" and event.stream:
            action = "streamGenerateContent?alt=sse"
        name = urllib.parse.quote(model, safe="")
        return f"/v1beta/models/{name}:{action}", {"contents": [{"role": "user", "parts": [{"text": _SAY}]}]}
    body: dict[str, Any] = {"model": model}
    if event.stream:
        body["stream"] = True
    if path == "/v1/responses":
        body["input"] = _SAY
    elif path == "/v1/embeddings":
        body["input"] = [_SAY]
    else:
        if path == "/v1/messages":
            body["max_tokens"] = 1024
        body["messages"] = [{"role": "user", "content": _SAY}]
    return path, body
