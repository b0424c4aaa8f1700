"""The turns of a conversation."""

import base64
import json
from typing import Any

import pytest

from copilot_api.errors import BadRequest
from copilot_api.protocols.carriers import pack
from copilot_api.protocols.conversation import (
    Carrier,
    Document,
    Image,
    Message,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from copilot_api.protocols.gemini.contents import unpack_signature
from copilot_api.protocols.gemini.response import pack_signature
from tests.protocols.gemini.build import CARRIER, SAID, model, parse, read, read_contents, user

CALL = {"functionCall": {"name": "f", "args": {"a": 1}}}
SECOND = Carrier(kind="an", data="signed", text="Hm, well")


def answered(name: str = "f", **more: Any) -> dict[str, Any]:
    return {"functionResponse": {"name": name, "response": {"output": "done"}, **more}}


def parts(*contents: dict[str, Any]) -> list[tuple[Part, ...]]:
    return [message.parts for message in read_contents(*contents).messages]


def test_roles_and_texts() -> None:
    found = read_contents(user({"text": "Hello"}), model({"text": "Hi"}), {"parts": [{"text": "a"}, {"text": "b"}]})
    assert found.messages == (
        Message("user", (Text("Hello"),)),
        Message("assistant", (Text("Hi"),)),
        Message("user", (Text("a"), Text("b"))),
    )


def test_the_pieces_of_a_streamed_turn_are_one_text() -> None:
    """The SDK's chat keeps the chunks of a stream as turns of their own."""
    assert parts(user({"text": "x"}), model({"text": "He"}), model({"text": "llo"}, {"text": "!"})) == [
        (Text("x"),),
        (Text("Hello!"),),
    ]


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ("Be kind", ("Be kind",)),
        ({"parts": [{"text": "a"}, {"text": "b"}]}, ("a", "b")),
        ({"role": "user", "parts": {"text": "a"}}, ("a",)),
        ({"parts": [{"inlineData": {}}]}, ()),
        (None, ()),
    ],
)
@pytest.mark.parametrize("name", ["systemInstruction", "system_instruction"])
def test_instructions(name: str, system: Any, expected: tuple[str, ...]) -> None:
    assert read({"contents": SAID, name: system}).system == expected


def test_a_call_and_its_result() -> None:
    found = parts(
        user({"text": "x"}),
        model(
            {"text": "I look"},
            {"functionCall": {"id": "c1", "name": "f", "args": {"a": [1, 2.50, 12345678901234567890]}}},
        ),
        user({"functionResponse": {"id": "c1", "name": "f", "response": {"output": "done"}}}),
    )
    assert found[1] == (Text("I look"), ToolCall(id="c1", name="f", arguments='{"a":[1,2.5,12345678901234567890]}'))
    assert found[2] == (ToolResult(call_id="c1", parts=(Text("done"),)),)


def test_calls_without_ids_are_counted_and_answered_by_name_in_order() -> None:
    found = parts(model(CALL, {"functionCall": {"name": "g"}}, CALL), user(answered("g"), answered(), answered()))
    assert [part.id for part in found[0] if isinstance(part, ToolCall)] == ["call_1", "call_2", "call_3"]
    assert [part.call_id for part in found[1] if isinstance(part, ToolResult)] == ["call_2", "call_1", "call_3"]


def test_a_counted_id_is_never_one_of_the_clients() -> None:
    taken = {"functionCall": {"id": "call_1", "name": "g"}}
    found = parts(model(CALL, taken), user(answered(), answered("g", id="call_1")))
    assert [part.id for part in found[0] if isinstance(part, ToolCall)] == ["call_2", "call_1"]
    assert [part.call_id for part in found[1] if isinstance(part, ToolResult)] == ["call_2", "call_1"]


def test_a_result_belongs_to_the_latest_turn_that_called() -> None:
    """An interrupted call of long ago must not take the answer of the one that was just made."""
    found = parts(model(CALL), user({"text": "stop; again"}), model(CALL), user(answered()))
    assert found[3] == (ToolResult(call_id="call_2", parts=(Text("done"),)),)


def test_a_result_whose_id_nobody_used_goes_by_its_name() -> None:
    found = parts(model(CALL), user(answered(id="made up by the client")))
    assert isinstance(found[1][0], ToolResult)
    assert found[1][0].call_id == "call_1"


def test_pitfall_029_a_result_of_no_call_is_kept() -> None:
    found = parts(user(answered(id="lost"), answered("g")))
    assert [part.call_id for part in found[0] if isinstance(part, ToolResult)] == ["lost", "call_1"]


def test_pitfall_002_results_come_first_and_texts_keep_their_order() -> None:
    found = parts(model(CALL), user({"text": "a"}, answered(), {"text": "b"}))
    assert found[1] == (ToolResult(call_id="call_1", parts=(Text("done"),)), Text("a"), Text("b"))


def test_whose_a_part_is_does_not_depend_on_the_turn() -> None:
    """Old clients put results into the model's turn, or into one of the role `function`."""
    assert [message.role for message in read_contents(model(CALL, answered()), user({"text": "x"})).messages] == [
        "assistant",
        "user",
        "user",
    ]
    assert read_contents(model(CALL), {"role": "function", "parts": [answered()]}).messages[1].role == "user"
    assert read_contents(user(CALL)).messages[-1].role == "assistant"


@pytest.mark.parametrize(
    ("response", "text", "is_error"),
    [
        ({"output": "done"}, "done", False),
        ({"result": "done"}, "done", False),
        ({"result": {"a": [1]}}, '{"a":[1]}', False),
        ({"result": 1.0}, "1.0", False),
        ({"error": "it broke"}, "it broke", True),
        ({"error": {"code": 1}}, '{"code":1}', True),
        ({"output": "x", "exit_code": 1}, '{"output":"x","exit_code":1}', False),
        ({"weather": "fine"}, '{"weather":"fine"}', False),
        ({}, "{}", False),
        ("bare", "bare", False),
        ([1], "[1]", False),
    ],
)
def test_pitfall_003_what_a_function_answered(response: Any, text: str, *, is_error: bool) -> None:
    found = parts(model(CALL), user({"functionResponse": {"name": "f", "response": response}}))
    assert found[1] == (ToolResult(call_id="call_1", parts=(Text(text),), is_error=is_error),)


@pytest.mark.parametrize("more", [{}, {"response": None}])
def test_pitfall_006_a_function_may_answer_nothing(more: dict[str, Any]) -> None:
    found = parts(model(CALL), user({"functionResponse": {"name": "f", **more}}))
    assert found[1] == (ToolResult(call_id="call_1", parts=()),)


def test_pitfall_004_media_of_a_result_stay_with_it() -> None:
    media = [
        {"inlineData": {"mimeType": "image/png", "data": "QUJD"}},
        {"fileData": {"mimeType": "application/pdf", "fileUri": "https://x.test/a.pdf"}},
        {},
    ]
    body = answered(parts=media)
    found = parts(model(CALL), user(body))
    image = Image(data="QUJD", media_type="image/png")
    pdf = Document(url="https://x.test/a.pdf", media_type="application/pdf")
    assert found[1] == (ToolResult(call_id="call_1", parts=(Text("done"), image, pdf)),)
    assert parse({"contents": [user(body)]}).has_images


def test_files() -> None:
    inline = {"inline_data": {"mime_type": "image/png", "data": "QUJD"}}
    far = {"fileData": {"fileUri": "https://x.test/a.png", "mimeType": "image/png"}}
    assert parts(user({"text": "see"}, inline, far))[0] == (
        Text("see"),
        Image(data="QUJD", media_type="image/png"),
        Image(url="https://x.test/a.png", media_type="image/png"),
    )
    assert parts(model({"text": "made"}, inline))[0] == (Text("made"),)


def test_code_that_google_ran_is_text() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "print(1)"}}
    output = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}
    assert parts(model(code, output))[0] == (Text("\n```python\nprint(1)\n```\n\n```\n1\n```\n"),)
    assert parts(user(output))[0] == (Text("\n```\n1\n```\n"),)


def test_parts_that_nobody_knows_are_named_in_the_users_turn_and_left_out_of_the_models() -> None:
    assert parts(user({"toolResponse": {}}), model({"toolCall": {}}, {"text": "x"})) == [
        (Text("[unsupported content]"),),
        (Text("x"),),
    ]


def test_pitfall_007_old_thoughts_are_never_said() -> None:
    assert parts(model({"text": "Hm", "thought": True}, {"text": "Hi"}))[0] == (Text("Hi"),)
    assert parts(user({"text": "Hm", "thought": True}, {"text": "Hi"}))[0] == (Text("Hi"),)


# Signatures -----------------------------------------------------------------------------------------------------------


def test_a_signature_of_ours_is_the_reasoning_before_the_text_that_it_led_to() -> None:
    signed = {**CALL, "thoughtSignature": pack_signature([CARRIER, SECOND])}
    assert parts(model({"text": "I look"}, signed))[0] == (
        Reasoning("", CARRIER),
        Reasoning("Hm, well", SECOND),
        Text("I look"),
        ToolCall(id="call_1", name="f", arguments='{"a":1}'),
    )


def test_reasoning_between_two_calls_stays_there() -> None:
    signed = {**CALL, "thoughtSignature": pack_signature([SECOND])}
    found = parts(model(CALL, signed))[0]
    assert [type(part) for part in found] == [ToolCall, Reasoning, ToolCall]


def test_a_signature_on_text_is_that_texts() -> None:
    signed = {"text": "", "thoughtSignature": pack_signature([CARRIER])}
    assert parts(model({"text": "Hello"}), model(signed))[0] == (Reasoning("", CARRIER), Text("Hello"))


def test_the_sdk_writes_base64_in_the_other_alphabet() -> None:
    for text in (pack_signature([CARRIER]), pack_signature([Carrier(kind="rs", data="?>?>~~~")])):
        other = text.replace("+", "-").replace("/", "_").rstrip("=")
        assert unpack_signature(other) == unpack_signature(text) != ()


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "x",
        "EjRWeA==",
        "skip_thought_signature_validator",
        "é",
        pack(CARRIER),
        base64.b64encode(b"gw1.zz.").decode(),
    ],
)
def test_pitfall_038_signatures_that_are_not_ours_mean_nothing(signature: str) -> None:
    assert parts(model({"text": "x", "thoughtSignature": signature}))[0] == (Text("x"),)


def test_a_signature_in_the_users_turn_means_nothing() -> None:
    assert parts(user({"text": "x", "thoughtSignature": pack_signature([CARRIER])}))[0] == (Text("x"),)


# Faults ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "param"),
    [
        ({"role": "assistant", "parts": []}, "contents[0].role"),
        ({"role": "system", "parts": []}, "contents[0].role"),
        (model({"functionCall": {"args": {}}}), "contents[0].parts[0].functionCall.name"),
        (model({"text": "x"}, {"functionCall": {"name": "f", "args": [1]}}), "contents[0].parts[1].functionCall.args"),
        (user({"inlineData": {"data": "QUJD"}}), "contents[0].parts[0].inlineData.mimeType"),
        (user({"fileData": {"fileUri": "files/x"}}), "contents[0].parts[0].fileData.fileUri"),
        (
            user({"functionResponse": {"name": "f", "parts": [{"inlineData": {}}]}}),
            "contents[0].parts[0].functionResponse.parts[0].inlineData.mimeType",
        ),
    ],
)
def test_a_fault_is_refused_with_its_place(content: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        read_contents(content)
    assert refusal.value.param == param


def test_pitfall_124_the_same_history_always_reads_the_same() -> None:
    body = {"contents": [model(CALL, CALL), user(answered(), answered())]}
    assert read(body) == read(json.loads(json.dumps(body)))
