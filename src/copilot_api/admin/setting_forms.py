"""
The form of the settings, made of the declaration of `config.json`: what each field may be, and what was typed in it.

A field that is left empty is not in the file, and its default holds. Models have a page of their own. Pure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, cast

import msgspec
from msgspec import inspect

from copilot_api.admin.forms import Fields
from copilot_api.config.edits import parse_key, parse_value, resolve_key
from copilot_api.config.schema import Setting, bare, fields_of, list_settings, root_type, said_of
from copilot_api.errors import BadRequest

Kind = Literal["choice", "number", "text", "lines"]

GENERAL = "general"
"""The group of the settings that stand at the top of the file."""
_ELSEWHERE = ("version", "$schema", "models.")
_TITLES = {GENERAL: "Models", "opentelemetry": "OpenTelemetry"}
_ABOUT_GENERAL = "Which of Copilot's models clients can use, and what a name means that nobody knows."
_UNITS = {"_s": "seconds", "_mb": "MiB", "_days": "days", "_bytes": "bytes"}
_LABELS = {
    "default_model_alias": "Alias for unknown models",
    "limits.max_in_flight_per_identity": "Calls at Copilot at once",
    "limits.max_queue_length": "Calls that may wait",
    "limits.default_key.rpm": "Requests a minute for each key",
    "limits.default_key.tpm": "Tokens a minute for each key",
    "limits.default_key.max_in_flight": "Calls at once for each key",
    "limits.budgets": "Budgets of all keys together",
    "features.auth": "Authentication",
    "features.webui": "Admin pages",
    "features.telemetry": "Ledger",
    "features.debug": "Captures",
    "metrics.access": "Who may read metrics",
}
_SWITCHES = {"true": "On", "false": "Off"}


@dataclass(frozen=True, slots=True)
class SettingField:
    """One setting as the form shows it."""

    path: str
    label: str
    kind: Kind
    text: str
    """What the file says, or was typed; empty where the default holds."""
    default: str
    """In words, to be shown where nothing is typed."""
    meaning: str
    needs_restart: bool
    unit: str = ""
    options: tuple[tuple[str, str], ...] = ()
    """Of a choice: values with their words; the first, empty, stands for the default."""
    bounds: Mapping[str, object] = field(default_factory=dict[str, object])
    """Attributes of the input, for browsers that check as well."""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class SettingGroup:
    """The settings of one part of the file."""

    name: str
    title: str
    about: str
    fields: tuple[SettingField, ...]


@dataclass(frozen=True, slots=True)
class TypedSettings:
    """What a form wants changed, against what the file says."""

    texts: Mapping[str, str]
    """What was typed, by path."""
    set: Mapping[str, Any]
    unset: tuple[str, ...]
    problems: Mapping[str, str]


def list_groups(
    said: Mapping[str, Any], texts: Mapping[str, str] | None = None, problems: Mapping[str, str] | None = None
) -> list[SettingGroup]:
    """The whole form: as the file stands (`said`, its JSON), or as it was typed, each with what is wrong with it."""
    told, wrong = texts or {}, problems or {}
    groups: dict[str, list[SettingField]] = {}
    for setting in list_form_settings():
        text = told.get(setting.path, show_value(_find(said, setting.path)))
        shown = make_field(setting, text, wrong.get(setting.path, ""))
        groups.setdefault(_group_of(setting.path), []).append(shown)
    return [SettingGroup(name, _title(name), _about(name), tuple(found)) for name, found in groups.items()]


def read_settings(form: Fields, said: Mapping[str, Any]) -> TypedSettings:
    """What of the form is not as the file says it. A field that the form lacks stays as it is."""
    texts, wanted, unset, problems = dict[str, str](), dict[str, Any](), list[str](), dict[str, str]()
    for setting in list_form_settings():
        path = setting.path
        if path not in form:
            continue
        text = texts[path] = tidy(form.get(path))
        before = _find(said, path)
        if text == show_value(before):
            continue
        if not text:
            unset.append(path)
            continue
        try:
            wanted[path] = read_value(path, text)
        except BadRequest as error:
            problems[path] = tell_problem(error)
    return TypedSettings(texts, wanted, tuple(unset), problems)


@cache
def list_form_settings() -> tuple[Setting, ...]:
    """The settings that the form has, in the order of the declaration."""
    return tuple(setting for setting in list_settings() if not setting.path.startswith(_ELSEWHERE))


def make_field(setting: Setting, text: str, problem: str = "", label: str = "") -> SettingField:
    """A setting with what stands in its field."""
    kind = resolve_key(setting.path)[1]
    default = _describe_default(setting, kind)
    return SettingField(
        path=setting.path,
        label=label or _label(setting.path),
        kind=_kind(kind),
        text=text,
        default=default,
        meaning=setting.description,
        needs_restart=setting.needs_restart,
        unit=next((unit for suffix, unit in _UNITS.items() if setting.path.endswith(suffix)), ""),
        options=_options(kind, default),
        bounds=_bounds(kind),
        problem=problem,
    )


def read_value(path: str, text: str) -> Any:
    """The value that `text` stands for in the field `path`. Raises `BadRequest` with what is allowed there."""
    kind = resolve_key(path)[1]
    if _kind(kind) == "lines":
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return parse_value(msgspec.json.encode(lines).decode(), path)
    if _kind(kind) == "number":
        return parse_value(text.replace(",", "").replace(" ", ""), path)
    return parse_value(text, path)


def show_value(value: object) -> str:
    """A value of the file as the form has it: a list in lines, nothing for what the file does not say."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(show_value(each) for each in cast("list[object]", value))
    return msgspec.json.encode(value).decode()


def tell_problem(error: BadRequest) -> str:
    """What is wrong, for the place beside the field: its name stands there already."""
    problem = error.message.partition(" cannot be that: ")[2] or error.message
    return f"{problem}; {error.actual_hint}" if error.actual_hint else problem


def tidy(text: str) -> str:
    """What was typed without what nobody sees: spaces around it, and the line ends that forms send."""
    return text.replace("\r\n", "\n").strip()


def _find(said: Mapping[str, Any], path: str) -> Any:
    """What the file says of a field; None for nothing."""
    value: Any = said
    for key in parse_key(path):
        if not isinstance(value, dict):
            return None
        value = cast("dict[str, Any]", value).get(key)
    return value


def _group_of(path: str) -> str:
    return path.partition(".")[0] if "." in path else GENERAL


def _title(name: str) -> str:
    return _TITLES.get(name, name.capitalize())


def _about(name: str) -> str:
    if name == GENERAL:
        return _ABOUT_GENERAL
    return str(said_of(fields_of(root_type())[name].type).get("description", ""))


def _label(path: str) -> str:
    name = path.rpartition(".")[2]
    for suffix in _UNITS:
        name = name.removesuffix(suffix)
    return _LABELS.get(path, name.replace("_", " ").capitalize())


def _kind(kind: inspect.Type) -> Kind:
    match _plain(kind):
        case inspect.BoolType() | inspect.LiteralType():
            return "choice"
        case inspect.IntType() | inspect.FloatType():
            return "number"
        case inspect.ListType():
            return "lines"
        case _:
            return "text"


def _plain(kind: inspect.Type) -> inspect.Type:
    """A type without what is said about it, and of one that may be null what else it may be."""
    kind = bare(kind)
    if isinstance(kind, inspect.UnionType):
        return _plain(next(each for each in kind.types if not isinstance(each, inspect.NoneType)))
    return kind


def _options(kind: inspect.Type, default: str) -> tuple[tuple[str, str], ...]:
    return tuple(_list_options(kind, default)) if _kind(kind) == "choice" else ()


def _list_options(kind: inspect.Type, default: str) -> Iterator[tuple[str, str]]:
    yield "", f"Default: {default}"
    plain = _plain(kind)
    if isinstance(plain, inspect.BoolType):
        yield from _SWITCHES.items()
    elif isinstance(plain, inspect.LiteralType):
        yield from ((str(value), str(value)) for value in _order(kind, plain) if value != "")


def _order(kind: inspect.Type, plain: inspect.LiteralType) -> list[Any]:
    """The values as they are declared: the type forgets their order, its words have it."""
    words = str(said_of(kind).get("words", ""))
    return sorted(plain.values, key=lambda value: words.find(str(value)))


def _describe_default(setting: Setting, kind: inspect.Type) -> str:
    value = msgspec.json.decode(setting.default)
    if isinstance(_plain(kind), inspect.BoolType):
        return _SWITCHES[setting.default].lower()
    if value in (None, "", []):
        return "none"
    if isinstance(value, int | float):
        return f"{value:,}"
    return show_value(cast("object", value)).replace("\n", ", ")


def _bounds(kind: inspect.Type) -> dict[str, object]:
    if _kind(kind) == "lines":
        return {"rows": 3, "spellcheck": "false", "autocomplete": "off"}
    if _kind(kind) == "number":
        return {"inputmode": "decimal" if isinstance(_plain(kind), inspect.FloatType) else "numeric"}
    return {"spellcheck": "false", "autocomplete": "off"}
