"""The overview in a browser: how things are, live, and a call ended from it."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.checks import assert_accessible, assert_fits, take_screenshot
from tests.browser.conftest import Demo, OpenPage, Theme
from tests.browser.slow_call import call_once, slow_call

LIVE_MS = 15_000


def drawn(page: Page) -> Page:
    page.wait_for_selector("#chart-requests [data-drawn]")
    page.wait_for_selector("#chart-credits [data-drawn]")
    return page


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_it_is_accessible_and_looks_right(open_page: OpenPage, theme: Theme, device: str) -> None:
    page = drawn(open_page("/admin?range=7d", theme=theme, device=device))
    assert_accessible(page)
    take_screenshot(page, f"overview-{device}-{theme}", whole=True)


@pytest.mark.parametrize("device", ["desktop", "laptop", "phone", "small"])
def test_nothing_scrolls_sideways_but_tables(open_page: OpenPage, device: str) -> None:
    assert_fits(drawn(open_page("/admin", device=device)))


def test_a_call_appears_while_it_is_under_way_and_can_be_ended(open_page: OpenPage, demo: Demo) -> None:
    page = open_page("/admin?range=1h")
    with slow_call(demo) as call:
        row = page.locator(f'tr[data-key="{call.request_id}"]')
        expect(row).to_contain_text("streaming", timeout=LIVE_MS)
        expect(row).to_contain_text("ada")
        assert_accessible(page)
        row.get_by_role("button").click()
        assert call.ended.wait(10)
        expect(page).to_have_url(re.compile(r"/admin\?range=1h"))
        expect(row).to_have_count(0, timeout=LIVE_MS)
    page.goto(f"/admin/requests/{call.request_id}")
    expect(page.locator("main")).to_contain_text("interrupted")


def test_what_a_call_took_is_shown_without_a_reload(open_page: OpenPage, demo: Demo) -> None:
    page = open_page("/admin?range=15m")
    page.evaluate("window.isTheSamePage = true")
    requests = page.locator(".tile", has_text="Requests").locator(".tile-value")
    before = int(requests.inner_text())
    call_once(demo)
    expect(requests).not_to_have_text(str(before), timeout=LIVE_MS)
    assert page.evaluate("window.isTheSamePage")


def test_dragging_over_a_chart_narrows_the_range_in_the_url(open_page: OpenPage) -> None:
    page = drawn(open_page("/admin?range=7d"))
    box = page.locator("#chart-requests .u-over").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.4, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, middle, steps=6)
    page.mouse.up()
    page.wait_for_url(re.compile(r"since=2.*until=2"))
    expect(page.locator(".range-list details[data-current]")).to_have_count(1)
    drawn(page)
    page.go_back()
    expect(page.locator('.range-list a[aria-current="true"]')).to_have_text("7 d")


def test_tiles_and_tables_lead_on(open_page: OpenPage) -> None:
    page = drawn(open_page("/admin?range=7d"))
    page.get_by_role("link", name=re.compile("^Error rate")).click()
    expect(page).to_have_url(re.compile(r"/admin/requests\?range=7d&q=-cause"))
    page.go_back()
    page.locator("#top-keys tbody tr").first.click()
    expect(page).to_have_url(re.compile(r"/admin/requests\?range=7d&q=key"))


def test_it_reads_without_scripts(open_page: OpenPage) -> None:
    page = open_page("/admin?range=7d", java_script_enabled=False)
    page.locator("#chart-requests summary").click()
    expect(page.locator("#chart-requests table tbody tr").first).to_be_visible()
    expect(page.locator("#top-keys")).to_contain_text("grace")
