"""Data URLs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_api.protocols.data_urls import DataUrl, parse_data_url, render_data_url


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("data:image/png;base64,AA==", DataUrl("image/png", "AA==")),
        ("DATA:Image/PNG;BASE64, AA== ", DataUrl("image/png", "AA==")),
        ("data:text/plain;charset=utf-8;base64,aGk=", DataUrl("text/plain", "aGk=")),
        ("data:,h%69", DataUrl("", "aGk=")),
        ("data:image/png;base64", None),
        ("https://example.com/a.png", None),
        ("", None),
    ],
)
def test_what_a_url_holds(url: str, found: DataUrl | None) -> None:
    assert parse_data_url(url) == found


def test_one_that_is_written_is_read() -> None:
    assert parse_data_url(render_data_url("image/gif", "R0lG")) == DataUrl("image/gif", "R0lG")


@given(st.text())
def test_no_text_whatsoever_breaks_it(text: str) -> None:
    parse_data_url(text)
    parse_data_url("data:" + text)
