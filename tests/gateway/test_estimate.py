"""What is set aside for a call before anybody knows what it takes."""

import base64
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.gateway.estimate import BLOB_TOKENS, BYTES_A_TOKEN, USUAL_OUTPUT_TOKENS, estimate_input, expect
from copilot_api.protocols.base import Usage
from copilot_api.upstream.prices import UNKNOWN_PRICES, TokenPrices

PROPERTY = settings(derandomize=True, deadline=None, database=None, max_examples=50)
IMAGE = base64.b64encode(random.Random(1).randbytes(300_000)).decode()
URL_SAFE_IMAGE = IMAGE.replace("+", "-").replace("/", "_")
TEXT = "The quick brown fox jumps over the lazy dog, and then it does so again. "
SONNET = TokenPrices(input=300_000, output=1_500_000, cache_read=30_000, cache_write=375_000)
FREE = TokenPrices(0, 0, 0, 0)


def body_of(*content: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": content}]}).encode()


# Input ------------------------------------------------------------------------------------------------------------

FORMS: dict[str, Any] = {
    "chat": {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}", "detail": "high"}},
    "chat file": {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{IMAGE}"}},
    "responses": {"type": "input_image", "image_url": f"data:image/jpeg;base64,{IMAGE}"},
    "responses file": {"type": "input_file", "file_data": f"data:application/pdf;base64,{IMAGE}"},
    "messages": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": IMAGE}},
    "messages document": {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": IMAGE}},
    "messages tool result": {
        "type": "tool_result",
        "tool_use_id": "t",
        "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": IMAGE}}],
    },
    "gemini": {"inlineData": {"mimeType": "image/png", "data": IMAGE}},
    "gemini document": {"inlineData": {"mimeType": "application/pdf", "data": IMAGE}},
    "gemini url-safe": {"inline_data": {"mime_type": "image/png", "data": URL_SAFE_IMAGE}},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_an_image_counts_as_a_page_in_every_protocols_form(form: str) -> None:
    around = len(body_of(FORMS[form])) - len(IMAGE)
    tokens = estimate_input(body_of(FORMS[form]), has_images=True)
    assert BLOB_TOKENS <= tokens <= BLOB_TOKENS + around // BYTES_A_TOKEN


@pytest.mark.parametrize("form", FORMS)
def test_a_file_counts_as_a_page_also_where_there_are_no_images(form: str) -> None:
    """Whoever says that it is encoded is believed."""
    assert estimate_input(body_of(FORMS[form]), has_images=False) < 2 * BLOB_TOKENS


@pytest.mark.parametrize("count", [2, 7])
def test_each_image_counts(count: int) -> None:
    tokens = estimate_input(body_of(*[FORMS["messages"]] * count), has_images=True)
    assert count * BLOB_TOKENS <= tokens < count * BLOB_TOKENS + 200


@pytest.mark.parametrize(
    "written",
    [
        lambda image: json.dumps(image).replace("/", "\\/"),
        lambda image: json.dumps("\n".join(image[start : start + 76] for start in range(0, len(image), 76))),
        lambda image: json.dumps("\r\n".join(image[start : start + 64] for start in range(0, len(image), 64))),
        lambda image: json.dumps(f"data:image/png;base64,{image}").replace("/", "\\/"),
    ],
    ids=["escaped slashes", "lines", "lines of mail", "escaped data url"],
)
def test_an_image_may_be_written_as_some_encoders_do(written: Any) -> None:
    """PHP escapes slashes; MIME breaks lines."""
    body = b'{"source": {"type": "base64", "data": ' + written(IMAGE).encode() + b"}}"
    assert estimate_input(body, has_images=True) < 2 * BLOB_TOKENS


def test_text_counts_by_its_length() -> None:
    body = body_of({"type": "text", "text": TEXT * 1_000})
    assert estimate_input(body, has_images=False) == len(body) // BYTES_A_TOKEN


@pytest.mark.parametrize("has_images", [True, False])
def test_text_beside_an_image_counts_by_its_length(*, has_images: bool) -> None:
    body = body_of({"type": "text", "text": TEXT * 1_000}, FORMS["chat"])
    expected = (len(body) - len(IMAGE)) // BYTES_A_TOKEN + BLOB_TOKENS
    assert estimate_input(body, has_images=has_images) == pytest.approx(expected, abs=5)


def test_long_words_count_by_their_length_where_nothing_is_encoded() -> None:
    """A hash, a minified script, a text without spaces."""
    body = body_of({"type": "text", "text": "x" * 100_000})
    assert estimate_input(body, has_images=False) == len(body) // BYTES_A_TOKEN


def test_an_image_elsewhere_counts_nothing_by_itself() -> None:
    """There is only its address here."""
    body = body_of({"type": "image_url", "image_url": {"url": "https://example.com/" + "a/" * 100}})
    assert estimate_input(body, has_images=True) == len(body) // BYTES_A_TOKEN


@pytest.mark.parametrize("body", [b"", b"{}", b"[]"])
def test_the_least_request_is_a_token(body: bytes) -> None:
    assert estimate_input(body, has_images=False) == 1


@settings(PROPERTY)
@given(st.binary(max_size=5_000), st.booleans())
def test_any_body_is_estimated(body: bytes, has_images: bool) -> None:
    assert 1 <= estimate_input(body, has_images=has_images) <= max(1, len(body))


HOSTILE = {
    "quotes": b'"',
    "letters": b"A",
    "commas": b",",
    "both": b',"',
    "escaped quotes": b'\\"',
    "nearly images": b'"' + b"A" * 1_999,
    "images": b'"' + b"A" * 2_000,
    "text": TEXT.encode(),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_time_grows_with_the_size_and_no_faster(name: str) -> None:
    """A fraction of a second; were it the square of the size, sixteen megabytes would outlast this test's patience."""
    body = HOSTILE[name] * (16_000_000 // len(HOSTILE[name]))
    assert 1 <= estimate_input(body, has_images=True) <= len(body)


# Amounts ----------------------------------------------------------------------------------------------------------


def test_a_call_takes_its_input_at_least_and_likely_an_answer_of_the_usual_length() -> None:
    least, likely = expect(2_000, None, 1.0, SONNET)
    from_cache = SONNET.charge(Usage(input_tokens=2_000, cache_read_tokens=2_000))
    assert least == (from_cache, 1.0, 2_000, 1), "all of the input may come from the prompt cache"
    usual = Usage(input_tokens=2_000, output_tokens=USUAL_OUTPUT_TOKENS)
    assert likely == (SONNET.charge(usual), 1.0, 2_000 + USUAL_OUTPUT_TOKENS, 1)


@pytest.mark.parametrize(("limit", "output"), [(None, 1_000), (16, 16), (1_000, 1_000), (32_000, 1_000), (0, 0)])
def test_a_limit_on_the_answer_bounds_what_is_set_aside(limit: int | None, output: int) -> None:
    """Agents ask for the most there is and take little of it."""
    _, likely = expect(100, limit, 0.0, SONNET)
    assert likely[2] == 100 + output


def test_a_model_without_known_prices_may_turn_out_free_and_is_thought_not_to_be() -> None:
    least, likely = expect(2_000, None, 0.0, None)
    assert least[0] == 0
    assert likely[0] == UNKNOWN_PRICES.charge(Usage(input_tokens=2_000, output_tokens=USUAL_OUTPUT_TOKENS)) > 0


def test_a_free_model_takes_no_credits() -> None:
    least, likely = expect(2_000, None, 0.0, FREE)
    assert (least[0], likely[0]) == (0, 0)


def test_embeddings_have_no_output() -> None:
    least, likely = expect(500, 0, 0.0, SONNET)
    assert likely == (SONNET.charge(Usage(input_tokens=500)), 0.0, 500, 1)
    assert least[1:] == likely[1:]


@settings(PROPERTY)
@given(
    st.integers(1, 10_000_000),
    st.one_of(st.none(), st.integers(0, 10**9)),
    st.sampled_from([0.0, 0.33, 1.0]),
    st.sampled_from([None, FREE, SONNET]),
)
def test_what_is_likely_is_never_less_than_the_least(
    tokens: int, limit: int | None, premium: float, prices: TokenPrices | None
) -> None:
    least, likely = expect(tokens, limit, premium, prices)
    assert all(low <= high for low, high in zip(least, likely, strict=True))
    assert least[1:] == (premium, tokens, 1)
