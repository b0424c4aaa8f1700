"""Answers of `/responses`: numbered events whose item ids are other blobs every time, and no `[DONE]`."""

from collections.abc import Iterator

from copilot_api.simulator.calls import ModelCall
from copilot_api.simulator.prices import render_copilot_usage
from copilot_api.simulator.wire import Frame, Json, event_frame, is_array, object_at, objects_in

_OBFUSCATION = ("a1b2", "c3", "zz", "y", "Qx7", "k", "q")
_FAILURE: Json = {"code": "server_error", "message": "Internal server error"}


class ResponsesRenderer:
    """Reasoning, message and tool call as output items."""

    def whole(self, call: ModelCall) -> Json:
        """See `Renderer`."""
        response = _ResponseEvents(call).finished()
        if call.shape != "no-usage":
            response["copilot_usage"] = render_copilot_usage(call.model, call.answer.tokens)
        return response

    def stream(self, call: ModelCall) -> Iterator[Frame]:
        """See `Renderer`."""
        return _ResponseEvents(call).all()


class _ResponseEvents:
    """Numbers the events of one response."""

    def __init__(self, call: ModelCall) -> None:
        self._call = call
        self._sequence = -1
        self._id = call.ids.name("resp_0", 44)
        self._call_id = call.ids.name("call_")
        self._tool_kind = _tool_kind(call)
        self._items: list[Json] = []

    def finished(self) -> Json:
        """The response as its terminal event has it."""
        items = [] if self._call.shape in {"failed", "empty-choices"} else [*self._planned_items()]
        return self._response(self._final_status(), items)

    def all(self) -> Iterator[Frame]:
        """Every event in order."""
        in_progress = self._response("in_progress", [])
        yield self._event("response.created", {"response": in_progress})
        yield self._event("response.in_progress", {"response": in_progress})
        shape = self._call.shape
        if shape not in {"failed", "empty-choices"}:
            yield from self._item_events()
        if shape == "midstream-error":
            yield self._event("error", {"code": _FAILURE["code"], "message": _FAILURE["message"], "param": None})
            return
        status = self._final_status()
        usage: Json = {}
        if status == "completed" and shape != "no-usage":
            usage["copilot_usage"] = render_copilot_usage(self._call.model, self._call.answer.tokens)
        yield self._event(f"response.{status}", {**usage, "response": self._response(status, self._items)})

    def _final_status(self) -> str:
        if self._call.shape == "failed":
            return "failed"
        return "incomplete" if self._call.shape == "incomplete" or self._call.answer.stop == "length" else "completed"

    def _event(self, name: str, fields: Json, *, paced: bool = False) -> Frame:
        self._sequence += 1
        value = {"type": name, "sequence_number": self._sequence, **fields}
        if self._call.shape == "untyped-events":
            del value["type"]
        return event_frame(name, value, paced=paced)

    def _blob(self) -> str:
        return self._call.ids.blob()

    def _planned_items(self) -> Iterator[Json]:
        answer = self._call.answer
        if answer.reasoning:
            yield self._reasoning_item(done=True)
        if answer.pieces:
            yield self._message_item(done=True)
        if answer.call:
            yield self._call_item(done=True)

    def _item_events(self) -> Iterator[Frame]:
        answer = self._call.answer
        if answer.reasoning:
            yield from self._reasoning_events(len(self._items))
        if answer.pieces:
            yield from self._message_events(len(self._items))
        if answer.call:
            yield from self._call_events(len(self._items))

    def _bracket(self, item: Json, *, done: bool) -> Frame:
        """An item that begins or ends, at the position it has in the output."""
        position = len(self._items)
        if done:
            self._items.append(item)
        name = "response.output_item.done" if done else "response.output_item.added"
        return self._event(name, {"output_index": position, "item": item})

    def _reasoning_item(self, *, done: bool) -> Json:
        item: Json = {"id": self._blob(), "type": "reasoning"}
        if _wants_encrypted(self._call):
            item["encrypted_content"] = self._call.ids.encrypted(72 if done else 32)
        item["summary"] = []
        if done and _wants_summary(self._call):
            item["summary"] = [{"type": "summary_text", "text": self._call.answer.thought}]
        return item

    def _reasoning_events(self, index: int) -> Iterator[Frame]:
        yield self._bracket(self._reasoning_item(done=False), done=False)
        if _wants_summary(self._call):
            yield from self._summary_events(index)
        yield self._bracket(self._reasoning_item(done=True), done=True)

    def _summary_events(self, index: int) -> Iterator[Frame]:
        def place() -> Json:
            return {"item_id": self._blob(), "output_index": index, "summary_index": 0}

        whole = {"type": "summary_text", "text": self._call.answer.thought}
        part = {"type": "summary_text", "text": ""}
        yield self._event("response.reasoning_summary_part.added", {**place(), "part": part})
        for piece in self._call.answer.reasoning:
            fields = {**place(), "delta": piece, "obfuscation": self._padding()}
            yield self._event("response.reasoning_summary_text.delta", fields, paced=True)
        yield self._event("response.reasoning_summary_text.done", {**place(), "text": whole["text"]})
        yield self._event("response.reasoning_summary_part.done", {**place(), "part": whole})

    def _padding(self) -> str:
        return _OBFUSCATION[self._sequence % len(_OBFUSCATION)]

    def _message_item(self, *, done: bool) -> Json:
        status = "in_progress"
        if done:
            status = "incomplete" if self._final_status() == "incomplete" else "completed"
        item: Json = {"id": self._blob(), "type": "message", "status": status}
        item["content"] = [_text_part(self._call.answer.text)] if done else []
        item["phase"] = "commentary" if self._call.answer.call else "final_answer"
        item["role"] = "assistant"
        return item

    def _message_events(self, index: int) -> Iterator[Frame]:
        def place() -> Json:
            return {"item_id": self._blob(), "output_index": index, "content_index": 0}

        text = self._call.answer.text
        yield self._bracket(self._message_item(done=False), done=False)
        yield self._event("response.content_part.added", {**place(), "part": _text_part("")})
        for piece in self._call.answer.pieces:
            fields: Json = {**place(), "delta": piece, "logprobs": [], "obfuscation": self._padding()}
            yield self._event("response.output_text.delta", fields, paced=True)
            if self._call.shape == "midstream-error":
                return
        yield self._event("response.output_text.done", {**place(), "text": text, "logprobs": []})
        yield self._event("response.content_part.done", {**place(), "part": _text_part(text)})
        yield self._bracket(self._message_item(done=True), done=True)

    def _call_item(self, *, done: bool) -> Json:
        asked = self._call.answer.call
        name, arguments = (asked.name, asked.arguments) if asked else ("", "")
        written = arguments if done else ""
        item: Json = {"id": self._blob(), "type": f"{self._tool_kind}_call"}
        item["status"] = "completed" if done else "in_progress"
        item["input" if self._tool_kind == "custom_tool" else "arguments"] = written
        return {**item, "call_id": self._call_id, "name": name}

    def _call_events(self, index: int) -> Iterator[Frame]:
        is_custom = self._tool_kind == "custom_tool"
        stem = "response.custom_tool_call_input" if is_custom else "response.function_call_arguments"
        yield self._bracket(self._call_item(done=False), done=False)
        for piece in self._call.answer.argument_pieces:
            fields = {"item_id": self._blob(), "output_index": index, "delta": piece, "obfuscation": self._padding()}
            yield self._event(f"{stem}.delta", fields, paced=True)
        item = self._call_item(done=True)
        fields = {"item_id": self._blob(), "output_index": index}
        kept = ("input",) if is_custom else ("name", "arguments")
        yield self._event(f"{stem}.done", {**fields, **{name: item[name] for name in kept}})
        yield self._bracket(item, done=True)

    def _response(self, status: str, output: list[Json]) -> Json:
        """The response object, echoing what was asked."""
        call, body = self._call, self._call.body
        is_final = status != "in_progress"
        reasoning = object_at(body, "reasoning")
        return {
            "id": self._id,
            "object": "response",
            "created_at": call.created,
            "status": status,
            "background": False,
            "completed_at": call.created if status == "completed" else None,
            "content_filters": None,
            "error": _FAILURE if status == "failed" else None,
            "frequency_penalty": 0.0,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "instructions": body.get("instructions"),
            "max_output_tokens": body.get("max_output_tokens"),
            "max_tool_calls": None,
            "model": call.model.version,
            "output": output,
            "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
            "presence_penalty": 0.0,
            "previous_response_id": None,
            "prompt_cache_key": body.get("prompt_cache_key"),
            "prompt_cache_retention": None,
            "reasoning": {"effort": reasoning.get("effort") or "medium", "summary": reasoning.get("summary")},
            "safety_identifier": None,
            "service_tier": "auto",
            "store": False,
            "temperature": 1.0,
            "text": {"format": {"type": "text"}, "verbosity": "medium", **object_at(body, "text")},
            "tool_choice": body.get("tool_choice") or "auto",
            "tools": [_echoed_tool(tool) for tool in objects_in(body.get("tools"))],
            "top_logprobs": 0,
            "top_p": 0.98,
            "truncation": "disabled",
            "usage": self._usage() if is_final and status != "failed" and call.shape != "no-usage" else None,
            "user": None,
            "metadata": {},
        }

    def _usage(self) -> Json:
        tokens = self._call.answer.tokens
        return {
            "input_tokens": tokens.input,
            "input_tokens_details": {"cached_tokens": tokens.cache_read},
            "output_tokens": tokens.output,
            "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
            "total_tokens": tokens.input + tokens.output,
        }


def _echoed_tool(tool: Json) -> Json:
    """A tool as the response repeats it: what the request left out of a function is there with its default."""
    if tool.get("type") != "function":
        return tool
    return {"strict": True, "description": None, "parameters": None, **tool}


def _text_part(text: str) -> Json:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _wants_encrypted(call: ModelCall) -> bool:
    included = call.body.get("include")
    return is_array(included) and "reasoning.encrypted_content" in included


def _wants_summary(call: ModelCall) -> bool:
    return bool(object_at(call.body, "reasoning").get("summary"))


def _tool_kind(call: ModelCall) -> str:
    tools = call.body.get("tools")
    name = call.answer.call.name if call.answer.call else None
    for tool in tools if is_array(tools) else ():
        if object_at({"tool": tool}, "tool").get("name") == name and tool["type"] == "custom":
            return "custom_tool"
    return "function"
