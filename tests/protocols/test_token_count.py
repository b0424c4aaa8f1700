"""The formula for a request's tokens."""

import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_api.protocols.base import ModelTraits
from copilot_api.protocols.conversation import (
    Carrier,
    Document,
    Image,
    Message,
    ModelRequest,
    OutputFormat,
    Part,
    Reasoning,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)
from copilot_api.protocols.token_count import (
    CLAUDE_TOOLS,
    count_image,
    count_pages,
    count_request,
    estimate_now,
    fallback_count,
    image_size,
)

GPT = ModelTraits(id="gpt-4.1", vendor="OpenAI")
CLAUDE = ModelTraits(id="claude-sonnet-4.5", vendor="Anthropic")


def words(text: str) -> int:
    return len(text.split())


def request(*parts: Part, **fields: object) -> ModelRequest:
    return ModelRequest(model="m", messages=(Message("user", parts),), **fields)  # type: ignore[arg-type]


def png(width: int, height: int) -> str:
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(8) + struct.pack(">II", width, height) + bytes(5)).decode()


def test_pitfall_106_a_count_is_never_nothing() -> None:
    assert count_request(ModelRequest(model="unknown"), ModelTraits(id="unknown"), words) >= 1
    assert estimate_now(request(Text("hello there")), ModelTraits(id="unknown")) > 1


def test_everything_that_is_read_counts() -> None:
    bare = count_request(request(Text("a b")), GPT, words)
    for more in (
        request(Text("a b"), Text("c d")),
        request(Text("a b"), ToolCall(id="1", name="f", arguments="{}")),
        request(Text("a b"), ToolResult(call_id="1", parts=(Text("c"),))),
        request(Text("a b"), Image(data=png(10, 10), media_type="image/png")),
        request(Text("a b"), Document(text="c d")),
        request(Text("a b"), system=("be kind",)),
        request(Text("a b"), tools=(Tool(name="f", parameters={"type": "object"}),)),
        request(Text("a b"), tools=(Tool(name="f", is_custom=True, grammar={"a": 1}),)),
        request(Text("a b"), output_format=OutputFormat(kind="json_schema", schema={"type": "object"})),
    ):
        assert count_request(more, GPT, words) > bare


def test_claude_counts_more_and_tools_cost_extra() -> None:
    plain = request(Text("a " * 1000))
    assert count_request(plain, CLAUDE, words) > count_request(plain, GPT, words) * 1.15
    tooled = request(Text("a " * 1000), tools=(Tool(name="f"),))
    assert count_request(tooled, CLAUDE, words) >= count_request(plain, CLAUDE, words) + CLAUDE_TOOLS


def test_only_the_last_turns_thinking_counts() -> None:
    old = Message("assistant", (Reasoning("x " * 500), Text("so")))
    turns = (Message("user", (Text("a"),)), old, Message("user", (Text("b"),)))
    later = (*turns, Message("assistant", (Text("c"),)), Message("user", (Text("d"),)))
    assert count_request(ModelRequest(model="m", messages=turns), GPT, words) > 500
    assert count_request(ModelRequest(model="m", messages=later), GPT, words) < 100


def test_base64_is_never_read_as_text() -> None:
    big = "A" * 4_000_000
    assert estimate_now(request(Image(data=big, media_type="image/png")), CLAUDE) < 3000


@pytest.mark.parametrize(
    ("size", "claude", "gpt"),
    [((100, 100), 13, 255), ((1000, 1000), 1333, 765), ((5000, 5000), 1600, 765), ((512, 512), 349, 255)],
)
def test_images_cost_by_their_size(size: tuple[int, int], claude: int, gpt: int) -> None:
    image = Image(data=png(*size), media_type="image/png")
    assert count_image(image, CLAUDE) == claude
    assert count_image(image, GPT) == gpt


def test_the_size_is_read_of_each_kind() -> None:
    assert image_size(png(3, 4)) == (3, 4)
    gif = b"GIF89a" + struct.pack("<HH", 5, 6) + bytes(20)
    jpeg = b"\xff\xd8\xff\xe0\x00\x10" + bytes(14) + b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 8, 7) + bytes(10)
    webp = b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + (8).to_bytes(3, "little") + (9).to_bytes(3, "little") + bytes(4)
    assert image_size(base64.b64encode(gif).decode()) == (5, 6)
    assert image_size(base64.b64encode(jpeg).decode()) == (7, 8)
    assert image_size(base64.b64encode(webp).decode()) == (9, 10)


@given(
    st.binary(max_size=64),
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBPVP8"]),
)
def test_no_image_whatsoever_breaks_it(rest: bytes, head: bytes) -> None:
    data = base64.b64encode(head + rest).decode()
    assert count_image(Image(data=data, media_type="image/png"), GPT) >= 85
    assert count_image(Image(data=data, media_type="image/png"), CLAUDE) >= 1


def test_a_pdf_costs_by_its_pages() -> None:
    def pdf(content: bytes) -> ModelRequest:
        return request(Document(media_type="application/pdf", data=base64.b64encode(content).decode()))

    one = count_request(pdf(b"%PDF /Type /Pages /Type /Page "), GPT, words)
    three = count_request(pdf(b"%PDF /Type/Pages " + b"/Type /Page " * 3), GPT, words)
    assert three - one == 4000
    assert count_request(pdf(b"%PDF"), GPT, words) == one


@given(st.text())
def test_the_fallback_is_not_low(text: str) -> None:
    assert fallback_count(text) * 3 >= len(text)


@pytest.mark.parametrize("head", [b"GIF89a", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBPVP8 "])
def test_an_image_that_says_it_has_no_size_costs_what_an_unknown_one_does(head: bytes) -> None:
    image = Image(data=base64.b64encode(head + bytes(30)).decode(), media_type="image/png")
    assert image_size(image.data) is None
    assert count_image(image, GPT) == count_image(Image(url="https://example.com/a.png"), GPT)
    assert count_image(image, CLAUDE) == 1600


def test_a_turn_goes_on_through_the_results_of_its_calls() -> None:
    thought = Message("assistant", (Reasoning("x " * 500), ToolCall(id="1", name="f", arguments="{}")))
    answered = Message("user", (ToolResult(call_id="1", parts=(Text("r"),)),))
    looped = (Message("user", (Text("a"),)), thought, answered, Message("assistant", (Text("so"),)))
    assert count_request(ModelRequest(model="m", messages=looped), GPT, words) > 500


def test_reasoning_that_is_hidden_counts_by_the_length_of_what_carries_it() -> None:
    hidden = Reasoning("", Carrier(kind="rs", data="A" * 5000))
    asked = ModelRequest(model="m", messages=(Message("user", (Text("a"),)), Message("assistant", (hidden,))))
    assert count_request(asked, GPT, words) > 1000


def test_the_estimate_reads_no_document(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = request(Document(media_type="application/pdf", data="A" * 1_000_000))
    monkeypatch.setattr(base64, "b64decode", lambda *_, **__: pytest.fail("read"))
    assert estimate_now(asked, GPT) > 2000


def test_a_document_that_cannot_be_read_counts_by_its_size() -> None:
    assert count_pages(Document(data="?" * 1_000_000)) == 15
    assert count_pages(Document(data="A" * 10_000_000)) == 150
    assert count_pages(Document(url="https://example.com/a.pdf")) == 1


@given(st.text(), st.text())
def test_the_fallback_of_two_texts_is_no_more_than_that_of_each(one: str, other: str) -> None:
    assert fallback_count(one + other) <= fallback_count(one) + fallback_count(other)
    assert bool(fallback_count(one)) == bool(one)


def test_the_fallback_takes_lone_surrogates_and_wide_characters() -> None:
    assert fallback_count("\ud800") == 1
    assert fallback_count("中文" * 30) == 40
    assert estimate_now(request(Text("\ud800" * 100)), GPT) > 30
