"""What is done to keys by forms: each on record, secrets shown once, admin keys only with the key shown again."""

import asyncio
import re
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from copilot_api.admin.answers import Page, Redirect, Stream
from copilot_api.admin.key_forms import sign_version
from copilot_api.admin.requests import StepUpRequired
from copilot_api.admin.views.key_changes import KeyChangeViews
from copilot_api.admin.views.keys import KeyViews
from copilot_api.api.privacy import PrivacyApi
from copilot_api.errors import BadRequest, RouteNotFound, Unauthorized
from copilot_api.keys.captures import CaptureForbidden
from copilot_api.keys.models import ApiKey, KeyPolicy, Tier
from copilot_api.privacy.erasing import Order
from copilot_api.privacy.models import EventsFate
from copilot_api.privacy.receipts import Receipt
from copilot_api.upstream.catalog import Catalog
from tests.admin.services import World, text_of
from tests.gateway.calls import make_model

SECRET = re.compile(r"sk-cap-[a-z2-7]{52}")
FORM = {"label": "ci", "tier": "client", "which": "every", "form_id": "f1"}


@pytest.fixture
def views(world: World) -> KeyChangeViews:
    return KeyChangeViews(world.services, KeyViews(world.services))


def issue(world: World, label: str = "ci", **more: Any) -> ApiKey:
    key = world.stored.keys.issue(label, actor="test", **more).key
    world.stored.keys.load()
    return key


def stored(world: World, label: str) -> ApiKey:
    return world.stored.keys.get(label)


def audited(world: World) -> list[tuple[str, str]]:
    return [(event.actor, event.action) for event in world.stored.audit.list_events()]


# Making one -------------------------------------------------------------------------------------------------------------


def test_the_form_offers_the_models_that_there_are(world: World, views: KeyChangeViews) -> None:
    world.catalog = Catalog([make_model("gpt-4.1"), make_model("<b>o3</b>")])
    html = world.show(views.ask_new, "/admin/keys/new")
    assert 'name="models" value="gpt-4.1"' in html
    assert "<b>o3" not in html


def test_a_new_key_is_shown_once_works_and_is_on_record(world: World, views: KeyChangeViews) -> None:
    form = [*FORM.items(), ("rpm", "30"), ("expires_at", "30d"), ("observe", "rpm")]
    html = world.show(views.create, "/admin/keys/new", method="POST", form=form)
    (secret,) = set(SECRET.findall(html))
    key = world.stored.keys.authenticate(secret, world.clock.now())
    assert (key.label, key.tier, key.policy) == ("ci", Tier.CLIENT, KeyPolicy(rpm=30, observe=("rpm",)))
    assert (world.asking.id, "key.issued") in audited(world)
    assert "data-masked" in html


def test_the_same_form_sent_again_makes_no_second_key_and_shows_no_secret(world: World, views: KeyChangeViews) -> None:
    world.show(views.create, "/admin/keys/new", method="POST", form=FORM)
    answer = world.ask(views.create, "/admin/keys/new", method="POST", form=FORM)
    key = stored(world, "ci")
    assert answer == Redirect(f"/admin/keys/{key.id}?done=again")
    assert [each.label for each in world.stored.keys.list_keys()].count("ci") == 1


def test_mistakes_are_beside_their_fields_with_what_was_typed(world: World, views: KeyChangeViews) -> None:
    form = {**FORM, "label": "", "rpm": "lots", "cidrs": "<b>10.0.0.0</b>"}
    page = world.ask(views.create, "/admin/keys/new", method="POST", form=form)
    assert isinstance(page, Page)
    assert page.status == 400
    html = world.show(views.create, "/admin/keys/new", method="POST", form=form)
    assert "this is no whole number" in html
    assert 'value="lots"' in html
    assert "<b>10" not in html
    assert [key.label for key in world.stored.keys.list_keys()] == ["ada"]


def test_an_admin_key_is_made_only_with_the_key_shown_again(world: World, views: KeyChangeViews) -> None:
    form = {**FORM, "tier": "admin"}
    with pytest.raises(StepUpRequired):
        world.ask(views.create, "/admin/keys/new", method="POST", form=form)
    world.is_stepped_up = True
    world.show(views.create, "/admin/keys/new", method="POST", form=form)
    assert stored(world, "ci").tier is Tier.ADMIN


# Changing one -----------------------------------------------------------------------------------------------------------


def edit_form(key: ApiKey, **more: str) -> dict[str, str]:
    return {"label": key.label, "tier": key.tier.value, "which": "every", "version": sign_version(key), **more}


def test_an_edit_is_in_force_and_one_without_a_change_is_none(world: World, views: KeyChangeViews) -> None:
    key = issue(world)
    path = f"/admin/keys/{key.id}/edit"
    assert "Save" in text_of(world.show(views.ask_edit, path, id=key.id))
    same = world.ask(views.edit, path, method="POST", form=edit_form(key), id=key.id)
    assert same == Redirect(f"/admin/keys/{key.id}?done=unchanged")
    answer = world.ask(views.edit, path, method="POST", form=edit_form(key, rpm="9"), id=key.id)
    assert answer == Redirect(f"/admin/keys/{key.id}?done=saved")
    assert stored(world, "ci").policy.rpm == 9
    assert audited(world).count((world.asking.id, "key.updated")) == 1


def test_what_somebody_else_changed_meanwhile_is_not_undone_unseen(world: World, views: KeyChangeViews) -> None:
    key = issue(world)
    world.stored.keys.update(key.id, policy=KeyPolicy(tpm=7), actor="test")
    form = edit_form(key, rpm="9")
    page = world.ask(views.edit, f"/admin/keys/{key.id}/edit", method="POST", form=form, id=key.id)
    assert isinstance(page, Page)
    assert page.status == 409
    assert stored(world, "ci").policy == KeyPolicy(tpm=7)


def test_an_admin_key_is_edited_only_with_the_key_shown_again(world: World, views: KeyChangeViews) -> None:
    path, form = f"/admin/keys/{world.asking.id}/edit", edit_form(world.asking, expires_at="1d")
    with pytest.raises(StepUpRequired):
        world.ask(views.edit, path, method="POST", form=form, id=world.asking.id)
    assert stored(world, "ada").expires_at is None


def test_a_revoked_key_has_no_form(world: World, views: KeyChangeViews) -> None:
    key = issue(world)
    world.stored.keys.revoke(key.id, actor="test")
    world.stored.keys.load()
    for view, method in ((views.ask_edit, "GET"), (views.edit, "POST")):
        with pytest.raises(BadRequest):
            world.ask(view, "/", method=method, form=edit_form(key), id=key.id)


def test_a_rotation_shows_the_new_secret_once_and_keeps_the_old_for_the_overlap(
    world: World, views: KeyChangeViews
) -> None:
    issued = world.stored.keys.issue("ci", actor="test")
    world.stored.keys.load()
    path, form = f"/admin/keys/{issued.key.id}/rotate", {"overlap": "1h", "form_id": "f2"}
    html = world.show(views.rotate, path, method="POST", form=form, id=issued.key.id)
    (secret,) = set(SECRET.findall(html))
    now = world.clock.now()
    for each in (secret, issued.secret):
        assert world.stored.keys.authenticate(each, now).id == issued.key.id
    again = world.ask(views.rotate, path, method="POST", form=form, id=issued.key.id)
    assert again == Redirect(f"/admin/keys/{issued.key.id}?done=again")
    world.clock.advance(3601)
    with pytest.raises(Unauthorized):
        world.stored.keys.authenticate(issued.secret, world.clock.now())


def test_an_admin_key_is_rotated_only_with_the_key_shown_again(world: World, views: KeyChangeViews) -> None:
    with pytest.raises(StepUpRequired):
        world.ask(views.rotate, "/", method="POST", form={"overlap": ""}, id=world.asking.id)
    with pytest.raises(BadRequest):
        world.ask(views.rotate, "/", method="POST", form={"overlap": "soon"}, id=issue(world).id)


# Ending them ------------------------------------------------------------------------------------------------------------


def test_many_are_revoked_after_it_was_shown_what_that_does(world: World, views: KeyChangeViews) -> None:
    keys = [issue(world, f"k{number}") for number in range(3)]
    query = "&".join(f"key={key.id}" for key in keys)
    html = world.show(views.ask_revoke, f"/admin/keys/revoke?{query}")
    assert "3 keys are refused from their next call on" in html
    form = [("key", key.id) for key in keys]
    answer = world.ask(views.revoke, "/admin/keys/revoke", method="POST", form=form)
    assert answer == Redirect("/admin/keys?done=revoked")
    assert all(stored(world, key.id).revoked_at for key in keys)
    assert audited(world).count((world.asking.id, "key.revoked")) == 3
    assert "is revoked already" in text_of(world.show(views.ask_revoke, f"/admin/keys/revoke?{query}"))


def test_without_a_choice_nothing_happens(world: World, views: KeyChangeViews) -> None:
    assert "No key is chosen" in text_of(world.show(views.ask_revoke, "/admin/keys/revoke"))
    world.ask(views.revoke, "/admin/keys/revoke", method="POST", form=[])
    with pytest.raises(BadRequest):
        world.ask(views.revoke, "/", method="POST", form=[("key", "key_x")] * 201)


def test_the_last_admin_key_takes_a_tick_and_the_key_shown_again(world: World, views: KeyChangeViews) -> None:
    form = [("key", world.asking.id), ("back", "key")]
    page = world.ask(views.revoke, "/admin/keys/revoke", method="POST", form=form)
    assert isinstance(page, Page)
    assert page.status == 400
    assert "Tick the box" in world.show(views.revoke, "/admin/keys/revoke", method="POST", form=form)
    form.append(("last_admin", "on"))
    with pytest.raises(StepUpRequired):
        world.ask(views.revoke, "/admin/keys/revoke", method="POST", form=form)
    assert stored(world, "ada").revoked_at is None
    world.is_stepped_up = True
    answer = world.ask(views.revoke, "/admin/keys/revoke", method="POST", form=form)
    assert answer == Redirect(f"/admin/keys/{world.asking.id}?done=revoked")


# Capturing one ----------------------------------------------------------------------------------------------------------


def test_a_capture_takes_a_reason_and_ends(world: World, views: KeyChangeViews) -> None:
    key = issue(world)
    form = {"reason": "a tool fails", "minutes": "15"}
    world.ask(views.capture, "/", method="POST", form=form, id=key.id)
    order = stored(world, "ci").capture
    assert order is not None
    assert (order.reason, (order.until - world.clock.now()).total_seconds()) == ("a tool fails", 900)
    answer = world.ask(views.end_capture, "/", method="POST", form={}, id=key.id)
    assert answer == Redirect(f"/admin/keys/{key.id}?done=capture-ended")
    assert stored(world, "ci").capture is None


@pytest.mark.parametrize(("field", "form"), [("reason", {"reason": " ", "minutes": "15"}), ("minutes", {"reason": "x", "minutes": "9999"})])  # fmt: skip
def test_a_capture_that_will_not_do_is_told_beside_its_field(
    world: World, views: KeyChangeViews, field: str, form: dict[str, str]
) -> None:
    key = issue(world)
    page = world.ask(views.capture, "/", method="POST", form=form, id=key.id)
    assert isinstance(page, Page)
    assert page.status == 400
    assert set(cast("dict[str, str]", page.data["problems"])) == {field}
    assert stored(world, "ci").capture is None
    world.show(views.capture, "/", method="POST", form=form, id=key.id)


def test_a_forbidden_capture_is_refused(world: World, views: KeyChangeViews) -> None:
    world.may_capture = False
    with pytest.raises(CaptureForbidden):
        world.ask(views.capture, "/", method="POST", form={"reason": "x", "minutes": "15"}, id=issue(world).id)


# Whose data it is -------------------------------------------------------------------------------------------------------


class Privacy:
    """Hands out and erases, in words."""

    def __init__(self, world: World) -> None:
        self.erased: list[tuple[str, Order]] = []
        self._world = world

    async def export_key(self, reference: str, *, actor: str, origin: object) -> tuple[Any, AsyncGenerator[bytes]]:
        async def pieces() -> AsyncGenerator[bytes]:
            yield reference.encode()

        return SimpleNamespace(path=Path("export.zip"), sha256="ab"), pieces()

    async def erase_key(self, key_id: str, order: Order) -> Receipt:
        self.erased.append((key_id, order))
        now = self._world.clock.now()
        return Receipt(key_id=key_id, fate=order.fate, begun_at=now, finished_at=now, hash="abc", events=7)


@pytest.fixture
def privacy(world: World) -> Privacy:
    privacy = Privacy(world)
    world.services = replace(world.services, privacy=cast("PrivacyApi", privacy))
    return privacy


def test_an_export_is_a_file(world: World, privacy: Privacy, views: KeyChangeViews) -> None:
    key = issue(world)
    answer = world.ask(views.export, "/", method="POST", form={}, id=key.id)
    assert isinstance(answer, Stream)
    assert (answer.media_type, answer.filename) == ("application/zip", "export.zip")

    async def read() -> bytes:
        return b"".join([piece async for piece in answer.chunks])

    assert asyncio.run(read()) == key.id.encode()


def test_an_erasure_takes_a_tick_and_the_key_shown_again_and_has_a_receipt(
    world: World, privacy: Privacy, views: KeyChangeViews
) -> None:
    key = issue(world)
    for form in ({"events": "pseudonymise"}, {"sure": "on"}, {"events": "sell", "sure": "on"}):
        page = world.ask(views.erase, "/", method="POST", form=form, id=key.id)
        assert isinstance(page, Page)
        assert page.status == 400
    form = {"events": "delete", "sure": "on"}
    with pytest.raises(StepUpRequired):
        world.ask(views.erase, "/", method="POST", form=form, id=key.id)
    assert not privacy.erased
    world.is_stepped_up = True
    text = text_of(world.show(views.erase, "/", method="POST", form=form, id=key.id))
    assert "7 deleted" in text
    ((key_id, order),) = privacy.erased
    assert (key_id, order.fate, order.actor) == (key.id, EventsFate.DELETE, world.asking.id)


def test_where_that_is_for_the_command_line_it_is_said(world: World, views: KeyChangeViews) -> None:
    key = issue(world)
    for view in (views.export, views.erase):
        with pytest.raises(RouteNotFound):
            world.ask(view, "/", method="POST", form={}, id=key.id)
