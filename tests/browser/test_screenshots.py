"""
Every page, filled with what the demo has, as the pictures in the documentation show it.

`COPILOT_API_SCREENSHOTS=docs/images` writes the pictures anew. Without it only part of them is looked at, each for
what must be true of a picture: nothing is empty, nothing sticks out, nothing is complained of.
"""

import os
import platform
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from playwright.sync_api import Page

from copilot_api.demo.first_calls import make_first_calls
from tests.browser.checks import SCREENSHOTS, assert_fits, take_screenshot
from tests.browser.conftest import Demo, OpenPage, Theme
from tests.browser.slow_call import slow_call
from tests.harness import http_json, wait_until

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
GUIDE = ROOT / "docs" / "guides" / "admin-pages.md"
CALLS_CAPTURED = 5
IS_WRITING = bool(os.environ.get(SCREENSHOTS))


@dataclass(frozen=True)
class Shot:
    """A page, and what has to be seen on it."""

    name: str
    path: str
    shows: str
    who: str | None = "admin"
    needs_key: bool = False
    """Whether the key has to be shown again."""
    may_be_empty: bool = False
    """It shows what happens from now on, or how an empty page looks."""


SHOTS = (
    Shot("login", "/admin/login", "[name=key]", who=None),
    Shot("overview", "/admin", "#chart-requests [data-drawn]"),
    Shot("usage", "/admin/usage?range=7d&by=model", ".u-over"),
    Shot("usage-by-key", "/admin/usage?range=7d&by=key&metric=credits", ".u-over"),
    Shot("requests", "/admin/requests?range=7d&q=status%3A%3E%3D400", "tbody tr"),
    Shot("request", "/admin/requests/{request}", "dl"),
    Shot("models", "/admin/models?range=7d", "tbody tr"),
    Shot("model-edit", "/admin/models/edit?name=smart", "main form"),
    Shot("keys", "/admin/keys", "tbody tr"),
    Shot("key", "/admin/keys/{key}?range=7d", ".u-over"),
    Shot("key-new", "/admin/keys/new", "main form"),
    Shot("identities", "/admin/identities", "main section"),
    Shot("traces", "/admin/traces", "tbody tr"),
    Shot("trace", "/admin/traces/{trace}", "main", needs_key=True),
    Shot("trace-tail", "/admin/traces/tail", "main", may_be_empty=True),
    Shot("dry-run", "/admin/traces/dry-run", "textarea"),
    Shot("audit", "/admin/audit?range=30d", "tbody tr"),
    Shot("settings", "/admin/settings", "main form"),
    Shot("settings-history", "/admin/settings/history", "tbody tr"),
    Shot("system", "/admin/system", "main section"),
    Shot("my-usage", "/admin/my-usage", ".u-over", who="client"),
    Shot("set-up", "/admin/set-up", "pre", who="client"),
    Shot("styleguide", "/admin/_styleguide", "#chart-requests [data-drawn]", may_be_empty=True),
)
IN_THE_DARK = ("overview", "usage", "keys", "identities", "trace", "my-usage")
ON_A_PHONE = ("overview", "keys", "requests", "my-usage", "trace")
PICTURES = [
    *((shot, "light", "desktop", f"{shot.name}-light") for shot in SHOTS),
    *((shot, "dark", "desktop", f"{shot.name}-dark") for shot in SHOTS if shot.name in IN_THE_DARK),
    *((shot, "light", "phone", f"{shot.name}-phone") for shot in SHOTS if shot.name in ON_A_PHONE),
]
LOOKED_AT = (
    "overview-dark",
    "overview-phone",
    "usage-by-key-light",
    "models-light",
    "trace-light",
    "settings-history-light",
)
"""Those that are looked at where nothing is written; the tests of each page look at the others."""


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    """One of its own: what is captured here would stand in the way of other tests."""
    with Demo() as running:
        yield running


@pytest.fixture(scope="module")
def places(demo: Demo) -> dict[str, str]:
    """What is of this demo only."""

    def ask(path: str) -> dict[str, list[dict[str, Any]]]:
        status, answer = http_json("GET", demo.url + path, key=demo.admin_key)
        assert status == 200, answer
        found: dict[str, list[dict[str, Any]]] = answer
        return found

    def list_traces() -> list[dict[str, Any]]:
        return ask("/admin/api/traces")["traces"]

    status, made = http_json("POST", f"{demo.url}/admin/api/keys", {"label": "margaret-2"}, key=demo.admin_key)
    assert status in {200, 201}, made
    order = {"reason": "tool calls of Claude Code end early", "minutes": 60}
    status, answer = http_json("POST", f"{demo.url}/admin/api/keys/{made['id']}/debug", order, key=demo.admin_key)
    assert status == 200, answer
    make_first_calls(demo.url, admin=demo.admin_key, captured=made["key"])
    # Of the last of the first calls: looking at the traces again and again would fill the audit log.
    wait_until(lambda: ask("/admin/api/events?limit=1&q=model:gpt-4.1-turbo")["events"], 20, "the first calls")
    sleep(1)
    wait_until(lambda: len(list_traces()) >= CALLS_CAPTURED, 20, "their captures")
    (grace,) = (key for key in ask("/admin/api/keys?q=grace")["keys"] if key["label"] == "grace")
    request = ask("/admin/api/events?limit=1&q=client:codex+status:200")["events"][0]
    secret = max(list_traces(), key=lambda trace: int(trace["redactions"]))
    return {"key": str(grace["id"]), "request": str(request["request_id"]), "trace": str(secret["request_id"])}


@contextmanager
def calls_under_way(demo: Demo) -> Iterator[None]:
    """A page that shows what is going on needs something to go on."""
    with ExitStack() as stack:
        for model in ("gpt-4.1", "gpt-5-mini", "gpt-4.1"):
            stack.enter_context(slow_call(demo, model))
        yield


def open_shot(
    open_page: OpenPage, demo: Demo, places: dict[str, str], shot: Shot, theme: Theme, device: str = "desktop"
) -> Page:
    page = open_page(
        re.sub(r"\{(\w+)\}", lambda found: places[found[1]], shot.path),
        who=shot.who,
        theme=theme,
        device=device,
        expected_errors=("403",) if shot.needs_key else (),
    )
    field = page.locator("[name=step_up_key]")
    if shot.needs_key and field.count():
        field.fill(demo.admin_key)
        with page.expect_navigation():
            field.press("Enter")
    page.locator(shot.shows).first.wait_for()
    empty = page.locator("main .empty:visible")
    assert shot.may_be_empty or empty.count() == 0, empty.first.inner_text()
    return page


@pytest.mark.parametrize(("shot", "theme", "device", "name"), PICTURES, ids=[picture[-1] for picture in PICTURES])
def test_a_page_is_filled(
    open_page: OpenPage, demo: Demo, places: dict[str, str], shot: Shot, theme: Theme, device: str, name: str
) -> None:
    if not IS_WRITING and name not in LOOKED_AT:
        pytest.skip("looked at when the pictures are made: COPILOT_API_SCREENSHOTS=docs/images")
    with calls_under_way(demo) if shot.name == "overview" else nullcontext():
        page = open_shot(open_page, demo, places, shot, theme, device)
        for told in page.get_by_text(platform.release()).all():  # whose kernel it was is nobody's business
            told.evaluate(
                "(element, release) => element.textContent = element.textContent.replace(release, '6.12')",
                platform.release(),
            )
        assert_fits(page)
        take_screenshot(page, name)


def test_each_page_has_its_pictures_and_the_guide_shows_them() -> None:
    expected = {f"{picture[-1]}.png" for picture in PICTURES}
    assert {path.name for path in IMAGES.glob("*.png")} == expected
    guide = GUIDE.read_text()
    assert [name for name in sorted(expected) if f"../images/{name}" not in guide] == []
