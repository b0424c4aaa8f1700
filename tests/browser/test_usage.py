"""The usage explorer in a browser: choosing by mouse and by keyboard, zooming, comparing, and taking it along."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.checks import assert_accessible, assert_fits, take_screenshot
from tests.browser.conftest import OpenPage, Theme

FULL = "/admin/usage?range=7d&by=model&metric=credits&compare=on"


def drawn(page: Page) -> Page:
    page.wait_for_selector("#chart-usage [data-drawn]")
    return page


def query(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_it_is_accessible_and_looks_right(open_page: OpenPage, theme: Theme, device: str) -> None:
    page = drawn(open_page(FULL, theme=theme, device=device))
    assert_accessible(page)
    take_screenshot(page, f"usage-{device}-{theme}", whole=True)


@pytest.mark.parametrize("device", ["desktop", "laptop", "phone", "small"])
def test_nothing_scrolls_sideways_but_tables(open_page: OpenPage, device: str) -> None:
    assert_fits(drawn(open_page(FULL, device=device)))


def test_each_choice_is_the_answer_and_in_the_url(open_page: OpenPage) -> None:
    page = drawn(open_page("/admin/usage?range=7d"))
    page.evaluate("window.isTheSamePage = true")
    page.get_by_label("By", exact=True).select_option("key")
    page.wait_for_url(re.compile("by=key"))
    expect(page.locator("#groups")).to_contain_text("grace")
    page.get_by_label("And by").select_option("model")
    page.wait_for_url(re.compile("then=model"))
    page.get_by_label("Compare").check()
    page.wait_for_selector("#chart-compared [data-drawn]")
    assert page.evaluate("window.isTheSamePage")
    assert query(page) == {"range": ["7d"], "metric": ["requests"], "by": ["key"], "then": ["model"], "bucket": ["auto"], "compare": ["on"]}  # fmt: skip
    page.go_back()
    expect(page.locator("#chart-compared")).to_have_count(0)
    expect(page.get_by_label("Compare")).not_to_be_checked()


def test_by_keyboard_alone(open_page: OpenPage) -> None:
    page = drawn(open_page("/admin/usage?range=7d&by=model"))
    page.keyboard.press("/")
    page.keyboard.type("client:codex ")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("q=client"))
    expect(page.get_by_role("list", name="Filters in force")).to_contain_text("client:codex")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.tagName") == "BODY"
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/admin/requests\?.*client%3Acodex"))


def test_zooming_keeps_the_choice_and_the_range_says_so(open_page: OpenPage) -> None:
    page = drawn(open_page(FULL))
    box = page.locator("#chart-usage .u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 50, steps=6)
    page.mouse.up()
    page.wait_for_url(re.compile("since="))
    assert query(page)["by"] == ["model"]
    expect(page.locator(".range-list details[data-current]")).to_have_count(1)
    expect(page.locator('.range-list a[aria-current="true"]')).to_have_count(0)
    assert "by=model" in (page.locator(".range-list a").first.get_attribute("href") or "")


def test_a_mistake_is_told_beside_the_query(open_page: OpenPage) -> None:
    page = drawn(open_page("/admin/usage?range=7d"))
    page.fill("[data-search]", "ttft:>5s")
    page.keyboard.press("Enter")
    expect(page.locator(".field-error")).to_contain_text("ttft")
    assert page.locator("[data-search]").input_value() == "ttft:>5s"
    assert_accessible(page)


def test_what_is_seen_can_be_had_as_csv(open_page: OpenPage) -> None:
    page = drawn(open_page(FULL))
    page.get_by_text("Download", exact=True).click()
    with page.expect_download() as started:
        page.get_by_role("link", name="CSV, by group").click()
    assert "claude-opus-4.8" in started.value.path().read_text()


def test_it_works_without_scripts(open_page: OpenPage) -> None:
    page = open_page("/admin/usage?range=7d", java_script_enabled=False)
    page.get_by_label("By", exact=True).select_option("client")
    page.get_by_role("button", name="Show", exact=True).first.click()
    expect(page.locator("#groups")).to_contain_text("codex")
