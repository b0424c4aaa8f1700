"""
The shapes of a Responses request, as OpenAI documents them and as far as the gateway reads them.

Unknown fields are none of our business: these structs name what is checked or read, and the bytes carry the rest.
"""

from typing import Annotated, Any

import msgspec

Text = Annotated[str, msgspec.Meta(min_length=1)]


class Reasoning(msgspec.Struct):
    """How much to think, and whether to tell of it."""

    effort: str | None = None
    summary: str | None = None


class TextConfig(msgspec.Struct):
    """The form of the text."""

    format: dict[str, Any] | None = None
    verbosity: str | None = None


class Request(msgspec.Struct):
    """The fields whose types are checked here, because a wrong one would otherwise surface as a riddle upstream."""

    model: Text
    input: msgspec.Raw = msgspec.Raw(b"null")
    instructions: str | None = None
    stream: bool | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    top_logprobs: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None
    text: TextConfig | None = None
    include: list[str] | None = None
    store: bool | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    conversation: str | dict[str, Any] | None = None
    prompt: dict[str, Any] | None = None
    truncation: str | None = None
    metadata: dict[str, Any] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    service_tier: str | None = None


class ItemKind(msgspec.Struct):
    """One item of the input, as far as it decides who speaks and whether anything is shown."""

    type: str | None = None
    role: str | None = None
    content: msgspec.Raw = msgspec.Raw(b"null")
    output: msgspec.Raw = msgspec.Raw(b"null")


class PartKind(msgspec.Struct):
    """One part of an item's content."""

    type: str | None = None
