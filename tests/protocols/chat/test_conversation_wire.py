"""The shapes of a whole request: null is absent everywhere, and clients' inventions are taken as they come."""

import msgspec

from copilot_api.protocols.chat.conversation_wire import ChatBody, ChatMessage


def test_null_is_absent_in_every_optional_field() -> None:
    required = {"model", "messages"}
    names = {field.encode_name for field in msgspec.structs.fields(ChatBody)} - required
    body = msgspec.convert({"model": "m", "messages": [], **dict.fromkeys(names)}, ChatBody)
    assert body == ChatBody(model="m", messages=[])
    message = msgspec.convert({"role": "user", "content": None, "tool_calls": None, "name": None}, ChatMessage)
    assert message == ChatMessage(role="user")


def test_reasoning_may_be_of_any_kind() -> None:
    fields = {"role": "assistant", "reasoning": {"a": 1}, "reasoning_content": ["x"], "thinking_blocks": "y"}
    assert msgspec.convert(fields, ChatMessage).reasoning == {"a": 1}
