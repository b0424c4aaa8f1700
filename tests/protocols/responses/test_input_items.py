"""The items of a Responses input as turns."""

import json
from typing import Any

import pytest

from copilot_api.errors import BadRequest
from copilot_api.protocols import carriers
from copilot_api.protocols.conversation import (
    Carrier,
    Document,
    Image,
    Message,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from copilot_api.protocols.responses.input_items import additional_tools, read_input

PNG = "data:image/png;base64,iVBORw0KGgo="
IMAGE = Image(media_type="image/png", data="iVBORw0KGgo=")


def said(role: str, content: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": content, **fields}


def called(call_id: str = "c1", **fields: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "f", "arguments": "{}", **fields}


def answered(call_id: str = "c1", output: Any = "ok", **fields: Any) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": output, **fields}


def messages(*items: Any, instructions: str | None = None) -> list[Message]:
    return list(read_input(instructions, list(items))[1])


CALL = ToolCall(id="c1", name="f", arguments="{}")
OK = ToolResult(call_id="c1", parts=(Text("ok"),))


# Turns --------------------------------------------------------------------------------------------------------------


def test_a_string_is_what_the_user_says() -> None:
    assert read_input(None, "hello") == ((), (Message("user", (Text("hello"),)),))


def test_instructions_come_first_and_leading_ones_follow_as_they_were_given() -> None:
    system, found = read_input(
        "be brief",
        [
            said("developer", "a"),
            said("system", [{"type": "input_text", "text": "b"}, {"type": "input_text", "text": "c"}]),
            said("user", "x"),
        ],
    )
    assert system == ("be brief", "a", "b", "c")
    assert found == (Message("user", (Text("x"),)),)


def test_empty_instructions_are_none() -> None:
    assert read_input("", [said("developer", ""), said("user", "x")])[0] == ()


def test_later_instructions_stay_where_they_are() -> None:
    found = messages(said("user", "x"), said("developer", "now in French"), said("user", "y"))
    assert [message.role for message in found] == ["user", "system", "user"]


def test_a_turn_is_one_message() -> None:
    items = [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "enc"},
        said("assistant", [{"type": "output_text", "text": "a"}], phase="commentary"),
        called("c1"), called("c2"),
        answered("c1"), answered("c2"), said("user", "go on"),
    ]  # fmt: skip
    model, user = messages(*items)
    assert [type(part) for part in model.parts] == [Reasoning, Text, ToolCall, ToolCall]
    assert model.phase == "commentary"
    assert [type(part) for part in user.parts] == [ToolResult, ToolResult, Text]


def test_messages_of_another_phase_are_another_message() -> None:
    first, second = messages(said("assistant", "a", phase="commentary"), said("assistant", "b", phase="final_answer"))
    assert (first.phase, second.phase) == ("commentary", "final_answer")


def test_an_item_with_a_role_and_no_type_is_a_message() -> None:
    assert messages({"role": "user", "content": "x"}, {"role": "assistant", "content": ""}) == [
        Message("user", (Text("x"),)),
        Message("assistant", (Text(""),)),
    ]


def test_a_result_may_come_before_its_call() -> None:
    """Putting them in order is the translation's business."""
    assert messages(answered(), called()) == [Message("user", (OK,)), Message("assistant", (CALL,))]


def test_what_openais_own_servers_did_is_left_out() -> None:
    hosted = [{"type": kind, "id": "x"} for kind in ("web_search_call", "mcp_call", "computer_call_output", "tool_search_output", "item_of_tomorrow", "additional_tools")]  # fmt: skip
    assert messages(said("user", "x"), *hosted) == [Message("user", (Text("x"),))]


def test_additional_tools_are_found_with_their_place() -> None:
    items = [said("user", "x"), {"type": "additional_tools", "role": "developer", "tools": [{"name": "a"}, 5]}]
    assert list(additional_tools(items)) == [("input[1].tools[0]", {"name": "a"}), ("input[1].tools[1]", {})]
    assert list(additional_tools("additional_tools")) == []


# Content ------------------------------------------------------------------------------------------------------------


def test_pitfall_048_an_assistants_input_text_is_its_text() -> None:
    assert messages(said("assistant", [{"type": "input_text", "text": "a"}])) == [Message("assistant", (Text("a"),))]


@pytest.mark.parametrize(
    ("part", "read"),
    [
        ({"type": "refusal", "refusal": "No."}, Refusal("No.")),
        ({"type": "input_image", "image_url": PNG}, IMAGE),
        ({"type": "input_image", "image_url": PNG, "detail": "low", "file_id": None}, Image(media_type="image/png", data="iVBORw0KGgo=", detail="low")),
        ({"type": "input_image", "image_url": "https://x/y.png"}, Image(url="https://x/y.png")),
        ({"type": "image_url", "image_url": {"url": PNG}}, IMAGE),
        ({"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}, Document(title="a.pdf", media_type="application/pdf", data="JVBE")),
        ({"type": "input_file", "file_data": "JVBE"}, Document(media_type="application/pdf", data="JVBE")),
        ({"type": "input_file", "file_url": "https://x/y"}, Document(url="https://x/y")),
        ({"type": "hologram"}, Text("[unsupported content: hologram]")),
    ],
)  # fmt: skip
def test_every_part_is_read(part: dict[str, Any], read: Any) -> None:
    assert messages(said("user", [part]))[0].parts == (read,)


def test_pitfall_045_an_image_in_a_result_is_an_image() -> None:
    output = [{"type": "input_text", "text": "seen"}, {"type": "input_image", "image_url": PNG}]
    assert messages(answered(output=output))[0].parts == (ToolResult(call_id="c1", parts=(Text("seen"), IMAGE)),)


# Calls and results --------------------------------------------------------------------------------------------------


def test_a_namespaces_tool_was_called_by_its_flattened_name() -> None:
    assert messages(called(namespace="ns")) == [
        Message("assistant", (ToolCall(id="c1", name="ns__f", arguments="{}"),))
    ]


def test_pitfall_046_a_custom_call_keeps_its_bare_text() -> None:
    call = {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "*** Begin"}
    model, user = messages(call, {"type": "custom_tool_call_output", "call_id": "c1", "output": "ok"})
    assert model.parts == (ToolCall(id="c1", name="patch", arguments="*** Begin", is_custom=True),)
    assert user.parts == (OK,)


def test_tools_of_openais_that_the_client_runs_are_called_like_functions() -> None:
    items = [
        {"type": "local_shell_call", "id": "lsh_1", "call_id": "c1", "status": "completed", "action": {"type": "exec", "command": ["ls"], "env": {}}},
        {"type": "local_shell_call_output", "id": "c1", "output": "ok"},
        {"type": "shell_call", "call_id": "c2", "action": {"commands": ["ls"]}},
        {"type": "shell_call_output", "call_id": "c2", "output": [{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]},
        {"type": "apply_patch_call", "call_id": "c3", "status": "completed", "operation": {"type": "delete_file", "path": "a"}},
        {"type": "apply_patch_call_output", "call_id": "c3", "status": "failed", "output": None},
    ]  # fmt: skip
    parts = [part for message in messages(*items) for part in message.parts]
    calls = [part for part in parts if isinstance(part, ToolCall)]
    results = [part for part in parts if isinstance(part, ToolResult)]
    assert [(call.id, call.name) for call in calls] == [("c1", "local_shell"), ("c2", "shell"), ("c3", "apply_patch")]
    assert json.loads(calls[0].arguments) == {"command": ["ls"]}
    assert results[0] == OK
    assert isinstance(results[1].parts[0], Text)
    assert json.loads(results[1].parts[0].text)["stdout"] == "a"
    assert results[2] == ToolResult(call_id="c3", parts=(), is_error=True)


def test_a_local_shell_may_answer_to_its_items_id() -> None:
    call = {"type": "local_shell_call", "id": "lsh_1", "call_id": "c1", "action": {"type": "exec", "command": ["ls"]}}
    assert messages(call, {"type": "local_shell_call_output", "id": "lsh_1", "output": "ok"})[1].parts == (OK,)


@pytest.mark.parametrize("output", ["", None, []])
def test_a_result_may_say_nothing(output: Any) -> None:
    assert messages(answered(output=output))[0].parts == (ToolResult(call_id="c1", parts=()),)


# Reasoning ----------------------------------------------------------------------------------------------------------


def test_pitfall_059_all_parts_of_a_summary_are_joined() -> None:
    summary = [{"type": "summary_text", "text": text} for text in ("a", "", "b")]
    assert messages({"type": "reasoning", "summary": summary})[0].parts == (Reasoning("a\n\nb"),)
    content = [{"type": "reasoning_text", "text": "c"}]
    assert messages({"type": "reasoning", "summary": [], "content": content})[0].parts == (Reasoning("c"),)


def test_pitfall_099_an_item_of_openais_keeps_its_id() -> None:
    item: dict[str, Any] = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "encrypted_content": "enc",
        "status": None,
    }
    assert messages(item)[0].parts == (Reasoning("", Carrier(kind="rs", data="enc", id="rs_1")),)


def test_a_packed_carrier_is_unpacked_and_a_broken_one_is_none() -> None:
    carrier = Carrier(kind="an", data="sig", text="Hm", model="claude")
    packed = carriers.pack(carrier)
    assert messages({"type": "reasoning", "summary": [], "encrypted_content": packed})[0].parts == (
        Reasoning("", carrier),
    )
    assert messages({"type": "reasoning", "summary": [], "encrypted_content": packed[:-3]})[0].parts[0].carrier is None  # type: ignore[union-attr]


# What is refused ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({}, "input[0].type"),
        ({"type": 1}, "input[0].type"),
        ({"type": "message", "content": "x"}, "input[0].role"),
        (said("tool", "x"), "input[0].role"),
        (said("user", 1), "input[0].content"),
        (said("user", None), "input[0].content"),
        (said("user", [1]), "input[0].content[0]"),
        (said("user", [{}]), "input[0].content[0].type"),
        (said("user", [{"type": "input_text"}]), "input[0].content[0].text"),
        (said("user", [{"type": "input_text", "text": 1}]), "input[0].content[0].text"),
        (said("user", [{"type": "input_image"}]), "input[0].content[0].image_url"),
        (said("user", [{"type": "input_image", "image_url": {}}]), "input[0].content[0].image_url.url"),
        (said("user", [{"type": "input_image", "file_id": "f"}]), "input[0].content[0].file_id"),
        (said("user", [{"type": "input_file", "file_id": "f"}]), "input[0].content[0].file_id"),
        (said("user", [{"type": "input_file"}]), "input[0].content[0].file_data"),
        (said("user", [{"type": "input_audio"}]), "input[0].content[0]"),
        (called(name=None), "input[0].name"),
        (called(arguments={}), "input[0].arguments"),
        (called() | {"call_id": 5}, "input[0].call_id"),
        ({"type": "function_call", "name": "f", "arguments": ""}, "input[0].call_id"),
        (answered(call_id=""), "input[0].call_id"),
        (answered(output=1), "input[0].output"),
        (answered(output=[1]), "input[0].output[0]"),
        ({"type": "shell_call", "call_id": "c", "action": []}, "input[0].action"),
        ({"type": "apply_patch_call", "call_id": "c"}, "input[0].operation"),
        ({"type": "item_reference", "id": "x"}, "input[0]"),
        ({"type": "compaction", "encrypted_content": "x"}, "input[0]"),
    ],
)
def test_an_item_that_cannot_be_read_is_refused_by_its_place(item: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        messages(item)
    assert caught.value.param == param


def test_pitfall_050_a_reference_has_a_code() -> None:
    with pytest.raises(BadRequest) as caught:
        messages({"type": "item_reference", "id": "x"})
    assert caught.value.public_code == "unsupported_value"
