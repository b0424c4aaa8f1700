"""Models in a browser: read, an alias changed with its impact seen first, made and removed."""

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.checks import assert_accessible, assert_fits, confirm_with_key, take_screenshot
from tests.browser.conftest import Demo, OpenPage


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_names_stand_beside_the_catalog(open_page: OpenPage, theme: Any) -> None:
    page = open_page("/admin/models?range=7d", theme=theme)
    expect(page.locator("#models-table tbody tr").first).to_contain_text("gpt-5-mini")
    take_screenshot(page, f"models-{theme}")
    assert_accessible(page)
    assert_fits(page)


@pytest.mark.parametrize("device", ["phone", "small"])
def test_it_fits_a_small_screen(open_page: OpenPage, device: str) -> None:
    page = open_page("/admin/models?range=7d", device=device)
    take_screenshot(page, f"models-{device}")
    assert_fits(page)
    page.goto("/admin/models/edit?name=fast")
    take_screenshot(page, f"model-{device}", whole=True)
    assert_fits(page)
    assert_accessible(page)


def test_another_model_is_previewed_before_it_is_saved(open_page: OpenPage) -> None:
    """By keyboard: the row is opened, the model changed, the impact read, and the change discarded."""
    page = open_page("/admin/models?range=7d")
    page.locator("#models-table a.cell-main", has_text="gpt-4.1").last.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="gpt-4.1", level=1)).to_be_visible()
    take_screenshot(page, "model-form")
    assert_accessible(page)
    page.get_by_label("Copilot's model").fill("gpt-5-mini")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What it does to calls")).to_be_visible()
    expect(page.locator("#impact tbody tr").first).to_contain_text("other model")
    take_screenshot(page, "models-review")
    assert_accessible(page)
    page.get_by_role("link", name="Discard").click()
    expect(page.locator("#models-table")).to_be_visible()


def test_an_alias_is_made_and_removed(open_page: OpenPage, demo: Demo) -> None:
    page = open_page("/admin/models", expected_errors=("403",))
    page.get_by_role("link", name="New alias").click()
    page.get_by_label("Name").fill("browser-made")
    page.get_by_label("Copilot's model").fill("gpt-4.1")
    page.get_by_role("button", name="Review changes").click()
    expect(page.locator(".diff")).to_contain_text("browser-made")
    confirm_with_key(page, demo.admin_key, "Save")
    expect(page).to_have_url(f"{demo.url}/admin/models?done=saved")
    row = page.locator("#models-table tbody tr", has_text="browser-made")
    expect(row).to_be_visible(timeout=10_000)
    page.goto("/admin/models/edit?name=browser-made")
    page.get_by_role("button", name="Review the removal").click()
    expect(page.locator(".diff .removed", has_text="browser-made")).to_be_visible()
    confirm_with_key(page, demo.admin_key, "Remove it")
    expect(page).to_have_url(f"{demo.url}/admin/models?done=removed")
