"""The messages of a request, block by block."""

from typing import Any

import pytest

from copilot_api.errors import BadRequest
from copilot_api.protocols import carriers
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
from tests.protocols.messages.client_calls import turns

TEXT = {"type": "text", "text": "x"}
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}


def user(*blocks: dict[str, Any]) -> tuple[Part, ...]:
    [message] = turns(("user", list(blocks)))
    assert message.role == "user"
    return message.parts


def assistant(*blocks: dict[str, Any]) -> tuple[Part, ...]:
    [message] = turns(("assistant", list(blocks)))
    assert message.role == "assistant"
    return message.parts


def result(content: Any = ..., **fields: Any) -> ToolResult:
    block = {"type": "tool_result", "tool_use_id": "t", **({} if content is ... else {"content": content}), **fields}
    [part] = user(block)
    assert isinstance(part, ToolResult)
    return part


# Order ------------------------------------------------------------------------------------------------------------


def test_strings_are_texts() -> None:
    assert turns(("user", "a"), ("assistant", "b"), ("system", "c")) == (
        Message("user", (Text("a"),)), Message("assistant", (Text("b"),)), Message("system", (Text("c"),)),
    )  # fmt: skip


def test_pitfall_001_a_turn_of_calls_has_no_text() -> None:
    call = {"type": "tool_use", "id": "t", "name": "Bash", "input": {"a": "é"}}
    assert assistant(call) == (ToolCall(id="t", name="Bash", arguments='{"a":"é"}'),)


def test_pitfall_002_results_come_first_and_the_rest_keeps_its_order() -> None:
    results = [{"type": "tool_result", "tool_use_id": name, "content": name} for name in "ab"]
    parts = user({**TEXT, "text": "1"}, results[0], PNG, results[1], {**TEXT, "text": "2"})
    assert [type(part) for part in parts] == [ToolResult, ToolResult, Text, Image, Text]
    assert [part.call_id for part in parts[:2] if isinstance(part, ToolResult)] == ["a", "b"]


def test_pitfall_009_a_system_message_stays_where_it_was_said() -> None:
    block = {"type": "tool_result", "tool_use_id": "t", "content": "r"}
    said = turns(("user", "a"), ("assistant", "b"), ("user", [block]), ("system", [TEXT]), ("user", "c"))
    assert [message.role for message in said] == ["user", "assistant", "user", "system", "user"]
    assert said[3].parts == (Text("x"),)


def test_pitfall_009_a_system_block_parts_what_was_said_before_it_from_the_rest() -> None:
    system = {"type": "mid_conv_system", "content": [{"type": "text", "text": "s"}]}
    block = {"type": "tool_result", "tool_use_id": "t", "content": "r"}
    said = turns(("user", [TEXT, system, {**TEXT, "text": "y"}, block]))
    assert said == (
        Message("user", (ToolResult(call_id="t", parts=(Text("r"),)), Text("x"))),
        Message("system", (Text("s"),)),
        Message("user", (Text("y"),)),
    )
    assert turns(("user", [system])) == (Message("system", (Text("s"),)),)


def test_pitfall_028_an_answer_that_the_client_began_stays_last() -> None:
    assert turns(("user", "a"), ("assistant", "{"))[-1] == Message("assistant", (Text("{"),))


@pytest.mark.parametrize("content", ["", []])
def test_a_message_of_nothing_is_one(content: Any) -> None:
    assert len(turns(("user", content), ("assistant", content))) == 2


# Results ----------------------------------------------------------------------------------------------------------


def test_pitfall_003_a_result_in_blocks_is_its_texts() -> None:
    assert result([TEXT, {**TEXT, "text": "y"}]).parts == (Text("x"), Text("y"))
    assert result("x", cache_control={"type": "ephemeral"}).parts == (Text("x"),)


def test_pitfall_004_an_image_in_a_result_is_an_image() -> None:
    assert result([PNG, TEXT]).parts == (Image(data="AA==", media_type="image/png"), Text("x"))


@pytest.mark.parametrize("flag", [True, False, None])
def test_pitfall_005_a_failure_of_a_tool_is_told(flag: bool | None) -> None:
    assert result("x", is_error=flag).is_error is bool(flag)


@pytest.mark.parametrize("content", ["", [], None, ...])
def test_pitfall_006_a_result_of_nothing_still_answers_the_call(content: Any) -> None:
    assert result(content) == ToolResult(call_id="t", parts=())


def test_a_result_may_hold_what_a_message_may() -> None:
    found = {"type": "search_result", "title": "T", "source": "https://s", "content": [TEXT]}
    tool = {"type": "tool_reference", "tool_name": "Write"}
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="}}
    assert result([found, tool, pdf, {"type": "later"}]).parts == (
        Text("T\nhttps://s\nx"),
        Text("[the tool Write is available]"),
        Document(media_type="application/pdf", data="AA=="),
        Text("[unsupported content: later]"),
    )


# Thinking ---------------------------------------------------------------------------------------------------------


def test_pitfall_007_thinking_is_never_text() -> None:
    thinking = {"type": "thinking", "thinking": "secret", "signature": "c2ln"}
    assert assistant(thinking, TEXT) == (Reasoning("secret", Carrier(kind="an", data="c2ln", text="secret")), Text("x"))
    assert user(thinking, TEXT) == (Text("x"),)


@pytest.mark.parametrize("kind", ["rs", "ro"])
def test_what_the_gateway_packed_is_unpacked(kind: Any) -> None:
    carrier = Carrier(kind=kind, data="d", id="i", model="m")
    [part] = assistant({"type": "thinking", "thinking": "t", "signature": carriers.pack(carrier)})
    assert part == Reasoning("t", carrier)


def test_text_that_was_hidden_comes_back_with_its_carrier() -> None:
    carrier = Carrier(kind="ro", data="d", text="hidden")
    [part] = assistant({"type": "thinking", "thinking": "", "signature": carriers.pack(carrier)})
    assert part == Reasoning("hidden", carrier)


def test_redacted_thinking_is_carried() -> None:
    assert assistant({"type": "redacted_thinking", "data": "ZGF0YQ=="}) == (
        Reasoning("", Carrier(kind="rd", data="ZGF0YQ==")),
    )
    packed = carriers.pack(Carrier(kind="rs", data="d"))
    assert assistant({"type": "redacted_thinking", "data": packed}) == (Reasoning("", Carrier(kind="rs", data="d")),)


@pytest.mark.parametrize("signature", [None, "", "gw1.rs.???", "gw1.zz.AAAA"])
def test_a_signature_that_is_none_carries_nothing(signature: str | None) -> None:
    assert assistant({"type": "thinking", "thinking": "t", "signature": signature}) == (Reasoning("t"),)


# Tools that ran elsewhere -----------------------------------------------------------------------------------------

HOSTED = [
    {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}},
    {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"type": "web_search_result", "url": "u"}]},
    {"type": "web_search_tool_result", "tool_use_id": "s", "content": {"type": "web_search_tool_result_error"}},
    {"type": "mcp_tool_use", "id": "m", "name": "x", "server_name": "s", "input": {}},
    {"type": "mcp_tool_result", "tool_use_id": "m", "is_error": False, "content": [TEXT]},
    {"type": "compaction", "content": "short"},
    {"type": "later"},
]


@pytest.mark.parametrize("block", HOSTED, ids=lambda block: block["type"])
def test_both_halves_of_a_hosted_call_go(block: dict[str, Any]) -> None:
    assert assistant(TEXT, block) == (Text("x"),)
    if block["type"].endswith(("_tool_use", "_tool_result")):
        assert user(TEXT, block) == (Text("x"),)


# Images and documents ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("media_type", ["image/svg+xml", "image/png\r\nx: y"])
def test_pitfall_024_a_media_type_is_carried_to_be_judged_later(media_type: str) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": "AA=="}}
    assert user(image) == (Image(data="AA==", media_type=media_type),)


def test_pitfall_025_an_image_by_address_is_one() -> None:
    assert user({"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}) == (
        Image(url="https://x/y.png"),
    )
    inline = {"type": "image", "source": {"type": "url", "url": "data:image/gif;base64,R0lG"}}
    assert user(inline) == (Image(data="R0lG", media_type="image/gif"),)


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ({"type": "base64", "media_type": "application/pdf", "data": "AA=="}, (Document(title="T", media_type="application/pdf", data="AA=="),)),
        ({"type": "text", "media_type": "text/plain", "data": "words"}, (Document(title="T", media_type="text/plain", text="words"),)),
        ({"type": "text", "data": ""}, (Text("T"),)),
        ({"type": "url", "url": "https://x"}, (Document(title="T", url="https://x"),)),
        ({"type": "content", "content": "words"}, (Document(title="T", media_type="text/plain", text="words"),)),
        ({"type": "content", "content": [TEXT, TEXT]}, (Document(title="T", media_type="text/plain", text="x\n\nx"),)),
        ({"type": "content", "content": [TEXT, PNG]}, (Text("T"), Text("x"), Image(data="AA==", media_type="image/png"))),
    ],
)  # fmt: skip
def test_pitfall_026_a_document_keeps_its_title(source: dict[str, Any], parts: tuple[Part, ...]) -> None:
    assert user({"type": "document", "title": "T", "source": source, "citations": {"enabled": True}}) == parts


def test_what_is_said_about_a_document_is_said() -> None:
    document = {"type": "document", "context": "from 1999", "source": {"type": "text", "data": "words"}}
    assert user(document) == (Text("from 1999"), Document(media_type="text/plain", text="words"))


# Arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "arguments"),
    [
        ('{ "b" : 1.0 , "a" : [ true ] }', '{"b":1.0,"a":[true]}'), ('{"a":"\\u00e9\\n"}', '{"a":"é\\n"}'), ('{"a":"é"}', '{"a":"é"}'),
        ("{}", "{}"), ("null", "{}"), ('{"a":123456789012345678901234567890}', '{"a":123456789012345678901234567890}'),
        ('{"a":"\\u00e9",' + '"b":' + "9" * 5000 + "}", '{"a":"\\u00e9",' + '"b":' + "9" * 5000 + "}"),
    ],
)  # fmt: skip
def test_the_input_is_compact_and_otherwise_as_it_was(given: str, arguments: str) -> None:
    from copilot_api.protocols.messages.read import read_conversation
    from copilot_api.protocols.messages.request import parse_request

    body = f'{{"model":"m","max_tokens":1,"messages":[{{"role":"assistant","content":[{{"type":"tool_use","id":"t","name":"f","input":{given}}}]}}]}}'
    [message] = read_conversation(parse_request(body.encode())).messages
    [call] = message.parts
    assert isinstance(call, ToolCall)
    assert call.arguments == arguments


# What is refused --------------------------------------------------------------------------------------------------

FILE = {"type": "file", "file_id": "f"}


@pytest.mark.parametrize(
    ("role", "block", "where"),
    [
        ("user", {"type": "text"}, ".text"), ("user", {"type": "text", "text": 1}, ".text"), ("user", {"type": "image"}, ".source"),
        ("user", {"type": "image", "source": "x"}, ".source"), ("user", {"type": "image", "source": {"type": "base64", "data": "x"}}, ".source.media_type"),
        ("user", {"type": "image", "source": {"type": "base64", "media_type": "x"}}, ".source.data"), ("user", {"type": "image", "source": {"type": "url"}}, ".source.url"),
        ("user", {"type": "image", "source": FILE}, ".source"), ("user", {"type": "image", "source": {"type": "x"}}, ".source.type"),
        ("user", {"type": "document", "source": FILE}, ".source"), ("user", {"type": "container_upload", "file_id": "f"}, ""),
        ("user", {"type": "tool_use", "id": "t", "name": "f", "input": {}}, ""), ("user", {"type": "tool_result", "content": "x"}, ".tool_use_id"),
        ("user", {"type": "tool_result", "tool_use_id": "t", "content": {}}, ".content"), ("user", {"type": "tool_result", "tool_use_id": "t", "content": ["x"]}, ".content[0]"),
        ("user", {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": 1}]}, ".content[0].text"),
        ("user", {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": FILE}]}, ".content[0].source"),
        ("user", {"type": "tool_result", "tool_use_id": "t", "is_error": "x"}, ".is_error"), ("user", {"type": "document", "source": {"type": "content", "content": 1}}, ".source.content"),
        ("assistant", {"type": "text"}, ".text"), ("assistant", {"type": "tool_use", "name": "f"}, ".id"), ("assistant", {"type": "tool_use", "id": "t"}, ".name"),
        ("assistant", {"type": "tool_use", "id": "t", "name": "f", "input": "x"}, ".input"), ("assistant", {"type": "tool_result", "tool_use_id": "t"}, ""),
        ("system", {"type": "text"}, ".text"),
    ],
)  # fmt: skip
def test_a_wrong_block_is_refused_by_its_path(role: str, block: dict[str, Any], where: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        turns(("user", "a"), (role, [TEXT, block]))
    assert refusal.value.param == f"messages[1].content[1]{where}"
