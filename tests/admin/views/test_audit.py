"""The page of the audit log: who, what and what changed, page by page; and the proof, with what it found."""

import pytest

from copilot_api.admin.answers import Page, Redirect
from copilot_api.admin.views import audit as audit_views
from copilot_api.admin.views.audit import AuditViews
from copilot_api.audit.models import Action, AuditEvent, Origin
from copilot_api.errors import BadRequest, StorageUnavailable
from copilot_api.keys.models import KeyPolicy
from tests.admin.services import World, text_of

PATH = "/admin/audit"


@pytest.fixture
def views(world: World) -> AuditViews:
    return AuditViews(world.services)


def record(world: World, target: str, *, actor: str = "gateway", action: Action = Action.CALL_CANCELLED) -> None:
    origin = Origin("192.0.2.7", "<b>agent</b>", "req_9")
    world.stored.audit.append(AuditEvent(actor, action, target, {"note": "<script>alert(1)</script>"}, origin))


def test_lines_say_who_did_what_to_what_from_where(world: World, views: AuditViews) -> None:
    record(world, world.asking.id, actor=world.asking.id)
    html = world.show(views.browse, PATH)
    text = text_of(html)
    assert "ada Call ended by an admin ada note <script>alert(1)</script> 192.0.2.7" in text
    assert "<script>alert" not in html
    assert "Not verified since the gateway was started" in text


def test_a_page_ends_and_the_next_begins_where_it_ended(
    world: World, views: AuditViews, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_views, "PAGE_LINES", 2)
    for number in range(3):
        record(world, f"thing-{number}")
    first = world.show(views.browse, PATH)
    assert "thing-2" in first
    assert "thing-0" not in first
    assert "after=3" in first
    second = world.show(views.browse, f"{PATH}?after=3&back=-")
    assert "thing-0" in second
    assert "thing-1" not in second
    assert "the oldest of this range included" in second


def test_what_is_rare_is_looked_for_piece_by_piece(
    world: World, views: AuditViews, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_views, "MAX_LINES", 1)
    for number in range(3):
        record(world, f"thing-{number}")
    assert "Search further" in world.show(views.browse, f"{PATH}?q=target:thing-0")


def test_filters_come_from_the_url_and_mistakes_are_told(world: World, views: AuditViews) -> None:
    record(world, "this")
    record(world, "that", action=Action.KEY_REFUSED)
    text = text_of(world.show(views.browse, f"{PATH}?q=action:key.refused"))
    assert "that" in text
    assert "this note" not in text
    assert "cannot be looked for" in text_of(world.show(views.browse, f"{PATH}?q=nonsense"))
    assert "Nothing on record here" in text_of(world.show(views.browse, f"{PATH}?q=actor:nobody"))
    with pytest.raises(BadRequest):
        world.ask(views.browse, f"{PATH}?after=x")


def test_a_line_shows_what_was_and_what_is(world: World, views: AuditViews) -> None:
    key = world.stored.keys.issue("ci", actor=world.asking.id).key
    world.stored.keys.update(key.id, policy=KeyPolicy(rpm=60), actor=world.asking.id)
    text = text_of(world.show(views.show, f"{PATH}/3", seq="3"))
    assert "rpm: none" in text
    assert "rpm: 60" in text
    assert "As written Yes" in text


@pytest.mark.parametrize("seq", ["99", "0"])
def test_a_line_that_is_not_there_is_missing(world: World, views: AuditViews, seq: str) -> None:
    answer = world.ask(views.show, f"{PATH}/{seq}", seq=seq)
    assert isinstance(answer, Page)
    assert answer.status == 404


def test_an_edited_line_says_so(world: World, views: AuditViews) -> None:
    record(world, "thing")
    path = world.stored.directory.audit
    path.write_bytes(path.read_bytes().replace(b'"thing"', b'"thong"'))
    assert "This line was edited" in text_of(world.show(views.show, f"{PATH}/2", seq="2"))


def test_the_proof_is_shown_to_all_who_look(world: World, views: AuditViews) -> None:
    form = {"next": f"{PATH}?q=actor:ada"}
    answer = world.ask(views.verify, f"{PATH}/verify", method="POST", form=form)
    assert answer == Redirect(f"{PATH}?q=actor:ada#proof")
    text = text_of(world.show(views.browse, PATH))
    assert "Whole 1 lines in one file" in text
    assert "by ada" in text
    head = world.stored.audit.list_events(limit=1)[0].link.text
    assert head in text


def test_a_broken_log_says_where(world: World, views: AuditViews) -> None:
    record(world, "thing")
    path = world.stored.directory.audit
    path.write_bytes(path.read_bytes().replace(b'"thing"', b'"thong"'))
    world.ask(views.verify, f"{PATH}/verify", method="POST", form={"next": "https://evil.example"})
    text = text_of(world.show(views.browse, PATH))
    assert "Broken 2 places where" in text
    assert "its hash does not match" in text


def test_an_expected_head_is_looked_for(world: World, views: AuditViews) -> None:
    head = world.stored.audit.list_events(limit=1)[0].link.text
    world.ask(views.verify, f"{PATH}/verify", method="POST", form={"expect": f" {head} "})
    assert "the expected head among them" in text_of(world.show(views.browse, PATH))
    world.ask(views.verify, f"{PATH}/verify", method="POST", form={"expect": f"9:{'0' * 64}"})
    assert "the expected line 9 is not there" in text_of(world.show(views.browse, PATH))


def test_what_is_no_head_is_told_beside_the_field_with_what_was_typed(world: World, views: AuditViews) -> None:
    answer = world.ask(views.verify, f"{PATH}/verify", method="POST", form={"expect": "12"})
    assert isinstance(answer, Page)
    assert answer.status == 400
    html = world.show(views.verify, f"{PATH}/verify", method="POST", form={"expect": "12"})
    assert "This is no head" in html
    assert 'value="12"' in html


def test_a_log_that_cannot_be_read_is_an_error_of_its_own(world: World, views: AuditViews) -> None:
    path = world.stored.directory.audit
    path.unlink()
    path.mkdir()
    with pytest.raises(StorageUnavailable):
        world.ask(views.browse, PATH)
