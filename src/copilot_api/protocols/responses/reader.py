"""
A streamed answer of Copilot's Responses, read into the neutral form's events.

An item is known by its `output_index` alone: its id is another in every event. Whatever part of an item's events is
missing is made good by a later one, and nothing is handed out twice: `.done` holds what its deltas were to add up to,
`output_item.done` the whole item, the terminal event all items. Items may interleave; they are handed out one by one,
in the order of their places.
"""

from collections.abc import Callable

from copilot_api.errors import GatewayError, UpstreamCut, UpstreamFailed
from copilot_api.protocols.base import Usage
from copilot_api.protocols.conversation import (
    Finished,
    ReasoningDelta,
    ReasoningEnd,
    Refusal,
    RefusalDelta,
    Started,
    StreamEvent,
    TextDelta,
    ToolDelta,
    ToolEnd,
    ToolStart,
    events_of,
)
from copilot_api.protocols.responses import parse
from copilot_api.protocols.responses.events import DONE, EventSource, WireEvent, fields_of, read_event
from copilot_api.protocols.responses.output_items import KINDS, Item, is_json
from copilot_api.protocols.responses.parse import Fields
from copilot_api.protocols.sse import Event
from copilot_api.protocols.untyped import list_of, object_of, text_of


class ResponsesReader:
    """See the module, and `Reader` for the contract."""

    __slots__ = (
        "_current",
        "_has_calls",
        "_has_started",
        "_is_over",
        "_items",
        "_out",
        "_response_id",
        "_source",
        "_steps",
        "_waiting",
        "failure",
        "nano_aiu",
        "usage",
    )

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.nano_aiu: int | None = None
        self.failure: GatewayError | None = None
        self._source = EventSource()
        self._items: dict[int, Item] = {}
        self._waiting: list[Item] = []
        self._current: Item | None = None
        self._out: list[StreamEvent] = []
        self._has_started = False
        self._has_calls = False
        self._is_over = False
        self._response_id = ""
        self._steps: dict[str, Callable[[WireEvent, bytes], None]] = {
            "response.output_text.delta": self._on_text,
            "response.refusal.delta": self._on_refusal,
            "response.reasoning_summary_text.delta": self._on_summary,
            "response.reasoning_text.delta": self._on_thought,
            "response.function_call_arguments.delta": self._on_arguments,
            "response.custom_tool_call_input.delta": self._on_input,
            "response.output_text.done": self._on_text_done,
            "response.refusal.done": self._on_refusal_done,
            "response.reasoning_summary_text.done": self._on_summary_done,
            "response.reasoning_text.done": self._on_thought_done,
            "response.function_call_arguments.done": self._on_arguments_done,
            "response.custom_tool_call_input.done": self._on_input_done,
            "response.output_item.added": self._on_item_added,
            "response.output_item.done": self._on_item_done,
            "response.created": self._on_begin,
            "response.in_progress": self._on_begin,
            "response.queued": self._on_begin,
            "response.completed": self._on_end,
            "response.incomplete": self._on_end,
            "response.done": self._on_end,
            "response.failed": self._on_failure,
            "response.cancelled": self._on_failure,
            "error": self._on_failure,
        }

    # The contract ---------------------------------------------------------------------------------------------------

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """See `Reader`."""
        if self._is_over or self.failure is not None:
            return []
        try:
            self._read(self._source.feed(chunk))
        except GatewayError as error:
            self.failure = error
        out, self._out = self._out, []
        return out

    def finish(self) -> list[StreamEvent]:
        """See `Reader`."""
        if self.failure is None and not self._is_over:
            try:
                self._read(self._source.finish())
                if self._source.body is not None:
                    self._read_body(self._source.body)
            except GatewayError as error:
                self.failure = error
        if self.failure is not None:
            raise self.failure
        if not self._is_over:
            raise UpstreamCut("GitHub Copilot's answer broke off before its end")
        out, self._out = self._out, []
        return out

    def _read(self, events: list[Event]) -> None:
        for event in events:
            if self._is_over:
                break
            self._read_event(event)

    def _read_event(self, event: Event) -> None:
        data = event.data
        found = read_event(data)
        if found is None:
            if data == DONE or not data.strip() or self._has_started:
                return  # a broken event amid others is passed over: what is missing, a later one has
            raise UpstreamFailed("GitHub Copilot sent an event that is not JSON")
        step = self._steps.get(found.type or event.name or "")
        if step is not None:
            step(found, data)
        elif not found.type and fields_of(data).get("error"):
            self._on_failure(found, data)

    def _read_body(self, body: bytes) -> None:
        """A whole answer where a stream was due."""
        answer = parse.parse_answer(body)
        self.usage, self.nano_aiu = answer.usage, answer.nano_aiu
        self._is_over = True
        self._out.extend(events_of(answer))

    # The response as a whole ----------------------------------------------------------------------------------------

    def _on_begin(self, _: WireEvent, data: bytes) -> None:
        if not self._has_started:
            self._response_id = text_of(object_of(fields_of(data).get("response")).get("id"))
            self._start()

    def _start(self) -> None:
        self._has_started = True
        self._out.append(Started())

    def _on_end(self, found: WireEvent, data: bytes) -> None:
        fields = fields_of(data)
        response = object_of(fields.get("response"))
        if found.type == "response.incomplete":
            response["status"] = "incomplete"
        failure = parse.failure_of(response)
        if failure is not None:
            raise failure
        if not self._has_started:
            self._start()
        self._recover([object_of(item) for item in list_of(response.get("output"))])
        copilot = fields.get("copilot_usage") or response.get("copilot_usage")
        self.usage = parse.usage_of(response.get("usage"), copilot)
        self.nano_aiu = parse.nano_aiu_of(copilot)
        self._out.append(Finished(parse.stop_of(response, has_calls=self._has_calls), self.usage))
        self._is_over = True

    def _recover(self, output: list[Fields]) -> None:
        """Make good for items that did not come, or not to their end."""
        for index, fields in enumerate(output):
            item = self._items.get(index)
            if item is None and len(self._items) < len(output):
                item = self._opened(index, text_of(fields.get("type")))
            if item is not None and item.kind == fields.get("type"):
                self._complete(item, fields)
        for item in sorted(self._items.values(), key=lambda item: item.index):
            self._complete(item, None)

    def _on_failure(self, _: WireEvent, data: bytes) -> None:
        fields = fields_of(data)
        response = object_of(fields.get("response"))
        error = fields.get("error") or response.get("error")
        if not error and response.get("status") == "cancelled":
            raise UpstreamCut("GitHub Copilot cancelled the answer")
        raise parse.error_of(error or {**fields, "type": ""})

    # Text and reasoning ---------------------------------------------------------------------------------------------

    def _on_text(self, found: WireEvent, _: bytes) -> None:
        self._add(self._item(found, "message"), ("text", found.content_index), found.delta)

    def _on_refusal(self, found: WireEvent, _: bytes) -> None:
        self._add(self._item(found, "message"), ("refusal", found.content_index), found.delta)

    def _on_summary(self, found: WireEvent, _: bytes) -> None:
        self._add_thought(self._item(found, "reasoning"), ("summary", found.summary_index), found.delta)

    def _on_thought(self, found: WireEvent, _: bytes) -> None:
        self._add_thought(self._item(found, "reasoning"), ("thought", found.content_index), found.delta)

    def _on_text_done(self, found: WireEvent, _: bytes) -> None:
        self._make_good(self._item(found, "message"), ("text", found.content_index), found.text)

    def _on_refusal_done(self, found: WireEvent, _: bytes) -> None:
        self._make_good(self._item(found, "message"), ("refusal", found.content_index), found.refusal)

    def _on_summary_done(self, found: WireEvent, _: bytes) -> None:
        self._make_good(self._item(found, "reasoning"), ("summary", found.summary_index), found.text)

    def _on_thought_done(self, found: WireEvent, _: bytes) -> None:
        self._make_good(self._item(found, "reasoning"), ("thought", found.content_index), found.text)

    def _make_good(self, item: Item, part: tuple[str, int], whole: str) -> None:
        """Hand out what of `whole` its deltas have not brought. What they brought otherwise cannot be taken back."""
        sent = "".join(item.parts.get(part, ()))
        if len(whole) > len(sent) and whole.startswith(sent):
            add = self._add if item.kind == "message" else self._add_thought
            add(item, part, whole[len(sent) :])

    def _add(self, item: Item, part: tuple[str, int], delta: str) -> None:
        if delta and not item.is_done and item.kind == "message":
            pieces = item.parts.get(part)
            if pieces is None:
                item.parts[part] = [delta]
            else:
                pieces.append(delta)
            self._put(item, TextDelta(delta) if part[0] == "text" else RefusalDelta(delta))

    def _add_thought(self, item: Item, part: tuple[str, int], delta: str) -> None:
        """Reasoning's parts are paragraphs. Where its summary and its full text both come, the first to come counts."""
        if not delta or item.is_done or item.kind != "reasoning":
            return
        if part not in item.parts:
            if any(kind != part[0] for kind, _ in item.parts):
                return
            if item.parts:
                self._put(item, ReasoningDelta("\n\n"))
            item.parts[part] = []
        item.parts[part].append(delta)
        self._put(item, ReasoningDelta(delta))

    # Tool calls -----------------------------------------------------------------------------------------------------

    def _on_arguments(self, found: WireEvent, _: bytes) -> None:
        self._add_arguments(self._item(found, "function_call"), found.delta)

    def _on_input(self, found: WireEvent, _: bytes) -> None:
        self._add_arguments(self._item(found, "custom_tool_call"), found.delta)

    def _on_arguments_done(self, found: WireEvent, _: bytes) -> None:
        self._end_arguments(self._item(found, "function_call"), found.name, found.arguments)

    def _on_input_done(self, found: WireEvent, _: bytes) -> None:
        self._end_arguments(self._item(found, "custom_tool_call"), found.name, found.input)

    def _add_arguments(self, item: Item, delta: str) -> None:
        if not delta or item.is_done or not item.is_call:
            return
        if item.kind == "function_call":
            item.refuse_runaway(delta)
        item.arguments.append(delta)
        if not item.is_started and not self._announce(item):
            return
        if item.has_sent:
            self._put(item, ToolDelta(delta))
        else:
            self._send_held(item)

    def _announce(self, item: Item) -> bool:
        """Start the call, if it is known whose it is."""
        if not item.name or not item.call_id:
            return False
        item.is_started = self._has_calls = True
        self._put(item, ToolStart(item.call_id, item.name, item.kind == "custom_tool_call"))
        return True

    def _send_held(self, item: Item) -> None:
        """Hand out the arguments that were held, if they are arguments: some deltas are ciphertext, to be ignored."""
        held = "".join(item.arguments)
        if item.kind == "custom_tool_call" or held.lstrip()[:1] == "{":
            item.has_sent = True
            self._put(item, ToolDelta(held))

    def _end_arguments(self, item: Item, name: str, arguments: str) -> None:
        """`.done`: what it says counts. Where it says nothing, the item's own end will."""
        item.name = item.name or name
        if item.is_done or not item.is_call or not arguments or not (item.is_started or self._announce(item)):
            return
        self._end_call(item, arguments)

    def _end_call(self, item: Item, arguments: str) -> None:
        sent = "".join(item.arguments) if item.has_sent else ""
        if arguments.startswith(sent):
            if len(arguments) > len(sent):
                self._put(item, ToolDelta(arguments[len(sent) :]))
        elif item.kind == "function_call" and not is_json(sent):
            raise UpstreamFailed("GitHub Copilot garbled the arguments of a tool call")
        self._put(item, ToolEnd())
        self._close(item)

    # Items ----------------------------------------------------------------------------------------------------------

    def _item(self, found: WireEvent, kind: str) -> Item:
        """The item that an event belongs to; new when nothing has announced it."""
        index = found.output_index
        if index < 0:
            open_ones = [item.index for item in self._items.values() if item.kind == kind and not item.is_done]
            index = open_ones[-1] if open_ones else max(self._items, default=-1) + 1
        item = self._items.get(index)
        if item is None or (item.is_done and item.kind != kind and kind in KINDS):
            item = self._opened(index, kind)
        return item

    def _opened(self, index: int, kind: str) -> Item:
        if not self._has_started:
            self._start()
        item = self._items[index] = Item(index, kind if kind in KINDS else "")
        if item.kind:
            self._waiting.append(item)
            if self._current is None:
                self._current = item
        return item

    def _named(self, found: WireEvent, fields: Fields) -> Item:
        """The item of an event that holds the item itself. Another call on the index of one that is over is new."""
        kind = text_of(fields.get("type"))
        item = self._item(found, kind)
        call_id = text_of(fields.get("call_id"))
        if item.begins_anew(call_id):
            item = self._opened(item.index, kind)
        return item

    def _on_item_added(self, found: WireEvent, data: bytes) -> None:
        fields = object_of(fields_of(data).get("item"))
        item = self._named(found, fields)
        if item.is_call and not item.is_done and not item.is_started:
            self._identify(item, fields)
            if self._announce(item) and item.arguments:
                self._send_held(item)

    def _on_item_done(self, found: WireEvent, data: bytes) -> None:
        fields = object_of(fields_of(data).get("item"))
        item = self._named(found, fields)
        if not item.is_done and item.kind == fields.get("type"):
            self._complete(item, fields)

    def _identify(self, item: Item, fields: Fields) -> None:
        item.name = item.name or text_of(fields.get("name"))
        item.call_id = item.call_id or parse.call_id_in(fields, self._response_id, item.index)

    def _complete(self, item: Item, fields: Fields | None) -> None:
        """End an item, with the whole of it in `fields`; or with what has come, when the answer itself is over."""
        if item.is_done:
            return
        match item.kind:
            case "message":
                for place, part in parse.said_in(fields or {}):
                    kind = "refusal" if isinstance(part, Refusal) else "text"
                    self._make_good(item, (kind, place), part.text)
            case "reasoning":
                self._complete_reasoning(item, fields or {})
            case "function_call" | "custom_tool_call":
                self._complete_call(item, fields)
            case _:
                pass
        self._close(item)

    def _complete_reasoning(self, item: Item, fields: Fields) -> None:
        sent = "\n\n".join("".join(pieces) for pieces in item.parts.values())
        whole = "\n\n".join(parse.thoughts_in(fields))
        if len(whole) > len(sent) and whole.startswith(sent):
            item.parts[("whole", 0)] = []
            self._put(item, ReasoningDelta(whole[len(sent) :]))
        carrier = parse.carrier_in(fields)
        if item.parts or carrier is not None:
            self._put(item, ReasoningEnd(carrier))

    def _complete_call(self, item: Item, fields: Fields | None) -> None:
        if fields is not None and not item.is_started:
            self._identify(item, fields)
        if not item.is_started and not self._announce(item):
            if fields is not None:
                raise UpstreamFailed("GitHub Copilot called a tool without a name")
            return  # an answer that was cut short before the call had a name
        came = "".join(item.arguments)
        arguments = parse.arguments_in(fields or {}) or (came if item.has_sent or is_json(came) else "")
        self._end_call(item, "{}" if item.kind == "function_call" and not arguments.strip() else arguments)

    # Order ----------------------------------------------------------------------------------------------------------

    def _put(self, item: Item, event: StreamEvent) -> None:
        """Hand `event` out, or keep it until the items before its own are over."""
        if self._current is item:
            self._out.append(event)
        else:
            item.queue.append(event)

    def _close(self, item: Item) -> None:
        item.is_done = True
        if self._current is item:
            self._waiting.remove(item)
            self._hand_out()

    def _hand_out(self) -> None:
        """What waits, by its place, up to the first item that is not over: that one is handed out from now on."""
        self._current = None
        for item in sorted(self._waiting, key=lambda item: item.index):
            self._out += item.queue
            item.queue = []
            if not item.is_done:
                self._current = item
                return
            self._waiting.remove(item)
