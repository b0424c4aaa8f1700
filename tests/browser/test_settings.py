"""The settings in a browser: changed by mouse and by keyboard, seen before they are saved, and put back."""

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.checks import assert_accessible, assert_fits, confirm_with_key, take_screenshot
from tests.browser.conftest import Demo, OpenPage

QUEUE = "limits.max_queue_length"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_form_stands_on_its_own(open_page: OpenPage, theme: Any) -> None:
    page = open_page("/admin/settings", theme=theme)
    expect(page.get_by_role("heading", name="Settings", level=1)).to_be_visible()
    expect(page.locator(".setting")).not_to_have_count(0)
    take_screenshot(page, f"settings-{theme}")
    assert_accessible(page)
    assert_fits(page)


@pytest.mark.parametrize("device", ["phone", "small", "laptop"])
def test_it_fits_a_small_screen(open_page: OpenPage, device: str) -> None:
    page = open_page("/admin/settings", device=device)
    take_screenshot(page, f"settings-{device}")
    assert_fits(page)
    assert_accessible(page)
    page.goto("/admin/settings/history")
    assert_fits(page)


def test_a_change_is_seen_then_saved_then_put_back(open_page: OpenPage, demo: Demo) -> None:
    page = open_page("/admin/settings", expected_errors=("403",))
    field = page.locator(f'[name="{QUEUE}"]')
    field.fill("77")
    page.get_by_role("button", name="Review changes").click()
    expect(page.locator(".diff .added").last).to_contain_text('"max_queue_length": 77')
    take_screenshot(page, "settings-review")
    assert_accessible(page)
    confirm_with_key(page, demo.admin_key, "Save 1 change")
    expect(page.get_by_text("Saved. It is in force.").first).to_be_attached()
    expect(page.locator(f'[name="{QUEUE}"]')).to_have_value("77")

    page.get_by_role("link", name="History").click()
    page.locator("#versions tbody tr").first.click()
    expect(page.locator(".diff .removed").last).to_contain_text('"max_queue_length": 77')
    take_screenshot(page, "settings-version")
    assert_accessible(page)
    confirm_with_key(page, demo.admin_key, "Put this version back")
    expect(page.locator(f'[name="{QUEUE}"]')).to_have_value("")


def test_the_keyboard_alone_finds_a_mistake(open_page: OpenPage) -> None:
    page = open_page("/admin/settings", expected_errors=("400",))
    field = page.locator(f'[name="{QUEUE}"]')
    field.focus()
    page.keyboard.type("plenty")
    page.keyboard.press("Enter")
    expect(page.locator(f'[name="{QUEUE}"]')).to_have_attribute("aria-invalid", "true")
    expect(page.locator(f'[name="{QUEUE}"]')).to_have_value("plenty")
    expect(page.get_by_text("This cannot be saved")).to_be_visible()
    assert_accessible(page)


def test_it_works_without_a_script(open_page: OpenPage) -> None:
    page = open_page("/admin/settings", java_script_enabled=False)
    page.locator(f'[name="{QUEUE}"]').fill("78")
    page.get_by_role("button", name="Review changes").click()
    expect(page.get_by_text("What changes in the file")).to_be_visible()
    page.get_by_role("link", name="Discard").click()
    expect(page.locator(f'[name="{QUEUE}"]')).to_have_value("")
