"""The shapes of a Responses request: which types they hold to."""

from typing import Any

import msgspec
import pytest

from copilot_api.protocols.responses.wire import Request


@pytest.mark.parametrize(
    "fields",
    [
        {"model": ""}, {"model": 1}, {"instructions": ["x"]}, {"stream": "true"}, {"max_output_tokens": "5"},
        {"max_output_tokens": 1.5}, {"temperature": "1"}, {"tools": {}}, {"tools": [1]}, {"tool_choice": 1},
        {"parallel_tool_calls": "no"}, {"reasoning": "high"}, {"reasoning": {"effort": 1}}, {"text": "low"},
        {"text": {"format": "json"}}, {"include": "x"}, {"previous_response_id": 1}, {"conversation": 1},
        {"metadata": []}, {"user": 1}, {"prompt_cache_key": 1}, {"store": "no"}, {"background": 1},
    ],
)  # fmt: skip
def test_a_wrong_type_is_found(fields: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"model": "m", "input": "x", **fields}, Request)


def test_unknown_fields_are_none_of_our_business() -> None:
    body = b'{"model":"m","input":"x","client_metadata":{"a":[1]},"service_tier":"flex","new":null}'
    assert msgspec.json.decode(body, type=Request).service_tier == "flex"
