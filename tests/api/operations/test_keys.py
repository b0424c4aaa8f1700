"""What the operations on keys declare."""

import msgspec
import pytest

from copilot_api.api.captures import parse_wish, render_captured
from copilot_api.api.operations.keys import OPERATIONS, CapturedKey, CaptureWish, IssuedKeyDocument, KeyList
from copilot_api.keys.documents import KeyDocument, describe_key
from copilot_api.keys.models import anonymous_key
from tests.fakes import FakeClock


def test_a_key_with_its_secret_is_a_key_and_its_secret() -> None:
    fields = set(IssuedKeyDocument.__struct_fields__)
    assert fields == {*KeyDocument.__struct_fields__, "key"}


def test_a_list_holds_keys_as_they_are_shown() -> None:
    clock = FakeClock()
    key = describe_key(anonymous_key(clock.now()), clock.now())
    content = msgspec.json.encode(KeyList([key], None))
    assert msgspec.json.decode(content, type=KeyList).keys == [key]


@pytest.mark.parametrize("body", ['{"reason":"x","minutes":5}', '{"reason":"x","seconds":90.5}', '{"off":true}'])
def test_an_order_to_capture_is_read_as_it_is_declared(body: str) -> None:
    assert parse_wish(body.encode()) == msgspec.json.decode(body, type=CaptureWish)


def test_what_is_told_of_a_capture_is_what_is_declared() -> None:
    assert msgspec.convert(render_captured(anonymous_key(FakeClock().now())), CapturedKey).capture is None


def test_what_makes_a_secret_answers_with_it() -> None:
    assert {operation.id for operation in OPERATIONS if operation.answer is IssuedKeyDocument} == {
        "create_key",
        "rotate_key",
    }
