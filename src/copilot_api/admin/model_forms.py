"""The form of one name in `models` of `config.json`: what it stands for, who may use it, what takes its place. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from copilot_api.admin.forms import Fields
from copilot_api.admin.setting_forms import SettingField, make_field, read_value, show_value, tell_problem, tidy
from copilot_api.config.edits import Keys
from copilot_api.config.schema import list_settings
from copilot_api.config.wording import render_path
from copilot_api.errors import BadRequest

MODELS = "models"
_ENTRY = f"{MODELS}.NAME."
_LABELS = {
    "upstream": "Copilot's model",
    "enabled": "Enabled",
    "allowed_keys": "Keys that may use it",
    "default_effort": "Reasoning effort",
    "fallback": "Fallbacks",
    "note": "Note",
}


@dataclass(frozen=True, slots=True)
class TypedModel:
    """What a form wants of a name."""

    name: str
    texts: Mapping[str, str]
    """What was typed, by field."""
    wanted: tuple[tuple[Keys, Any], ...]
    unset: tuple[Keys, ...]
    problems: Mapping[str, str]
    """By field; `name` is one too."""


def list_model_fields(
    said: Mapping[str, Any], texts: Mapping[str, str] | None = None, problems: Mapping[str, str] | None = None
) -> list[SettingField]:
    """The form as the file says it (`said`, the entry's JSON), or as it was typed."""
    told, wrong = texts or {}, problems or {}
    return [
        make_field(
            setting,
            told.get(name, show_value(said.get(name))),
            wrong.get(name, ""),
            _LABELS[name],
        )
        for name, setting in _settings().items()
    ]


def read_model(form: Fields, entries: Mapping[str, Any], *, is_new: bool) -> TypedModel:
    """
    What of the form is not as the file says it. A name that the file does not have gets an entry, be it an empty one:
    then it is Copilot's id, said here.
    """
    name = form.get("name").strip()
    texts = {field: tidy(form.get(field)) for field in _settings() if field in form}
    problems = _check_name(name, entries, is_new=is_new)
    said = find_entry(entries, name)
    wanted, unset = dict[str, Any](), list[str]()
    for field, text in texts.items():
        if text == show_value(said.get(field)):
            continue
        if not text:
            unset.append(field)
            continue
        try:
            wanted[field] = read_value(_ENTRY + field, text)
        except BadRequest as error:
            problems[field] = tell_problem(error)
    if name not in entries:
        return TypedModel(name, texts, (((MODELS, name), wanted),), (), problems)
    return TypedModel(
        name,
        texts,
        tuple(((MODELS, name, field), value) for field, value in wanted.items()),
        tuple((MODELS, name, field) for field in unset),
        problems,
    )


def find_entry(entries: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What the file says of a name; nothing where that is no object."""
    found: Any = entries.get(name)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def sort_problems(name: str, problems: list[tuple[str, str]]) -> dict[str, str]:
    """Mistakes of the whole file, by the fields of this form; those that are elsewhere by their path."""
    own = render_path((MODELS, name)).removeprefix("$.")
    found: dict[str, str] = {}
    for path, text in problems:
        field = path.removeprefix(f"{own}.").partition("[")[0] if path.startswith(f"{own}.") else path
        found.setdefault("name" if path == own else field, text)
    return found


def _check_name(name: str, entries: Mapping[str, Any], *, is_new: bool) -> dict[str, str]:
    if not name:
        return {"name": "a name is needed: what clients will call the model"}
    if is_new and name in entries:
        return {"name": "there is such a name already: open it from the list"}
    return {}


def _settings() -> dict[str, Any]:
    return {
        setting.path.removeprefix(_ENTRY): setting for setting in list_settings() if setting.path.startswith(_ENTRY)
    }
