"""Whole answers, and refusals: every recorded error of the upstream by its name, and the shapes of the others."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any

from copilot_api.simulator.wire import Json, encode, objects_in, text_at

JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole HTTP answer."""

    status: int
    body: bytes
    content_type: str | None = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def with_headers(self, headers: Mapping[str, str]) -> "Reply":
        """The same answer with more headers."""
        return replace(self, headers={**self.headers, **headers})


class Refusal(Exception):
    """The simulated upstream says no, with this reply."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def load_document(name: str) -> Any:
    """A recorded document of the package, fresh on every call."""
    return json.loads(resources.files("copilot_api.simulator").joinpath("data", name).read_bytes())


@cache
def recorded_errors() -> Mapping[str, Reply]:
    """Every recorded error reply by its name."""
    entries = objects_in(load_document("errors.json")["errors"])
    return {text_at(entry, "name"): _recorded_reply(entry) for entry in entries}


@cache
def recorded_token_errors() -> Mapping[str, Reply]:
    """The refusals of the token exchange by their names."""
    entries: dict[str, Json] = load_document("token.json")["errors"]
    return {
        name: json_reply(entry["body"], entry["status"], entry.get("headers", {})) for name, entry in entries.items()
    }


def _recorded_reply(entry: Json) -> Reply:
    body = entry["body"]
    content_type = entry["content_type"]
    data = body.encode() if isinstance(body, str) else encode(body)
    if not isinstance(body, str) and content_type == TEXT_TYPE:
        data += b"\n"
    headers = {name: value for name, value in entry["headers"].items() if name != "content-length"}
    return Reply(entry["status"], data, content_type, headers)


def json_reply(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """A JSON answer."""
    return Reply(status, encode(value), JSON_TYPE, headers or {})


def text_reply(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """A plain-text answer."""
    return Reply(status, text.encode(), TEXT_TYPE, headers or {})


def recorded(name: str) -> Refusal:
    """A recorded error, word for word."""
    return Refusal(recorded_errors()[name])


def gateway_refusal(message: str, code: str = "invalid_request_body", *, status: int = 400, **more: str) -> Refusal:
    """The envelope of the layer in front of all models."""
    return Refusal(json_reply({"error": {"message": message, "code": code, **more}}, status))


def backend_refusal(message: str) -> Refusal:
    """The bare envelope of the Messages backends."""
    return Refusal(json_reply({"message": message}, 400))


def anthropic_refusal(message: str, request_id: str = "req_vrtx_011SampleCCCCCCCCCCCC") -> Refusal:
    """An error of the model's vendor passed through."""
    error = {"type": "invalid_request_error", "message": message}
    return Refusal(json_reply({"type": "error", "error": error, "request_id": request_id}, 400))


def as_plain_text(reply: Reply) -> Reply:
    """The Responses endpoint labels its JSON errors as text and ends them with a newline."""
    if reply.content_type != JSON_TYPE:
        return reply
    return replace(reply, body=reply.body + b"\n", content_type=TEXT_TYPE)
