"""Requests in a browser: found by query, walked by keyboard, paged both ways, and one of them in full."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.checks import assert_accessible, assert_fits, take_screenshot
from tests.browser.conftest import Demo, OpenPage, Theme
from tests.browser.slow_call import call_once, slow_call

LIVE_MS = 15_000
BETWEEN = ("404",)
"""For a moment a call that has ended is neither under way nor in the ledger yet."""
ALL = "/admin/requests?range=7d"
ROWS = "#requests tbody tr"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_the_list_is_accessible_and_looks_right(open_page: OpenPage, theme: Theme, device: str) -> None:
    page = open_page(ALL, theme=theme, device=device)
    assert_accessible(page)
    take_screenshot(page, f"requests-{device}-{theme}")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_one_call_is_accessible_and_looks_right(open_page: OpenPage, theme: Theme, device: str) -> None:
    page = open_page("/admin/requests?range=7d&q=cause:upstream_error", theme=theme, device=device)
    page.locator(f"{ROWS} a").first.click()
    expect(page.locator("main")).to_contain_text("caused by GitHub Copilot")
    assert_accessible(page)
    assert_fits(page)
    take_screenshot(page, f"request-{device}-{theme}", whole=True)


@pytest.mark.parametrize("device", ["desktop", "laptop", "phone", "small"])
def test_nothing_scrolls_sideways_but_tables(open_page: OpenPage, device: str) -> None:
    assert_fits(open_page(ALL, device=device))


def test_the_query_suggests_and_narrows_in_place(open_page: OpenPage) -> None:
    page = open_page(ALL)
    page.evaluate("window.isTheSamePage = true")
    page.keyboard.press("/")
    page.keyboard.type("cau")
    expect(page.get_by_role("option").first).to_contain_text("cause:")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.type("upstream_err")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("q=cause"))
    expect(page.locator(ROWS).first).to_contain_text("upstream_error")
    assert page.evaluate("window.isTheSamePage")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Remove cause:upstream_error").click()
    expect(page.locator(ROWS).first).not_to_contain_text("upstream_error")


def test_rows_are_walked_and_opened_by_keyboard(open_page: OpenPage) -> None:
    page = open_page(ALL)
    second = page.locator(ROWS).nth(1).get_attribute("data-key")
    for key in ("j", "j", "j", "k", "Enter"):
        page.keyboard.press(key)
    page.wait_for_url(f"**/admin/requests/{second}")
    page.go_back()
    expect(page).to_have_url(re.compile("range=7d"))


def test_one_pages_forth_and_back(open_page: OpenPage) -> None:
    page = open_page(ALL)
    first = page.locator(ROWS).first.get_attribute("data-key")
    page.get_by_role("link", name="Older").click()
    expect(page.locator(ROWS).first).not_to_have_attribute("data-key", first or "")
    page.get_by_role("link", name="Newer").click()
    expect(page.locator(ROWS).first).to_have_attribute("data-key", first or "")


def test_a_new_call_comes_in_at_the_top(open_page: OpenPage, demo: Demo) -> None:
    page = open_page("/admin/requests?range=15m")
    request_id = call_once(demo)
    expect(page.locator(ROWS).first).to_have_attribute("data-key", request_id, timeout=LIVE_MS)


def test_a_call_under_way_becomes_one_that_has_ended(open_page: OpenPage, demo: Demo) -> None:
    with slow_call(demo) as call:
        page = open_page(f"/admin/requests/{call.request_id}", expected_errors=BETWEEN)
        expect(page.locator("main")).to_contain_text("It is under way")
        assert_accessible(page)
        page.get_by_role("button", name="End the call").first.click()
        expect(page.get_by_role("dialog")).to_contain_text("The audit log names you.")
        page.get_by_role("dialog").get_by_role("button", name="End the call").click()
        assert call.ended.wait(10)
    expect(page.locator("main")).to_contain_text("interrupted", timeout=LIVE_MS)


def test_a_mistake_is_told_beside_the_query(open_page: OpenPage) -> None:
    page = open_page(ALL)
    page.fill("[data-search]", "statsu:500")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    page.click("text=Filter")
    expect(page.locator(".field-error")).to_contain_text("statsu")
    assert_accessible(page)


def test_the_list_works_without_scripts(open_page: OpenPage) -> None:
    page = open_page(ALL, java_script_enabled=False)
    page.get_by_label("Filter requests").fill("status:>=400")
    page.get_by_role("button", name="Filter").click()
    expect(page).to_have_url(re.compile("q=status"))
    page.locator(f"{ROWS} a").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Requests")
