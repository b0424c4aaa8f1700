"""The style page in a browser: every component in both themes, on every width, for everybody."""

import pytest

from tests.browser.checks import assert_accessible, assert_fits, take_screenshot
from tests.browser.conftest import OpenPage, Theme

PAGE = "/admin/_styleguide"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_every_component_is_accessible(open_page: OpenPage, theme: Theme, device: str) -> None:
    page = open_page(PAGE, theme=theme, device=device)
    page.wait_for_selector("#chart-requests [data-drawn]")
    assert_accessible(page)
    take_screenshot(page, f"styleguide-{device}-{theme}", whole=True)


def test_what_is_opened_is_accessible_too(open_page: OpenPage) -> None:
    page = open_page(PAGE)
    for opener in ('[data-dialog="confirm-revoke"]', ".top-tools .menu > summary", ".ranges details > summary"):
        page.click(opener)
        assert_accessible(page)
        page.keyboard.press("Escape")
    page.click("#chart-requests .chart-twin > summary")
    page.focus("[data-search]")
    page.keyboard.press("End")
    page.keyboard.type(" s")
    page.wait_for_selector(".suggestions:not([hidden])")
    assert_accessible(page)


@pytest.mark.parametrize("device", ["desktop", "laptop", "phone", "small"])
def test_nothing_scrolls_sideways_but_tables(open_page: OpenPage, device: str) -> None:
    page = open_page(PAGE, device=device)
    page.wait_for_selector("#chart-requests [data-drawn]")
    assert_fits(page)


def test_without_a_script_it_can_be_read_and_dialogs_open(open_page: OpenPage) -> None:
    page = open_page(f"{PAGE}?toast=good", java_script_enabled=False)
    assert page.locator(".needs-script:visible").count() == 0
    assert page.locator(".without-script .note-good").is_visible()
    assert page.locator("#sample-secret").inner_text().startswith("sk-cap-")
    page.click("#chart-requests .chart-twin > summary")
    assert page.locator("#chart-requests tbody tr").count() == 96
    page.click('[data-dialog="confirm-revoke"]')
    assert page.locator("#confirm-revoke").is_visible()
    page.click("#confirm-revoke [data-close]")
    assert not page.locator("#confirm-revoke").is_visible()


def test_hostile_labels_stay_text(open_page: OpenPage) -> None:
    page = open_page(PAGE)
    assert page.locator('[name="label"]').input_value().startswith("<script>")
    assert page.locator("td b").count() == 0
    assert page.locator("body script").count() == 0


def test_less_motion_and_paper(open_page: OpenPage) -> None:
    page = open_page(PAGE, reduced_motion="reduce")
    moving = page.evaluate(
        "[...document.querySelectorAll('*')].filter((each) => parseFloat(getComputedStyle(each).transitionDuration) > 0).length"
    )
    assert moving == 0
    page.emulate_media(media="print")
    assert not page.locator(".rail").is_visible()
    assert not page.locator(".filter-line").first.is_visible()
    assert page.locator("#requests").is_visible()
