"""Files in a Gemini request: inline or by address, as images and documents."""

import binascii

from copilot_api.errors import BadRequest
from copilot_api.protocols.conversation import Document, Image
from copilot_api.protocols.gemini import wire

_GOOGLE_FILES = ("https://generativelanguage.googleapis.com/", "files/", "gs://")
_URL_SAFE = str.maketrans("-_", "+/")


def read_blob(blob: wire.Blob, path: str) -> Image | Document:
    """Bytes that the client sends along."""
    if not blob.mime_type:
        raise BadRequest(f"the field '{path}.mimeType' is required", param=f"{path}.mimeType")
    media_type = _media_type(blob.mime_type, f"{path}.mimeType")
    data = _standard(blob.data or "", f"{path}.data")
    if media_type.startswith("image/"):
        return Image(data=data, media_type=media_type)
    return Document(title=blob.display_name or "", media_type=media_type, data=data)


def read_file(file: wire.FileData | None, path: str) -> Image | Document:
    """A file by its address: one on the open web, or a data URL; Google's own store is out of reach."""
    file = file or wire.FileData()
    address, param = file.file_uri or "", f"{path}.fileUri"
    if address.startswith("data:"):
        head, _, data = address.removeprefix("data:").partition(",")
        media_type, _, encoding = head.partition(";")
        if encoding.split(";")[-1] != "base64":
            raise BadRequest(f"the field '{param}' is wrong: a data URL must be in base64", param=param)
        blob = wire.Blob(mime_type=media_type or file.mime_type, data=data, display_name=file.display_name)
        return read_blob(blob, path)
    if not address.startswith(("https://", "http://")) or address.startswith(_GOOGLE_FILES):
        raise BadRequest(
            f"the field '{param}' cannot be served: Google's files are out of reach; send the bytes as 'inlineData'",
            param=param,
        )
    media_type = _media_type(file.mime_type or "", f"{path}.mimeType")
    if media_type.startswith("image/"):
        return Image(url=address, media_type=media_type)
    return Document(title=file.display_name or "", media_type=media_type, url=address)


def is_image(file: wire.Blob | wire.FileData | None) -> bool:
    """Whether a file is an image."""
    if file is None:
        return False
    if isinstance(file, wire.FileData) and (file.file_uri or "").startswith("data:image/"):
        return True
    return (file.mime_type or "").lower().startswith("image/")


def _media_type(given: str, path: str) -> str:
    media_type = given.partition(";")[0].strip().lower()
    if media_type.startswith(("audio/", "video/")):
        raise BadRequest(
            f"the field '{path}' cannot be served: no model takes {media_type.partition('/')[0]}", param=path
        )
    return media_type


def _standard(data: str, path: str) -> str:
    """Base64 in the standard alphabet, padded: Google takes the other one too, and its Python SDK sends that."""
    if "-" in data or "_" in data:
        data = data.translate(_URL_SAFE)
    data += "=" * (-len(data) % 4)
    try:
        binascii.a2b_base64(data, strict_mode=True)
    except ValueError:
        raise BadRequest(f"the field '{path}' is not base64", param=path) from None
    return data
