"""The dry run: what would be taken out and what would stay; the text itself is not shown again, and nothing is kept."""

import json

import pytest

from copilot_api.admin.answers import Page
from copilot_api.admin.views.trace_dry_run import MAX_FORM_BYTES, TraceDryRunView
from copilot_api.api.trace_dry_run import MAX_BODY_BYTES
from tests.admin.services import World, text_of

PATH = "/admin/traces/dry-run"
SECRET = "ghp_" + "Zq8w" * 9


@pytest.fixture
def view(world: World) -> TraceDryRunView:
    return TraceDryRunView(world.services)


def run(world: World, view: TraceDryRunView, text: str, media_type: str = "") -> str:
    return world.show(view.run, PATH, method="POST", form={"text": text, "media_type": media_type})


def test_hits_and_near_misses_are_told_and_the_secret_is_not(world: World, view: TraceDryRunView) -> None:
    digest = "8f14e45fceea167a5a36dedd4bea2543"
    html = run(world, view, json.dumps({"content": f"<script>{SECRET}</script>", "note": digest}))
    text = text_of(html)
    assert SECRET not in html
    assert "<script>[" not in html
    for part in ("[redacted:github-token:", "github-token \u00d7 1", "$.content", "a digest, or as long as one"):
        assert part in text, part


def test_nothing_is_kept(world: World, view: TraceDryRunView) -> None:
    before = world.stored.audit.list_events()
    run(world, view, SECRET)
    assert world.stored.audit.list_events() == before
    assert len(world.ring) == 0
    for path in world.stored.directory.path.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()


def test_a_text_without_secrets_says_so(world: World, view: TraceDryRunView) -> None:
    text = text_of(run(world, view, "hello"))
    assert "No rule found a secret in it." in text
    assert "Nothing else in it looks like a secret." in text


@pytest.mark.parametrize(
    ("text", "media_type", "part"),
    [
        ("", "", "Paste a text first."),
        ("é" * (MAX_BODY_BYTES // 2 + 1), "", "It is longer than 64 KiB"),
        ("x", "text/html", "no such kind"),
    ],
)
def test_what_cannot_be_tried_is_told_beside_the_field(
    world: World, view: TraceDryRunView, text: str, media_type: str, part: str
) -> None:
    page = world.ask(view.run, PATH, method="POST", form={"text": text, "media_type": media_type})
    assert isinstance(page, Page)
    assert page.status == 400
    html = run(world, view, text, media_type)
    assert part in text_of(html)
    assert not text or text not in html or len(text) == 1


def test_a_text_that_fits_fits_its_form() -> None:
    assert MAX_FORM_BYTES > 3 * MAX_BODY_BYTES


def test_the_form_is_empty_at_first(world: World, view: TraceDryRunView) -> None:
    html = world.show(view.show, PATH)
    assert "Try a text" in text_of(html)
    assert "What would be kept" not in text_of(html)
