"""
The order and the fields that clients of Responses require of a stream, whoever wrote it.

    created in_progress ( item | gap )* ( completed | incomplete | error failed ) [DONE]

Items may be interleaved; each is added once, filled, and done once, and what its `done` says is what its deltas said.
"""

import json
import re
from typing import Any

Json = dict[str, Any]

_NAMES = (
    "id object created_at completed_at status incomplete_details model previous_response_id instructions output error"
    " tools tool_choice truncation parallel_tool_calls text top_p presence_penalty frequency_penalty top_logprobs"
    " temperature reasoning user usage max_output_tokens max_tool_calls store background service_tier metadata"
    " safety_identifier prompt_cache_key"
)
RESPONSE_FIELDS = frozenset(_NAMES.split())
"""What the Open Responses schema requires of every response object."""
TERMINAL = {"response.completed": "completed", "response.incomplete": "incomplete", "response.failed": "failed"}
_DELTAS = {
    "response.output_text.delta": ("message", "content_index", "output_text"),
    "response.refusal.delta": ("message", "content_index", "refusal"),
    "response.reasoning_summary_text.delta": ("reasoning", "summary_index", "summary_text"),
    "response.function_call_arguments.delta": ("function_call", None, "arguments"),
    "response.custom_tool_call_input.delta": ("custom_tool_call", None, "input"),
}
_DONES = {
    "response.output_text.done": ("content_index", "text"),
    "response.refusal.done": ("content_index", "refusal"),
    "response.reasoning_summary_text.done": ("summary_index", "text"),
    "response.function_call_arguments.done": (None, "arguments"),
    "response.custom_tool_call_input.done": (None, "input"),
}
_PARTS = {
    "response.content_part.added": "content_index",
    "response.content_part.done": "content_index",
    "response.reasoning_summary_part.added": "summary_index",
    "response.reasoning_summary_part.done": "summary_index",
}
_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
_ITEM_FIELDS = {
    "message": {"id", "role", "content", "status"},
    "reasoning": {"id", "summary"},
    "function_call": {"id", "call_id", "name", "arguments", "status"},
    "custom_tool_call": {"id", "call_id", "name", "input"},
    "local_shell_call": {"id", "call_id", "action", "status"},
    "shell_call": {"id", "call_id", "action", "status"},
    "apply_patch_call": {"id", "call_id", "operation", "status"},
}


def events_in(stream: bytes) -> list[Json]:
    """The events of `stream`, whose frames must be in order and end with `[DONE]`."""
    assert b"\r" not in stream
    assert stream.endswith(b"\n\n"), "the last frame is not whole"
    frames = [frame for frame in stream.decode().split("\n\n") if frame and not frame.startswith(":")]
    assert frames.pop() == "data: [DONE]", "the stream does not end with [DONE]"
    found: list[Json] = []
    for frame in frames:
        match = re.fullmatch(r"event: (\S+)\ndata: (.+)", frame)
        assert match is not None, f"not a frame: {frame[:100]!r}"
        event = json.loads(match[2])
        assert event["type"] == match[1], "the event's name is not its type"
        found.append(event)
    return found


class _Item:
    """An item that has been added."""

    def __init__(self, item: Json) -> None:
        self.kind: str = item["type"]
        self.id: str = item["id"]
        self.parts: list[Json] = []
        self.texts: dict[int | None, str] = {}
        self.deltas: set[int | None] = set()
        self.done: set[int | None] = set()


def check(stream: bytes) -> Json:
    """The final response of `stream`. Raises `AssertionError` where the stream breaks a rule."""
    events = events_in(stream)
    assert [event["sequence_number"] for event in events] == list(range(len(events))), "numbers with gaps"
    names = [event["type"] for event in events]
    assert names[:2] == ["response.created", "response.in_progress"], f"begins with {names[:2]}"
    assert names[-1] in TERMINAL, f"ends with {names[-1]}"
    assert not set(names[2:-1]) & {"response.created", "response.in_progress", *TERMINAL}, "a second begin or end"
    for event in events[:2]:
        check_response(event["response"], "in_progress")
        assert event["response"]["output"] == []
    last = events[-1]["response"]
    check_response(last, TERMINAL[names[-1]])
    assert last["id"] == events[0]["response"]["id"]
    middle = events[2:-1]
    if names[-1] == "response.failed":
        assert middle, "a failure without an error event"
        _check_error(middle.pop(), last)
    else:
        assert "error" not in names
    items, open_items = _check_items(middle)
    assert names[-1] == "response.failed" or not open_items, "an item is not done"
    assert last["output"] == items, "the output is not what was done"
    incomplete = [number for number, item in enumerate(items) if item.get("status") == "incomplete"]
    assert incomplete in ([], [len(items) - 1])
    assert not incomplete or last["status"] == "incomplete"
    return dict(last)


def check_response(response: Json, status: str) -> None:
    """A response object is whole."""
    assert response["status"] == status
    missing = RESPONSE_FIELDS - response.keys()
    assert not missing, f"missing: {sorted(missing)}"
    assert response["object"] == "response"
    assert (response["error"] is not None) == (status == "failed")
    assert (response["incomplete_details"] is not None) == (status == "incomplete")
    assert (response["completed_at"] is not None) == (status == "completed")
    if status in {"completed", "incomplete"}:
        usage = response["usage"]
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
        assert usage["input_tokens_details"].keys() >= {"cached_tokens", "cache_write_tokens"}
        assert usage["output_tokens_details"].keys() >= {"reasoning_tokens"}
    ids = [item["id"] for item in response["output"]]
    assert len(ids) == len(set(ids))
    for item in response["output"]:
        check_item(item)


def check_item(item: Json) -> None:
    """An item has what clients read of it."""
    assert item.keys() >= _ITEM_FIELDS[item["type"]], f"fields are missing in {item}"
    assert item.get("status", "completed") in {"completed", "incomplete", "in_progress"}
    if item["type"] == "message":
        assert item["role"] == "assistant"
        for part in item["content"]:
            if part["type"] == "output_text":
                assert part.keys() >= {"text", "annotations", "logprobs"}
            else:
                assert part.keys() == {"type", "refusal"}


def _check_error(event: Json, response: Json) -> None:
    assert event.keys() - {"limit"} == {"type", "code", "message", "param", "sequence_number"}
    assert event["type"] == "error"
    assert response["error"] == {name: event[name] for name in ("code", "message", "limit") if name in event}
    assert event["code"]
    assert event["message"]


def _check_items(events: list[Json]) -> tuple[list[Json], set[int]]:
    """The items that are done, and the places of those that are not."""
    added: list[_Item] = []
    done: dict[int, Json] = {}
    for event in events:
        kind, place = event["type"], event["output_index"]
        if kind == "response.output_item.added":
            assert place == len(added), "items are not numbered as they come"
            check_item(event["item"])
            assert event["item"].get("status", "in_progress") == "in_progress"
            for field in ("content", "summary", "arguments", "input"):
                assert not event["item"].get(field), f"an item is added with {field}"
            added.append(_Item(event["item"]))
            continue
        assert place < len(added), f"{kind} of an item that was not added"
        assert place not in done, f"{kind} of an item that is done"
        item = added[place]
        if kind == "response.output_item.done":
            _check_done(item, event["item"])
            done[place] = event["item"]
        else:
            assert event["item_id"] == item.id, "an item changes its id"
            _check_inside(item, kind, event)
    return [done[place] for place in sorted(done)], set(range(len(added))) - done.keys()


def _check_inside(item: _Item, kind: str, event: Json) -> None:
    if kind in _PARTS:
        place = event[_PARTS[kind]]
        if kind.endswith(".added"):
            assert place == len(item.parts)
            assert not event["part"].get("text"), "a part is added with text"
            item.parts.append(event["part"])
        else:
            assert place in item.done, "a part is done before its text"
            assert event["part"].get("text", event["part"].get("refusal")) == item.texts[place]
            item.parts[place] = event["part"]
    elif kind in _DELTAS:
        of, index, part_type = _DELTAS[kind]
        place = None if index is None else event[index]
        assert item.kind == of
        assert place is None or item.parts[place]["type"] == part_type
        assert place not in item.done, "a delta after the end"
        assert kind != "response.output_text.delta" or event["logprobs"] == []
        item.texts[place] = item.texts.get(place, "") + event["delta"]
        item.deltas.add(place)
    else:
        index, field = _DONES[kind]
        place = None if index is None else event[index]
        assert place not in item.done
        assert event[field] == item.texts.get(place, ""), "the end says something else than the deltas"
        assert kind != "response.function_call_arguments.done" or (event["name"] and item.deltas)
        assert kind != "response.output_text.done" or event["logprobs"] == []
        item.texts.setdefault(place, "")
        item.done.add(place)


def _check_done(item: _Item, done: Json) -> None:
    check_item(done)
    assert (done["type"], done["id"]) == (item.kind, item.id)
    assert done.get("status") != "in_progress"
    if item.kind in _CALLS:
        assert None in item.done, "a call is done before its arguments"
        assert done[_CALLS[item.kind]] == item.texts[None]
    elif item.kind in {"message", "reasoning"}:
        assert item.done == set(range(len(item.parts))), "a part is not done"
        assert done["content" if item.kind == "message" else "summary"] == item.parts
