"""
Images and documents as far as the upstream takes them; of all others a line of text says what is missing.

Copilot fetches no address, so an image by URL cannot be shown. The gateway does not fetch it either: a service that
opens any address a caller names is a way into the operator's network.
"""

import base64
import binascii

from copilot_api.protocols.conversation import Document, Image, Message, Part, Text, ToolResult

_TYPES = {"image/jpeg", "image/png", "image/gif", "image/webp"}
_PDF = "application/pdf"
_MAX_SHOWN = 200


def with_known_media(messages: tuple[Message, ...], *, has_documents: bool) -> tuple[Message, ...]:
    """The messages with only such images and documents as the upstream takes (documents: PDF and text, or none)."""
    return tuple(
        Message(message.role, tuple(_known(part, has_documents) for part in message.parts), message.phase)
        if any(isinstance(part, Image | Document | ToolResult) for part in message.parts)
        else message
        for message in messages
    )


def _known(part: Part, has_documents: bool) -> Part:
    if isinstance(part, Image):
        return _known_image(part)
    if isinstance(part, Document):
        return _known_document(part, has_documents)
    if isinstance(part, ToolResult):
        inner = tuple(_known_inner(piece, has_documents) for piece in part.parts)
        return ToolResult(call_id=part.call_id, parts=inner, is_error=part.is_error)
    return part


def _known_inner(part: Text | Image | Document, has_documents: bool) -> Text | Image | Document:
    if isinstance(part, Image):
        return _known_image(part)
    return part if isinstance(part, Text) else _known_document(part, has_documents)


def _known_image(image: Image) -> Image | Text:
    if not image.data:
        return Text(
            f"[image not shown: {image.url[:_MAX_SHOWN]!r} is an address; images must be sent inline as base64]"
        )
    media_type = sniff_image(image.data) or image.media_type.lower()
    media_type = "image/jpeg" if media_type == "image/jpg" else media_type
    if media_type not in _TYPES:
        return Text(f"[image not shown: {media_type[:_MAX_SHOWN]!r} is none of {', '.join(sorted(_TYPES))}]")
    if media_type == image.media_type:
        return image
    return Image(data=image.data, media_type=media_type, detail=image.detail)


def _known_document(document: Document, has_documents: bool) -> Document | Text:
    name = document.title or "document"
    if document.text:
        return document if has_documents else Text(f"{name}\n\n{document.text}")
    if not document.data:
        where = document.url[:_MAX_SHOWN]
        return Text(f"[document {name!r} not shown: {where!r} is an address; documents must be sent inline]")
    if document.media_type.startswith("text/"):
        text = _decoded(document.data)
        if text is not None:
            inline = Document(title=document.title, media_type="text/plain", text=text)
            return inline if has_documents else Text(f"{name}\n\n{text}")
    if document.media_type == _PDF and has_documents:
        return document
    return Text(f"[document {name!r} not shown: the model does not take {document.media_type[:_MAX_SHOWN]!r}]")


def _decoded(data: str) -> str | None:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def sniff_image(data: str) -> str | None:
    """The media type that the first bytes of base64 `data` show, whatever was declared: upstreams compare."""
    try:
        head = base64.b64decode(data[:32], validate=True)
    except (binascii.Error, ValueError):
        return None
    if head.startswith(b"\x89PNG"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"GIF8"):
        return "image/gif"
    return "image/webp" if head.startswith(b"RIFF") and head[8:12] == b"WEBP" else None
