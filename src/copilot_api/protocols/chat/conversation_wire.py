"""
The shapes of a whole chat request, for translation: every field that means something to another protocol, typed.

`wire.py` has the few that are checked on every call; a request that passes through needs no more. Fields that are
clients' own inventions (reasoning by its several names) are typed loosely: what they hold is taken if it is usable.
"""

from typing import Any

import msgspec


class ImageUrl(msgspec.Struct):
    """Where an image is: mostly a data URL."""

    url: str | None = None
    file_id: str | None = None
    detail: str | None = None


class File(msgspec.Struct):
    """A document, inline or by an id that only OpenAI knows."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class Part(msgspec.Struct):
    """One part of a message's content, of any type."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None
    image_url: str | ImageUrl | None = None
    file_id: str | None = None
    detail: str | None = None
    file: File | None = None


class Function(msgspec.Struct):
    """What a call says; some clients send the arguments as the object itself."""

    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class Custom(msgspec.Struct):
    """What a call of a custom tool says."""

    name: str | None = None
    input: str | None = None


class Call(msgspec.Struct):
    """A tool call in the history."""

    id: str | None = None
    type: str | None = None
    function: Function | None = None
    custom: Custom | None = None


class ChatMessage(msgspec.Struct):
    """One message of any role."""

    role: str
    content: str | list[Part | str] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[Call] | None = None
    function_call: Function | None = None
    tool_call_id: str | None = None
    reasoning_opaque: Any = None
    reasoning_text: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    thinking_blocks: Any = None


class ToolFields(msgspec.Struct):
    """A tool's own fields: a function's, or a custom tool's (with `format`)."""

    name: str | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    format: dict[str, Any] | None = None


class ToolOnWire(msgspec.Struct):
    """A tool, its fields nested by its type, or flat beside it."""

    type: str | None = None
    function: ToolFields | None = None
    custom: ToolFields | None = None
    name: str | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Named(msgspec.Struct):
    """A function or tool by its name."""

    name: str | None = None


class AllowedTool(msgspec.Struct):
    """One of the tools that may be called."""

    function: Named | None = None
    custom: Named | None = None
    name: str | None = None


class AllowedTools(msgspec.Struct):
    """The tools that may be called, and whether one must be."""

    mode: str | None = None
    tools: list[AllowedTool] = []


class Choice(msgspec.Struct):
    """A tool choice that is more than a word."""

    type: str | None = None
    function: Named | None = None
    custom: Named | None = None
    allowed_tools: AllowedTools | None = None
    name: str | None = None


class JsonSchema(msgspec.Struct):
    """The schema that an answer must fit."""

    name: str | None = None
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class ResponseFormat(msgspec.Struct):
    """The form that an answer must have."""

    type: str
    json_schema: JsonSchema | None = None


class ChatBody(msgspec.Struct):
    """The whole request."""

    model: str
    messages: list[ChatMessage]
    tools: list[ToolOnWire] | None = None
    functions: list[ToolFields] | None = None
    tool_choice: str | Choice | None = None
    function_call: str | Named | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    stream: bool | None = None
    n: int | None = None
    logprobs: bool | None = None
    modalities: list[str] | None = None
    audio: Any = None
    seed: Any = None
    presence_penalty: Any = None
    frequency_penalty: Any = None
    logit_bias: Any = None
    prediction: Any = None
    web_search_options: Any = None
    moderation: Any = None
