"""Data URLs (RFC 2397): how OpenAI's protocols carry an image or a file inside a request."""

import base64
from urllib.parse import unquote_to_bytes

import msgspec


class DataUrl(msgspec.Struct, frozen=True):
    """What one holds: base64 `data` of a `media_type`, which may be empty."""

    media_type: str
    data: str


def parse_data_url(url: str) -> DataUrl | None:
    """The content of `url`; None when it is no data URL."""
    if url[:5].lower() != "data:":
        return None
    head, comma, body = url[5:].partition(",")
    if not comma:
        return None
    media_type, *parameters = (piece.strip().lower() for piece in head.split(";"))
    if "base64" in parameters:
        return DataUrl(media_type, body.strip())
    return DataUrl(media_type, base64.b64encode(unquote_to_bytes(body)).decode())


def render_data_url(media_type: str, data: str) -> str:
    """The data URL of base64 `data`."""
    return f"data:{media_type};base64,{data}"
