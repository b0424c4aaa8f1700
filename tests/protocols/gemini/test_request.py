"""Requests: what the gateway must know of them, and the whole of one in the neutral form."""

import contextlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.genai import types
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.errors import BadRequest
from copilot_api.protocols.base import Envelope, ModelTraits
from copilot_api.protocols.conversation import ModelRequest, Text
from copilot_api.protocols.gemini.request import parse_count_request, parse_request, read_conversation
from tests.protocols.gemini.build import SAID, answer, model, parse, read, user
from tests.protocols.gemini.google_sdk import ScriptedGateway

CASES = Path(__file__).parent.parent / "cases" / "gemini"
INVALID = sorted((CASES / "invalid").iterdir())
VALID = sorted(path for path in CASES.iterdir() if path.name != "invalid")
RESULT = {"functionResponse": {"name": "f", "response": {"output": "x"}}}
IMAGE = {"inlineData": {"mimeType": "image/png", "data": "QUJD"}}


def name(path: Path) -> str:
    return path.name


# Cases ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", VALID, ids=name)
def test_a_request_reads_as_it_should(case: Path) -> None:
    """`request.json` is what a client sends, `conversation.json` the neutral form but for what is empty."""
    request = parse_request((case / "request.json").read_bytes(), Envelope(model="m"))
    found = json.loads(msgspec.json.encode(read_conversation(request)))
    empty = json.loads(msgspec.json.encode(ModelRequest(model="m")))
    said = {field: value for field, value in found.items() if value != empty[field]}
    assert said == json.loads((case / "conversation.json").read_text())


@pytest.mark.parametrize("case", INVALID, ids=name)
def test_an_invalid_request_is_refused_with_its_fault(case: Path) -> None:
    expected = json.loads((case / "error.json").read_text())
    with pytest.raises(BadRequest) as refusal:
        read_conversation(parse_request((case / "request.json").read_bytes(), Envelope(model="m")))
    assert refusal.value.param == expected["param"]
    assert expected["message"] in refusal.value.message


# What the gateway must know -------------------------------------------------------------------------------------------


def test_model_and_stream_come_from_the_path() -> None:
    found = parse({"contents": SAID, "model": "other"}, model="models/gpt-4.1", is_streamed=True, is_array=True)
    assert (found.model, found.is_streamed, found.is_array) == ("gpt-4.1", True, True)
    assert parse({"contents": SAID}, is_array=True).is_array is False
    assert read_conversation(found).model == "gpt-4.1"
    assert read_conversation(found).is_streamed


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        ({}, None), ({"generationConfig": {}}, None), ({"generationConfig": {"maxOutputTokens": None}}, None),
        ({"generationConfig": {"maxOutputTokens": 9}}, 9), ({"generation_config": {"max_output_tokens": 9.0}}, 9),
    ],
)  # fmt: skip
def test_the_output_is_limited_to_what_the_caller_asks_for(body: dict[str, Any], limit: int | None) -> None:
    assert parse({"contents": SAID, **body}).output_limit == limit


@pytest.mark.parametrize(
    ("contents", "initiator"),
    [
        (SAID, "user"),
        ([user({"text": "x"}), model({"text": "y"})], "agent"),
        ([user(RESULT)], "agent"),
        ([user(RESULT, RESULT)], "agent"),
        ([{"role": "function", "parts": [RESULT]}], "agent"),
        ([user(RESULT, IMAGE)], "agent"),
        ([user(RESULT, {"text": "and now?"})], "user"),
        ([user(IMAGE)], "user"),
        ([user()], "user"),
        ([model(), user({"text": "x"})], "user"),
    ],
)
def test_who_began(contents: list[dict[str, Any]], initiator: str) -> None:
    assert parse({"contents": contents}).initiator == initiator


@pytest.mark.parametrize(
    ("parts", "has_images"),
    [
        ([{"text": "x"}], False),
        ([IMAGE], True),
        ([{"inline_data": {"mime_type": "IMAGE/JPEG", "data": ""}}], True),
        ([{"inlineData": {"mimeType": "application/pdf"}}], False),
        ([{"fileData": {"mimeType": "image/png", "fileUri": "https://x"}}], True),
        ([{"functionResponse": {"name": "f", "parts": IMAGE}}], True),
    ],
)
def test_whether_there_is_an_image(parts: list[dict[str, Any]], *, has_images: bool) -> None:
    assert parse({"contents": [user(*parts)]}).has_images is has_images


def test_there_is_no_native_path() -> None:
    with pytest.raises(TypeError, match="does not speak generateContent"):
        parse({"contents": SAID}).render(ModelTraits(id="gemini-2.5-pro"))


# Counting -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"contents": SAID},
        {"contents": SAID, "generationConfig": {"temperature": 1}},
        {"generateContentRequest": {"model": "models/other", "contents": SAID}},
        {"generate_content_request": {"contents": SAID}},
    ],
)
def test_pitfall_106_what_is_counted(body: dict[str, Any]) -> None:
    found = read_conversation(parse_count_request(json.dumps(body).encode(), Envelope(model="unknown")))
    assert found.model == "unknown"
    assert found.messages[0].parts == (Text("Hello"),)


def test_instructions_and_tools_count_too() -> None:
    inner = {
        "contents": SAID,
        "systemInstruction": {"parts": [{"text": "x"}]},
        "tools": [{"functionDeclarations": [{"name": "f"}]}],
    }
    body = json.dumps({"generateContentRequest": inner}).encode()
    found = read_conversation(parse_count_request(body, Envelope(model="m")))
    assert (found.system, [tool.name for tool in found.tools]) == (("x",), ["f"])


# Faults ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "contents"),
        ({"contents": []}, "contents"),
        ({"contents": None}, "contents"),
        ({"contents": 1}, "contents"),
        ({"contents": ["x"]}, "contents[0]"),
        ({"contents": [{"parts": [{"text": 1}]}]}, "contents[0].parts[0].text"),
        ({"contents": [{"parts": [{}, {"inlineData": "x"}]}]}, "contents[0].parts[1].inlineData"),
        ({"contents": [{"role": 1}]}, "contents[0].role"),
        ({"contents": SAID, "systemInstruction": 1}, "systemInstruction"),
        ({"contents": SAID, "tools": "x"}, "tools"),
        ({"contents": SAID, "toolConfig": []}, "toolConfig"),
        ({"contents": SAID, "generation_config": {"top_p": "1"}}, "generationConfig.topP"),
        ({"contents": SAID, "generationConfig": {"stopSequences": [1]}}, "generationConfig.stopSequences[0]"),
    ],
)
def test_a_wrong_type_is_refused_with_its_place(body: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        parse(body)
    assert refusal.value.param == param


@pytest.mark.parametrize(
    "source", [b"", b"[]", b"null", b"{", b'{"contents":[}', b"\xff", b'{"contents":1,"contents":2}']
)
def test_what_is_no_object_is_refused(source: bytes) -> None:
    with pytest.raises(BadRequest):
        parse(source)


@pytest.mark.parametrize("key", ["parts", "function_call"])
def test_pitfall_114_deep_nesting_is_refused_and_not_a_crash(key: str) -> None:
    deep = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
    for field in (b"args", b"x_y"):
        source = b'{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f","%b":%b}}]}],"%b":1}' % (
            field,
            deep,
            key.encode(),
        )
        with pytest.raises(BadRequest):
            read_conversation(parse(source))


def test_pitfall_115_odd_texts_do_no_harm() -> None:
    source = b'{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f","args":{"__proto__":"\\u0000"}}}]}]}'
    read_conversation(parse(source))
    for spelling in (b"functionCall", b"function_call"):
        lone = b'{"contents":[{"role":"model","parts":[{"%b":{"name":"f","args":{"a":"\\ud800"}}}]}]}' % spelling
        with contextlib.suppress(BadRequest):
            read_conversation(parse(lone))


WORDS = [
    *("contents", "parts", "role", "text", "thought", "thoughtSignature", "inlineData", "mimeType", "data", "fileData"),
    *(
        "fileUri",
        "functionCall",
        "functionResponse",
        "name",
        "args",
        "id",
        "response",
        "output",
        "executableCode",
        "code",
    ),
    *("tools", "functionDeclarations", "function_declarations", "parameters", "parametersJsonSchema", "googleSearch"),
    *("toolConfig", "functionCallingConfig", "mode", "allowedFunctionNames", "generationConfig", "responseSchema"),
    *("responseMimeType", "type", "nullable", "enum", "properties", "anyOf", "thinkingConfig", "thinkingLevel", "topK"),
    *("systemInstruction", "system_instruction", "generateContentRequest", "maxOutputTokens", "thinkingBudget"),
]
VALUES = st.sampled_from(
    ["user", "model", "f", "image/png", "QUJD", "ANY", "HIGH", "application/json", "OBJECT", "data:,"]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4)
    | VALUES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=24,
)
PARTS = st.dictionaries(st.sampled_from(WORDS[3:18]), JSON, max_size=3)
CONTENTS = st.lists(
    st.fixed_dictionaries({}, optional={"role": VALUES, "parts": st.lists(PARTS, max_size=3) | PARTS}), max_size=3
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "contents": CONTENTS | JSON,
        "tools": st.lists(st.dictionaries(st.sampled_from(WORDS), JSON, max_size=2), max_size=2),
        "toolConfig": JSON,
        "generationConfig": st.dictionaries(st.sampled_from(WORDS), JSON, max_size=3),
        "generateContentRequest": JSON,
    },
)


@settings(max_examples=400, deadline=None)
@given(BODIES | JSON, st.booleans())
def test_any_json_is_a_request_or_a_bad_one(body: Any, counts: bool) -> None:
    source = json.dumps(body).encode()
    with contextlib.suppress(BadRequest):
        request = (parse_count_request if counts else parse_request)(source, Envelope(model="m"))
        read_conversation(request)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=64))
def test_any_bytes_are_a_request_or_a_bad_one(source: bytes) -> None:
    for whole in (source, b'{"contents":[{"parts":[{"text":"' + source + b'"}]}]}'):
        with contextlib.suppress(BadRequest):
            read_conversation(parse_request(whole, Envelope(model="m")))


# Google's package ------------------------------------------------------------------------------------------------------


def test_the_sdk_says_everything_that_it_can() -> None:
    gateway = ScriptedGateway(answer(Text("x")))
    config = types.GenerateContentConfig(
        system_instruction=["Be kind", "Be brief"],
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        candidate_count=1,
        max_output_tokens=100,
        stop_sequences=["END"],
        seed=7,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        response_modalities=["TEXT"],
        response_mime_type="application/json",
        response_json_schema={"type": "object", "properties": {"a_b": {"type": "string"}}},
        safety_settings=[
            types.SafetySetting(
                category=types.HarmCategory.HARM_CATEGORY_HARASSMENT, threshold=types.HarmBlockThreshold.OFF
            )
        ],
        thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_level=types.ThinkingLevel.HIGH),
        tools=[
            types.Tool(google_search=types.GoogleSearch()),
            types.Tool(
                function_declarations=[
                    types.FunctionDeclaration(name="f", parameters=types.Schema(type=types.Type.OBJECT))
                ]
            ),
        ],
        tool_config=types.ToolConfig(
            function_calling_config=types.FunctionCallingConfig(
                mode=types.FunctionCallingConfigMode.ANY, allowed_function_names=["f"]
            )
        ),
    )
    contents = [
        types.Part.from_text(text="Look"),
        types.Part.from_bytes(data=b"\xfb\xff\xfe", mime_type="image/png"),
        types.Part.from_uri(file_uri="https://x.test/a.pdf", mime_type="application/pdf"),
    ]
    gateway.client.models.generate_content(model="m", contents=contents, config=config)
    (found,) = gateway.asked
    expected = json.loads((CASES / "python_sdk_everything" / "conversation.json").read_text())
    empty = json.loads(msgspec.json.encode(ModelRequest(model="m")))
    said = {field: value for field, value in json.loads(msgspec.json.encode(found)).items() if value != empty[field]}
    assert said == expected
    assert json.loads((CASES / "python_sdk_everything" / "request.json").read_text()) == gateway.bodies[0]


def test_the_same_body_reads_the_same_in_either_spelling() -> None:
    body = json.loads((CASES / "python_sdk_everything" / "request.json").read_text())
    assert read(_underscored(body)) == read(body)


def _underscored(value: Any) -> Any:
    own = {"args", "response", "parameters", "responseJsonSchema"}
    if isinstance(value, list):
        return [_underscored(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    return {
        "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in field): inner
        if field in own
        else _underscored(inner)
        for field, inner in value.items()
    }


# Its outline --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        ([user({"text": "hello"})], b'"hello"'),
        (user({"text": "hello"}), b'"hello"'),
        ([{"parts": {"text": "hello"}}], b'"hello"'),
        ([user({"text": "a"}, RESULT, {"text": "b"}, {"text": ""}, IMAGE)], b'"b"'),
        ([user({"text": "a"}, *[RESULT] * 8)], b"null"),
        ([user(RESULT)], b"null"),
        ([user({"text": "hello"}), model({"text": "hi"})], b"null"),
        ([{}], b"null"),
    ],
)
def test_its_outline_shows_the_last_text_of_the_user(contents: Any, said: bytes) -> None:
    assert bytes(parse({"contents": contents}).outline.said) == said


@pytest.mark.parametrize(
    ("system", "shown"),
    [
        (None, b"null"),
        ("", b"null"),
        ("be brief", b'"be brief"'),
        ({}, b"null"),
        ({"parts": {"text": "be brief"}}, b'"be brief"'),
        ({"parts": [IMAGE, {"text": 'say "x"'}, {"text": "y"}]}, b'"say \\"x\\""'),
        ({"parts": [{"text": "x" * 9000}]}, b'"%b"' % (b"x" * 512)),
    ],
)
def test_its_outline_shows_the_system_prompt(system: Any, shown: bytes) -> None:
    assert bytes(parse({"contents": SAID, "systemInstruction": system}).outline.system) == shown


@pytest.mark.parametrize(
    ("tools", "count"), [(None, 0), ([], 0), ({"googleSearch": {}}, 1), ([{"googleSearch": {}}] * 2, 2)]
)
def test_its_outline_counts_the_groups_of_tools(tools: Any, count: int) -> None:
    assert parse({"contents": SAID, "tools": tools}).outline.tools == count
