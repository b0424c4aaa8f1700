"""What views answer cannot be made to mean something else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_api.admin.answers import Redirect, disposition


@pytest.mark.parametrize("location", ["", "/", "//evil.example", "https://evil.example", "/administrator", "/admin\\x"])
def test_a_view_sends_nobody_elsewhere(location: str) -> None:
    with pytest.raises(ValueError, match="no path"):
        Redirect(location)


@pytest.mark.parametrize("text", ["\r\nset-cookie: a=b", "\n", "\0", " ", "é"])
def test_a_label_in_a_location_breaks_no_header(text: str) -> None:
    with pytest.raises(ValueError, match="no path"):
        Redirect(f"/admin/keys?label={text}")


@pytest.mark.parametrize("location", ["/admin", "/admin/", "/admin?x=y", "/admin/keys/a%0Ab?x=//y"])
def test_a_page_of_ours_is_fine(location: str) -> None:
    assert Redirect(location).location == location


@given(st.text())
def test_a_file_name_says_one_thing(name: str) -> None:
    value = disposition(name)
    assert value.startswith(b'attachment; filename="')
    assert value.count(b'"') == 2
    assert not set(value) & set(b"\r\n\0\\/")
    assert len(value) < 130


def test_a_harmless_file_name_stays() -> None:
    assert disposition("usage-2026-07.csv") == b'attachment; filename="usage-2026-07.csv"'
    assert disposition("../../etc/passwd") == b'attachment; filename="etc-passwd"'
    assert disposition("") == b'attachment; filename="download"'
