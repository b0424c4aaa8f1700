"""Content of messages has to be in order."""

from typing import Any

import pytest

from tests.simulator.client import MESSAGES, Client

CACHED = {"type": "ephemeral"}
USE = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "x"}
TEXT = {"type": "text", "text": "x"}


def _user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def _assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def _ask(simulator: Client, *messages: Any, **fields: Any) -> Any:
    body = {"model": "claude-haiku-4.5", "max_tokens": 100, "messages": list(messages), **fields}
    return simulator.api(MESSAGES, body)


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "at least one message"),
        (["hi"], "messages.0: Input should be an object"),
        ([{"role": "system", "content": "x"}], 'Unexpected role "system"'),
        ([_user()], "non-empty content"),
        ([{"role": "user", "content": "  "}], "text content blocks must be non-empty"),
        ([_user({"type": "text", "text": " "})], "text content blocks must be non-empty"),
        ([_user({"type": "movie"})], "Input tag 'movie'"),
        ([_user({"type": "text"})], "text.text: Field required"),
        ([_user(TEXT), _assistant(USE)], "without `tool_result` blocks immediately after: t1"),
        ([_user(TEXT), _assistant(USE), _user(TEXT)], "without `tool_result` blocks immediately after: t1"),
        ([_user(TEXT), _assistant(USE), _user(TEXT, RESULT)], "must come before other content"),
        ([_user(RESULT)], "unexpected `tool_use_id`"),
        ([_user({**TEXT, "cache_control": CACHED | {"scope": "global"}})], "ephemeral.scope: Extra inputs"),
        ([_user(*[{**TEXT, "cache_control": CACHED}] * 5)], "A maximum of 4 blocks"),
        ([_user({**TEXT, "cache_control": "yes"})], "cache_control: Input should be"),
        (
            [_user(TEXT), _assistant(USE), _user({**RESULT, "content": [{**TEXT, "cache_control": CACHED}]})],
            "cache_control may not be specified within `tool_result.content`",
        ),
        (
            [_user(TEXT), _assistant({"type": "thinking", "thinking": "hm", "signature": "foreign"}), _user(TEXT)],
            "messages.1.content.0: Invalid `signature` in `thinking` block",
        ),
        (
            [_user(TEXT), _assistant({"type": "thinking", "thinking": "", "signature": ""}), _user(TEXT)],
            "each thinking block must contain thinking",
        ),
    ],
)
def test_disorderly_content_is_refused(simulator: Client, messages: list[Any], said: str) -> None:
    answer = _ask(simulator, *messages)
    assert answer.status == 400
    assert said in answer.text.replace('\\"', '"')


def test_a_complete_tool_exchange_is_accepted(simulator: Client) -> None:
    assert _ask(simulator, _user(TEXT), _assistant(USE), _user(RESULT, TEXT)).status == 200


def test_thinking_can_be_sent_back_as_it_came(simulator: Client) -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    first = _ask(simulator, _user(TEXT), thinking=thinking, max_tokens=2000).json()
    assert _ask(simulator, _user(TEXT), _assistant(*first["content"]), _user(TEXT)).status == 200


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"type": "url", "url": "https://example.test"}, "external image URLs are not supported"),
        ({"type": "base64", "media_type": "image/tiff", "data": "AA=="}, "media_type"),
        ({"type": "base64", "media_type": "image/png"}, "base64 source"),
    ],
)
def test_images_have_to_be_sent_along_in_a_known_type(simulator: Client, source: Any, said: str) -> None:
    image = {"type": "image", "source": source}
    body = {"model": "claude-haiku-4.5", "max_tokens": 100, "messages": [_user(image)]}
    answer = simulator.api(MESSAGES, body, copilot_vision_request="true")
    assert answer.status == 400
    assert said in answer.text


def test_an_empty_system_block_is_refused(simulator: Client) -> None:
    assert _ask(simulator, _user(TEXT), system=[{"type": "text", "text": ""}]).status == 400
