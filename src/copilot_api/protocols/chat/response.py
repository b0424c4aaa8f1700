"""
A whole chat answer, made fit for strict clients.

Copilot's deviations that are mended here: `object` is missing, `created` may be; the model is a dated deployment; a
Claude answer comes as several choices of one turn, text in one, tool calls in the next.
"""

from typing import Any

import msgspec

from copilot_api.errors import UpstreamFailed
from copilot_api.protocols.base import Usage
from copilot_api.protocols.chat import wire
from copilot_api.protocols.copilot_usage import CopilotUsage
from copilot_api.protocols.json_object import JsonObject, measure
from copilot_api.protocols.sse import render_event
from copilot_api.protocols.untyped import list_of, object_of


class _Message(msgspec.Struct):
    tool_calls: list[msgspec.Raw] | None = None


class _Choice(msgspec.Struct):
    index: int | None = None
    message: _Message | None = None
    finish_reason: str | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice] | None
    object: str | None = None
    id: str | None = None
    created: int | float | None = None
    usage: wire.ChatUsage | None = None
    copilot_usage: CopilotUsage | None = None


_decode_answer = msgspec.json.Decoder(_Answer).decode
_OPENING = b'{"object":"chat.completion",'
_MESSAGE = b'"message":{"'
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class ChatAnswer:
    """The answer as the client gets it, and what it consumed."""

    __slots__ = ("body", "nano_aiu", "usage")

    def __init__(self, body: bytes, usage: Usage | None, nano_aiu: int | None) -> None:
        self.body = body
        self.usage = usage
        self.nano_aiu = nano_aiu


def parse_response(source: bytes, *, model: str, choices: int, now: int) -> ChatAnswer:
    """
    The upstream's answer in `source` with the name that the caller used. `now` (unix seconds) stands in for a missing
    `created`. Raises `UpstreamFailed` when it is no chat answer.
    """
    try:
        answer = _decode_answer(source)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamFailed("GitHub Copilot answered something that is not a chat completion") from error
    found = answer.choices
    if not found:
        raise UpstreamFailed("GitHub Copilot answered without any choice")
    charge = answer.copilot_usage
    usage = answer.usage.to_usage(charge) if answer.usage else None
    nano_aiu = charge.nano_aiu if charge else None
    first = found[0]
    has_calls = first.message is not None and bool(first.message.tool_calls)
    is_merged = choices == 1 and (len(found) > 1 or first.index != 0 or has_calls)
    return ChatAnswer(_mended(source, answer, model, now, is_merged=is_merged), usage, nano_aiu)


def _with_nulls(raw: bytes) -> bytes:
    """
    The choices, which are one, with the fields that OpenAI's schema requires and Copilot leaves out.

    Inside a string the quotes would be escaped, so what is found is never part of a text.
    """
    if b'"refusal"' not in raw:
        place = raw.find(_MESSAGE)
        if place >= 0:
            place += len(_MESSAGE) - 1
            raw = b'%b"refusal":null,%b' % (raw[:place], raw[place:])
    if b'"logprobs"' not in raw and raw.startswith(b'[{"'):
        return b'[{"logprobs":null,' + raw[2:]
    return raw


def _mended(source: bytes, answer: _Answer, model: str, now: int, *, is_merged: bool) -> bytes:
    """The answer with everything that a strict client needs; the rest of it leaves as it came."""
    fields = _decode_fields(source)
    spans = measure(source, fields)
    if spans and "model" in spans and "object" not in fields and answer.created and answer.id and not is_merged:
        # Nearly every answer: a kind to add, nulls in the choice, and another name.
        _, begin, end = spans["choices"]
        _, name, behind = spans["model"]
        if end < name:
            choices = _with_nulls(source[begin:end])
            named = msgspec.json.encode(model)
            return b"".join((_OPENING, source[1:begin], choices, source[end:name], named, source[behind:]))
    edits: dict[str, bytes | None] = {"model": msgspec.json.encode(model)}
    if answer.object != "chat.completion":
        edits["object"] = b'"chat.completion"'
    if not answer.created:
        edits["created"] = b"%d" % now
    if not answer.id:
        edits["id"] = b'"chatcmpl-%d"' % now
    if not is_merged:
        edits["choices"] = _with_nulls(bytes(fields["choices"]))
    else:
        edits["choices"] = msgspec.json.encode([_merge_choices(msgspec.json.decode(fields["choices"]))])
    return JsonObject(source, fields, spans).replaced(edits)


def _merge_choices(choices: list[Any]) -> dict[str, Any]:
    """The choices of one turn as one: texts joined, tool calls in order, `tool_calls` before other finish reasons."""
    turns = [object_of(choice) for choice in choices]
    parts = [object_of(turn.get("message")) for turn in turns]
    message: dict[str, Any] = {}
    for part in reversed(parts):
        message.update(part)
    texts = [part["content"] for part in parts if isinstance(part.get("content"), str)]
    calls = [object_of(call) for part in parts for call in list_of(part.get("tool_calls"))]
    reasons = [turn["finish_reason"] for turn in turns if turn.get("finish_reason")]
    message["role"] = "assistant"
    message.setdefault("refusal", None)
    message["content"] = "".join(texts) if texts else None
    if calls:
        for call in calls:
            function = object_of(call.get("function"))
            if not str(function.get("arguments") or "").strip():
                function["arguments"] = "{}"
        message["tool_calls"] = calls
    reason = reasons[0] if reasons else "stop"
    if calls and (reason == "stop" or "tool_calls" in reasons):
        reason = "tool_calls"
    return {"logprobs": None, **turns[0], "message": message, "index": 0, "finish_reason": reason}


def whole_as_events(request: object, body: bytes, now: int) -> bytes:  # noqa: ARG001 -- a surface's form
    """A whole answer, already mended, as the events of a stream: the message in one delta, then the finish."""
    answer = object_of(msgspec.json.decode(body))
    wrapping: dict[str, Any] = {name: answer[name] for name in ("id", "created", "model") if name in answer}
    wrapping["object"] = "chat.completion.chunk"
    chunks: list[dict[str, Any]] = []
    for choice in map(object_of, list_of(answer.get("choices"))):
        delta = {name: value for name, value in object_of(choice.get("message")).items() if value is not None}
        for number, call in enumerate(list_of(delta.get("tool_calls"))):
            object_of(call)["index"] = number
        index = choice.get("index") or 0
        chunks.append({"index": index, "delta": {"role": "assistant", **delta}, "finish_reason": None})
        chunks.append({"index": index, "delta": {}, "finish_reason": choice.get("finish_reason") or "stop"})
    events = [render_event(msgspec.json.encode({**wrapping, "choices": [chunk]})) for chunk in chunks]
    if getattr(request, "wants_usage", False) and answer.get("usage"):
        events.append(render_event(msgspec.json.encode({**wrapping, "choices": [], "usage": answer["usage"]})))
    return b"".join([*events, render_event(b"[DONE]")])
