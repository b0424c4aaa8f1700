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

    __slots__ = ("first", "has_own_id", "id", "name", "number", "pieces")

    def __init__(self, call_id: str, first: Piece) -> None:
        self.id = call_id
        self.first = first
        """Its first piece, with whatever else the upstream said of it."""
        self.name = ""
        self.number: int | None = None
        """Its number towards the client, once that has heard of it."""
        self.pieces: list[str] = []
        self.has_own_id = False
        """Whether the upstream gave the id."""

    @property
    def arguments(self) -> str:
        """The arguments so far."""
        return "".join(self.pieces)

    def says(self, name: str, arguments: str) -> bool:
        """Whether this is the call that a whole one like this would be."""
        return (self.name, self.arguments) == (name, arguments)

    def is_whole(self) -> bool:
        """Whether the arguments are a whole JSON value: then nothing can follow them."""
        # The cheap look first: it is asked for each piece that repeats the name.
        return bool(self.pieces) and _ends_like_json(self.pieces[-1]) and _is_json(self.arguments)


class ToolCalls:
    """See the module."""

    __slots__ = ("_by_id", "_by_place", "_calls", "_opened")

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._opened = 0
        self._by_id: dict[str, _Call] = {}
        self._by_place: dict[tuple[int, int], _Call] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def mend(self, piece: Piece, choice: int, stream_id: str) -> Piece | None:
        """The piece as the client gets it; None when there is nothing to send (yet)."""
        function = object_of(piece.get("function"))
        name, arguments = text_of(function.get("name")), _arguments(function.get("arguments"))
        call_id, index = text_of(piece.get("id")), piece.get("index")
        if not call_id and not name and not arguments:
            return None
        place = (choice, index) if isinstance(index, int) and not isinstance(index, bool) else None
        call = self._find(call_id, place, name, arguments)
        if call is None:
            is_fresh = bool(call_id) and call_id not in self._by_id
            call = _Call(call_id if is_fresh else f"call_{len(self._calls)}_{stream_id}"[:64], piece)
            call.has_own_id = is_fresh
            self._calls.append(call)
            if call_id:
                self._by_id[call_id] = call
        elif name and arguments and call.is_whole() and arguments == call.arguments:
            return None  # the whole call once more
        self._by_id.setdefault(call.id, call)
        if place is not None:
            self._by_place[place] = call
        if arguments:
            call.pieces.append(arguments)
        if call.number is not None:
            return {"index": call.number, "function": {"arguments": arguments}} if arguments else None
        return self._open(call, name, function) if name else None

    def endings(self) -> list[Piece]:
        """What is still due when the answer is over: a call without arguments has an empty object of them."""
        pieces: list[Piece] = []
        for call in self._calls:
            if call.number is None:
                pieces.append(self._open(call, "unnamed", {}))
            if not call.arguments.strip():
                pieces.append({"index": call.number, "function": {"arguments": "{}"}})
        return pieces

    def _find(self, call_id: str, place: tuple[int, int] | None, name: str, arguments: str) -> _Call | None:
        if call_id:
            call = self._by_id.get(call_id)
            if call is None and place is not None and not name:
                # The id of a call that is under way without one. The client has got ours by now, and keeps it.
                placed = self._by_place.get(place)
                if placed is not None and not placed.has_own_id:
                    placed.has_own_id = True
                    self._by_id[call_id] = placed
                    return placed
            return None if call is not None and _is_another(call, name, arguments) else call
        last = self._calls[-1] if self._calls else None
        call = last if place is None else self._by_place.get(place)
        if call is None and not name:
            return last
        if call is None or not name or not arguments or not call.name or not call.is_whole():
            return call
        # A whole call, and a name with arguments again: said once more if it says the same, else the next call.
        return call if call.says(name, arguments) and len(call.pieces) > 1 else None

    def _open(self, call: _Call, name: str, function: dict[str, Any]) -> Piece:
        """A call's first piece for the client, with all arguments that came before its name did."""
        call.name = name
        call.number = self._opened
        self._opened += 1
        return {
            **call.first,
            "index": call.number,
            "id": call.id,
            "type": "function",
            "function": {**function, "name": name, "arguments": call.arguments},
        }


def _is_another(call: _Call, name: str, arguments: str) -> bool:
    """Whether a piece with the id of `call` is a whole call of its own: Gemini's ids may come twice."""
    if not name or not _ends_like_json(arguments) or call.says(name, arguments):
        return False
    return call.is_whole() and _is_json(arguments)


def _ends_like_json(text: str) -> bool:
    return text.rstrip().endswith(("}", "]", '"'))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _arguments(value: object) -> str:
    """The arguments' text; an upstream that sends the object itself means its JSON."""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return text_of(value)
