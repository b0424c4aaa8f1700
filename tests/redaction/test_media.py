"""Media becomes a marker, what vendors seal stays, and text in base64 is neither."""

import base64
import random

import pytest

from copilot_api.redaction.media import MAX_OPAQUE, find_data_urls, judge_blob
from copilot_api.redaction.rule import Hit

BINARY = base64.b64encode(random.Random(1).randbytes(3000)).decode()
TEXT = base64.b64encode(b"some text that reads well, " * 100).decode()


def test_a_picture_in_an_address_becomes_a_marker() -> None:
    (hit,) = find_data_urls(f"![x](data:image/png;base64,{BINARY})")
    assert hit.marker == "[media: image/png, 3000 bytes]"


@pytest.mark.parametrize(
    "address", [f"data:text/plain;base64,{TEXT}", "data:image/png;base64,AAAA", "data:image/png,xyz"]
)
def test_text_and_small_pictures_are_left_to_the_search(address: str) -> None:
    assert list(find_data_urls(address)) == []


def judge(value: str, name: str) -> Hit | bool:
    return judge_blob(value, 0, len(value), name)


def test_long_base64_without_text_becomes_a_marker() -> None:
    hit = judge("iVBORw0KGgo" + BINARY, "data")
    assert isinstance(hit, Hit)
    assert hit.marker == "[media: image/png, 3008 bytes]"


@pytest.mark.parametrize("value", [TEXT, "0a1b" * 500, "short", "with spaces " * 200])
def test_what_may_hold_text_is_no_media(value: str) -> None:
    assert judge(value, "data") is False


@pytest.mark.parametrize(
    "name", ["signature", "encrypted_content", "reasoning_opaque", "thoughtSignature", "embedding"]
)
def test_what_vendors_seal_stays_unless_it_is_very_long(name: str) -> None:
    assert judge(BINARY, name) is True
    hit = judge(BINARY * (MAX_OPAQUE // len(BINARY) + 1), name)
    assert isinstance(hit, Hit)
    assert hit.marker.startswith("[opaque: ")


def test_text_under_the_name_of_a_seal_is_searched() -> None:
    assert judge(TEXT, "signature") is False
