"""A prompt is read alike from all protocols, and odd values are passed over."""

import pytest

from copilot_api.simulator.conversation import count_tokens, read_prompt
from tests.simulator.client import CHAT, CONVERSATIONS, MESSAGES, RESPONSES, question


@pytest.mark.parametrize("path", CONVERSATIONS)
def test_users_tools_and_sizes_are_found(path: str) -> None:
    prompt = read_prompt(path, question(path, "hello"))
    assert [turn.text for turn in prompt.turns if turn.kind == "user"] == ["hello"]
    assert prompt.tools == {"get_weather": "function"}
    assert prompt.input_tokens > count_tokens(len("hello"))


@pytest.mark.parametrize("path", CONVERSATIONS)
def test_odd_values_are_passed_over(path: str) -> None:
    body = {"messages": [1, {"role": 5, "content": [3, {"text": 4}]}], "input": {"a": 1}, "tools": "x", "system": 3}
    assert read_prompt(path, body).tools == {}


def test_images_count_wherever_they_are() -> None:
    image = {"type": "image"}
    nested = {"type": "tool_result", "content": [image]}
    assert read_prompt(MESSAGES, {"messages": [{"role": "user", "content": [image, nested]}]}).images == 2
    assert read_prompt(CHAT, {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}).images == 1
    assert read_prompt(RESPONSES, {"input": [{"role": "user", "content": [{"type": "input_image"}]}]}).images == 1


def test_tokens_are_rounded_up() -> None:
    assert [count_tokens(size) for size in (0, 1, 4, 5)] == [0, 1, 1, 2]
