"""The identity in a browser, in both themes and on a phone."""

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.checks import assert_accessible, assert_fits, take_screenshot
from tests.browser.conftest import OpenPage


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_how_it_stands_is_on_one_page(open_page: OpenPage, theme: Any) -> None:
    page = open_page("/admin/identities", theme=theme)
    expect(page.locator(".tile", has_text="State")).to_contain_text("works")
    expect(page.locator("#chart-allowance canvas").first).to_be_visible()
    take_screenshot(page, f"identities-{theme}", whole=True)
    assert_accessible(page)
    assert_fits(page)


@pytest.mark.parametrize("device", ["phone", "small"])
def test_it_fits_a_small_screen(open_page: OpenPage, device: str) -> None:
    page = open_page("/admin/identities", device=device)
    take_screenshot(page, f"identities-{device}", whole=True)
    assert_fits(page)
    assert_accessible(page)


def test_it_is_reached_by_keyboard(open_page: OpenPage) -> None:
    page = open_page("/admin/system")
    expect(page.locator("html.js")).to_be_attached()
    page.keyboard.press("g")
    page.keyboard.press("i")
    expect(page.get_by_role("heading", name="Identities", level=1)).to_be_visible()
