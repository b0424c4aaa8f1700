"""The keys in a browser: made, found, edited, rotated, captured, revoked; by mouse, by keyboard and without a script."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.checks import assert_accessible, assert_fits, confirm_with_key, take_screenshot
from tests.browser.conftest import Demo, OpenPage, Theme

SECRET = re.compile(r"sk-cap-[a-z2-7]{52}")


def make(page: Page, label: str) -> str:
    """Makes a client key and leaves the page that shows it. Gives its secret."""
    page.goto("/admin/keys/new")
    page.get_by_label("Label").fill(label)
    page.get_by_role("button", name="Make the key").click()
    secret = page.locator("#new-key").text_content() or ""
    page.get_by_role("link", name="I have stored it").click()
    expect(page.locator("h1")).to_contain_text(label)
    return secret


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_every_page_is_accessible_and_looks_right(open_page: OpenPage, theme: Theme, device: str) -> None:
    page = open_page("/admin/keys", theme=theme, device=device)
    assert_accessible(page)
    take_screenshot(page, f"keys-{device}-{theme}", whole=True)
    page.goto(page.locator('a.cell-main:has-text("ada")').get_attribute("href") or "")
    page.wait_for_selector("#chart-use [data-drawn]")
    assert_accessible(page)
    take_screenshot(page, f"key-{device}-{theme}", whole=True)
    page.goto("/admin/keys/new")
    page.get_by_label("Only these").check()
    assert_accessible(page)
    take_screenshot(page, f"key-new-{device}-{theme}", whole=True)


@pytest.mark.parametrize("device", ["desktop", "laptop", "phone", "small"])
def test_nothing_scrolls_sideways_but_tables(open_page: OpenPage, device: str) -> None:
    page = open_page("/admin/keys", device=device)
    href = page.locator('a.cell-main:has-text("ada")').get_attribute("href") or ""
    for path in ("/admin/keys", href, f"{href}/edit", f"/admin/keys/revoke?key={href.rpartition('/')[2]}"):
        page.goto(path)
        assert_fits(page)


def test_a_key_is_made_shown_once_masked_and_not_again_on_reload(open_page: OpenPage) -> None:
    page = open_page("/admin/keys/new")
    page.get_by_label("Label").fill("once")
    page.get_by_role("button", name="Make the key").click()
    value = page.locator("#new-key")
    expect(value).to_have_attribute("data-masked", "")
    page.locator('[data-reveal="#new-key"]').click()
    expect(value).not_to_have_attribute("data-masked", "")
    assert SECRET.fullmatch(value.inner_text())
    assert_accessible(page)
    page.on("dialog", lambda dialog: dialog.accept())  # the browser asks before it leaves the only page with the key
    page.reload()
    expect(page.locator("h1")).to_contain_text("once")
    assert not SECRET.search(page.content())
    page.goto("/admin/keys?q=once")
    expect(page.locator("table#keys tbody tr")).to_have_count(1)


def test_a_second_click_makes_no_second_key(open_page: OpenPage) -> None:
    page = open_page("/admin/keys/new", java_script_enabled=False)
    page.get_by_label("Label").fill("twice")
    page.get_by_role("button", name="Make the key").click()
    assert SECRET.fullmatch(page.locator("#new-key").inner_text())
    page.reload()  # the form is sent again
    expect(page.locator("h1")).to_contain_text("twice")
    expect(page.locator(".note-good")).to_contain_text("That form was sent already")
    assert not SECRET.search(page.content())


def test_mistakes_stand_beside_their_fields_and_what_was_typed_stays(open_page: OpenPage) -> None:
    page = open_page("/admin/keys/new", expected_errors=("400",))
    page.get_by_label("Label").fill("wrong")
    page.get_by_label("Requests a minute").first.fill("lots")
    page.get_by_label("May be used from").fill("10.0.0.0/99")
    page.get_by_role("button", name="Make the key").click()
    for name in ("rpm", "cidrs"):
        expect(page.locator(f'[name="{name}"]')).to_have_attribute("aria-invalid", "true")
    assert page.locator('[name="rpm"]').input_value() == "lots"
    assert page.locator('[name="label"]').input_value() == "wrong"
    assert_accessible(page)


def test_by_keyboard_alone_a_key_is_found_opened_and_edited(open_page: OpenPage) -> None:
    page = open_page("/admin/keys")
    make(page, "typed")
    page.goto("/admin/keys")
    page.keyboard.press("/")
    page.keyboard.type("typed")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("q=typed"))
    expect(page.locator("table#keys tbody tr")).to_have_count(1)
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("typed")
    page.keyboard.press("e")
    expect(page.locator("h1")).to_contain_text("Edit typed")
    page.get_by_label("Requests a minute").first.focus()
    page.keyboard.type("7")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("0 of 7 requests")
    expect(page.locator("main")).to_contain_text("rpm: None → 7")


def test_a_rotation_shows_a_new_secret_and_keeps_the_old_for_its_overlap(open_page: OpenPage) -> None:
    page = open_page("/admin/keys")
    old = make(page, "turned")
    page.locator('[data-dialog="rotate"]').click()
    assert_accessible(page)
    page.get_by_role("button", name="Make a new secret").click()
    new = page.locator("#new-key").text_content()
    assert new != old
    expect(page.locator("main")).to_contain_text("works for 1 h more")
    page.get_by_role("link", name="I have stored it").click()
    expect(page.locator("main")).to_contain_text("The secret that it had before still works")


def test_a_capture_is_begun_with_a_reason_and_ended(open_page: OpenPage) -> None:
    page = open_page("/admin/keys")
    make(page, "watched")
    page.get_by_label("Reason").fill("a tool fails")
    page.get_by_role("button", name="Capture its calls").click()
    expect(page.locator("#capture")).to_contain_text("a tool fails")
    expect(page.locator(".toast")).to_contain_text("captured from now on")
    assert_accessible(page)
    page.get_by_role("button", name="End it").click()
    expect(page.locator("#capture")).to_contain_text("Off.")


def test_many_are_revoked_after_it_was_shown_what_that_does(open_page: OpenPage) -> None:
    page = open_page("/admin/keys")
    for number in range(3):
        make(page, f"bulk{number}")
    page.goto("/admin/keys?q=bulk")
    page.get_by_label("All on this page").check()
    page.get_by_role("button", name="Revoke the chosen").click()
    expect(page.locator("main")).to_contain_text("3 keys are refused from their next call on")
    assert_accessible(page)
    page.get_by_role("button", name="Revoke 3 keys").click()
    expect(page.locator(".toast")).to_contain_text("Revoked")
    page.goto("/admin/keys?q=bulk&show=ended")
    expect(page.locator("table#keys tbody tr")).to_have_count(3)


def test_one_is_revoked_in_a_dialog_without_a_script_too(open_page: OpenPage) -> None:
    page = open_page("/admin/keys/new", java_script_enabled=False)
    page.get_by_label("Label").fill("plain")
    page.get_by_role("button", name="Make the key").click()
    page.get_by_role("link", name="I have stored it").click()
    page.get_by_role("button", name="Revoke…").click()
    page.locator("#revoke").get_by_role("button", name="Revoke").click()
    expect(page.locator("main")).to_contain_text("revoked")
    assert page.locator("#revoke").count() == 0


def test_an_admin_key_is_made_after_the_key_was_shown_again(open_page: OpenPage, demo: Demo) -> None:
    page = open_page("/admin/keys/new", expected_errors=("403",))
    page.get_by_label("Label").fill("second admin")
    page.get_by_label("Tier").select_option("admin")
    confirm_with_key(page, demo.admin_key, "Make the key")
    expect(page.locator("#new-key")).to_be_visible()
    page.get_by_role("link", name="I have stored it").click()
    expect(page.locator("main")).to_contain_text("admin key")


def test_all_about_a_holder_is_erased_with_a_receipt(open_page: OpenPage, demo: Demo) -> None:
    page = open_page("/admin/keys", expected_errors=("403",))
    make(page, "forgotten")
    page.locator('[data-dialog="erase"]').click()
    assert_accessible(page)
    page.get_by_label("I know that this cannot be undone").check()
    confirm_with_key(page, demo.admin_key, "Erase", exact=True)
    expect(page.locator("h1")).to_contain_text("Erased: forgotten", timeout=30_000)
    assert_accessible(page)
    page.goto("/admin/keys?q=forgotten&show=all")
    expect(page.locator("main")).to_contain_text("No key fits")
