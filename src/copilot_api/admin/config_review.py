"""
A change of `config.json` before it is made: the file as it would be, what is wrong with it, what it does to calls.

What the pages of the settings and of the models have in common. Each shows the review first; what is confirmed then is
made anew from the same form, on the same file: where that is another by now, nobody has seen what would be undone.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from copilot_api.admin.differences import DiffLine, diff_lines
from copilot_api.admin.requests import AdminRequest
from copilot_api.api.config import ConfigApi
from copilot_api.api.operations.config import ConfigVerdict
from copilot_api.config.edits import NEW_FILE, Keys, set_value, unset_value
from copilot_api.config.loader import ConfigInvalid, decode_text, parse_text
from copilot_api.config.schema import list_settings
from copilot_api.config.store import ConfigConflict, changed_paths
from copilot_api.errors import BadRequest, GatewayError
from copilot_api.gateway.impact import Impact

CONFIRMED, BASE = "confirmed", "base"
"""Fields of a form: that its review was seen, and the hash of the file that it was made on."""
IN_FORCE_SECONDS = 2.0
"""So long is waited at most until what was written is in force."""
_LOOK_SECONDS = 0.05
_TO_MODELS = ("models", "exposure", "default_model_alias")


@dataclass(frozen=True, slots=True)
class FileNow:
    """The file as it is."""

    text: str
    hash: str
    """Empty where there is no file."""
    said: Mapping[str, Any]
    """Its JSON."""
    failure: str = ""
    """Why it cannot be changed field by field: it is no JSON object."""


@dataclass(frozen=True, slots=True)
class Review:
    """See the module."""

    content: bytes
    base: str
    lines: list[DiffLine]
    changed: list[str]
    problems: list[tuple[str, str]]
    """What is wrong with the new file: the path of a field, or nothing, and the words."""
    impact: Impact | None = None
    """What it does to calls; None where it does nothing to models, or that is not known."""
    impact_failure: str = ""
    is_impact_left_out: bool = False
    """Whether it does something to models, and what was not asked for."""
    restart: list[str] = field(default_factory=list[str])
    """What of it is in force only after a restart."""


async def read_file(config: ConfigApi) -> FileNow:
    """The file as it is, for a form. Raises `ConfigInvalid` for one that cannot be read as text."""
    content, version_hash = await config.read()
    if content is None:
        return FileNow(NEW_FILE, "", {})
    try:
        text = decode_text(content, config.source.path.name)
        said = parse_text(text, config.source.path.name).value
    except ConfigInvalid as error:
        return FileNow("", version_hash, {}, error.message)
    if not isinstance(said, dict):
        return FileNow("", version_hash, {}, f"{config.source.path.name} holds no JSON object")
    return FileNow(text, version_hash, cast("dict[str, Any]", said))


def edit_file(file: FileNow, wanted: Sequence[tuple[Keys, Any]], unset: Sequence[Keys]) -> bytes:
    """The file with those fields changed and the others out of it; all else stays as it is written."""
    text = file.text
    for keys in unset:
        text = unset_value(text, keys)
    for keys, value in wanted:
        text = set_value(text, keys, value)
    return text.encode()


async def review(config: ConfigApi, before: FileNow, content: bytes, *, has_impact: bool = True) -> Review:
    """
    What the new content changes, what is wrong with it, and what it does to the calls of the last days. That takes a
    second or more where there are millions of them, so it is for those who are about to decide (`has_impact`).
    """
    changed = changed_paths(before.text.encode(), content)
    problems = list_problems(await config.judge(content))
    impact, failure = None, ""
    concerns_models = any(path.startswith(_TO_MODELS) for path in changed)
    if has_impact and concerns_models and not problems:
        try:
            impact = await config.foresee(content)
        except GatewayError as error:
            failure = error.message
    return Review(
        content,
        before.hash,
        diff_lines(before.text, content.decode(errors="replace")),
        changed,
        problems,
        impact,
        failure,
        concerns_models and not has_impact and not problems,
        [path for path in changed if path in _list_restart()],
    )


async def save(
    request: AdminRequest, config: ConfigApi, content: bytes, detail: dict[str, object] | None = None
) -> str:
    """
    Write what was reviewed, on the file that it was reviewed on; gives its hash. It is in force then, or almost.

    Raises `StepUpRequired`, `ConfigConflict`, `BadRequest` for a file that cannot be used, or `StorageUnavailable`.
    """
    request.require_step_up()
    base = request.form.get(BASE)
    _, found = await config.read()
    if found != base:
        raise ConfigConflict(f"{config.source.path.name} was changed by somebody else in the meantime")
    written = await config.write(content, found, request.key.id, request.origin, detail)
    await _wait_in_force(config, written)
    return written


async def _wait_in_force(config: ConfigApi, written: str) -> None:
    """The page that follows shows what is in force: it had better be this."""
    for _ in range(round(IN_FORCE_SECONDS / _LOOK_SECONDS)):
        if config.source.hash == written or config.source.rejected is not None:
            return
        await asyncio.sleep(_LOOK_SECONDS)


def list_problems(verdict: ConfigVerdict) -> list[tuple[str, str]]:
    """What is wrong with a file: each with the path of its field, where it is one field's."""
    if verdict.problem is not None:
        return [("", verdict.problem)]
    return [
        (each.path.removeprefix("$."), f"{each.problem}; allowed: {each.allowed}" if each.allowed else each.problem)
        for each in verdict.mistakes
    ]


def require_config(config: ConfigApi | None) -> ConfigApi:
    """The configuration; a gateway that was started without a file for it has none that could be changed."""
    if config is None:
        raise BadRequest("this gateway does not keep its settings in a file", status=404)
    return config


def _list_restart() -> set[str]:
    return {setting.path for setting in list_settings() if setting.needs_restart}
