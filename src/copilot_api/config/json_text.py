"""
JSON with the place of every value: for messages that say where, and for edits that leave the rest as it stands.

Strict, as RFC 8259 has it; what people often write instead (comments, a comma too many, other quotes) is named.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

MAX_DEPTH = 32

_SPACE = re.compile(r"[ \t\r\n]*")
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_STRING = re.compile(r'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORD = re.compile(r"\w+")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_WORDS = {"true": True, "false": False, "null": None}
_LONGEST_WHOLE_NUMBER = 300


class JsonMalformed(ValueError):
    """No JSON; says why, and at which character."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands: the characters from `start` up to `end`."""

    start: int
    end: int
    value: Any
    """As plain Python values."""
    members: "tuple[Member, ...]" = ()
    """The fields of an object, also those that are named twice."""
    items: "tuple[Node, ...]" = ()
    """The values of a list."""

    def find(self, name: str) -> "Member | None":
        """The field of this name."""
        return next((member for member in self.members if member.name == name), None)


@dataclass(frozen=True, slots=True)
class Member:
    """A field of an object."""

    name: str
    start: int
    node: Node


def parse_json(text: str) -> Node:
    """The value in `text`. Raises `JsonMalformed`."""
    return _Scanner(text).scan()


def place_of(text: str, offset: int) -> tuple[int, int]:
    """Line and column of a character, both counted from 1."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


@dataclass(slots=True)
class _Scanner:
    text: str
    at: int = field(default=0)

    def scan(self) -> Node:
        self.skip()
        node = self.value(0)
        self.skip()
        if self.at < len(self.text):
            raise self.malformed("something follows the end of the JSON value")
        return node

    def skip(self) -> None:
        found = _SPACE.match(self.text, self.at)
        if found:
            self.at = found.end()

    def malformed(self, reason: str, offset: int | None = None) -> JsonMalformed:
        at = self.at if offset is None else offset
        if at >= len(self.text):
            return JsonMalformed("it ends too early: something is still open", at)
        char = self.text[at]
        if self.text.startswith(("//", "/*", "#"), at):
            reason = "JSON has no comments"
        elif char in "'`\u2018\u2019\u201c\u201d":
            reason = 'names and text stand in straight double quotes (")'
        return JsonMalformed(reason, at)

    def value(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self.malformed(f"it is nested deeper than {MAX_DEPTH} levels")
        match self.text[self.at : self.at + 1]:
            case "{":
                return self.object(depth)
            case "[":
                return self.list(depth)
            case '"':
                start = self.at
                value = self.string()
                return Node(start, self.at, value)
            case _:
                return self.number() or self.word()

    def object(self, depth: int) -> Node:
        start = self.at
        members: list[Member] = []
        while self.goes_on("}", is_first=not members):
            name_at = self.at
            if self.text[name_at : name_at + 1] != '"':
                raise self.malformed('the name of a field in double quotes (") is expected')
            name = self.string()
            self.skip()
            if self.text[self.at : self.at + 1] != ":":
                raise self.malformed("a colon is expected between a name and its value")
            self.at += 1
            self.skip()
            members.append(Member(name, name_at, self.value(depth + 1)))
        return Node(start, self.at, {each.name: each.node.value for each in members}, members=tuple(members))

    def list(self, depth: int) -> Node:
        start = self.at
        items: list[Node] = []
        while self.goes_on("]", is_first=not items):
            items.append(self.value(depth + 1))
        return Node(start, self.at, [each.value for each in items], items=tuple(items))

    def goes_on(self, closing: str, *, is_first: bool) -> bool:
        """Step to the next field or value, or over the closing bracket."""
        if is_first:
            self.at += 1
        self.skip()
        char = self.text[self.at : self.at + 1]
        if char == closing:
            self.at += 1
            return False
        if not is_first:
            if char != ",":
                raise self.malformed(f"a comma or {closing} is expected")
            comma = self.at
            self.at += 1
            self.skip()
            if self.text[self.at : self.at + 1] == closing:
                raise JsonMalformed(f"there is a comma too many before {closing}", comma)
        return True

    def string(self) -> str:
        found = _STRING.match(self.text, self.at)
        if found is None:
            raise self.broken_string()
        token, start = found[0], self.at
        self.at = found.end()
        if "\\" not in token:
            return token[1:-1]
        value: str = json.loads(token)
        if _SURROGATE.search(value):
            raise JsonMalformed("this text holds half of a surrogate pair", start)
        return value

    def broken_string(self) -> JsonMalformed:
        at = self.at + 1
        while at < len(self.text):
            char = self.text[at]
            if char == "\\":
                if not _ESCAPE.match(self.text, at):
                    return JsonMalformed(r"JSON knows no such escape; write \\ for a backslash", at)
                at += 1
            elif char in "\r\n":
                return JsonMalformed("this text does not end on its line", self.at)
            elif char < " ":
                return JsonMalformed("a control character stands in text", at)
            at += 1
        return JsonMalformed("it ends inside of a text", self.at)

    def number(self) -> Node | None:
        found = _NUMBER.match(self.text, self.at)
        if found is None:
            return None
        start, end = self.at, found.end()
        if self.text[end : end + 1].isalnum() or self.text[end : end + 1] == ".":
            raise self.malformed("this is no JSON number")
        self.at = end
        token = found[0]
        is_whole = not found[1] and not found[2] and len(token) <= _LONGEST_WHOLE_NUMBER
        return Node(start, end, int(token) if is_whole else float(token))

    def word(self) -> Node:
        found = _WORD.match(self.text, self.at)
        if found is None or found[0] not in _WORDS:
            raise self.malformed("a JSON value is expected here: text in double quotes, a number, true, false, null")
        start, self.at = self.at, found.end()
        return Node(start, self.at, _WORDS[found[0]])
