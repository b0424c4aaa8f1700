"""Streams of `/v1/messages` as Copilot writes them, and how they are fed."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from copilot_api.protocols.base import ModelTraits

CASES = Path(__file__).parent.parent / "cases"

HAIKU = ModelTraits(
    id="claude-haiku-4.5", vendor="Anthropic", max_output_tokens=64_000, min_thinking_budget=1024,
    max_thinking_budget=32_000,
)  # fmt: skip
SONNET = ModelTraits(
    id="claude-sonnet-4.6", vendor="Anthropic", max_output_tokens=32_000, min_thinking_budget=1024,
    max_thinking_budget=32_000, has_adaptive_thinking=True, efforts=("low", "medium", "high", "max"),
    has_structured_outputs=True,
)  # fmt: skip
OPUS = ModelTraits(
    id="claude-opus-4.7", vendor="Anthropic", max_output_tokens=64_000, min_thinking_budget=1024,
    max_thinking_budget=32_000, has_adaptive_thinking=True, efforts=("low", "medium", "high", "xhigh", "max"),
    has_structured_outputs=True,
)  # fmt: skip
PLAIN = ModelTraits(id="claude-3.5-sonnet", vendor="Anthropic", max_output_tokens=8192)


def event(kind: str, *, name: str | None = None, **fields: Any) -> bytes:
    """One event with sorted keys."""
    data = json.dumps({"type": kind, **fields}, sort_keys=True, separators=(",", ":"))
    return f"event: {name or kind}\ndata: {data}\n\n".encode()


def start(**usage: Any) -> bytes:
    message: dict[str, Any] = {
        "content": [], "id": "msg_bdrk_01", "model": "claude-dated", "role": "assistant", "stop_reason": None,
        "stop_sequence": None, "type": "message", "usage": {"input_tokens": 5, "output_tokens": 1, **usage},
    }  # fmt: skip
    return event("message_start", message=message)


def open_block(index: int, **block: Any) -> bytes:
    return event("content_block_start", index=index, content_block=block)


def delta(index: int, kind: str, **fields: Any) -> bytes:
    return event("content_block_delta", index=index, delta={"type": kind, **fields})


def close_block(index: int) -> bytes:
    return event("content_block_stop", index=index)


def text_block(index: int, *texts: str) -> bytes:
    deltas = b"".join(delta(index, "text_delta", text=text) for text in texts)
    return open_block(index, type="text", text="") + deltas + close_block(index)


def tool_block(index: int, *pieces: str, **more: Any) -> bytes:
    block = {"type": "tool_use", "id": f"toolu_{index}", "name": "get", "input": {}, **more}
    deltas = b"".join(delta(index, "input_json_delta", partial_json=piece) for piece in pieces)
    return open_block(index, **block) + deltas + close_block(index)


def ending(reason: str | None = "end_turn", **more: Any) -> bytes:
    fields = {"usage": {"output_tokens": 7}, **more}
    fields.setdefault("delta", {"stop_reason": reason, "stop_sequence": None})
    return event("message_delta", **fields)


STOP = event("message_stop")
PING = event("ping")
DONE = b"data: [DONE]\n\n"


def events_of(stream: bytes) -> list[tuple[str, Any]]:
    """The events of a client's stream, each with its name; comments are none."""
    found: list[tuple[str, Any]] = []
    for frame in stream.split(b"\n\n"):
        lines = [line for line in frame.split(b"\n") if line and not line.startswith(b":")]
        if lines:
            assert lines[0].startswith(b"event: "), frame
            assert lines[1].startswith(b"data: "), frame
            assert len(lines) == 2
            found.append((lines[0][7:].decode(), json.loads(lines[1][6:])))
    return found


def check_order(stream: bytes) -> list[tuple[str, Any]]:
    """What strict clients need of a stream; its events."""
    events = events_of(stream)
    assert all(name == data["type"] for name, data in events)
    names = [name for name, _ in events if name != "ping"]
    assert events[0][0] == "message_start"
    assert names.count("message_start") == names.count("message_stop") == 1
    assert names[-2:] == ["message_delta", "message_stop"]
    opened: int | None = None
    for name, data in events:
        if name == "content_block_start":
            assert opened is None
            opened = data["index"]
        elif name == "content_block_delta":
            assert data["index"] == opened
        elif name == "content_block_stop":
            assert data["index"] == opened
            opened = None
        elif name in {"message_delta", "message_stop"}:
            assert opened is None
        if name == "message_delta":
            assert isinstance(data["usage"]["output_tokens"], int)
    return events


def splits(stream: bytes) -> Iterator[list[bytes]]:
    """The stream one byte at a time, cut in two at every place, and with CRLF."""
    yield [stream[place : place + 1] for place in range(len(stream))]
    for place in range(1, len(stream)):
        yield [stream[:place], stream[place:]]
    yield [stream.replace(b"\n", b"\r\n")]


def same_however_cut(stream: bytes, outcome: Callable[[list[bytes]], Any]) -> Any:
    """What `outcome` makes of the stream, having made the same of it in all manners of pieces."""
    expected = outcome([stream])
    for pieces in splits(stream):
        assert outcome(pieces) == expected
    return expected
