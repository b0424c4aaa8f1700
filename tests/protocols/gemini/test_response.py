"""Whole answers."""

import base64
import json
from typing import Any

import pytest
from google.genai import types
from pydantic import BaseModel

from copilot_api.errors import ModelNotFound, RateLimited
from copilot_api.protocols.base import Usage
from copilot_api.protocols.carriers import unpack
from copilot_api.protocols.conversation import (
    Answer,
    Carrier,
    Reasoning,
    Refusal,
    StopReason,
    Text,
    ToolCall,
    ToolResult,
)
from copilot_api.protocols.gemini.contents import unpack_signature
from copilot_api.protocols.gemini.request import GeminiRequest
from copilot_api.protocols.gemini.response import arguments_object, pack_signature, render_answer, render_count, unwrap
from tests.protocols.gemini.build import CARRIER, GOLDEN, HEAD, USAGE, answer, request
from tests.protocols.gemini.google_sdk import TOKENS, ScriptedGateway

LIST = {"type": "ARRAY", "items": {"type": "STRING"}}


def rendered(given: Answer, asked: GeminiRequest | None = None) -> dict[str, Any]:
    return dict(json.loads(render_answer(given, asked or request(), HEAD)))


def parts(given: Answer, asked: GeminiRequest | None = None) -> list[dict[str, Any]]:
    return list(rendered(given, asked)["candidates"][0]["content"]["parts"])


def test_the_golden_answer() -> None:
    assert rendered(GOLDEN, request(thinkingConfig={"includeThoughts": True})) == {
        "candidates": [
            {
                "content": {
                    "parts": [
                        {"text": "Hm", "thought": True},
                        {"text": "Hi"},
                        {
                            "functionCall": {"id": "call_1", "name": "f", "args": {"a": 1}},
                            "thoughtSignature": pack_signature([CARRIER]),
                        },
                    ],
                    "role": "model",
                },
                "finishReason": "STOP",
                "index": 0,
            }
        ],
        "usageMetadata": {
            "promptTokenCount": 10,
            "cachedContentTokenCount": 4,
            "candidatesTokenCount": 6,
            "thoughtsTokenCount": 3,
            "totalTokenCount": 19,
        },
        "modelVersion": "gpt-4.1",
        "responseId": "req0a1",
    }


def test_thoughts_are_only_shown_to_who_asks_for_them() -> None:
    given = answer(Reasoning("Hm"), Text("Hi"))
    assert parts(given) == [{"text": "Hi"}]
    assert parts(given, request(thinkingConfig={"includeThoughts": False})) == [{"text": "Hi"}]
    assert parts(given, request(thinkingConfig={"includeThoughts": True}))[0] == {"text": "Hm", "thought": True}


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        (StopReason.END, "STOP"),
        (StopReason.TOOL_CALLS, "STOP"),
        (StopReason.STOP_SEQUENCE, "STOP"),
        (StopReason.PAUSED, "STOP"),
        (StopReason.LENGTH, "MAX_TOKENS"),
        (StopReason.CONTEXT_FULL, "MAX_TOKENS"),
        (StopReason.FILTERED, "SAFETY"),
    ],
)
def test_why_an_answer_ended(stop: StopReason, reason: str) -> None:
    assert rendered(answer(Text("x"), stop=stop))["candidates"][0]["finishReason"] == reason


def test_pitfall_125_an_answer_of_nothing_has_an_empty_part() -> None:
    assert parts(answer()) == [{"text": ""}]
    assert parts(answer(Text(""))) == [{"text": ""}]
    assert parts(answer(Reasoning("Hm", CARRIER))) == [{"text": "", "thoughtSignature": pack_signature([CARRIER])}]


def test_pitfall_058_a_refusal_is_text() -> None:
    assert parts(answer(Refusal("I cannot"))) == [{"text": "I cannot"}]


def test_a_call_bears_the_reasoning_before_it_and_no_other() -> None:
    other = Carrier(kind="an", data="signed", text="Hm")
    call = ToolCall(id="c", name="f", arguments="{}")
    found = parts(answer(Reasoning("", CARRIER), Reasoning("", other), call, call, Reasoning("", other), call))
    signatures = [unpack_signature(part.get("thoughtSignature", "")) for part in found]
    assert signatures == [(CARRIER, other), (), (other,)]


def test_reasoning_that_led_to_text_is_borne_by_that() -> None:
    assert parts(answer(Reasoning("", CARRIER), Text("Hi"))) == [
        {"text": "Hi", "thoughtSignature": pack_signature([CARRIER])}
    ]


def test_reasoning_after_a_call_is_borne_by_an_empty_text() -> None:
    found = parts(answer(ToolCall(id="c", name="f", arguments="{}"), Reasoning("", CARRIER)))
    assert found[1] == {"text": "", "thoughtSignature": pack_signature([CARRIER])}


def test_a_signature_is_base64_of_what_the_gateway_packs() -> None:
    assert unpack(base64.b64decode(pack_signature([CARRIER])).decode()) == CARRIER
    assert pack_signature([]) == ""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"a":1}', {"a": 1}),
        ('{\n "a": [1, 2]\n}', {"a": [1, 2]}),
        ("", {}),
        ("  ", {}),
        ("null", {}),
        ('"{\\"a\\":1}"', {"a": 1}),
        ('"text"', {"_raw": '"text"'}),
        ("[1]", {"_raw": "[1]"}),
        ('{"a":', {"_raw": '{"a":'}),
        ('{"a":1} and more', {"_raw": '{"a":1} and more'}),
        ('"' + '{"a":' * 5, {"_raw": '"' + '{"a":' * 5}),
    ],
)
def test_pitfall_044_arguments_are_always_an_object(arguments: str, expected: dict[str, Any]) -> None:
    found = bytes(arguments_object(arguments))
    assert json.loads(found) == expected
    assert b"\n" not in found


def test_pitfall_115_odd_arguments_do_no_harm() -> None:
    assert json.loads(bytes(arguments_object('{"__proto__":{"a":"\\u0000"}}'))) == {"__proto__": {"a": "\0"}}
    assert json.loads(bytes(arguments_object('{"a":"\ud800"}'))) == {"a": "?"}
    assert b"_raw" in bytes(arguments_object('{"a":' * 100_000))
    big = '{"a":123456789012345678901234567890.5e400}'
    assert bytes(arguments_object(big)).decode().startswith('{"a":')


def test_pitfall_061_what_was_consumed() -> None:
    found = rendered(answer(Text("x"), usage=Usage(input_tokens=1100, output_tokens=5, cache_read_tokens=800)))
    assert found["usageMetadata"] == {
        "promptTokenCount": 1100,
        "candidatesTokenCount": 5,
        "totalTokenCount": 1105,
        "cachedContentTokenCount": 800,
    }


def test_without_usage_the_estimate_is_given() -> None:
    assert rendered(answer(Text("x"), usage=None))["usageMetadata"]["promptTokenCount"] == HEAD.input_estimate


def test_more_reasoning_than_output_is_no_negative_count() -> None:
    usage = Usage(input_tokens=1, output_tokens=2, reasoning_tokens=3)
    assert rendered(answer(Text("x"), usage=usage))["usageMetadata"]["candidatesTokenCount"] == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"value":["a","b"]}', '["a","b"]'),
        (' {"value": "a"} ', '"a"'),
        ('{"value":1,"more":2}', '{"value":1,"more":2}'),
        ('["a"]', '["a"]'),
        ('{"value":', '{"value":'),
        ("no", "no"),
        ("\ud800", "\ud800"),
        ("", ""),
    ],
)
def test_a_wrapped_answer_is_unwrapped(text: str, expected: str) -> None:
    assert unwrap(text) == expected


def test_only_what_was_wrapped_is_unwrapped() -> None:
    given = answer(Text('{"value":["a"]}'))
    assert parts(given, request(responseSchema=LIST)) == [{"text": '["a"]'}]
    assert parts(given) == [{"text": '{"value":["a"]}'}]


def test_a_count() -> None:
    assert json.loads(render_count(7)) == {"totalTokens": 7}


# Google's package ------------------------------------------------------------------------------------------------------


class City(BaseModel):
    """An answer in a form."""

    name: str
    days: int | None = None


def test_the_sdk_reads_an_answer() -> None:
    gateway = ScriptedGateway(GOLDEN)
    config = types.GenerateContentConfig(
        thinking_config=types.ThinkingConfig(include_thoughts=True),
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    found = gateway.client.models.generate_content(model="gpt-4.1", contents="Hello", config=config)
    assert found.text == "Hi"
    assert [call.args for call in found.function_calls or []] == [{"a": 1}]
    assert found.candidates is not None
    assert found.candidates[0].finish_reason is types.FinishReason.STOP
    assert (found.model_version, found.response_id) == ("gpt-4.1", "req1")
    assert found.usage_metadata is not None
    assert (found.usage_metadata.total_token_count, found.usage_metadata.thoughts_token_count) == (19, 3)


def test_the_sdk_reads_an_answer_in_a_form() -> None:
    gateway = ScriptedGateway(answer(Text('{"name":"Bern","days":3}')), answer(Text('{"value":[{"name":"Bern"}]}')))
    client = gateway.client
    one = types.GenerateContentConfig(response_mime_type="application/json", response_schema=City)
    assert client.models.generate_content(model="m", contents="x", config=one).parsed == City(name="Bern", days=3)
    several = types.GenerateContentConfig(response_mime_type="application/json", response_schema=list[City])
    parsed: Any = client.models.generate_content(model="m", contents="x", config=several).parsed
    assert parsed == [City(name="Bern")]
    first, second = (asked.output_format for asked in gateway.asked)
    assert first is not None
    assert second is not None
    assert first.schema["type"] == "object"
    assert first.schema["properties"]["days"] in (
        {"type": ["integer", "null"], "title": "Days"},
        {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None, "title": "Days"},
    )
    assert second.schema["properties"]["value"]["type"] == "array"


def test_the_sdk_calls_functions_by_itself_and_hands_the_reasoning_back() -> None:
    def weather(city: str, days: int = 1) -> str:
        """The weather of a city."""
        return f"sunny in {city} for {days}"

    call = ToolCall(id="call_9", name="weather", arguments='{"city":"Bern","days":2}')
    gateway = ScriptedGateway(
        Answer(parts=(Reasoning("Hm", CARRIER), call), stop=StopReason.TOOL_CALLS, usage=USAGE), answer(Text("It is."))
    )
    config = types.GenerateContentConfig(tools=[weather], system_instruction="Be brief")
    found = gateway.client.models.generate_content(model="m", contents="How is it?", config=config)
    assert found.text == "It is."
    first, second = gateway.asked
    assert first.system == ("Be brief",)
    (tool,) = first.tools
    assert (tool.name, tool.description) == ("weather", "The weather of a city.")
    assert tool.parameters["properties"]["city"]["type"] == "string"
    assert second.messages[1].parts == (Reasoning("", CARRIER), call)
    assert second.messages[2].parts == (ToolResult(call_id="call_9", parts=(Text("sunny in Bern for 2"),)),)


def test_the_sdk_raises_our_errors() -> None:
    from google.genai import errors

    gateway = ScriptedGateway(ModelNotFound("there is no model 'm'"), RateLimited("slow down", retry_after=12))
    with pytest.raises(errors.ClientError) as failure:
        gateway.client.models.generate_content(model="m", contents="x")
    assert (failure.value.code, failure.value.status) == (404, "NOT_FOUND")
    assert "there is no model 'm'" in (failure.value.message or "")
    with pytest.raises(errors.ClientError) as failure:
        gateway.client.models.generate_content(model="m", contents="x")
    assert (failure.value.code, failure.value.status) == (429, "RESOURCE_EXHAUSTED")
    assert failure.value.details["error"]["details"][-1]["retryDelay"] == "12s"


def test_pitfall_106_the_sdk_counts_tokens() -> None:
    gateway = ScriptedGateway()
    found = gateway.client.models.count_tokens(model="m", contents=["Hello", "there"])
    assert found.total_tokens == TOKENS
    assert gateway.asked[0].messages[0].parts == (Text("Hello"), Text("there"))
