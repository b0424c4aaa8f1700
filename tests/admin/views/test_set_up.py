"""The page that sets up clients, and its probes."""

import pytest

from copilot_api.admin.client_setups import SETUPS
from copilot_api.admin.views.set_up import SetUpViews
from copilot_api.api.probes import PROTOCOLS
from copilot_api.errors import BadRequest
from copilot_api.keys.models import KeyPolicy
from copilot_api.upstream.catalog import Catalog
from tests.admin.services import World, text_of
from tests.gateway.calls import make_model


@pytest.fixture
def views(world: World) -> SetUpViews:
    world.catalog = Catalog([make_model("gpt-4.1"), make_model("claude-sonnet-4.5"), make_model("o3")])
    return SetUpViews(world.services)


@pytest.mark.parametrize("name", [setup.name for setup in SETUPS])
def test_each_client_has_something_to_paste_that_leads_here(world: World, views: SetUpViews, name: str) -> None:
    html = world.show(views.show, f"/admin/set-up?client={name}")
    assert "http://127.0.0.1:4141" in html
    assert "COPILOT_API_KEY" in html
    assert world.asking.prefix in html


def test_only_models_that_the_key_may_use_are_offered(world: World, views: SetUpViews) -> None:
    world.asking = world.stored.keys.issue("ci", policy=KeyPolicy(models=("o3",)), actor="test").key
    html = world.show(views.show, "/admin/set-up?client=claude-code&model=gpt-4.1")
    assert "ANTHROPIC_MODEL=o3" in html
    assert "gpt-4.1" not in html


def test_without_a_catalog_it_says_so_and_nothing_can_be_tried(world: World, views: SetUpViews) -> None:
    world.catalog = None
    html = world.show(views.show, "/admin/set-up")
    assert "not known yet" in html
    assert html.count("disabled") >= len(PROTOCOLS)


def test_an_unknown_client_is_refused(world: World, views: SetUpViews) -> None:
    with pytest.raises(BadRequest):
        world.ask(views.show, "/admin/set-up?client=emacs")


def test_all_protocols_are_tried_as_the_key_of_who_asks(world: World, views: SetUpViews) -> None:
    world.probes.failing["responses"] = "<i>the limit</i> is reached"
    form = {"client": "codex", "model": "gpt-4.1", "protocol": "all"}
    html = world.show(views.probe, "/admin/set-up/probe", method="POST", form=form)
    assert world.probes.probed == [(world.asking.id, protocol, "gpt-4.1") for protocol in PROTOCOLS]
    assert text_of(html).count("works, 200") == 3
    assert "429 rate_limited" in html
    assert "<i>the limit" not in html
    assert "Codex" in html


def test_one_can_be_tried_alone_and_what_is_none_is_refused(world: World, views: SetUpViews) -> None:
    form = {"client": "codex", "model": "gpt-4.1", "protocol": "messages"}
    world.show(views.probe, "/admin/set-up/probe", method="POST", form=form)
    assert [protocol for _, protocol, _ in world.probes.probed] == ["messages"]
    for wrong in ({"protocol": "smtp"}, {"model": ""}, {"model": "m" * 201}):
        with pytest.raises(BadRequest):
            world.ask(views.probe, "/admin/set-up/probe", method="POST", form={**form, **wrong})
