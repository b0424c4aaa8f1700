"""JSON of a shape that nobody promises."""

from typing import Any

import pytest

from copilot_api.protocols.untyped import list_of, object_of, text_of

VALUES: list[Any] = [None, True, False, 0, 1, 1.5, "", "x", [], [1], {}, {"a": 1}]


@pytest.mark.parametrize("value", VALUES)
def test_what_is_of_another_kind_is_empty(value: Any) -> None:
    assert object_of(value) == (value if isinstance(value, dict) else {})
    assert list_of(value) == (value if isinstance(value, list) else [])
    assert text_of(value) == (value if isinstance(value, str) else "")


def test_what_is_there_is_itself() -> None:
    document, items = {"a": 1}, [1]
    assert object_of(document) is document
    assert list_of(items) is items


def test_what_is_empty_is_nobodys() -> None:
    """Whoever writes into an empty one changes no other."""
    object_of(None)["x"] = 1
    list_of(None).append(1)
    assert object_of(None) == {}
    assert list_of(None) == []
