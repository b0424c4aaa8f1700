"""Answers of `/chat/completions`: Azure's with content filters, Claude's split over choices, and the plain ones."""

from collections.abc import Iterator

from copilot_api.simulator.calls import ModelCall
from copilot_api.simulator.prices import render_copilot_usage
from copilot_api.simulator.wire import DONE, Frame, Json, data_frame, object_at

_SAFE: Json = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}
_UNPROTECTED: Json = {
    name: {"detected": False, "filtered": False} for name in ("protected_material_code", "protected_material_text")
}
_VIOLENT: Json = {**_SAFE, "violence": {"filtered": True, "severity": "medium"}}
_OFFSETS: Json = {"check_offset": 120, "start_offset": 120, "end_offset": 160}
_PROMPT_FILTER: list[Json] = [{"content_filter_results": _SAFE, "prompt_index": 0}]
_PREAMBLE: Json = {"choices": [], "created": 0, "id": "", "prompt_filter_results": _PROMPT_FILTER}


class ChatRenderer:
    """Picks the flavour by the model's vendor."""

    def whole(self, call: ModelCall) -> Json:
        """See `Renderer`."""
        if call.model.is_claude:
            return _whole_claude(call)
        return _whole_filtered(call)

    def stream(self, call: ModelCall) -> Iterator[Frame]:
        """See `Renderer`."""
        identity = _identity(call)
        if call.model.is_openai:
            yield data_frame(_PREAMBLE)
        if call.shape == "empty-choices":
            yield data_frame({"choices": [], **identity})
        elif call.shape == "midstream-error":
            yield from _broken(call, identity)
        elif call.shape == "content-filter":
            yield from _filtered(call, identity)
        elif call.model.is_claude:
            yield from _stream_claude(call, identity)
        else:
            yield from _stream_plain(call, identity)
        if call.shape != "midstream-error":
            yield DONE


def _identity(call: ModelCall) -> Json:
    """What every chunk carries besides its choices; there is no `object`."""
    if call.model.is_claude:
        return {"created": call.created, "id": call.ids.name("msg_bdrk_01"), "model": call.model.id}
    identity = {"created": call.created, "id": call.ids.name("chatcmpl-Ck", 29), "model": call.model.version}
    if call.model.is_openai:
        identity["system_fingerprint"] = "fp_sample0001"
    return identity


def _usage(call: ModelCall) -> Json:
    """`usage` and `copilot_usage`, side by side."""
    if call.shape == "no-usage":
        return {}
    tokens = call.answer.tokens
    usage: Json = {"completion_tokens": tokens.output}
    if call.model.is_openai:
        usage["completion_tokens_details"] = {"accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}
        if tokens.reasoning:
            usage["completion_tokens_details"]["reasoning_tokens"] = tokens.reasoning
    usage["prompt_tokens"] = tokens.input
    usage["prompt_tokens_details"] = {"cached_tokens": tokens.cache_read}
    if tokens.reasoning and not call.model.is_openai:
        usage["reasoning_tokens"] = tokens.reasoning
    usage["total_tokens"] = tokens.input + tokens.output
    return {"usage": usage, "copilot_usage": render_copilot_usage(call.model, tokens)}


def _tool_id(call: ModelCall) -> str:
    return call.ids.name("toolu_bdrk_01") if call.model.is_claude else call.ids.name("call_")


def _tool_call(call: ModelCall) -> Json:
    asked = call.answer.call
    name, arguments = (asked.name, asked.arguments) if asked else ("", "")
    return {"function": {"arguments": arguments, "name": name}, "id": _tool_id(call), "type": "function"}


def _reasoning_fields(call: ModelCall) -> Json:
    if not call.answer.reasoning or call.model.is_openai:
        return {}
    return {"reasoning_opaque": call.ids.signature(), "reasoning_text": call.answer.thought}


def _whole_claude(call: ModelCall) -> Json:
    """Text and tool call are choices of their own, without index."""
    finish = call.answer.stop
    choices: list[Json] = []
    if call.answer.pieces or not call.answer.call:
        message: Json = {"content": call.answer.text, **_reasoning_fields(call), "role": "assistant"}
        choices.append({"finish_reason": finish, "message": message})
    if call.answer.call:
        choices.append({"finish_reason": finish, "message": {"role": "assistant", "tool_calls": [_tool_call(call)]}})
    identity = _identity(call)
    if call.shape == "empty-choices":
        choices = []
    return {
        "choices": choices,
        "created": identity["created"],
        "id": identity["id"],
        **_usage(call),
        "model": identity["model"],
    }


def _whole_filtered(call: ModelCall) -> Json:
    is_filtered = call.shape == "content-filter"
    content = None if call.answer.call or is_filtered else call.answer.text
    message: Json = {"content": content, "refusal": None, "role": "assistant", **_reasoning_fields(call)}
    if call.answer.call:
        message["tool_calls"] = [_tool_call(call)]
    choice: Json = {
        "finish_reason": "content_filter" if is_filtered else call.answer.stop,
        "index": 0,
        "message": message,
    }
    identity = _identity(call)
    if not call.model.is_openai:
        return {"choices": [] if call.shape == "empty-choices" else [choice], **identity, **_usage(call)}
    choice["message"] = {"annotations": [], "content": content, "padding": "abcdef", **message}
    results = {**(_VIOLENT if is_filtered else _SAFE), **_UNPROTECTED}
    return {
        "choices": [] if call.shape == "empty-choices" else [{"content_filter_results": results, **choice}],
        "created": identity["created"],
        "id": identity["id"],
        "model": identity["model"],
        "prompt_filter_results": _PROMPT_FILTER,
        "service_tier": "default",
        "system_fingerprint": identity["system_fingerprint"],
        **_usage(call),
    }


def _chunk(identity: Json, delta: Json, *, finish: str | None = None, index: int = 0, safe: bool = False) -> Json:
    choice: Json = {"index": index}
    if safe:
        choice["content_filter_offsets"] = _OFFSETS
        choice["content_filter_results"] = _SAFE
    choice["delta"] = delta
    if finish:
        choice["finish_reason"] = finish
    return {"choices": [choice], **identity}


def _stream_plain(call: ModelCall, identity: Json) -> Iterator[Frame]:
    """OpenAI, Google and xAI: one choice, and a usage chunk of its own only when asked for."""
    is_azure = call.model.is_openai
    if call.answer.call:
        yield from _plain_tool_call(call, identity)
    else:
        yield from _reasoning_deltas(call, identity)
        yield data_frame(_chunk(identity, {"content": "", "role": "assistant"}))
        for piece in call.answer.pieces:
            yield data_frame(_chunk(identity, {"content": piece}, safe=is_azure), paced=True)
    is_text = call.answer.call is None
    yield data_frame(_chunk(identity, {"content": None}, finish=call.answer.stop, safe=is_azure and is_text))
    if object_at(call.body, "stream_options").get("include_usage") is True and call.shape != "no-usage":
        yield data_frame({"choices": [], **identity, **_usage(call)})


def _plain_tool_call(call: ModelCall, identity: Json) -> Iterator[Frame]:
    name = call.answer.call.name if call.answer.call else ""
    function = {"arguments": "", "name": name}
    ordered: Json = {"function": function, "id": _tool_id(call), "index": 0, "type": "function"}
    yield from _reasoning_deltas(call, identity)
    yield data_frame(_chunk(identity, {"content": None, "role": "assistant", "tool_calls": [ordered]}))
    for piece in call.answer.argument_pieces:
        delta = {"content": None, "tool_calls": [{"function": {"arguments": piece}, "index": 0}]}
        yield data_frame(_chunk(identity, delta), paced=True)


def _reasoning_deltas(call: ModelCall, identity: Json) -> Iterator[Frame]:
    """Claude and Gemini think aloud before the text; OpenAI's reasoning shows only in the usage."""
    if not call.answer.reasoning or call.model.is_openai:
        return
    first, *rest = call.answer.reasoning
    yield data_frame(_chunk(identity, {"content": "", "role": "assistant", "reasoning_text": first}), paced=True)
    for piece in rest:
        yield data_frame(_chunk(identity, {"reasoning_text": piece}), paced=True)
    yield data_frame(_chunk(identity, {"content": None, "reasoning_opaque": call.ids.signature()}))


def _stream_claude(call: ModelCall, identity: Json) -> Iterator[Frame]:
    """The role is on every text delta, tool calls follow in a choice of their own, usage rides on the last chunk."""
    finish = call.answer.stop
    yield from _reasoning_deltas(call, identity)
    role: Json = {} if call.answer.reasoning else {"role": "assistant"}
    for piece in call.answer.pieces:
        yield data_frame(_chunk(identity, {"content": piece, **role}), paced=True)
    is_split = call.answer.call is not None and call.shape != "repeated-ids"
    if is_split:
        yield data_frame(_chunk(identity, {"content": None}, finish=finish))
    yield from _claude_tool_call(call, identity, index=1 if is_split else 0)
    yield data_frame({**_chunk(identity, {"content": None}, finish=finish, index=1 if is_split else 0), **_usage(call)})


def _claude_tool_call(call: ModelCall, identity: Json, index: int) -> Iterator[Frame]:
    if call.answer.call is None:
        return
    repeated: Json = {"id": _tool_id(call), "index": 0, "type": "function"}
    head: Json = {"content": None, "tool_calls": [{"function": {"name": call.answer.call.name}, **repeated}]}
    if index:
        head = {"content": None, "role": "assistant", "tool_calls": head["tool_calls"]}
    yield data_frame(_chunk(identity, head, index=index))
    pieces = call.answer.argument_pieces if index else ("", *call.answer.argument_pieces)
    rest: Json = {"index": 0, "type": "function"} if index else repeated
    for piece in pieces:
        delta = {"content": None, "tool_calls": [{"function": {"arguments": piece}, **rest}]}
        yield data_frame(_chunk(identity, delta, index=index), paced=True)


def _broken(call: ModelCall, identity: Json) -> Iterator[Frame]:
    delta = {"content": (call.answer.pieces or ("Hel",))[0], "role": "assistant"}
    yield data_frame(_chunk(identity, delta, safe=call.model.is_openai), paced=True)
    error: Json = {"code": 500, "message": "upstream model failed while streaming", "metadata": {}}
    yield data_frame({"choices": None, "error": error, "id": identity["id"], "model": identity["model"]})


def _filtered(call: ModelCall, identity: Json) -> Iterator[Frame]:
    delta = {"content": (call.answer.pieces or ("partial",))[0], "role": "assistant"}
    yield data_frame(_chunk(identity, delta, safe=call.model.is_openai), paced=True)
    annotated = {"content": None, "copilot_annotations": {"TextCopyright": False}}
    last = _chunk(identity, annotated, finish="content_filter", safe=True)
    last["choices"][0]["content_filter_results"] = _VIOLENT
    yield data_frame(last)
