"""The settings: a form made of their declaration, the change before it is made, and the way back."""

from datetime import datetime

from copilot_api.admin.answers import Answer, Page, Redirect
from copilot_api.admin.components import Choice, Column
from copilot_api.admin.config_review import (
    BASE,
    CONFIRMED,
    FileNow,
    edit_file,
    read_file,
    require_config,
    review,
    save,
)
from copilot_api.admin.links import page_url
from copilot_api.admin.requests import AdminRequest
from copilot_api.admin.services import PageServices
from copilot_api.admin.setting_forms import TypedSettings, list_groups, read_settings
from copilot_api.api.config import ConfigApi
from copilot_api.config.edits import parse_key
from copilot_api.config.store import ConfigConflict, hash_of

PATH = "/admin/settings"
HISTORY = f"{PATH}/history"
_COLUMNS = (
    Column("at", "Replaced"),
    Column("changed", "What replaced it changed"),
    Column("size", "Size", is_number=True),
    Column("hash", "Hash"),
)
_DONE = {
    "saved": "Saved. It is in force.",
    "restart": "Saved. Some of it is in force only after a restart.",
    "unchanged": "Nothing was changed: the form says what the file says.",
    "rolled-back": "Rolled back. It is in force.",
}


class SettingsViews:
    """See the module."""

    def __init__(self, services: PageServices) -> None:
        self._services = services

    async def show(self, request: AdminRequest) -> Answer:
        """The form, as the file stands."""
        config = self._services.config
        if config is None:
            return Page("settings/absent.html")
        return self._show_form(request, config, await read_file(config))

    async def change(self, request: AdminRequest) -> Answer:
        """The review of what was typed; and once that is confirmed, the change."""
        config = require_config(self._services.config)
        file = await read_file(config)
        typed = read_settings(request.form, file.said)
        if typed.problems or file.failure:
            return self._show_form(request, config, file, typed, 400)
        if not typed.set and not typed.unset:
            return Redirect(page_url(PATH, (), done="unchanged"))
        wanted = [(parse_key(path), value) for path, value in typed.set.items()]
        content = edit_file(file, wanted, [parse_key(path) for path in typed.unset])
        found = await review(config, file, content)
        if found.problems:
            return self._show_form(request, config, file, _with_problems(typed, found.problems), 400)
        is_stale = request.form.get(BASE) != file.hash
        if CONFIRMED in request.form and not is_stale:
            try:
                await save(request, config, content)
            except ConfigConflict:
                is_stale = True
            else:
                return Redirect(page_url(PATH, (), done="restart" if found.restart else "saved"))
        data: dict[str, object] = {
            "found": found,
            "texts": [(path, typed.texts[path]) for path in (*typed.set, *typed.unset)],
            "is_stale": is_stale,
        }
        return Page("settings/review.html", data, 409 if is_stale else 200)

    async def browse(self, _request: AdminRequest) -> Answer:
        """The versions that were replaced."""
        config = require_config(self._services.config)
        versions = await config.describe_versions()
        data: dict[str, object] = {
            "versions": [(each, datetime.fromisoformat(each.at)) for each in versions],
            "columns": _COLUMNS,
            "tabs": _tabs(HISTORY),
        }
        return Page("settings/history.html", data)

    async def show_version(self, request: AdminRequest) -> Answer:
        """One of them: what putting it back would change."""
        config, has_impact = require_config(self._services.config), request.query.get("impact") == "yes"
        return await self._show_version(config, request.parameters["id"], has_impact=has_impact)

    async def roll_back(self, request: AdminRequest) -> Answer:
        """Puts a version back."""
        config, version_id = require_config(self._services.config), request.parameters["id"]
        content = await config.read_version(version_id)
        try:
            await save(request, config, content, {"rollback": version_id})
        except ConfigConflict:
            return await self._show_version(config, version_id, is_stale=True)
        return Redirect(page_url(PATH, (), done="rolled-back"))

    async def _show_version(
        self, config: ConfigApi, version_id: str, *, is_stale: bool = False, has_impact: bool = True
    ) -> Page:
        content = await config.read_version(version_id)
        found = await review(config, await _read_as_it_is(config), content, has_impact=has_impact)
        data: dict[str, object] = {
            "version": version_id,
            "hash": hash_of(content),
            "text": content.decode(errors="replace"),
            "found": found,
            "is_stale": is_stale,
        }
        return Page("settings/version.html", data, 409 if is_stale else 200)

    def _show_form(
        self,
        request: AdminRequest,
        config: ConfigApi,
        file: FileNow,
        typed: TypedSettings | None = None,
        status: int = 200,
    ) -> Page:
        source = config.source
        texts, problems = (None, None) if typed is None else (typed.texts, typed.problems)
        groups = list_groups(file.said, texts, problems)
        shown = {field.path for group in groups for field in group.fields}
        data: dict[str, object] = {
            "groups": groups,
            "others": [text for path, text in (problems or {}).items() if path not in shown],
            "has_problems": bool(problems),
            "file": file,
            "path": str(source.path),
            "rejected": source.rejected,
            "is_pending": source.rejected is None and file.hash != source.hash,
            "models_count": len(source.config.models),
            "done": _DONE.get(request.query.get("done")),
            "tabs": _tabs(PATH),
        }
        return Page("settings/form.html", data, status)


async def _read_as_it_is(config: ConfigApi) -> FileNow:
    """The file for a comparison, also one that is no JSON: then it is compared as it stands."""
    file = await read_file(config)
    if not file.failure:
        return file
    content, version_hash = await config.read()
    return FileNow("" if content is None else content.decode(errors="replace"), version_hash, {}, file.failure)


def _with_problems(typed: TypedSettings, problems: list[tuple[str, str]]) -> TypedSettings:
    """Mistakes of the whole file beside their fields: one of an entry of a list is that list's."""
    found: dict[str, str] = {}
    for path, text in problems:
        found.setdefault(path.partition("[")[0] if path.startswith("limits.") else path, text)
    return TypedSettings(typed.texts, typed.set, typed.unset, found)


def _tabs(current: str) -> list[Choice]:
    return [Choice("Settings", PATH, current == PATH), Choice("History", HISTORY, current == HISTORY)]
