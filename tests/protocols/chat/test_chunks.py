"""What chunks say beside their content."""

import pytest

from copilot_api.errors import UpstreamFailed
from copilot_api.protocols.base import Usage
from copilot_api.protocols.chat.chunks import ChunkReader
from copilot_api.protocols.conversation import Started, TextDelta


def test_several_choices_are_one_turn_and_end_with_the_last_of_them() -> None:
    chunks = ChunkReader()
    chunks.read({"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}]}, b"1")
    chunks.read({"choices": [{"index": 1, "delta": {"tool_calls": []}}]}, b"2")
    chunks.read({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, b"3")
    assert (chunks.finish_reason, chunks.is_complete) == ("stop", False)
    chunks.read({"choices": [{"index": 1, "delta": {}, "finish_reason": "tool_calls"}]}, b"4")
    assert (chunks.finish_reason, chunks.is_complete) == ("tool_calls", True)


def test_a_bill_that_cannot_be_read_is_none() -> None:
    chunks = ChunkReader()
    chunks.read({"choices": [], "usage": {"prompt_tokens": []}, "copilot_usage": {"total_nano_aiu": "x"}}, b"")
    assert (chunks.usage, chunks.nano_aiu) == (None, None)
    chunks.read({"choices": [], "usage": {"prompt_tokens": 5}}, b"")
    assert chunks.usage == Usage(input_tokens=5)


def test_text_by_the_quick_way_opens_its_choice() -> None:
    chunks = ChunkReader()
    assert chunks.text("Hi") == [Started(), TextDelta("Hi")]
    assert chunks.delta({"content": "!"}, 0) == [TextDelta("!")]
    assert not chunks.is_complete


def test_an_error_is_raised() -> None:
    with pytest.raises(UpstreamFailed, match="broke"):
        ChunkReader().read({"choices": None, "error": {"message": "broke"}}, b"")
