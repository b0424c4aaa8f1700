"""Answers of `/v1/messages`: Anthropic's own events with sorted keys, and a `[DONE]` that Anthropic never sends."""

from collections.abc import Iterator

from copilot_api.simulator.calls import ModelCall
from copilot_api.simulator.prices import render_copilot_usage
from copilot_api.simulator.wire import DONE, Frame, Json, decode, is_object, object_at, sorted_event_frame

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
_REFUSED: Json = {"category": "cyber", "explanation": "sample explanation", "type": "refusal"}
_LATENCIES = {"firstByteLatency": 850, "invocationLatency": 1153}


class MessagesRenderer:
    """Thinking, text and tool use as content blocks."""

    def whole(self, call: ModelCall) -> Json:
        """See `Renderer`."""
        message = _envelope(call)
        message["content"] = [] if call.shape in {"refusal", "empty-choices"} else _blocks(call)
        message.update(_ending(call))
        message["usage"] = {**message["usage"], **_final_usage(call), "inference_geo": "global"}
        if call.shape != "no-usage":
            message["copilot_usage"] = render_copilot_usage(call.model, call.answer.tokens)
        else:
            del message["usage"]
        if "context_management" in call.body:
            message["context_management"] = {"applied_edits": []}
        return dict(sorted(message.items()))

    def stream(self, call: ModelCall) -> Iterator[Frame]:
        """See `Renderer`."""
        yield _event({"message": _envelope(call), "type": "message_start"})
        if call.shape == "midstream-error":
            yield from _broken(call)
            return
        if call.shape not in {"refusal", "empty-choices"}:
            yield from _block_events(call)
        yield _event(_message_delta(call))
        yield _event(_message_stop(call))
        yield DONE


def _event(value: Json, *, paced: bool = False) -> Frame:
    return sorted_event_frame(value["type"], value, paced=paced)


def _envelope(call: ModelCall) -> Json:
    """The message before its content; its usage is provisional."""
    tokens = call.answer.tokens
    return {
        "content": [],
        "id": call.ids.name("msg_vrtx_01" if call.backend == "vertex" else "msg_bdrk_01"),
        "model": call.model.dashed_id,
        "role": "assistant",
        "stop_details": None,
        "stop_reason": None,
        "stop_sequence": None,
        "type": "message",
        "usage": {
            "cache_creation": {"ephemeral_1h_input_tokens": 0, "ephemeral_5m_input_tokens": tokens.cache_write},
            "cache_creation_input_tokens": tokens.cache_write,
            "cache_read_input_tokens": tokens.cache_read,
            "input_tokens": tokens.fresh,
            "output_tokens": min(tokens.output, 4),
        },
    }


def _ending(call: ModelCall) -> Json:
    if call.shape == "refusal":
        return {"stop_details": _REFUSED, "stop_reason": "refusal", "stop_sequence": None}
    return {"stop_details": None, "stop_reason": _STOP_REASONS[call.answer.stop], "stop_sequence": None}


def _final_usage(call: ModelCall) -> Json:
    tokens = call.answer.tokens
    usage: Json = {
        "cache_creation_input_tokens": tokens.cache_write,
        "cache_read_input_tokens": tokens.cache_read,
        "input_tokens": tokens.fresh,
        "output_tokens": tokens.output,
    }
    if tokens.reasoning:
        usage["output_tokens_details"] = {"thinking_tokens": tokens.reasoning}
    return usage


def _message_delta(call: ModelCall) -> Json:
    event: Json = {"delta": _ending(call), "type": "message_delta"}
    if call.shape != "no-usage":
        event["copilot_usage"] = render_copilot_usage(call.model, call.answer.tokens)
        event["usage"] = _final_usage(call)
    if "context_management" in call.body:
        event["context_management"] = {"applied_edits": []}
    return event


def _message_stop(call: ModelCall) -> Json:
    if call.backend == "vertex":
        return {"type": "message_stop"}
    tokens = call.answer.tokens
    metrics = {**_LATENCIES, "inputTokenCount": tokens.fresh, "outputTokenCount": tokens.output}
    return {"amazon-bedrock-invocationMetrics": metrics, "type": "message_stop"}


def _shows_thinking(call: ModelCall) -> bool:
    return object_at(call.body, "thinking").get("display") != "omitted"


def _tool_use(call: ModelCall) -> Json:
    asked = call.answer.call
    return {
        "id": call.ids.name("toolu_vrtx_01" if call.backend == "vertex" else "toolu_bdrk_01"),
        "input": {},
        "name": asked.name if asked else "",
        "type": "tool_use",
    }


def _parsed_arguments(call: ModelCall) -> Json:
    try:
        value = decode(call.answer.call.arguments.encode()) if call.answer.call else None
    except ValueError:
        return {}
    return value if is_object(value) else {}


def _blocks(call: ModelCall) -> list[Json]:
    blocks: list[Json] = []
    if call.answer.reasoning:
        thought = call.answer.thought if _shows_thinking(call) else ""
        blocks.append({"signature": call.ids.signature(), "thinking": thought, "type": "thinking"})
    if call.answer.pieces:
        blocks.append({"text": call.answer.text, "type": "text"})
    if call.answer.call:
        blocks.append({**_tool_use(call), "input": _parsed_arguments(call)})
    return blocks


def _block_events(call: ModelCall) -> Iterator[Frame]:
    index = 0
    if call.answer.reasoning:
        start: Json = {"signature": "", "thinking": "", "type": "thinking"}
        pieces = call.answer.reasoning if _shows_thinking(call) else ()
        deltas: list[Json] = [{"thinking": piece, "type": "thinking_delta"} for piece in pieces]
        deltas.append({"signature": call.ids.signature(), "type": "signature_delta"})
        yield from _block(index, start, deltas)
        index += 1
    if call.answer.pieces:
        deltas = [{"text": piece, "type": "text_delta"} for piece in call.answer.pieces]
        yield from _block(index, {"text": "", "type": "text"}, deltas)
        index += 1
    if call.answer.call:
        parts = ("", *call.answer.argument_pieces)
        deltas = [{"partial_json": part, "type": "input_json_delta"} for part in parts]
        yield from _block(index, _tool_use(call), deltas)


def _block(index: int, start: Json, deltas: list[Json]) -> Iterator[Frame]:
    """One content block; a ping follows the start of the first."""
    yield _event({"content_block": start, "index": index, "type": "content_block_start"})
    if index == 0:
        yield _event({"type": "ping"})
    for delta in deltas:
        yield _event({"delta": delta, "index": index, "type": "content_block_delta"}, paced=True)
    yield _event({"index": index, "type": "content_block_stop"})


def _broken(call: ModelCall) -> Iterator[Frame]:
    yield _event({"content_block": {"text": "", "type": "text"}, "index": 0, "type": "content_block_start"})
    delta = {"text": (call.answer.pieces or ("Par",))[0], "type": "text_delta"}
    yield _event({"delta": delta, "index": 0, "type": "content_block_delta"}, paced=True)
    yield _event({"error": {"message": "Overloaded", "type": "overloaded_error"}, "type": "error"})
