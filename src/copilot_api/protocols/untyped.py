"""JSON of a shape that nobody promises, read without trusting it: what is not there or of another kind is empty."""

from typing import Any, cast


def object_of(value: object) -> dict[str, Any]:
    """The object that `value` is, or an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    """The list that `value` is, or an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []  # type: ignore[redundant-cast] # not to pyright


def text_of(value: object) -> str:
    """The text that `value` is, or an empty one."""
    return value if isinstance(value, str) else ""
