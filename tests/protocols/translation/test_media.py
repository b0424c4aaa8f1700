"""Images and documents that the upstream takes, and a line of text for those it does not."""

import base64

from copilot_api.protocols.conversation import Document, Image, Message, Part, Text, ToolResult
from copilot_api.protocols.translation.media import sniff_image, with_known_media

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(24)).decode()


def known(part: Part, *, has_documents: bool = True) -> Part:
    return with_known_media((Message("user", (part,)),), has_documents=has_documents)[0].parts[0]


def test_an_inline_image_is_shown() -> None:
    image = Image(data=PNG, media_type="image/png")
    assert known(image) is image


def test_a_media_type_that_lies_is_put_right() -> None:
    assert known(Image(data=PNG, media_type="image/jpeg")) == Image(data=PNG, media_type="image/png")
    assert known(Image(data="aGk=", media_type="IMAGE/JPG")) == Image(data="aGk=", media_type="image/jpeg")


def test_pitfall_024_another_media_type_never_becomes_a_url() -> None:
    for media_type in ("image/svg+xml", 'image/png;x="\r\nevil: 1"', ""):
        found = known(Image(data="PHN2Zz4=", media_type=media_type))
        assert isinstance(found, Text)
        assert "not shown" in found.text


def test_pitfall_025_an_image_by_address_is_not_dropped_in_silence() -> None:
    found = known(Image(url="https://example.com/a.png"))
    assert isinstance(found, Text)
    assert "https://example.com/a.png" in found.text


def test_pitfall_026_a_pdf_goes_where_documents_go_and_is_named_elsewhere() -> None:
    pdf = Document(title="spec.pdf", media_type="application/pdf", data="JVBERi0=")
    assert known(pdf) is pdf
    found = known(pdf, has_documents=False)
    assert isinstance(found, Text)
    assert "spec.pdf" in found.text
    assert "JVBERi0" not in found.text


def test_a_text_document_is_text() -> None:
    plain = Document(title="notes", text="hello")
    assert known(plain) is plain
    assert known(plain, has_documents=False) == Text("notes\n\nhello")
    encoded = Document(title="n", media_type="text/markdown", data=base64.b64encode(b"# hi").decode())
    assert known(encoded, has_documents=False) == Text("n\n\n# hi")
    assert known(encoded) == Document(title="n", media_type="text/plain", text="# hi")


def test_what_a_tool_shows_is_looked_at_too() -> None:
    found = known(ToolResult(call_id="a", parts=(Image(url="http://x/y"), Text("t"))))
    assert isinstance(found, ToolResult)
    assert isinstance(found.parts[0], Text)


def test_the_first_bytes_tell_the_kind() -> None:
    for head, kind in (
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBP", "image/webp"),
        (b"<svg", None),
        (b"", None),
    ):
        assert sniff_image(base64.b64encode(head + bytes(20)).decode() if head else "!") == kind
