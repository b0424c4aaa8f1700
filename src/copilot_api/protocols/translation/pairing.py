"""
A conversation whose turns every upstream accepts.

Clients edit, cut and interrupt their histories; upstreams refuse what then no longer fits together (pitfalls 28 to 30,
42). After this, turns of one role are one message; each tool call is answered exactly once, in the user message right
after it and before anything else there; an answer to no call is the user's text; nothing is empty.
"""

from collections.abc import Iterable

from copilot_api.protocols.conversation import Message, Part, Refusal, Text, ToolCall, ToolResult

INTERRUPTED = "[no result: interrupted]"
EMPTY_RESULT = "(no output)"
EMPTY_CONTENT = "(no content)"


def pair(messages: Iterable[Message]) -> tuple[Message, ...]:
    """See the module."""
    turns = _merged(messages)
    results = _Results(turns)
    out: list[Message] = []
    for turn in turns:
        if turn.role != "assistant":
            said: tuple[Part, ...] = tuple(part for part in turn.parts if not isinstance(part, ToolResult))
            parts = said + tuple(_as_text(result) for result in results.orphans(turn))
            if parts:
                out.append(Message(turn.role, parts))
            continue
        calls = _unique_calls(turn.parts)
        kept = {id(call) for call in calls}
        parts = tuple(part for part in turn.parts if not isinstance(part, ToolCall) or id(part) in kept)
        if parts:
            out.append(Message("assistant", parts, turn.phase))
        if calls:
            out.append(Message("user", tuple(results.answer(turn, call) for call in calls)))
    return tuple(_said(message) for message in _merged(out))


class _Results:
    """Which result answers which call: one in the stretch after the call's turn first, else any that nobody claims."""

    def __init__(self, turns: list[Message]) -> None:
        self._answers: dict[tuple[int, str], ToolResult] = {}
        self._claimed: set[int] = set()
        self._turns = turns
        self._places = {id(turn): place for place, turn in enumerate(turns)}
        spread: list[tuple[int, ToolResult]] = []
        caller: int | None = None
        for place, turn in enumerate(turns):
            if turn.role == "assistant":
                caller = place
                continue
            near = -1 if caller is None else caller
            spread += [(near, part) for part in turn.parts if isinstance(part, ToolResult)]
        wanted = [
            (place, part.id)
            for place, turn in enumerate(turns)
            if turn.role == "assistant"
            for part in turn.parts
            if isinstance(part, ToolCall)
        ]
        asked = set(wanted)
        for caller, result in spread:
            if (caller, result.call_id) in asked:
                self._answers[caller, result.call_id] = result  # of several, the last
                self._claimed.add(id(result))
        for place, call_id in wanted:
            if (place, call_id) not in self._answers:
                for _, result in spread:
                    if result.call_id == call_id and id(result) not in self._claimed:
                        self._answers[place, call_id] = result
                        self._claimed.add(id(result))
                        break

    def answer(self, turn: Message, call: ToolCall) -> ToolResult:
        found = self._answers.get((self._places[id(turn)], call.id))
        if found is None:
            return ToolResult(call_id=call.id, parts=(Text(INTERRUPTED),), is_error=True)
        return (
            found
            if _has_content(found.parts)
            else ToolResult(call_id=call.id, parts=(Text(EMPTY_RESULT),), is_error=found.is_error)
        )

    def orphans(self, turn: Message) -> list[ToolResult]:
        """The results in `turn` that answer no call."""
        return [part for part in turn.parts if isinstance(part, ToolResult) and id(part) not in self._claimed]


def _as_text(result: ToolResult) -> Text:
    texts = [part.text for part in result.parts if isinstance(part, Text)]
    return Text(f"[result of the tool call {result.call_id}] " + ("\n".join(texts) or EMPTY_RESULT))


def _unique_calls(parts: tuple[Part, ...]) -> list[ToolCall]:
    """The calls of a turn; one that uses another's id again could never be answered."""
    calls: dict[str, ToolCall] = {}
    for part in parts:
        if isinstance(part, ToolCall):
            calls.setdefault(part.id, part)
    return list(calls.values())


def _merged(messages: Iterable[Message]) -> list[Message]:
    """Neighbours of one role as one message; of a run of user messages the results come first."""
    out: list[Message] = []
    for message in messages:
        if out and out[-1].role == message.role:
            last = out[-1]
            parts = last.parts + message.parts
            if message.role == "user":
                parts = tuple(sorted(parts, key=lambda part: not isinstance(part, ToolResult)))  # a stable sort
            out[-1] = Message(message.role, parts, message.phase or last.phase)
        else:
            out.append(message)
    return out


def _has_content(parts: "tuple[Part, ...]") -> bool:
    return any(not isinstance(part, Text) or part.text for part in parts)


def _said(message: Message) -> Message:
    """The message without empty texts; with a placeholder when nothing else is in it."""
    kept = tuple(_filled(part) for part in message.parts if not isinstance(part, Text | Refusal) or part.text.strip())
    if not kept:
        kept = (Text(EMPTY_CONTENT),)
    return Message(message.role, kept, message.phase)


def _filled(part: Part) -> Part:
    if isinstance(part, ToolResult) and any(isinstance(inner, Text) and not inner.text for inner in part.parts):
        inner = tuple(inner for inner in part.parts if not isinstance(inner, Text) or inner.text)
        return ToolResult(call_id=part.call_id, parts=inner, is_error=part.is_error)
    return part
