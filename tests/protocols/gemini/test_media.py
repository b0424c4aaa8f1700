"""Files, inline and by address."""

import base64
from typing import Any

import pytest

from copilot_api.errors import BadRequest
from copilot_api.protocols.conversation import Document, Image
from copilot_api.protocols.gemini import wire
from copilot_api.protocols.gemini.media import is_image, read_blob, read_file

BYTES = b"\xfb\xff\xfe\x00"


def blob(data: str, mime_type: str | None = "image/png") -> Image | Document:
    return read_blob(wire.Blob(mime_type=mime_type, data=data), "p")


def file(address: str, mime_type: str | None = None) -> Image | Document:
    return read_file(wire.FileData(file_uri=address, mime_type=mime_type), "p")


@pytest.mark.parametrize(
    "data", [base64.b64encode(BYTES), base64.urlsafe_b64encode(BYTES), base64.b64encode(BYTES).rstrip(b"=")]
)
def test_base64_of_either_alphabet_comes_out_as_the_standard_one(data: bytes) -> None:
    assert blob(data.decode()) == Image(data=base64.b64encode(BYTES).decode(), media_type="image/png")


def test_what_is_no_image_is_a_document() -> None:
    found = read_blob(wire.Blob(mime_type="application/PDF; x=y", data="QUJD", display_name="a.pdf"), "p")
    assert found == Document(title="a.pdf", media_type="application/pdf", data="QUJD")
    assert blob("", "text/plain") == Document(media_type="text/plain")


@pytest.mark.parametrize("data", ["$$$$", "A", "QUJD QUJD", "é", "QQ==QQ=="])
def test_what_is_no_base64_is_refused(data: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        blob(data)
    assert refusal.value.param == "p.data"


@pytest.mark.parametrize("mime_type", [None, "", "audio/wav", "video/mp4", "Audio/WAV"])
def test_sound_films_and_bytes_of_no_kind_are_refused(mime_type: str | None) -> None:
    with pytest.raises(BadRequest) as refusal:
        blob("QUJD", mime_type)
    assert refusal.value.param == "p.mimeType"


def test_addresses_on_the_web_are_kept() -> None:
    assert file("https://x.test/a.png", "image/png") == Image(url="https://x.test/a.png", media_type="image/png")
    assert file("http://x.test/a") == Document(url="http://x.test/a")


def test_a_data_url_is_read() -> None:
    assert file("data:image/gif;base64,QUJD") == Image(data="QUJD", media_type="image/gif")


@pytest.mark.parametrize(
    "address",
    [
        "gs://bucket/a",
        "files/abc",
        "https://generativelanguage.googleapis.com/v1beta/files/abc",
        "",
        "file:///etc/passwd",
        "data:text/plain,x",
    ],
)
def test_addresses_out_of_reach_are_refused(address: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        file(address)
    assert refusal.value.param == "p.fileUri"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (wire.Blob(mime_type="image/png"), True),
        (wire.Blob(mime_type="IMAGE/png"), True),
        (wire.Blob(mime_type="text/plain"), False),
        (wire.Blob(), False),
        (wire.FileData(file_uri="data:image/png;base64,"), True),
        (wire.FileData(mime_type="image/png", file_uri="https://x"), True),
        (None, False),
    ],
)
def test_what_an_image_is(given: Any, *, expected: bool) -> None:
    assert is_image(given) is expected
