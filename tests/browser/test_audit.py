"""The audit log in a browser: found, read, and proved whole."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.checks import assert_accessible, assert_fits, take_screenshot
from tests.browser.conftest import OpenPage, Theme

PAGE = "/admin/audit"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_lines_are_found_opened_and_gone_back_from(open_page: OpenPage, theme: Theme) -> None:
    page = open_page(PAGE, theme=theme)
    assert_accessible(page)
    take_screenshot(page, f"audit-desktop-{theme}")
    page.keyboard.press("/")
    page.keyboard.type("action:key.issued ")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"q=action%3Akey\.issued"))
    expect(page.locator("#audit tbody tr")).to_have_count(11)
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=re.compile("Line "))).to_be_visible()
    assert_accessible(page)
    take_screenshot(page, f"audit-line-{theme}")
    page.go_back()
    expect(page.locator("#audit tbody tr")).to_have_count(11)


def verify(page: Page) -> None:
    page.get_by_role("button", name="Verify now").click()
    expect(page.locator("#proof")).to_contain_text("Whole")


def test_the_log_is_proved_whole_and_the_head_found_again(open_page: OpenPage) -> None:
    page = open_page(f"{PAGE}?q=action:key.issued")
    verify(page)
    expect(page).to_have_url(re.compile(r"q=action:key\.issued#proof"))
    head = page.locator("#head").inner_text()
    page.get_by_text("Verify against a head").click()
    page.fill("#field-expect", head)
    page.get_by_role("button", name="Verify with this head").click()
    expect(page.locator("#proof")).to_contain_text("the expected head among them")
    assert_accessible(page)
    take_screenshot(page, "audit-proof")


def test_a_mistake_in_the_head_is_told_beside_it(open_page: OpenPage) -> None:
    page = open_page(PAGE, expected_errors=("400",))
    page.get_by_text("Verify against a head").click()
    page.fill("#field-expect", "nonsense")
    page.keyboard.press("Enter")
    expect(page.locator("#field-expect-error")).to_contain_text("no head")
    assert page.input_value("#field-expect") == "nonsense"


@pytest.mark.parametrize("device", ["phone", "small"])
def test_it_fits_a_phone(open_page: OpenPage, device: str) -> None:
    page = open_page(PAGE, device=device)
    assert_fits(page)
    assert_accessible(page)
    take_screenshot(page, f"audit-{device}")
    page.locator("#audit tbody a").first.click()
    expect(page.get_by_role("heading", name=re.compile("Line "))).to_be_visible()
    assert_fits(page)


def test_without_a_script_it_can_be_read_and_verified(open_page: OpenPage) -> None:
    page = open_page(PAGE, java_script_enabled=False)
    assert page.locator("#audit tbody tr").count() > 3
    verify(page)
