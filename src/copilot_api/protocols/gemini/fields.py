"""
Google's JSON, read by either spelling of its names (`inlineData`, `inline_data`), with each value's place for errors.
"""

import re
from typing import Any

import msgspec

from copilot_api.errors import BadRequest
from copilot_api.protocols.json_object import parse_object

_CAPITAL = re.compile(r"(?<!^)([A-Z])")


class Fields(msgspec.Struct, frozen=True):
    """One object, and where it stands. A field that is absent or null is empty; one of another type is refused."""

    values: dict[str, Any]
    at: str = ""

    def get(self, name: str) -> Any:
        """The field's value, or None."""
        value = self.values.get(name)
        return self.values.get(_CAPITAL.sub(r"_\1", name).lower()) if value is None else value

    def text(self, name: str) -> str:
        """The field as text."""
        return self._typed(name, str, "a string") or ""

    def flag(self, name: str) -> bool | None:
        """The field as a boolean."""
        return self._typed(name, bool, "a boolean")

    def number(self, name: str) -> float | None:
        """The field as a number."""
        value = self.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float | None):
            raise self._wrong(name, "a number")
        return value

    def integer(self, name: str) -> int | None:
        """The field as a whole number; some clients write it with a point."""
        value = self.number(name)
        if value is None:
            return None
        if value != value or value in {float("inf"), float("-inf")} or int(value) != value:
            raise self._wrong(name, "a whole number")
        return int(value)

    def texts(self, name: str) -> tuple[str, ...]:
        """The field as a list of texts."""
        values = self._list(name)
        if not all(isinstance(value, str) for value in values):
            raise self._wrong(name, "a list of strings")
        return tuple(values)

    def object(self, name: str) -> "Fields":
        """The field as an object."""
        return Fields(self._typed(name, dict, "an object") or {}, self._path(name))

    def objects(self, name: str) -> list["Fields"]:
        """The field as a list of objects; one that stands alone is a list of one, as Google's own API has it."""
        value = self.get(name)
        if isinstance(value, dict):
            return [Fields(value, self._path(name))]
        values = self._list(name)
        if not all(isinstance(value, dict) for value in values):
            raise self._wrong(name, "a list of objects")
        return [Fields(value, f"{self._path(name)}[{place}]") for place, value in enumerate(values)]

    def _list(self, name: str) -> list[Any]:
        return self._typed(name, list, "a list") or []

    def _typed(self, name: str, kind: type[Any], what: str) -> Any:
        value = self.get(name)
        if value is not None and not isinstance(value, kind):
            raise self._wrong(name, what)
        return value

    def _path(self, name: str) -> str:
        return f"{self.at}.{name}" if self.at else name

    def _wrong(self, name: str, what: str) -> BadRequest:
        path = self._path(name)
        return BadRequest(f"the field '{path}' is wrong: expected {what}", param=path)


def read_body(source: bytes) -> Fields:
    """The whole body. Raises `BadRequest` when it is not a JSON object."""
    parse_object(source)  # its errors say what is wrong and where
    try:
        return Fields(msgspec.json.decode(source))
    except (msgspec.DecodeError, RecursionError):
        raise BadRequest("the body is nested too deeply, or is not valid JSON") from None
