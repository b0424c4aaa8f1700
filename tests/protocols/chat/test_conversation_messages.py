"""The messages of a chat request in the neutral form: roles, parts, calls, and reasoning that is brought back."""

from typing import Any

import msgspec
import pytest

from copilot_api.errors import BadRequest
from copilot_api.protocols import carriers
from copilot_api.protocols.chat import conversation_wire as wire
from copilot_api.protocols.chat.conversation_messages import read_messages
from copilot_api.protocols.conversation import (
    Carrier,
    Document,
    Image,
    Message,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from copilot_api.protocols.translation.pairing import pair

SIGNED = Carrier(kind="an", data="sig", text="hm", model="claude-sonnet-4.6")
ITEM = Carrier(kind="rs", data="enc", id="rs_1")


def read(*messages: dict[str, Any]) -> tuple[tuple[str, ...], tuple[Message, ...]]:
    return read_messages([msgspec.convert(message, wire.ChatMessage) for message in messages])


def parts(**fields: Any) -> tuple[Part, ...]:
    """The parts of one message."""
    [message] = read({"role": "user", "content": "before"}, fields)[1][1:]
    return message.parts


def said(**fields: Any) -> tuple[Part, ...]:
    return parts(role="assistant", **fields)


def shown(**part: Any) -> Part:
    [found] = parts(role="user", content=[part])
    return found


def refusal(*messages: dict[str, Any]) -> BadRequest:
    with pytest.raises(BadRequest) as found:
        read(*messages)
    return found.value


# Roles --------------------------------------------------------------------------------------------------------------


def test_leading_instructions_lead_and_later_ones_stay_where_they_are() -> None:
    system, messages = read(
        {"role": "system", "content": "one"},
        {"role": "developer", "content": [{"type": "text", "text": "two"}, {"type": "text", "text": "three"}]},
        {"role": "user", "content": "x"},
        {"role": "developer", "content": "later"},
        {"role": "user", "content": "y"},
    )
    assert system == ("one", "two", "three")
    assert [(message.role, message.parts) for message in messages] == [
        ("user", (Text("x"),)),
        ("system", (Text("later"),)),
        ("user", (Text("y"),)),
    ]


def test_a_request_of_instructions_only_has_no_messages() -> None:
    assert read({"role": "system", "content": "one"}) == (("one",), ())


def test_pitfall_042_results_are_one_message_before_what_the_user_says_next() -> None:
    calls = [{"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}} for name in "abc"]
    _, messages = read(
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        *({"role": "tool", "tool_call_id": name, "content": f"r{name}"} for name in "abc"),
        {"role": "user", "content": "so?"},
    )
    last = pair(messages)[-1]
    assert last.role == "user"
    assert last.parts == (
        *(ToolResult(call_id=name, parts=(Text(f"r{name}"),)) for name in "abc"),
        Text("so?"),
    )


def test_a_result_in_parts() -> None:
    content = [
        {"type": "text", "text": "a"},
        "b",
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
    ]
    [result] = parts(role="tool", tool_call_id="a", content=content)
    assert isinstance(result, ToolResult)
    assert result.parts == (Text("a"), Text("b"), Image(data="AA", media_type="image/png"))
    assert parts(role="tool", tool_call_id="a") == (ToolResult(call_id="a", parts=()),)


def test_old_function_calls_get_ids_that_pair_them_with_their_results() -> None:
    _, messages = read(
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "r"},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"x":1}'}},
        {"role": "function", "name": "f", "content": "s"},
    )
    found = [part for message in messages for part in message.parts]
    assert [part.id for part in found if isinstance(part, ToolCall)] == ["call_function_1", "call_function_2"]
    assert [part.call_id for part in found if isinstance(part, ToolResult)] == ["call_function_1", "call_function_2"]


def test_an_unknown_role_is_refused() -> None:
    assert refusal({"role": "critic", "content": "x"}).param == "messages[0].role"
    assert refusal({"role": "user"}, {"role": "tool", "content": "x"}).param == "messages[1].tool_call_id"


# What is shown ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "text", "text": "a"}, Text("a")), ({"type": "input_text", "text": "a"}, Text("a")), ({"text": "a"}, Text("a")),
        ({"type": "text"}, Text("")),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}}, Image(data="AA", media_type="image/png", detail="low")),
        ({"type": "image_url", "image_url": "data:image/png;base64,AA"}, Image(data="AA", media_type="image/png")),
        ({"type": "input_image", "image_url": "https://x/y.png", "detail": "high"}, Image(url="https://x/y.png", detail="high")),
        ({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA"}},
         Document(title="a.pdf", media_type="application/pdf", data="AA")),
        ({"type": "file", "file": {"file_data": "AA"}}, Document(media_type="application/pdf", data="AA")),
        ({"type": "file", "file": {"file_data": "https://x/a.pdf"}}, Document(url="https://x/a.pdf")),
        ({"type": "video_url"}, Text("[unsupported content: video_url]")), ({}, Text("[unsupported content: without a type]")),
    ],
)  # fmt: skip
def test_a_part(part: dict[str, Any], expected: Part) -> None:
    assert shown(**part) == expected


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}}, "messages[0].content[0]"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "messages[0].content[0].file.file_id"),
        ({"type": "file", "file": {}}, "messages[0].content[0].file.file_data"),
        ({"type": "image_url", "image_url": {"file_id": "file-1"}}, "messages[0].content[0].image_url.file_id"),
        ({"type": "image_url"}, "messages[0].content[0].image_url.url"),
    ],
)
def test_what_cannot_be_shown_is_refused(part: dict[str, Any], param: str) -> None:
    assert refusal({"role": "user", "content": [part]}).param == param


# What was said and called -------------------------------------------------------------------------------------------


def test_an_assistants_parts() -> None:
    content = [
        {"type": "text", "text": "a"},
        {"type": "refusal", "refusal": "no"},
        {"type": "thinking"},
        {"type": "output_audio"},
    ]
    assert said(content=content, refusal="never") == (
        Text("a"),
        Refusal("no"),
        Text("[unsupported content: output_audio]"),
        Refusal("never"),
    )


def test_calls_of_either_kind() -> None:
    calls = [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
        {"id": "b", "function": {"name": "f", "arguments": {"x": "é"}}},
        {"id": "c", "type": "function", "function": {"name": "f"}},
        {"id": "d", "type": "custom", "custom": {"name": "p", "input": "*** Begin"}},
    ]
    assert said(tool_calls=calls) == (
        ToolCall(id="a", name="f", arguments='{"x": 1}'),
        ToolCall(id="b", name="f", arguments='{"x":"é"}'),
        ToolCall(id="c", name="f", arguments=""),
        ToolCall(id="d", name="p", arguments="*** Begin", is_custom=True),
    )


@pytest.mark.parametrize(
    ("call", "param"),
    [
        ({"type": "function", "function": {"name": "f"}}, "messages[0].tool_calls[0].id"),
        ({"id": "a", "type": "function"}, "messages[0].tool_calls[0].function.name"),
        ({"id": "a", "type": "custom", "custom": {}}, "messages[0].tool_calls[0].custom.name"),
    ],
)
def test_a_call_that_says_not_what_it_calls_is_refused(call: dict[str, Any], param: str) -> None:
    assert refusal({"role": "assistant", "tool_calls": [call]}).param == param


# Reasoning ----------------------------------------------------------------------------------------------------------


def test_copilots_own_opaque_comes_back_as_such() -> None:
    found = said(content="x", reasoning_text="hm", reasoning_opaque="sig with spaces")
    assert found == (Reasoning("hm", Carrier(kind="ro", data="sig with spaces")), Text("x"))


@pytest.mark.parametrize("carrier", [SIGNED, ITEM, Carrier(kind="rd", data="x")])
def test_our_own_carriers_are_unpacked(carrier: Carrier) -> None:
    [found] = said(reasoning_content="shown", reasoning_opaque=carriers.pack(carrier))
    assert found == Reasoning("shown", carrier)


def test_several_carriers_are_several_stretches() -> None:
    found = said(reasoning_content="hmxy", reasoning_opaque=f"{carriers.pack(SIGNED)} {carriers.pack(ITEM)}")
    assert found == (Reasoning("hm", SIGNED), Reasoning("", ITEM))


def test_a_carrier_that_is_broken_is_no_carrier() -> None:
    assert said(reasoning_content="hm", reasoning_opaque="gw1.rs.!!") == (Reasoning("hm"),)


@pytest.mark.parametrize("field", ["reasoning_text", "reasoning_content", "reasoning"])
def test_reasoning_without_a_carrier_is_its_text(field: str) -> None:
    assert said(**{field: "hm"}) == (Reasoning("hm"),)
    assert said(**{field: {"odd": 1}}) == ()


def test_signed_blocks_that_a_client_kept_are_the_vendors_own() -> None:
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "zz"},
        {"type": "thinking", "thinking": "no signature"},
        {"type": "thinking", "thinking": "shown", "signature": carriers.pack(ITEM)},
        {"type": "thinking", "thinking": "x", "signature": "gw1.rs.!!"},
        "odd",
    ]
    assert said(thinking_blocks=blocks) == (
        Reasoning("hm", Carrier(kind="an", data="sig", text="hm")),
        Reasoning("", Carrier(kind="rd", data="zz")),
        Reasoning("shown", ITEM),
    )
