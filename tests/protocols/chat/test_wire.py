"""The shapes of the chat protocol, as far as they are read."""

import json
from typing import Any

import msgspec
import pytest

from copilot_api.protocols.base import Usage
from copilot_api.protocols.chat.wire import ChatUsage, ContentPart, Request, RequestMessage, decode_any
from copilot_api.protocols.copilot_usage import CopilotUsage


def usage(document: Any, copilot: Any = None) -> Usage:
    charge = None if copilot is None else msgspec.convert(copilot, CopilotUsage)
    return msgspec.convert(document, ChatUsage).to_usage(charge)


def test_usage_in_the_gateways_own_terms() -> None:
    assert usage(
        {
            "prompt_tokens": 100,
            "completion_tokens": 40,
            "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 7, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 30, "accepted_prediction_tokens": 0},
            "total_tokens": 140,
        }
    ) == Usage(input_tokens=100, output_tokens=40, cache_read_tokens=60, cache_write_tokens=7, reasoning_tokens=30)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"prompt_tokens_details": None, "completion_tokens_details": None},
        {"prompt_tokens_details": {"cached_tokens": None}, "reasoning_tokens": None},
        {"prompt_tokens_details": {}, "completion_tokens_details": {}},
    ],
)
def test_what_is_not_said_is_nothing(document: Any) -> None:
    assert usage(document) == Usage()


def test_reasoning_tokens_may_stand_at_copilots_place() -> None:
    assert usage({"completion_tokens": 5, "reasoning_tokens": 3}).reasoning_tokens == 3
    assert usage({"reasoning_tokens": 3, "completion_tokens_details": {"reasoning_tokens": 4}}).reasoning_tokens == 4


def test_cache_writes_come_from_copilots_account_where_the_protocol_has_none() -> None:
    account = {
        "token_details": [{"token_type": "cache_write", "token_count": 5}, {"token_type": "input", "token_count": 9}]
    }
    assert usage({"prompt_tokens": 14}, account).cache_write_tokens == 5
    assert usage({"prompt_tokens_details": {"cache_write_tokens": 6}}, account).cache_write_tokens == 6


def test_a_messages_content_stays_as_it_came() -> None:
    message = msgspec.json.decode(b'{"role":"user","content":[ 1.00, {"a":null} ],"name":"x"}', type=RequestMessage)
    assert bytes(message.content) == b'[ 1.00, {"a":null} ]'
    assert bytes(msgspec.json.decode(b'{"role":"assistant"}', type=RequestMessage).content) == b"null"


def test_a_part_without_type_is_read() -> None:
    assert msgspec.json.decode(b'[{"text":"x"}]', type=list[ContentPart])[0].type == ""


def test_unknown_fields_are_none_of_our_business() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "x", "new": 1}], "brand_new": {"a": [1]}}
    assert msgspec.json.decode(json.dumps(body), type=Request).model == "m"


def test_what_the_total_has_beyond_its_parts_counts_as_output() -> None:
    reported = msgspec.json.decode(b'{"prompt_tokens":10,"completion_tokens":2,"total_tokens":40}', type=ChatUsage)
    assert reported.to_usage(None).output_tokens == 30


def test_written_tokens_are_found_by_either_name() -> None:
    details = b'{"prompt_tokens":10,"prompt_tokens_details":{"cache_creation_input_tokens":4}}'
    assert msgspec.json.decode(details, type=ChatUsage).to_usage(None).cache_write_tokens == 4


@pytest.mark.parametrize("source", [b'{"a":"x\\ud83d"}', b'{"a":"x?"}'])
def test_half_a_surrogate_pair_is_replaced(source: bytes) -> None:
    assert decode_any(source) == {"a": "x?"}


@pytest.mark.parametrize("source", [b"", b"{", b"\xff", b"1e999", b"[" * 100_000])
def test_what_is_no_json_is_a_value_error(source: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        decode_any(source)
