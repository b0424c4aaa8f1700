"""The page of the gateway itself in a browser: read in both themes and on a phone, and a session ended."""

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.checks import assert_accessible, assert_fits, take_screenshot
from tests.browser.conftest import Demo, OpenPage


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_how_the_gateway_stands_is_on_one_page(open_page: OpenPage, theme: Any) -> None:
    page = open_page("/admin/system", theme=theme)
    for title in ("Findings", "Checks", "What it runs on", "Lock-down ladder", "What it keeps", "Signed in"):
        expect(page.get_by_role("heading", name=title)).to_be_visible()
    take_screenshot(page, f"system-{theme}", whole=True)
    assert_accessible(page)
    assert_fits(page)


def test_each_step_of_the_ladder_leads_to_where_it_is_taken(open_page: OpenPage) -> None:
    page = open_page("/admin/system")
    steps = page.locator("#lockdown li:not(.is-taken) a")
    targets = [str(link.get_attribute("href")) for link in steps.all()]
    assert len(targets) >= 3
    for target in targets:
        page.goto(target)
        expect(
            page.locator(f"#{target.partition('#')[2]}" if "#" in target else "main h1, header h1").first
        ).to_be_visible()


@pytest.mark.parametrize("device", ["phone", "small"])
def test_it_fits_a_small_screen(open_page: OpenPage, device: str) -> None:
    page = open_page("/admin/system", device=device)
    take_screenshot(page, f"system-{device}", whole=True)
    assert_fits(page)
    assert_accessible(page)


def test_a_session_is_ended_by_keyboard(open_page: OpenPage, demo: Demo) -> None:
    page = open_page("/admin/system")
    other = page.context.browser.new_context(base_url=demo.url)  # type: ignore[union-attr]
    try:
        assert other.request.post("/admin/login", form={"key": demo.client_key}, max_redirects=0).status == 303
        assert other.request.get("/admin/my-usage", max_redirects=0).status == 200
        page.reload()
        row = page.locator("#session-table tbody tr", has_text="ada").first
        row.get_by_role("button").focus()
        with page.expect_navigation():
            page.keyboard.press("Enter")
        expect(page).to_have_url(f"{demo.url}/admin/system")
        assert other.request.get("/admin/my-usage", max_redirects=0).status == 303
    finally:
        other.close()
