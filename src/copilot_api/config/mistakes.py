"""
Every mistake in a `config.json`, each with its place and what is allowed there.

First what the declaration says of each field, then what fields say of each other. The decoder has the last word on
whether a file is used; this says all that is wrong with it at once.
"""

import json
import math
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import inspect

from copilot_api.config.consistency import find_contradictions
from copilot_api.config.json_text import Member, Node, place_of
from copilot_api.config.schema import ConfigFile, bare, fields_of, in_words, list_settings, root_type
from copilot_api.config.wording import LONGEST_SHOWN, Path, did_you_mean, render_path, shown

MAX_MISTAKES = 100


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong, where, and what would be right."""

    line: int
    column: int
    path: str
    """`$.limits.max_body_mb`; empty where the file is no JSON."""
    problem: str
    allowed: str

    @property
    def text(self) -> str:
        """All of it in one line."""
        place = f"line {self.line}, column {self.column}: "
        subject = f"{self.path}: " if self.path else ""
        return place + subject + self.problem + (f"; allowed: {self.allowed}" if self.allowed else "")


def find_mistakes(text: str, root: Node) -> list[Mistake]:
    """The mistakes in a file, in its order; the first `MAX_MISTAKES` of them."""
    finder = _Finder(text)
    version = root.find("version")
    if version is not None and (type(version.node.value), version.node.value) != (int, 1):
        # Of a form that we do not know nothing else can be said.
        problem = f"{_what_is_wrong(version.node.value, _NUMBER)}, a version that this copilot-api does not know"
        finder.add(version.node.start, ("version",), problem, "1")
        return finder.found
    cleaned = finder.check(root, root_type(), ())
    if cleaned is not _WRONG:
        with suppress(msgspec.ValidationError):  # the decoder will say it
            for path, problem, allowed in find_contradictions(msgspec.convert(cleaned, ConfigFile)):
                if finder.is_full:
                    break
                finder.add(_locate(root, path), path, problem, allowed)
    return sorted(finder.found, key=lambda each: (each.line, each.column))


def find_value_mistake(text: str, node: Node, kind: inspect.Type, path: Path) -> Mistake | None:
    """The first mistake in a value by itself, if there is one."""
    finder = _Finder(text)
    finder.check(node, kind, path)
    return finder.found[0] if finder.found else None


def _locate(node: Node, path: Path) -> int:
    for part in path:
        if isinstance(part, int):
            if part >= len(node.items):
                break
            node = node.items[part]
        else:
            member = node.find(part)
            if member is None:
                break
            node = member.node
    return node.start


# One field at a time --------------------------------------------------------------------------------------------------

_WRONG: Any = object()
_NUMBER = inspect.IntType()


@dataclass(slots=True)
class _Finder:
    """Walks the declaration and the file side by side."""

    text: str
    found: list[Mistake] = field(default_factory=list[Mistake])

    @property
    def is_full(self) -> bool:
        return len(self.found) >= MAX_MISTAKES

    def add(self, offset: int, path: Path, problem: str, allowed: str) -> None:
        if not self.is_full:
            self.found.append(Mistake(*place_of(self.text, offset), render_path(path), problem, allowed))

    def check(self, node: Node, kind: inspect.Type, path: Path) -> Any:
        """The value as far as it is right, or `_WRONG`."""
        match bare(kind):
            case inspect.StructType() as struct if isinstance(node.value, dict):
                return self.check_struct(node, struct, path)
            case inspect.DictType(key_type=key, value_type=value) if isinstance(node.value, dict):
                return self.check_dict(node, key, value, path)
            case inspect.ListType(item_type=item) as kinds if isinstance(node.value, list):
                if kinds.max_length is not None and len(node.items) > kinds.max_length:
                    self.add(node.start, path, f"these are {len(node.items)}", in_words(kind))
                    return _WRONG
                values: list[Any] = []
                for place, each in enumerate(node.items):
                    if self.is_full:
                        return _WRONG
                    values.append(self.check(each, item, (*path, place)))
                return _WRONG if _WRONG in values else values
            case inspect.UnionType(types=types):
                if node.value is None:
                    return None
                (kind_if_any,) = (each for each in types if not isinstance(each, inspect.NoneType))
                return node.value if _fits(node.value, kind_if_any) else self.refuse(node, kind, path)
            case _:
                return node.value if _fits(node.value, kind) else self.refuse(node, kind, path)

    def refuse(self, node: Node, kind: inspect.Type, path: Path) -> Any:
        problem = _what_is_wrong(node.value, kind)
        match bare(kind):
            case inspect.LiteralType(values=values) if isinstance(node.value, str):
                problem += did_you_mean(node.value, [str(each) for each in values if each])
            case _:
                pass
        self.add(node.start, path, problem, in_words(kind))
        return _WRONG

    def members(self, node: Node, path: Path) -> Iterator[Member]:
        seen: set[str] = set()
        for member in node.members:
            if self.is_full:
                return
            if member.name in seen:
                self.add(member.start, (*path, member.name), "this is said twice in the same object", "once")
                continue
            seen.add(member.name)
            yield member

    def check_struct(self, node: Node, kind: inspect.StructType, path: Path) -> Any:
        fields, cleaned = fields_of(kind), dict[str, Any]()
        for member in self.members(node, path):
            if member.name not in fields:
                hint = did_you_mean(member.name, list(fields)) or _belongs_to(member.name)
                problem = f"there is no field {shown(member.name)} here{hint}"
                self.add(member.start, (*path, member.name), problem, ", ".join(fields))
                continue
            value = self.check(member.node, fields[member.name].type, (*path, member.name))
            if value is not _WRONG:
                cleaned[member.name] = value
        return cleaned

    def check_dict(self, node: Node, key: inspect.Type, value: inspect.Type, path: Path) -> Any:
        cleaned: dict[str, Any] = {}
        for member in self.members(node, path):
            below = (*path, member.name)
            if not _fits(member.name, key):
                self.add(member.start, below, "this is no name", in_words(key))
                continue
            checked = self.check(member.node, value, below)
            # What refers to an entry that is wrong is not wrong for that.
            cleaned[member.name] = {} if checked is _WRONG else checked
        return cleaned


def _fits(value: object, kind: inspect.Type) -> bool:
    """Whether a value that holds no others is of this type and within its bounds."""
    match bare(kind):
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType(ge=low, le=high):
            return type(value) is int and _is_within(value, low, high)
        case inspect.FloatType(ge=low, le=high):
            return isinstance(value, int | float) and not isinstance(value, bool) and _is_within(value, low, high)
        case inspect.StrType(min_length=least, max_length=most, pattern=pattern):
            return (
                isinstance(value, str)
                and _is_within(len(value), least, most)
                and (pattern is None or re.search(pattern, value) is not None)
            )
        case inspect.LiteralType(values=values):
            return value in values
        case _:
            return False  # a list or an object was expected


def _is_within(value: float, low: float | None, high: float | None) -> bool:
    return math.isfinite(value) and (low is None or value >= low) and (high is None or value <= high)


def _what_is_wrong(value: object, kind: inspect.Type) -> str:
    match value:
        case bool() | int() | float() | None:
            text = json.dumps(value)
            is_huge = len(text) > LONGEST_SHOWN or text == "Infinity"
            return "got a number that is too large" if is_huge else f"got {text}"
        case str() if not isinstance(bare(kind), inspect.StrType | inspect.LiteralType):
            return "got text"
        case str():
            return f"got {shown(value)}" + (f", {len(value)} characters" if len(value) > LONGEST_SHOWN else "")
        case list():
            return "got a list"
        case _:
            return "got an object"


def _belongs_to(name: str) -> str:
    """Where the declaration has a field of this name, if it is elsewhere."""
    found = [each.path for each in list_settings() if each.path.rpartition(".")[2] == name]
    return f"; did you mean {found[0]}?" if found else ""
