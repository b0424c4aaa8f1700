"""The items of a streamed Responses answer, as far as each has come."""

import re

import msgspec

from copilot_api.errors import UpstreamFailed
from copilot_api.protocols.conversation import StreamEvent

_BLANK_RUN = re.compile(r"(?:[\r\n\t] *){21}")
"""So many line ends and tabs in a row in a call's arguments: the model has run away."""
KINDS = {"message", "reasoning", "function_call", "custom_tool_call"}
"""The kinds that mean something to another protocol."""


class Item:
    """One item of the output as far as it has come."""

    __slots__ = (
        "arguments",
        "call_id",
        "has_sent",
        "index",
        "is_done",
        "is_started",
        "kind",
        "name",
        "parts",
        "queue",
        "run",
    )

    def __init__(self, index: int, kind: str) -> None:
        self.index = index
        self.kind = kind
        self.is_done = False
        self.queue: list[StreamEvent] = []
        """What waits until the item before it is over."""
        self.parts: dict[tuple[str, int], list[str]] = {}
        """What of each part has been handed out."""
        self.call_id = ""
        self.name = ""
        self.is_started = False
        """Of a call: whether it has been announced."""
        self.arguments: list[str] = []
        """Of a call: the deltas as they came."""
        self.has_sent = False
        """Of a call: whether those have been handed out; else they are held, being no arguments so far."""
        self.run = ""
        """Of a call: the blanks that its arguments end with."""

    @property
    def is_call(self) -> bool:
        """Whether a tool is called."""
        return self.kind in {"function_call", "custom_tool_call"}

    def begins_anew(self, call_id: str) -> bool:
        """Whether an event about the call `call_id` on this item's index is about another one than this."""
        return self.is_done and self.is_call and call_id not in {"", self.call_id}

    def refuse_runaway(self, delta: str) -> None:
        """
        Raise when the model writes nothing but line ends and tabs any more, as some do until their limit. None of them
        can stand inside a JSON string, so they are looked for as they are.
        """
        if not self.run and delta.isprintable():
            return
        blanks = self.run + delta
        if _BLANK_RUN.search(blanks):
            raise UpstreamFailed("GitHub Copilot's model wrote nothing but blanks into the arguments of a tool call")
        self.run = blanks[len(blanks.rstrip("\r\n\t ")) :].replace(" ", "")


def is_json(text: str) -> bool:
    """Whether `text` is a JSON value, whole."""
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return False
    return True
