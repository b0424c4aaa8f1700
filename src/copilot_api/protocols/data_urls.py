"""Data URLs (RFC 2397): how OpenAI's protocols carry an image or a file inside a request."""

import msgspec


class DataUrl(msgspec.Struct, frozen=True):
    """What one holds: base64 `data` of a `media_type`."""

    media_type: str
    data: str


def parse_data_url(url: str) -> DataUrl | None:
    """The content of `url`; None when it is no data URL in base64."""
    if not url[:5].lower() == "data:":
        return None
    head, comma, data = url[5:].partition(",")
    media_type, *parameters = head.split(";")
    if not comma or not parameters or parameters[-1].strip().lower() != "base64":
        return None
    return DataUrl(media_type.strip().lower(), data)


def render_data_url(media_type: str, data: str) -> str:
    """The data URL of base64 `data`."""
    return f"data:{media_type};base64,{data}"
