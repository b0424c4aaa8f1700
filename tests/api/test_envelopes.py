"""What of a request stands outside its body."""

from copilot_api.api.envelopes import anthropic_envelope, gemini_envelope
from copilot_api.protocols.base import Envelope


def scope(rest: str, query: bytes = b"") -> dict[str, object]:
    return {"state": {"rest": rest}, "query_string": query}


def test_betas_are_split_and_said_once() -> None:
    head = {b"anthropic-beta": b"a-1, b-2,,a-1 "}
    assert anthropic_envelope({}, head) == Envelope(betas=("a-1", "b-2"))
    assert anthropic_envelope({}, {}) == Envelope()


def test_the_betas_are_bounded() -> None:
    head = {b"anthropic-beta": b",".join(b"b%d" % n for n in range(1000))}
    assert len(anthropic_envelope({}, head).betas) == 64


def test_gemini_names_model_and_action_in_the_path() -> None:
    assert gemini_envelope(scope("gpt-4.1:generateContent"), {}) == Envelope(model="gpt-4.1")
    assert gemini_envelope(scope("gpt-4.1:streamGenerateContent", b"alt=sse"), {}) == Envelope(
        model="gpt-4.1", is_streamed=True
    )
    assert gemini_envelope(scope("gpt-4.1:streamGenerateContent"), {}) == Envelope(
        model="gpt-4.1", is_streamed=True, is_array=True
    )


def test_the_model_may_be_encoded_hold_a_colon_and_repeat_its_collection() -> None:
    assert gemini_envelope(scope("models%2Fa%3Ab:countTokens"), {}).model == "a:b"
    assert gemini_envelope(scope("a:b:countTokens"), {}).model == "a:b"
