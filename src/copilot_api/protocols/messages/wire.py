"""
The shapes of a Messages request, as Anthropic documents them and as far as the gateway reads them.

Unknown fields are none of our business: these structs name what is checked or read, and the bytes carry the rest. What
has different shapes in different blocks stays raw.
"""

from typing import Annotated, Any, Literal

import msgspec

Name = Annotated[str, msgspec.Meta(min_length=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Role = Literal["user", "assistant", "system"]
ABSENT = msgspec.Raw(b"null")


# As every call is looked at -----------------------------------------------------------------------------------------


class Glance(msgspec.Struct):
    """One block of content, as little of it as says what it is and whether anything stands inside it."""

    type: str
    content: msgspec.Raw = ABSENT
    source: msgspec.Raw = ABSENT


class TextGlance(Glance):
    """The same, and where its text stands."""

    text: msgspec.Raw = ABSENT


class RawMessage(msgspec.Struct):
    """One message; its content (a string or a list of blocks) stays raw: the bulk of a request is here."""

    role: Role
    content: msgspec.Raw


class Thinking(msgspec.Struct):
    """Whether and how the model is to think."""

    type: str
    budget_tokens: int | None = None
    display: str | None = None


class Format(msgspec.Struct):
    """The form of the answer."""

    type: str
    schema: dict[str, Any] | None = None


class OutputConfig(msgspec.Struct):
    """How hard to try, and the form of the answer."""

    effort: str | None = None
    format: Format | None = None


class ToolChoice(msgspec.Struct):
    """Which tools may or must be called."""

    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Metadata(msgspec.Struct):
    """Who asks."""

    user_id: str | None = None


class Checked(msgspec.Struct, kw_only=True):
    """
    The fields whose types are checked on every call, because a wrong one would otherwise surface as a riddle upstream.
    """

    model: Name
    messages: Annotated[list[RawMessage], msgspec.Meta(min_length=1)]
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    tools: list[dict[str, msgspec.Raw]] | None = None
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    metadata: Metadata | None = None


class CountRequest(Checked, kw_only=True):
    """A request whose tokens are counted: a limit on an answer that does not come means nothing."""

    max_tokens: int | None = None


class Request(Checked, kw_only=True):
    """A request for an answer: it must say how long the answer may be."""

    max_tokens: Count


# As a translated call is read ---------------------------------------------------------------------------------------


class Source(msgspec.Struct):
    """Where an image or a document comes from; its `content` is a string or blocks."""

    type: str = ""
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    content: msgspec.Raw = ABSENT


class Block(msgspec.Struct):
    """One block of content of whatever type: the fields of all that the gateway translates."""

    type: str
    text: str | None = None
    source: str | Source | None = None
    title: str | None = None
    context: str | None = None
    content: msgspec.Raw = ABSENT
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = ABSENT
    tool_use_id: str | None = None
    tool_name: str | None = None
    is_error: bool | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None


class Message(msgspec.Struct):
    """One message with its blocks."""

    role: Role
    content: str | list[Block]


class Tool(msgspec.Struct):
    """A tool: the client's own with a schema, or one of Anthropic's that its `type` names."""

    type: str | None = None
    name: str | None = None
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    strict: bool | None = None
    display_width_px: int | None = None
    display_height_px: int | None = None


class Conversation(msgspec.Struct, kw_only=True):
    """All of a request that can be translated, and what must be refused because it cannot."""

    messages: list[Message]
    max_tokens: int | None = None
    stream: bool | None = None
    system: str | list[Block] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    output_format: Format | None = None
    metadata: Metadata | None = None
    container: msgspec.Raw = ABSENT
    mcp_servers: list[msgspec.Raw] | None = None
