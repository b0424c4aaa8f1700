"""The checks find what they are for."""

import pytest

from tests.browser.checks import assert_accessible, assert_fits
from tests.browser.conftest import OpenPage

PAGE = "/admin/_styleguide"


def test_a_pale_text_and_a_field_without_a_name_are_found(open_page: OpenPage) -> None:
    page = open_page(PAGE)
    page.evaluate("document.querySelector('.page-lead').style.color = '#ddd'")
    page.evaluate("document.querySelector('main').append(document.createElement('input'))")
    with pytest.raises(AssertionError, match=r"(?s)color-contrast.*label|label.*color-contrast"):
        assert_accessible(page)


def test_what_is_too_wide_is_found(open_page: OpenPage) -> None:
    page = open_page(PAGE, device="small")
    page.evaluate("document.querySelector('.page-lead').style.width = '500px'")
    with pytest.raises(AssertionError):
        assert_fits(page)


def test_a_breach_of_the_policy_is_heard(open_page: OpenPage) -> None:
    heard: list[str] = []
    page = open_page(PAGE, expected_errors=("content security policy", "Content Security Policy", "inline"))
    page.on("console", lambda message: heard.append(message.text))
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<b style=\"color: red\" onclick=\"x()\">x</b>')")
    page.wait_for_timeout(100)
    assert any("style-src-attr" in text for text in heard)
    assert any("script-src-attr" in text for text in heard)
