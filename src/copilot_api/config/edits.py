"""
Changes of single fields in the text of `config.json`. Every other character stays as it stands.

A field is named by its path, `limits.max_body_mb` or `models.gpt-5.4.note`: since names of models have dots in them,
what follows `models.` is a name up to a field of a model, or stands in brackets: `models["gpt-5.4"].note`.
"""

import json
import re
from typing import Any

import msgspec
from msgspec import inspect

from copilot_api.config.json_text import JsonMalformed, Member, Node, parse_json
from copilot_api.config.loader import parse_text
from copilot_api.config.mistakes import Mistake, find_value_mistake
from copilot_api.config.schema import ConfigFile, bare, fields_of, root_type
from copilot_api.config.wording import did_you_mean, shown
from copilot_api.errors import BadRequest

NEW_FILE = '{\n  "version": 1\n}\n'

_SEGMENT = re.compile(r"([^.\[]+)")
_BRACKETED = re.compile(r"""\[(?:'([^']*)'|("(?:[^"\\]|\\.)*"))\]""")
_INDENT = re.compile(r"\n([ \t]+)")

Keys = tuple[str, ...]


def parse_key(text: str) -> Keys:
    """The names on the way to a field, from its path. Raises `BadRequest` with what there is."""
    return resolve_key(text)[0]


def resolve_key(text: str) -> tuple[Keys, inspect.Type]:
    """The names on the way to a field, and what its value may be. Raises `BadRequest` with what there is."""
    kind: inspect.Type = root_type()
    rest, keys = text.strip().removeprefix("$."), list[str]()
    while rest:
        match bare(kind):
            case inspect.StructType() as struct:
                name, rest = _next_name(rest, text)
                fields = fields_of(struct)
                if name not in fields:
                    where = f"in {'.'.join(keys)}" if keys else "in config.json"
                    hint = did_you_mean(name, list(fields))
                    raise BadRequest(f"there is no {shown(name)} {where}{hint}", hint=f"there are {', '.join(fields)}")
                kind = fields[name].type
            case inspect.DictType(value_type=value):
                name, rest = _next_model(rest, text, value)
                kind = value
            case _:
                raise BadRequest(f"{'.'.join(keys)} holds nothing that could be named {shown(rest)}")
        keys.append(name)
    if not keys:
        raise BadRequest("this names no field", hint=f"there are {', '.join(fields_of(root_type()))}")
    return tuple(keys), kind


def _next_name(rest: str, whole: str) -> tuple[str, str]:
    if found := _BRACKETED.match(rest):
        name = found[1] if found[2] is None else _unquote(found[2], whole)
        return name, rest[found.end() :].removeprefix(".")
    if found := _SEGMENT.match(rest):
        return found[1], rest[found.end() :].removeprefix(".")
    raise BadRequest(
        f"this is no path of a field: {shown(whole)}", hint='write limits.max_body_mb or models["NAME"].note'
    )


def _next_model(rest: str, whole: str, value: inspect.Type) -> tuple[str, str]:
    if rest.startswith("["):
        return _next_name(rest, whole)
    kind = bare(value)
    names = fields_of(kind) if isinstance(kind, inspect.StructType) else {}
    for name in names:
        if rest.endswith(f".{name}") and len(rest) > len(name) + 1:
            return rest[: -len(name) - 1], name
    return rest, ""


def _unquote(token: str, whole: str) -> str:
    try:
        return str(json.loads(token))
    except ValueError:
        raise BadRequest(f"this is no path of a field: {shown(whole)}") from None


def parse_value(text: str, key: str) -> Any:
    """What `text` says for the field `key`: JSON where that is what the field takes, else the text itself."""
    keys, kind = resolve_key(key)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadRequest("the value is not UTF-8") from None
    mistakes: list[Mistake] = []
    for source in (text, json.dumps(text)):
        try:
            node = parse_json(source)
        except JsonMalformed:
            continue
        mistake = find_value_mistake(source, node, kind, keys)
        if mistake is None:
            return node.value
        mistakes.append(mistake)
    first = mistakes[0]
    raise BadRequest(f"{first.path} cannot be that: {first.problem}", hint=f"allowed: {first.allowed}")


def get_value(config: ConfigFile, keys: Keys) -> Any:
    """The value of a field, as plain Python values; the default where the file does not say it."""
    value: Any = msgspec.to_builtins(config)
    for place, key in enumerate(keys):
        if key not in value:
            hint = did_you_mean(key, list(value))
            raise BadRequest(f"there is no {shown(key)} in {'.'.join(keys[:place])}{hint}")
        value = value[key]
    return value


def set_value(text: str, keys: Keys, value: Any) -> str:
    """The file with a field set. What is there stays in its place; what is new goes to the end of its object."""
    root = _parse(text)
    node, depth = root, 0
    while depth < len(keys) and (member := node.find(keys[depth])) is not None:
        node, depth = member.node, depth + 1
    step = _indent_of(text)
    if depth == len(keys):
        if node.value == value and isinstance(node.value, bool) == isinstance(value, bool):
            return text
        return text[: node.start] + _render(value, step, depth) + text[node.end :]
    if not isinstance(node.value, dict):
        raise BadRequest(f"{'.'.join(keys[:depth])} is no object in this file", hint="mend the file by hand")
    for key in reversed(keys[depth + 1 :]):
        value = {key: value}
    field = f"{json.dumps(keys[depth], ensure_ascii=False)}: {_render(value, step, depth + 1)}"
    if node.members:
        last = node.members[-1]
        before = (
            text[node.members[-2].node.end : last.start] if len(node.members) > 1 else text[node.start : last.start]
        )
        gap = before[before.rindex("," if len(node.members) > 1 else "{") + 1 :]
        return text[: last.node.end] + "," + (gap or " ") + field + text[last.node.end :]
    inside = f"\n{step * (depth + 1)}{field}\n{step * depth}" if step else field
    return text[: node.start] + "{" + inside + "}" + text[node.end :]


def unset_value(text: str, keys: Keys) -> str:
    """The file without a field, which then has its default. Without such a field the file stays as it is."""
    node = _parse(text)
    parent, place = node, -1
    for key in keys:
        found = [place for place, member in enumerate(node.members) if member.name == key]
        if not found:
            return text
        parent, place = node, found[0]
        node = parent.members[place].node
    start, end = _span(parent, parent.members, place)
    return text[:start] + text[end:]


def _span(parent: Node, members: tuple[Member, ...], place: int) -> tuple[int, int]:
    """A field with the comma that goes with it."""
    if place + 1 < len(members):
        return members[place].start, members[place + 1].start
    if place > 0:
        return members[place - 1].node.end, members[place].node.end
    return parent.start + 1, parent.end - 1


def _parse(text: str) -> Node:
    root = parse_text(text, "config.json")
    if not isinstance(root.value, dict):
        raise BadRequest("config.json holds no JSON object", hint="mend the file by hand")
    return root


def _indent_of(text: str) -> str:
    """What the file indents by; empty where it is written in one line."""
    found = _INDENT.search(text)
    return found[1] if found else ""


def _render(value: Any, step: str, depth: int) -> str:
    is_laid_out = bool(step) and isinstance(value, dict) and value != {}
    rendered = json.dumps(value, ensure_ascii=False, indent=step if is_laid_out else None)
    return rendered.replace("\n", "\n" + step * depth)
