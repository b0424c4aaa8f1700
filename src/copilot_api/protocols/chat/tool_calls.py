"""
The tool calls of a streamed chat answer, put in order as their pieces pass.

Strict clients concatenate whatever is repeated, and take each call by its number: so a call's id, type and name are
said once, on its first piece, and calls are numbered from 0. Upstreams repeat them, count anew in each choice (Claude),
or do not count and send whole calls without ids (Gemini). What tells calls apart is, in this order: the id, a place
(choice and index) that is known, and else that a piece without either belongs to the call in progress.
"""

import json
from typing import Any

from copilot_api.protocols.untyped import object_of, text_of

Piece = dict[str, Any]


class _Call:
    """One call, as far as it has come."""

    __slots__ = ("arguments", "first", "id", "is_named", "number")

    def __init__(self, number: int, call_id: str, first: Piece) -> None:
        self.number = number
        self.id = call_id
        self.first = first
        """Its first piece, with whatever else the upstream said of it."""
        self.is_named = False
        self.arguments: list[str] = []

    @property
    def text(self) -> str:
        """The arguments so far."""
        return "".join(self.arguments)

    def is_whole(self) -> bool:
        """Whether the arguments are a whole JSON value: then nothing can follow them."""
        try:
            json.loads(self.text)
        except (ValueError, RecursionError):
            return False
        return True


class ToolCalls:
    """See the module."""

    __slots__ = ("_by_id", "_by_place", "_calls")

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_id: dict[str, _Call] = {}
        self._by_place: dict[tuple[int, int], _Call] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def mend(self, piece: Piece, choice: int, stream_id: str) -> Piece | None:
        """The piece as the client gets it; None when there is nothing to send (yet)."""
        function = object_of(piece.get("function"))
        name, arguments = text_of(function.get("name")), _arguments(function.get("arguments"))
        call_id, index = text_of(piece.get("id")), piece.get("index")
        place = (choice, index) if isinstance(index, int) and not isinstance(index, bool) else None
        call = self._find(call_id, place, name)
        is_new = call is None
        if call is None:
            number = len(self._calls)
            call = _Call(number, call_id or f"call_{number}_{stream_id}"[:64], piece)
            self._calls.append(call)
        self._by_id.setdefault(call.id, call)
        if place is not None:
            self._by_place[place] = call
        if not is_new and name and arguments and arguments == call.text and call.is_whole():
            return None  # the whole call once more
        if arguments:
            call.arguments.append(arguments)
        if call.is_named:
            return {"index": call.number, "function": {"arguments": arguments}} if arguments else None
        return self._opening(call, name, function) if name else None

    def endings(self) -> list[Piece]:
        """What is still due when the answer is over: a call without arguments has an empty object of them."""
        pieces: list[Piece] = []
        for call in self._calls:
            if not call.is_named:
                pieces.append(self._opening(call, "unnamed", {}))
            if not call.text.strip():
                pieces.append({"index": call.number, "function": {"arguments": "{}"}})
        return pieces

    def _find(self, call_id: str, place: tuple[int, int] | None, name: str) -> _Call | None:
        if call_id:
            return self._by_id.get(call_id)
        if place is None:
            call = self._calls[-1] if self._calls else None
        else:
            call = self._by_place.get(place)
            if call is None and not name and self._calls:
                call = self._calls[-1]
        if call is not None and name and call.is_named and call.is_whole() and not self._is_repeat(call, name):
            return None  # a whole call followed by a name: the next one
        return call

    @staticmethod
    def _is_repeat(call: _Call, name: str) -> bool:
        return object_of(call.first.get("function")).get("name") == name and len(call.arguments) > 1

    @staticmethod
    def _opening(call: _Call, name: str, function: dict[str, Any]) -> Piece:
        """A call's first piece, with all arguments that came before its name did."""
        call.is_named = True
        call.first = {**call.first, "function": {**function, "name": name}}
        return {
            **call.first,
            "index": call.number,
            "id": call.id,
            "type": "function",
            "function": {**function, "name": name, "arguments": call.text},
        }


def _arguments(value: object) -> str:
    """The arguments' text; an upstream that sends the object itself means its JSON."""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return text_of(value)
