"""Models: names beside the catalog, and a change whose impact is seen before it is made."""

from datetime import timedelta
from typing import Any

import pytest

from copilot_api.admin.answers import Page, Redirect
from copilot_api.admin.requests import StepUpRequired
from copilot_api.admin.views.models import ModelViews
from copilot_api.config.settings import Exposure, ModelAlias
from copilot_api.errors import BadRequest
from copilot_api.upstream.catalog import Catalog
from copilot_api.upstream.drift import CatalogChange, ChangeKind
from copilot_api.usage.models import Cause, UsageEvent
from tests.admin.services import World, text_of
from tests.gateway.calls import make_model

HOSTILE = "<script>alert(1)</script>"
EDIT = "/admin/models/edit"


@pytest.fixture
def views(world: World) -> ModelViews:
    world.catalog = Catalog([make_model("gpt-4.1"), make_model("gpt-5-mini", is_enabled=False)])
    world.exposure = Exposure({"fast": ModelAlias("gpt-4.1", allowed_keys=("ada",)), "old": ModelAlias("gone-1")})
    world.configure({"version": 1, "models": {"fast": {"upstream": "gpt-4.1", "allowed_keys": ["ada"]}}})
    return ModelViews(world.services)


def drift(world: World, model: str, kind: ChangeKind, before: str = "", after: str = "") -> None:
    at = world.clock.now() - timedelta(days=1)
    world.stored.catalogs.record([], at, [CatalogChange(at, model, kind, before, after)])


def call(world: World, model: str, label: str = "ci") -> None:
    key = world.stored.keys.issue(label, actor="test").key
    world.stored.keys.load()
    at = world.clock.now() - timedelta(hours=2)
    world.stored.usage.add_events(
        [
            UsageEvent(
                request_id=f"req_{label}",
                at=at.isoformat(),
                key_id=key.id,
                identity_id="default",
                model=model,
                endpoint="/v1/chat/completions",
                cause=Cause.OK,
                status=200,
                input_tokens=10,
            )
        ]
    )


def post(world: World, views: ModelViews, *, confirmed: bool = False, **form: str) -> Any:
    typed = {"base": world.store.read_content()[1], **form} | ({"confirmed": "yes"} if confirmed else {})
    return world.ask(views.edit, EDIT, method="POST", form=typed)


def show(world: World, views: ModelViews, **form: str) -> str:
    return world.show(views.edit, EDIT, method="POST", form={"base": world.store.read_content()[1], **form})


def test_names_and_the_catalog_are_side_by_side(world: World, views: ModelViews) -> None:
    call(world, "fast")
    text = text_of(world.show(views.browse, "/admin/models?range=24h"))
    assert "fast alias works ada 1 gpt-4.1" in text
    assert "old alias no such model every key 0 gone-1" in text
    assert "Calls by old fail" in text
    assert "disabled at GitHub" in text
    assert "An unknown name is refused" in text


def test_what_is_not_exposed_is_listed_too(world: World, views: ModelViews) -> None:
    world.exposure = Exposure({"fast": ModelAlias("gpt-4.1")}, is_listed_only=True, default_alias="fast")
    text = text_of(world.show(views.browse, "/admin/models"))
    assert "gpt-5-mini not exposed nobody" in text
    assert "1 names for 2 models" in text
    assert "fast alias default" in text


def test_what_copilot_changed_is_a_badge_and_a_line(world: World, views: ModelViews) -> None:
    drift(world, "gpt-4.1", ChangeKind.PRICES, "input 1", "input 2")
    html = world.show(views.browse, "/admin/models")
    assert 'title="input 1 → input 2"' in html
    assert text_of(html).count("changed: prices") >= 3, "for the alias, for the model, and as a line"


def test_before_the_catalog_is_known_it_says_so(world: World, views: ModelViews) -> None:
    world.catalog = None
    assert "No catalog yet" in world.show(views.browse, "/admin/models")
    assert "Nothing changed" in world.show(views.browse, "/admin/models")
    assert "not in the catalog" in world.show(views.ask_edit, f"{EDIT}?name=fast")


def test_the_impact_of_another_model_is_seen_before_it_is_saved(world: World, views: ModelViews) -> None:
    call(world, "fast", "ada")
    html = show(world, views, name="fast", upstream="gpt-5-mini", allowed_keys="ada")
    text = text_of(html)
    assert "1 would fail: calls of 1 key" in text
    assert "models.fast.upstream" in text
    assert b"gpt-5-mini" not in (world.store.read_content()[0] or b"")
    with pytest.raises(StepUpRequired):
        post(world, views, name="fast", upstream="gpt-5-mini", allowed_keys="ada", confirmed=True)
    world.is_stepped_up = True
    done = post(world, views, name="fast", upstream="gpt-5-mini", allowed_keys="ada", confirmed=True)
    assert done == Redirect("/admin/models?done=saved")
    assert world.source.config.models["fast"].upstream == "gpt-5-mini"


def test_a_new_name_is_made_and_removed(world: World, views: ModelViews) -> None:
    world.is_stepped_up = True
    typed = {"name": "gpt-4.1.x", "upstream": "gpt-4.1", "fallback": "gpt-5-mini\r\n", "enabled": "", "new": "yes"}
    assert "New alias" in world.show(views.ask_edit, EDIT)
    post(world, views, **typed, confirmed=True)
    assert world.source.config.models["gpt-4.1.x"].fallback == ["gpt-5-mini"]
    assert "Remove it" in show(world, views, name="gpt-4.1.x", remove="yes")
    assert post(world, views, name="gpt-4.1.x", remove="yes", confirmed=True) == Redirect("/admin/models?done=removed")
    assert list(world.source.config.models) == ["fast"]


def test_a_model_of_the_catalog_gets_an_entry_by_its_own_name(world: World, views: ModelViews) -> None:
    world.is_stepped_up = True
    assert "says nothing of this model yet" in world.show(views.ask_edit, f"{EDIT}?name=gpt-4.1")
    post(world, views, name="gpt-4.1", enabled="false", confirmed=True)
    assert not world.source.config.models["gpt-4.1"].enabled


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"name": "", "new": "yes"}, "name"),
        ({"name": "fast", "new": "yes"}, "name"),
        ({"name": "x", "upstream": "fast", "new": "yes"}, "upstream"),
        ({"name": "fast", "fallback": "fast"}, "fallback"),
        ({"name": "fast", "default_effort": "huge"}, "default_effort"),
        ({"name": "gpt-5.4", "upstream": "http://x://", "new": "yes"}, "upstream"),
    ],
)
def test_a_mistake_stands_beside_its_field(world: World, views: ModelViews, form: dict[str, str], field: str) -> None:
    html = show(world, views, **form)
    assert f'id="field-{field.replace("_", "_")}-error"' in html
    assert "This cannot be saved" in html


def test_what_is_needed_elsewhere_is_not_removed(world: World, views: ModelViews) -> None:
    world.configure({"version": 1, "models": {"fast": {"upstream": "gpt-4.1"}}, "default_model_alias": "fast"})
    answer = post(world, views, name="fast", remove="yes", confirmed=True)
    assert isinstance(answer, Page)
    assert answer.status == 400
    assert "default_model_alias" in show(world, views, name="fast", remove="yes")
    with pytest.raises(BadRequest):
        post(world, views, name="nobody", remove="yes")


def test_somebody_elses_change_is_never_undone_unseen(world: World, views: ModelViews) -> None:
    world.is_stepped_up = True
    answer = world.ask(
        views.edit, EDIT, method="POST", form={"base": "0" * 64, "confirmed": "yes", "name": "fast", "note": "x"}
    )
    assert isinstance(answer, Page)
    assert answer.status == 409


def test_nothing_to_change_is_no_change(world: World, views: ModelViews) -> None:
    assert post(world, views, name="fast", upstream="gpt-4.1") == Redirect("/admin/models?done=unchanged")


def test_names_are_never_markup(world: World, views: ModelViews) -> None:
    world.catalog = Catalog([make_model(HOSTILE)])
    world.exposure = Exposure({HOSTILE: ModelAlias(HOSTILE, allowed_keys=(HOSTILE,))})
    world.configure({"version": 1, "models": {HOSTILE: {"note": HOSTILE, "upstream": HOSTILE}}})
    drift(world, HOSTILE, ChangeKind.LIMITS, HOSTILE, HOSTILE)
    call(world, HOSTILE, HOSTILE)
    for html in (
        world.show(views.browse, "/admin/models"),
        world.show(views.ask_edit, f"{EDIT}?name=%3Cscript%3Ealert(1)%3C/script%3E"),
        show(world, views, name=HOSTILE, upstream="", note=HOSTILE + "!"),
        show(world, views, name=HOSTILE, remove="yes"),
    ):
        assert HOSTILE not in html
