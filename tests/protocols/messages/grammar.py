"""
What a Messages event stream must look like so that every client can read it, as a checker.

It knows nothing of how the gateway makes a stream: it decodes the bytes in its own simple way and checks one rule after
the other. `check` gives the events back for further questions; `accumulate` is what Anthropic's own package makes of
them.
"""

import json
from typing import Any

import anthropic
import httpx2 as httpx

Event = dict[str, Any]

STOP_REASONS = {
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
}
DELTAS = {
    "text": {"text_delta": "text"},
    "thinking": {"thinking_delta": "thinking", "signature_delta": "signature"},
    "tool_use": {"input_json_delta": "partial_json"},
    "redacted_thinking": {},
}
USAGE = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def events(stream: bytes) -> list[Event]:
    """The events: an `event:` line and one `data:` line each, of one name; LF, no ids, nothing else but comments."""
    assert b"\r" not in stream
    assert stream.endswith(b"\n\n"), stream[-100:]
    found = []
    for frame in stream[:-2].split(b"\n\n"):
        if frame.startswith(b":"):
            assert b"\n" not in frame, frame
            continue
        head, _, data = frame.partition(b"\n")
        assert head.startswith(b"event: "), frame
        assert data.startswith(b"data: "), frame
        assert b"\n" not in data, frame
        event = json.loads(data[6:])
        assert event["type"] == head[7:].decode(), frame
        found.append(event)
    return found


def check(stream: bytes, *, model: str) -> list[Event]:
    """The events of a whole `stream`, all rules kept."""
    found = events(stream)
    blocks = check_begun(found, model=model)
    kept = [event for event in found if event["type"] != "ping"]
    assert [event["type"] for event in kept[-2:]] == ["message_delta", "message_stop"], "no end"
    delta, usage = kept[-2]["delta"], kept[-2]["usage"]
    assert delta["stop_reason"] in STOP_REASONS, delta
    assert (delta["stop_sequence"] is not None) <= (delta["stop_reason"] == "stop_sequence"), delta
    assert (delta["stop_reason"] == "tool_use") <= ("tool_use" in blocks), "tool_use without a call"
    check_usage(usage)
    assert found[-1]["type"] == "message_stop", "something follows the end"
    return found


def check_failed(stream: bytes, *, model: str) -> list[Event]:
    """The events of a stream that failed: whatever there was, then the error, and nothing after it."""
    found = events(stream)
    assert found[-1]["type"] == "error", found[-1]
    assert found[-1]["error"]["type"].endswith(("_error", "request_too_large"))
    assert found[-1]["error"]["message"]
    assert found[-1]["request_id"]
    if len(found) > 1:
        check_begun(found[:-1], model=model)
    assert not {"message_delta", "message_stop", "error"} & {event["type"] for event in found[:-1]}
    return found


def check_usage(usage: dict[str, Any]) -> None:
    """Every count is there, and a count."""
    for name in USAGE:
        assert type(usage[name]) is int, usage
        assert usage[name] >= 0, usage


def check_begun(found: list[Event], *, model: str) -> list[str]:
    """The rules that hold at any moment of a stream, whole or cut; the types of the blocks are given back."""
    assert found[0]["type"] == "message_start", found[0]
    message = found[0]["message"]
    assert message["id"].startswith("msg_"), message
    assert (message["type"], message["role"], message["model"]) == ("message", "assistant", model)
    assert (message["content"], message["stop_reason"], message["stop_sequence"]) == ([], None, None)
    check_usage(message["usage"])
    assert message["usage"]["output_tokens"] >= 1
    blocks: list[str] = []
    is_open = is_signed = has_ended = False
    filled = ""
    for event in found[1:]:
        kind = event["type"]
        assert kind != "message_start", "a second start"
        if kind in {"ping", "error"}:
            continue
        if kind.startswith("content_block"):
            assert not has_ended, f"after the end: {event}"
        if kind == "content_block_start":
            assert not is_open, f"two blocks at once: {event}"
            assert event["index"] == len(blocks), f"a gap: {event}"
            block = event["content_block"]
            check_opening(block)
            blocks.append(block["type"])
            is_open, is_signed, filled = True, False, ""
        elif kind == "content_block_delta":
            assert is_open, f"no block is open: {event}"
            assert event["index"] == len(blocks) - 1, event
            delta = event["delta"]
            field = DELTAS[blocks[-1]][delta["type"]]
            assert delta.keys() == {"type", field}, delta
            assert isinstance(delta[field], str), delta
            assert delta[field], f"an empty delta: {event}"
            assert not is_signed, f"something follows the signature: {event}"
            is_signed = delta["type"] == "signature_delta"
            filled += delta[field]
        elif kind == "content_block_stop":
            assert is_open, event
            assert event["index"] == len(blocks) - 1, event
            assert filled or blocks[-1] == "redacted_thinking", f"a block of nothing: {event}"
            is_open = False
        elif kind == "message_delta":
            assert not is_open, "the end inside a block"
            assert not has_ended, "a second end"
            has_ended = True
        else:
            assert kind == "message_stop", event
            assert has_ended, "stop before the end"
    return blocks


def check_opening(block: dict[str, Any]) -> None:
    """How each block begins."""
    match block["type"]:
        case "text":
            assert block == {"type": "text", "text": ""}
        case "thinking":
            assert block == {"type": "thinking", "thinking": "", "signature": ""}
        case "redacted_thinking":
            assert block.keys() == {"type", "data"}
            assert block["data"]
        case _:
            assert block.keys() == {"type", "id", "name", "input"}, block
            assert block["type"] == "tool_use"
            assert block["id"]
            assert block["name"]
            assert block["input"] == {}


# Anthropic's own package --------------------------------------------------------------------------------------------


def client(body: bytes, media_type: str, status: int = 200) -> anthropic.Anthropic:
    """Anthropic's client, in front of one answer."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=body, headers={"content-type": media_type})

    transport = httpx.Client(transport=httpx.MockTransport(answer))
    return anthropic.Anthropic(api_key="k", base_url="http://gateway", http_client=transport, max_retries=0)


def accumulate(stream: bytes) -> dict[str, Any]:
    """The whole answer as the package puts it together from a stream."""
    asked: Any = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}
    with client(stream, "text/event-stream") as package, package.messages.stream(**asked) as running:
        return without_extras(running.get_final_message().to_dict())


def parse_whole(body: bytes) -> dict[str, Any]:
    """The whole answer as the package reads it from a body."""
    asked: Any = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}
    with client(body, "application/json") as package:
        return without_extras(package.messages.create(**asked).to_dict())


def without_extras(message: dict[str, Any]) -> dict[str, Any]:
    """The message without what a stream cannot say, or says by leaving it out."""
    message["usage"].pop("cache_creation", None)
    for block in message["content"]:
        block.pop("parsed_output", None)
        block.pop("citations", None)
    return message
