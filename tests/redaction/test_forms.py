"""Forms, queries and multipart bodies: values by the names of their fields."""

import pytest

from copilot_api.redaction.forms import find_form_values, find_parameters, find_parts, is_form, list_fields, list_values


def test_parameters_are_found_by_name_whatever_they_look_like() -> None:
    text = "/cb?code=abc&x=1&access%5Ftoken=a%20b&key=k#id_token=t"
    assert [hit.secret for hit in find_parameters(text)] == ["abc", "a b", "k", "t"]


def test_a_form_that_stands_alone_is_found_by_its_shape() -> None:
    text = "grant_type=password&username=me&password=open%20sesame7"
    assert [hit.secret for hit in find_form_values(text, 0, len(text))] == ["open sesame7"]
    assert list(find_form_values("a & password=x y", 0, 16)) == []


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_a_part_of_a_multipart_form_is_found_by_its_name(end: str) -> None:
    text = end.join(
        ["--x", 'Content-Disposition: form-data; name="client_secret"', "Content-Type: text/plain", "", "abc", "--x"]
    )
    assert [hit.secret for hit in find_parts(text)] == ["abc"]
    assert list(find_parts(text.replace("client_secret", "purpose"))) == []


def test_values_are_listed_where_they_stand() -> None:
    assert list_values("?a=bc&d=") == [(3, 5)]


def test_fields_are_read_whole_and_by_value_and_with_a_plus_that_was_never_encoded() -> None:
    assert [view.text for view in list_fields("q=a%3A+b&x=cd%2Be&k=a+b%3D%3D")] == [
        "q=a: b", "a: b", "x=cd+e", "cd+e", "k=a b==", "a b==", "k=a+b%3D%3D",
    ]  # fmt: skip


def test_a_form_has_nothing_else_around_it() -> None:
    assert is_form("a=b&c=d+e%20&f\n")
    assert not is_form("a=b c=d")
    assert not is_form("a=b#c=d")
    assert not is_form("a=" + "b" * 5000), "too long to be looked at as one field"
