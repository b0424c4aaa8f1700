"""The shapes of generateContent."""

import msgspec
import pytest

from copilot_api.protocols.gemini import wire


def test_names_are_in_camel_case() -> None:
    body = b'{"systemInstruction":{"parts":[{"thoughtSignature":"x"}]},"generationConfig":{"topK":4}}'
    found = msgspec.json.decode(body, type=wire.Request)
    assert isinstance(found.system_instruction, wire.Content)
    assert found.generation_config == wire.GenerationConfig(top_k=4.0)


def test_what_may_repeat_may_stand_alone() -> None:
    found = msgspec.json.decode(b'{"contents":{"parts":{"text":"x"}},"tools":{"googleSearch":{}}}', type=wire.Request)
    assert isinstance(found.contents, wire.Content)
    assert found.contents.parts == wire.Part(text="x")
    assert isinstance(found.tools, dict)


@pytest.mark.parametrize(("raw", "is_given"), [(b"", False), (b"null", False), (b"{}", True), (b"0", True)])
def test_null_is_not_there(raw: bytes, *, is_given: bool) -> None:
    assert wire.is_given(msgspec.Raw(raw)) is is_given
