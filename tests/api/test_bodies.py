"""The JSON body of a request: read as its type, and every mistake told with the field's name."""

import asyncio
from typing import Annotated, Any

import msgspec
import pytest

from copilot_api.api.bodies import parse_json, read_json
from copilot_api.api.operations.operation import Body
from copilot_api.errors import BadRequest, BodyTooLarge, UnsupportedMediaType


class Part(msgspec.Struct, forbid_unknown_fields=True):
    size: Annotated[int, msgspec.Meta(ge=1)]


class Whole(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    parts: list[Part] = []


class Loose(msgspec.Struct):
    name: str = "none"


def read(body: Body, content: bytes, **headers: str) -> Any:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    head = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return asyncio.run(read_json(body, head, {"extensions": {}}, receive))


@pytest.mark.parametrize(
    ("content", "words", "param"),
    [
        (b'{"name":"a","more":1}', "more: there is no such field", "more"),
        (b'{"name":"a","parts":[{"size":1,"x":2}]}', "parts[0].x: there is no such field", "parts[0].x"),
        (b"{}", "name: this field is missing", "name"),
        (b'{"name":5}', "name: Expected `str`", "name"),
        (b'{"name":"a","parts":[{"size":0}]}', "parts[0].size: Expected `int` >= 1", "parts[0].size"),
        (b"[]", "the body: Expected `object`", None),
        (b"{", "no JSON", None),
        (b"\xff", "no JSON", None),
        (b'{"name":"\\ud800"}', "no JSON", None),
        (b"", "there is no body", None),
        (b"[" * 100_000, "", None),
    ],
)
def test_a_mistake_is_told_with_the_path_of_its_field(content: bytes, words: str, param: str | None) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_json(content, Whole)
    assert words in caught.value.message
    assert caught.value.param == param


def test_a_body_is_its_type_or_bytes_for_who_reads_it_alone() -> None:
    assert read(Body(Whole), b'{"name":"a","parts":[{"size":2}]}') == Whole("a", [Part(2)])
    assert read(Body(bytes), b"anything") == b"anything"


def test_one_that_may_be_missing_is_empty_then() -> None:
    assert read(Body(Loose, is_required=False), b"") == Loose()
    with pytest.raises(BadRequest):
        read(Body(Loose), b"")


def test_it_is_bounded_and_plain() -> None:
    with pytest.raises(BodyTooLarge) as caught:
        read(Body(Loose, max_bytes=10), b"{" + b" " * 20 + b"}")
    assert "max_body_mb" not in (caught.value.actual_hint or "")
    with pytest.raises(UnsupportedMediaType):
        read(Body(Loose), b"{}", content_encoding="gzip")
