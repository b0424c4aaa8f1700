"""The shapes of a request: what is optional, what is checked, and that the rest is left alone."""

import msgspec
import pytest

from copilot_api.protocols.messages import wire


def test_an_unknown_field_is_left_alone() -> None:
    body = (
        b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x","new":1}],"speed":"fast","fallbacks":[]}'
    )
    assert msgspec.json.decode(body, type=wire.Request).model == "m"


def test_only_a_request_for_an_answer_needs_its_limit() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"x"}]}'
    assert msgspec.json.decode(body, type=wire.CountRequest).max_tokens is None
    with pytest.raises(msgspec.ValidationError, match="max_tokens"):
        msgspec.json.decode(body, type=wire.Request)


@pytest.mark.parametrize("source", ['"a page"', '{"type":"url","url":"u"}', "null"])
def test_a_source_is_a_name_or_an_object(source: str) -> None:
    assert msgspec.json.decode(f'{{"type":"x","source":{source}}}', type=wire.Block).type == "x"


@pytest.mark.parametrize("content", ['"x"', "[]", "{}", "null", "1"])
def test_what_differs_between_blocks_stays_raw(content: str) -> None:
    block = msgspec.json.decode(f'{{"type":"x","content":{content}}}', type=wire.Block)
    assert bytes(block.content) == content.encode()
