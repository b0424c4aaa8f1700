"""The identity in a browser, in both themes and on a phone."""

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.checks import assert_accessible, assert_fits, confirm_with_key, take_screenshot
from tests.browser.conftest import Demo, OpenPage


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


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_signing_in_shows_a_code_and_then_who_it_is(open_page: OpenPage, demo: Demo, theme: Any) -> None:
    page = open_page("/admin/identities", theme=theme, expected_errors=("403",))
    page.get_by_role("button", name="Sign in to GitHub").click()
    assert_accessible(page)
    confirm_with_key(page, demo.admin_key, "Get a code")
    expect(page.locator("#user-code")).to_have_text(re.compile(r"^\w{4}-\w{4}$"))
    link = page.get_by_role("link", name="Open github.com/login/device")
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    assert_accessible(page)
    take_screenshot(page, f"identities-code-{theme}")
    expect(page.get_by_role("heading", name="Signed in as octocat")).to_be_visible(timeout=15_000)
    assert_fits(page)


def test_a_login_is_cancelled(open_page: OpenPage, demo: Demo) -> None:
    page = open_page("/admin/identities", device="phone", expected_errors=("403",))
    page.get_by_role("button", name="Sign in to GitHub").click()
    confirm_with_key(page, demo.admin_key, "Get a code")
    assert_fits(page)
    with page.expect_navigation():
        page.locator("#sign-in").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Sign in to GitHub")).to_be_visible()
