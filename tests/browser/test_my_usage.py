"""The page of a key's holder in a browser."""

import pytest
from playwright.sync_api import expect

from tests.browser.checks import assert_accessible, assert_fits, take_screenshot
from tests.browser.conftest import Demo, OpenPage, Theme
from tests.browser.slow_call import call_once

LIVE_MS = 15_000


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_it_is_accessible_and_looks_right(open_page: OpenPage, theme: Theme, device: str) -> None:
    page = open_page("/admin/my-usage", who="client", theme=theme, device=device)
    page.wait_for_selector("#chart-mine [data-drawn]")
    assert_accessible(page)
    take_screenshot(page, f"my-usage-{device}-{theme}", whole=True)


@pytest.mark.parametrize("device", ["laptop", "phone", "small"])
def test_nothing_scrolls_sideways_but_tables(open_page: OpenPage, device: str) -> None:
    assert_fits(open_page("/admin/my-usage", who="client", device=device))


def test_a_holder_arrives_here_and_sees_their_own_key_only(open_page: OpenPage) -> None:
    page = open_page("/admin", who="client")
    expect(page.locator("h1")).to_have_text("My usage")
    expect(page.locator("nav.rail li")).to_have_count(2)
    main = page.locator("main").inner_text()
    assert "credits left" in main
    assert "grace" not in main


def test_an_admin_gets_here_by_the_account_menu(open_page: OpenPage) -> None:
    page = open_page("/admin")
    page.locator(".top-tools details.menu > summary").click()
    page.get_by_role("link", name="Usage of this key").click()
    expect(page.locator("h1")).to_have_text("My usage")


def test_a_call_is_shown_without_a_reload(open_page: OpenPage, demo: Demo) -> None:
    page = open_page("/admin/my-usage?range=15m", who="client")
    tile = page.locator(".tile").first.locator(".tile-value")
    before = tile.inner_text()
    call_once(demo)
    expect(tile).not_to_have_text(before, timeout=LIVE_MS)
