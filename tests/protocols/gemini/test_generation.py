"""What a request says of the answer."""

from typing import Any

import pytest

from copilot_api.errors import BadRequest
from copilot_api.protocols.conversation import ModelRequest, OutputFormat, Thinking
from tests.protocols.gemini.build import SAID, parse, read

PERSON = {"type": "OBJECT", "properties": {"name": {"type": "STRING"}}}


def configured(**config: Any) -> ModelRequest:
    return read({"contents": SAID, "generationConfig": config})


def test_limits_and_sampling() -> None:
    found = configured(maxOutputTokens=100, temperature=0.5, topP=0.9, topK=40, stopSequences=["END"])
    assert (found.max_output_tokens, found.temperature, found.top_p, found.top_k) == (100, 0.5, 0.9, 40)
    assert found.stop == ("END",)
    assert configured(stopSequences="END").stop == ("END",)


def test_nothing_is_invented() -> None:
    assert read({"contents": SAID}) == ModelRequest(model="gpt-4.1", messages=read({"contents": SAID}).messages)


@pytest.mark.parametrize(
    ("config", "thinking"),
    [
        ({}, Thinking()),
        ({"thinkingBudget": 0}, Thinking(is_disabled=True)),
        ({"thinkingBudget": -1}, Thinking()),
        ({"thinkingBudget": 8192, "includeThoughts": True}, Thinking(budget_tokens=8192, is_shown=True)),
        ({"thinkingLevel": "HIGH"}, Thinking(effort="high")),
        ({"thinkingLevel": "minimal", "includeThoughts": False}, Thinking(effort="minimal", is_shown=False)),
        ({"thinkingLevel": "low", "thinkingBudget": 0}, Thinking(effort="low")),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, Thinking()),
    ],
)
def test_how_much_to_think(config: dict[str, Any], thinking: Thinking) -> None:
    assert configured(thinkingConfig=config).thinking == thinking


def test_the_effort_is_known_before_anything_is_read() -> None:
    body = {"contents": SAID, "generationConfig": {"thinkingConfig": {"thinkingLevel": "HIGH"}}}
    assert parse(body).effort == "high"
    assert parse({"contents": SAID}).effort is None


def test_json_without_a_schema() -> None:
    assert configured(responseMimeType="application/json").output_format == OutputFormat(kind="json_object")
    assert configured(responseMimeType="text/plain").output_format is None


@pytest.mark.parametrize(
    "config",
    [
        {"responseMimeType": "application/json", "responseSchema": PERSON},
        {"responseSchema": PERSON},
        {
            "response_mime_type": "application/json",
            "response_json_schema": {"type": "object", "properties": {"name": {"type": "string"}}},
        },
        {"responseJsonSchema": {"type": "object", "properties": {"name": {"type": "string"}}}, "responseSchema": {}},
    ],
)
def test_a_schema_of_either_kind(config: dict[str, Any]) -> None:
    found = configured(**config).output_format
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    assert found == OutputFormat(kind="json_schema", name="response", schema=schema)


@pytest.mark.parametrize(
    "schema",
    [{"type": "ARRAY", "items": PERSON}, {"type": "STRING"}, {"anyOf": [PERSON]}, {"type": "OBJECT", "nullable": True}],
)
def test_a_root_that_is_no_object_is_wrapped_since_upstreams_refuse_it(schema: dict[str, Any]) -> None:
    request = parse({"contents": SAID, "generationConfig": {"responseSchema": schema}})
    assert request.form.is_wrapped
    assert request.form.output_format is not None
    assert request.form.output_format.schema["required"] == ["value"]


def test_one_of_several_values_is_asked_for_in_words() -> None:
    found = configured(responseMimeType="text/x.enum", responseSchema={"type": "STRING", "enum": ["red", "blue"]})
    assert found.output_format is None
    assert found.system == ("Reply with exactly one of these values, and nothing else: red, blue",)


def test_what_makes_little_difference_is_dropped_by_name() -> None:
    found = read(
        {
            "contents": SAID,
            "generationConfig": {"seed": 1, "presencePenalty": 0.5, "frequencyPenalty": 0, "mediaResolution": "X"},
            "safetySettings": [{"category": "X", "threshold": "Y"}],
            "labels": {"a": "b"},
        }
    )
    assert found.dropped == ("seed", "presencePenalty", "mediaResolution", "safetySettings")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"cachedContent": "cachedContents/1"}, "cachedContent"),
        ({"continuationToken": "x"}, "continuationToken"),
        ({"generationConfig": {"candidateCount": 2}}, "generationConfig.candidateCount"),
        ({"generationConfig": {"candidateCount": 0}}, "generationConfig.candidateCount"),
        ({"generationConfig": {"responseLogprobs": True}}, "generationConfig.responseLogprobs"),
        ({"generationConfig": {"logprobs": 3}}, "generationConfig.logprobs"),
        ({"generationConfig": {"responseModalities": ["TEXT", "AUDIO"]}}, "generationConfig.responseModalities[1]"),
        ({"generationConfig": {"maxOutputTokens": 0}}, "generationConfig.maxOutputTokens"),
        ({"generationConfig": {"responseMimeType": "image/png"}}, "generationConfig.responseMimeType"),
        (
            {"generationConfig": {"thinkingConfig": {"thinkingLevel": "x"}}},
            "generationConfig.thinkingConfig.thinkingLevel",
        ),
        ({"generationConfig": {"temperature": "hot"}}, "generationConfig.temperature"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_field(body: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        parse({"contents": SAID, **body})
    assert refusal.value.param == param


def test_what_asks_for_the_ordinary_is_fine() -> None:
    parse(
        {"contents": SAID, "generationConfig": {"candidateCount": 1, "responseModalities": ["TEXT"], "logprobs": None}}
    )
