"""Models: what clients can call beside what Copilot has, and a change of it that is previewed before it is made."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from copilot_api.admin.answers import Answer, Page, Redirect
from copilot_api.admin.components import Column
from copilot_api.admin.config_review import (
    BASE,
    CONFIRMED,
    FileNow,
    Review,
    edit_file,
    read_file,
    require_config,
    review,
    save,
)
from copilot_api.admin.date_range import DateRange, read_range
from copilot_api.admin.freshness import max_age
from copilot_api.admin.links import page_url
from copilot_api.admin.model_forms import MODELS, TypedModel, find_entry, list_model_fields, read_model, sort_problems
from copilot_api.admin.model_lists import list_rows, make_news
from copilot_api.admin.requests import AdminRequest
from copilot_api.admin.services import PageServices
from copilot_api.api.config import ConfigApi
from copilot_api.config.store import ConfigConflict
from copilot_api.errors import BadRequest
from copilot_api.gateway.offers import list_endpoints
from copilot_api.upstream.drift import CatalogChange, render_prices
from copilot_api.usage.explorer import MAX_TOP, ExploreQuery, explore
from copilot_api.usage.queries import Dimension

PATH = "/admin/models"
EDIT = f"{PATH}/edit"
NEW, REMOVE = "new", "remove"
"""Fields of the form: that the name is a new one, and that it is to go."""
DRIFT_FOR = timedelta(days=30)
CHANGES_SHOWN = 200
_DRIFT_SECONDS = 20.0
_COLUMNS = (
    Column("name", "Name"),
    Column("state", "State"),
    Column("who", "Who may", title="Each key's own list of models holds besides"),
    Column("calls", "Calls", is_number=True, title="By this name, in this range"),
    Column("model", "Model", title="Copilot's id of what answers now"),
    Column("endpoints", "Endpoints"),
    Column("context", "Context", is_number=True, title="The most tokens of a prompt, and of an answer"),
    Column("price", "In / out", is_number=True, title="Credits for a million tokens of input and of output"),
    Column("efforts", "Efforts"),
)
_DRIFT_COLUMNS = (
    Column("at", "When"),
    Column("model", "Model"),
    Column("kind", "What"),
    Column("before", "Before"),
    Column("after", "After"),
)
_DONE = {
    "saved": "Saved. It is in force.",
    "removed": "Removed. It is in force.",
    "unchanged": "Nothing was changed: the form says what the file says.",
}


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a form wants of a name, on the file as it is."""

    file: FileNow
    typed: TypedModel
    is_new: bool
    is_removal: bool


class ModelViews:
    """See the module."""

    def __init__(self, services: PageServices) -> None:
        self._services = services

    async def browse(self, request: AdminRequest) -> Answer:
        """Every name and every model, with what became of them."""
        services, period = self._services, read_range(request.query, request.now).in_buckets()
        data: dict[str, object] = {"period": period, "done": _DONE.get(request.query.get("done"))}
        if request.wants("models"):
            catalog, exposure = services.catalog(), services.exposure()
            changes = await self._list_changes(request.now)
            requests = await self._count_requests(period)
            rows = [] if catalog is None else list_rows(catalog, exposure, changes, requests, request.now)
            data |= {
                "rows": rows,
                "columns": _COLUMNS,
                "is_known": catalog is not None,
                "models_count": 0 if catalog is None else len(catalog.models),
                "exposure": exposure,
                "read_at": services.catalog_read_at(),
                "changes": [(change, make_news(change)) for change in changes],
                "drift_columns": _DRIFT_COLUMNS,
                "can_edit": services.config is not None,
            }
        return Page("models/list.html", data)

    async def ask_edit(self, request: AdminRequest) -> Answer:
        """The form of a name, or of a new one."""
        config = require_config(self._services.config)
        return await self._show_form(request, await _read(config), request.query.get("name"))

    async def edit(self, request: AdminRequest) -> Answer:
        """What the change does, and once that was seen, the change."""
        config = require_config(self._services.config)
        file, form = await _read(config), request.form
        is_new, entries = NEW in form, _entries(file)
        wish = _Wish(file, read_model(form, entries, is_new=is_new), is_new, REMOVE in form)
        name = wish.typed.name
        if wish.is_removal:
            if name not in entries:
                raise BadRequest("there is no such name in config.json", status=404)
            content = edit_file(file, (), [(MODELS, name)])
        elif wish.typed.problems:
            return await self._show_form(request, file, name, wish)
        else:
            content = edit_file(file, wish.typed.wanted, wish.typed.unset)
        if content == file.text.encode():
            return Redirect(page_url(PATH, (), done="unchanged"))
        found = await review(config, file, content)
        if found.problems and not wish.is_removal:
            return await self._show_form(request, file, name, wish, sort_problems(name, found.problems))
        return await self._confirm(request, config, wish, found)

    async def _confirm(self, request: AdminRequest, config: ConfigApi, wish: _Wish, found: Review) -> Answer:
        is_stale = request.form.get(BASE) != wish.file.hash
        if CONFIRMED in request.form and not is_stale and not found.problems:
            try:
                await save(request, config, found.content)
            except ConfigConflict:
                is_stale = True
            else:
                return Redirect(page_url(PATH, (), done="removed" if wish.is_removal else "saved"))
        fields = [("name", wish.typed.name), *wish.typed.texts.items()]
        fields += [(NEW, "yes")] * wish.is_new + [(REMOVE, "yes")] * wish.is_removal
        data: dict[str, object] = {
            "found": found,
            "fields": fields,
            "name": wish.typed.name,
            "is_removal": wish.is_removal,
            "is_stale": is_stale,
        }
        return Page("models/review.html", data, 409 if is_stale else 400 if found.problems else 200)

    async def _show_form(
        self,
        request: AdminRequest,
        file: FileNow,
        name: str,
        wish: _Wish | None = None,
        problems: Mapping[str, str] | None = None,
    ) -> Page:
        services, entries = self._services, _entries(file)
        is_new = not name if wish is None else wish.is_new
        said = find_entry(entries, name)
        wrong: Mapping[str, str] = {}
        if wish is not None:
            wrong = wish.typed.problems if problems is None else problems
        fields = list_model_fields(said, None if wish is None else wish.typed.texts, wrong)
        catalog = services.catalog()
        upstream = next((field.text for field in fields if field.path.endswith(".upstream")), "") or name
        model = None if catalog is None else catalog.find(upstream)
        changes = [change for change in await self._list_changes(request.now) if change.model == upstream]
        own = {"name", *(field.path.rpartition(".")[2] for field in fields)}
        data: dict[str, object] = {
            "name": name,
            "is_new": is_new,
            "is_in_file": name in entries,
            "fields": fields,
            "problems": wrong,
            "others": [f"{path}: {text}" if path else text for path, text in wrong.items() if path not in own],
            "file": file,
            "model": model,
            "upstream": upstream,
            "endpoints": list_endpoints(model),
            "prices": "" if model is None or model.prices is None else render_prices(model.prices),
            "changes": [(change, make_news(change)) for change in changes],
            "model_ids": [] if catalog is None else sorted(each.id for each in catalog.models),
        }
        return Page("models/form.html", data, 400 if wrong else 200)

    async def _list_changes(self, now: datetime) -> list[CatalogChange]:
        services, since = self._services, now - DRIFT_FOR

        async def find() -> list[CatalogChange]:
            return await services.threads.ask(lambda: services.catalogs.list_changes(since, CHANGES_SHOWN))

        return await services.recent.get(("models", "changes"), _DRIFT_SECONDS, find)

    async def _count_requests(self, period: DateRange) -> dict[str, int]:
        """How many calls used each name, for those that were used most."""
        services = self._services
        query = ExploreQuery(period.since, period.until, (Dimension.MODEL,), top=MAX_TOP)

        def find() -> dict[str, int]:
            rows: list[dict[str, Any]] = explore(services.ledger, query)["rows"]
            return {str(row["group"][0]): int(row["requests"]) for row in rows}

        times = (period.since, period.until) if period.is_custom else ()
        asked = ("models", "requests", period.name, *times, services.events_stored())
        return await services.recent.get(asked, max_age(period.span), lambda: services.threads.ask(find))


async def _read(config: ConfigApi) -> FileNow:
    file = await read_file(config)
    if file.failure:
        raise BadRequest(f"nothing can be changed here: {file.failure}", hint="mend the file, or roll it back")
    return file


def _entries(file: FileNow) -> Mapping[str, Any]:
    found: Any = file.said.get(MODELS)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
