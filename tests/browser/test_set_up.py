"""Setting a client up, in a browser."""

import pytest
from playwright.sync_api import expect

from copilot_api.admin.client_setups import SETUPS
from tests.browser.checks import assert_accessible, assert_fits, take_screenshot
from tests.browser.conftest import OpenPage, Theme

PAGE = "/admin/set-up"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_it_is_accessible_and_looks_right(open_page: OpenPage, theme: Theme, device: str) -> None:
    page = open_page(PAGE, who="client", theme=theme, device=device)
    assert_accessible(page)
    take_screenshot(page, f"set-up-{device}-{theme}", whole=True)


def test_every_client_has_a_page_that_fits_a_narrow_screen(open_page: OpenPage) -> None:
    page = open_page(PAGE, who="client", device="small")
    for setup in SETUPS:
        page.goto(f"{PAGE}?client={setup.name}")
        assert_fits(page)
        expect(page.locator("#block-1")).to_be_visible()


def test_what_is_copied_is_what_is_shown(open_page: OpenPage) -> None:
    page = open_page(f"{PAGE}?client=codex", who="client", permissions=["clipboard-read", "clipboard-write"])
    page.locator('[data-copy="#block-1"]').click()
    expect(page.locator(".toast")).to_contain_text("Copied")
    assert 'wire_api = "responses"' in page.evaluate("navigator.clipboard.readText()")


def test_the_model_is_chosen_and_stays_for_the_next_client(open_page: OpenPage) -> None:
    page = open_page(PAGE, who="client")
    page.get_by_label("Model", exact=True).select_option("gpt-4.1")
    page.get_by_role("button", name="Show it for this one").click()
    expect(page.locator("#block-1")).to_contain_text("ANTHROPIC_MODEL=gpt-4.1")
    page.get_by_role("link", name="Codex").click()
    expect(page.locator("#block-1")).to_contain_text('model = "gpt-4.1"')


def test_every_protocol_is_tried_and_works(open_page: OpenPage) -> None:
    page = open_page(f"{PAGE}?model=gpt-4.1", who="client")
    page.get_by_role("button", name="Try all of them").click()
    expect(page.locator("#probes tbody .badge-good")).to_have_count(4, timeout=30_000)
    assert_accessible(page)
    page.goto("/admin/my-usage?range=15m")
    expect(page.locator("#my-calls")).to_contain_text("probe")
