"""The settings: a form of every field, a change that is seen before it is made, and the way back."""

from dataclasses import replace
from typing import Any

import pytest

from copilot_api.admin.answers import Page, Redirect
from copilot_api.admin.requests import StepUpRequired
from copilot_api.admin.setting_forms import list_form_settings
from copilot_api.admin.views.settings import SettingsViews
from copilot_api.config.schema import list_settings
from copilot_api.config.store import ConfigVersionNotFound
from copilot_api.errors import BadRequest
from copilot_api.upstream.catalog import Catalog
from tests.admin.services import World, text_of
from tests.gateway.calls import make_model

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def views(world: World) -> SettingsViews:
    return SettingsViews(world.services)


def review(world: World, views: SettingsViews, **typed: str) -> str:
    form = {"base": world.store.read_content()[1], **{name.replace("__", "."): text for name, text in typed.items()}}
    return world.show(views.change, "/admin/settings", method="POST", form=form)


def save(world: World, views: SettingsViews, base: str | None = None, **typed: str) -> Any:
    form = {name.replace("__", "."): text for name, text in typed.items()}
    form |= {"base": world.store.read_content()[1] if base is None else base, "confirmed": "yes"}
    return world.ask(views.change, "/admin/settings", method="POST", form=form)


def test_every_setting_has_a_field_with_its_meaning_and_default(world: World, views: SettingsViews) -> None:
    html = world.show(views.show, "/admin/settings")
    text = text_of(html)
    for setting in list_settings():
        if setting.path.startswith(("version", "$schema", "models.")):
            continue
        assert f'name="{setting.path}"' in html
        assert " ".join(setting.description.split()) in text
    assert "Default: 64" in html
    assert len(list_form_settings()) > 20


def test_what_needs_a_restart_says_so_and_what_the_file_says_stands_out(world: World, views: SettingsViews) -> None:
    world.configure({"version": 1, "limits": {"max_body_mb": 32}, "features": {"metrics": False}})
    html = world.show(views.show, "/admin/settings")
    text = text_of(html)
    assert html.count("Read when the gateway starts") == 3
    assert text.count("in the file") - text.count("not in the file") == 2
    assert 'value="32"' in html
    assert '<option value="false" selected>Off' in html


def test_a_change_is_seen_before_it_is_made(world: World, views: SettingsViews) -> None:
    world.configure({"version": 1, "limits": {"max_body_mb": 32}})
    html = review(world, views, limits__max_body_mb="16", features__metrics="false", limits__budgets="")
    text = text_of(html)
    assert "limits.max_body_mb, features.metrics" in text
    assert 'name="confirmed"' in html
    assert "Save 2 changes" in text
    assert world.source.config.limits.max_body_mb == 32


def test_it_is_made_once_it_is_confirmed_with_the_key_shown_again(world: World, views: SettingsViews) -> None:
    with pytest.raises(StepUpRequired):
        save(world, views, limits__max_body_mb="16")
    world.is_stepped_up = True
    answer = save(world, views, limits__max_body_mb="16")
    assert answer == Redirect("/admin/settings?done=saved")
    assert world.source.config.limits.max_body_mb == 16
    event = next(iter(world.stored.audit.list_events()))
    assert (event.action, event.actor) == ("config.changed", world.asking.id)
    assert "limits.max_body_mb" in event.detail["changed"]


def test_an_empty_field_takes_a_setting_out_of_the_file(world: World, views: SettingsViews) -> None:
    world.is_stepped_up = True
    world.configure({"version": 1, "limits": {"max_body_mb": 32, "budgets": ["credits:day:5"]}})
    save(world, views, limits__max_body_mb="", limits__budgets=" \r\n")
    assert world.source.config.limits.max_body_mb == 64
    assert b"max_body_mb" not in (world.store.read_content()[0] or b"")
    assert world.source.config.limits.budgets == []


def test_what_needs_a_restart_is_told_before_and_after(world: World, views: SettingsViews) -> None:
    world.is_stepped_up = True
    typed = {"opentelemetry__endpoint": "http://127.0.0.1:4318"}
    assert "In force only after a restart: opentelemetry.endpoint" in text_of(review(world, views, **typed))
    assert save(world, views, **typed) == Redirect("/admin/settings?done=restart")


@pytest.mark.parametrize(
    ("path", "typed", "told"),
    [
        ("limits.max_body_mb", "0", "from 1 to 1024"),
        ("limits.max_body_mb", "many", "a whole number"),
        ("limits.budgets", "credits:year:5", "year"),
        ("default_model_alias", "nobody", "nobody"),
        ("features.auth", "maybe", "true or false"),
        ("opentelemetry.endpoint", "ftp://x", "http"),
    ],
)
def test_a_mistake_stands_beside_its_field_with_what_was_typed(
    world: World, views: SettingsViews, path: str, typed: str, told: str
) -> None:
    html = review(world, views, **{path.replace(".", "__"): typed})
    assert f'id="set-{path.replace(".", "-")}-error"' in html
    assert told in html.partition(f'id="set-{path.replace(".", "-")}-error"')[2].partition("</p>")[0]
    assert "This cannot be saved" in html
    assert typed in html


def test_somebody_elses_change_is_never_undone_unseen(world: World, views: SettingsViews) -> None:
    world.is_stepped_up = True
    base = world.configure({"version": 1})
    world.configure({"version": 1, "limits": {"max_body_mb": 8}})
    answer = save(world, views, base, limits__queue_timeout_s="5")
    assert isinstance(answer, Page)
    assert answer.status == 409
    assert world.source.config.limits.queue_timeout_s == 60
    html = world.show(
        views.change, "/admin/settings", method="POST", form={"base": base, "limits.queue_timeout_s": "5"}
    )
    assert "another one by now" in html


def test_nothing_to_change_is_no_change(world: World, views: SettingsViews) -> None:
    world.configure({"version": 1, "limits": {"max_body_mb": 32}})
    assert save(world, views, limits__max_body_mb="32 ") == Redirect("/admin/settings?done=unchanged")


def test_a_file_that_is_no_json_is_not_edited_but_can_be_rolled_back(world: World, views: SettingsViews) -> None:
    world.is_stepped_up = True
    world.configure({"version": 1, "limits": {"max_body_mb": 32}})
    world.configure({"version": 1})
    world.store.path.write_text("{ no")
    assert "cannot be read" in text_of(world.show(views.show, "/admin/settings"))
    version = world.store.history()[0].id
    form = {"base": world.store.read_content()[1]}
    target = f"/admin/settings/history/{version}"
    assert world.ask(views.roll_back, target, method="POST", form=form, id=version) == Redirect(
        "/admin/settings?done=rolled-back"
    )
    assert world.source.config.limits.max_body_mb == 32


def test_the_history_leads_to_what_a_rollback_would_change(world: World, views: SettingsViews) -> None:
    assert "No version was replaced yet" in world.show(views.browse, "/admin/settings/history")
    world.configure({"version": 1, "limits": {"max_body_mb": 32}})
    world.configure({"version": 1, "limits": {"max_body_mb": 16}})
    version = world.store.history()[0].id
    html = world.show(views.browse, "/admin/settings/history")
    assert f"/admin/settings/history/{version}" in html
    assert "limits.max_body_mb" in text_of(html)
    shown = text_of(world.show(views.show_version, f"/admin/settings/history/{version}", id=version))
    assert "Put this version back" in shown
    assert '"max_body_mb": 32' in shown


def test_what_a_rollback_does_to_calls_is_looked_up_when_it_is_asked_for(world: World, views: SettingsViews) -> None:
    world.catalog = Catalog([make_model("gpt-4.1")])
    world.configure({"version": 1, "models": {"fast": {"upstream": "gpt-4.1"}}})
    world.configure({"version": 1})
    version = world.store.history()[0].id
    target = f"/admin/settings/history/{version}"
    html = world.show(views.show_version, target, id=version)
    assert f"{target}?impact=yes" in html
    assert "What it does to calls" not in html
    assert "What it does to calls" in world.show(views.show_version, f"{target}?impact=yes", id=version)


def test_a_rollback_is_on_record_and_needs_the_key(world: World, views: SettingsViews) -> None:
    world.configure({"version": 1, "limits": {"max_body_mb": 32}})
    base = world.configure({"version": 1})
    version = world.store.history()[0].id
    target, form = f"/admin/settings/history/{version}", {"base": base}
    with pytest.raises(StepUpRequired):
        world.ask(views.roll_back, target, method="POST", form=form, id=version)
    world.is_stepped_up = True
    stale = world.ask(views.roll_back, target, method="POST", form={"base": "0" * 64}, id=version)
    assert isinstance(stale, Page)
    assert stale.status == 409
    world.ask(views.roll_back, target, method="POST", form=form, id=version)
    assert world.source.config.limits.max_body_mb == 32
    assert next(iter(world.stored.audit.list_events())).detail["rollback"] == version


def test_a_version_that_is_not_kept_is_not_found(world: World, views: SettingsViews) -> None:
    with pytest.raises(ConfigVersionNotFound):
        world.ask(views.show_version, "/admin/settings/history/../../x", id="../../x")


def test_a_change_of_what_clients_see_tells_what_becomes_of_calls(world: World, views: SettingsViews) -> None:
    assert "is not known" in text_of(review(world, views, exposure="listed"))
    world.catalog = Catalog([make_model("gpt-4.1")])
    assert "No call of the last 7 days would have gone otherwise" in text_of(review(world, views, exposure="listed"))


def test_without_a_file_there_is_nothing_to_change(world: World) -> None:
    views = SettingsViews(replace(world.services, config=None))
    assert "No file to change" in world.show(views.show, "/admin/settings")
    with pytest.raises(BadRequest):
        world.ask(views.change, "/admin/settings", method="POST", form={})


def test_names_in_the_file_are_never_markup(world: World, views: SettingsViews) -> None:
    world.configure({"version": 1, "models": {HOSTILE: {"note": HOSTILE}}, "limits": {"budgets": ["credits:day:5"]}})
    for html in (
        world.show(views.show, "/admin/settings"),
        review(world, views, limits__budgets=HOSTILE),
        review(world, views, limits__max_body_mb=HOSTILE),
    ):
        assert HOSTILE not in html
