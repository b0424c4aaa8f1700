"""
The shapes of generateContent, as Google documents them and as far as the gateway reads them.

Google's servers read protobuf's JSON: a field that may repeat may also stand alone, `null` is a field that is not
there, and names come in camel case or with underscores (`request.py` makes the latter the former). What a function
takes, answers and is described by stays raw: it is the client's own JSON.
"""

from typing import Any

import msgspec

NOTHING = msgspec.Raw(b"")

Whole = int | float
"""A whole number, which some clients write with a point."""


class Wire(msgspec.Struct, rename="camel"):
    """What all shapes have in common."""


class Blob(Wire):
    """Bytes in base64, of either alphabet."""

    mime_type: str | None = None
    data: str | None = None
    display_name: str | None = None


class FileData(Wire):
    """A file by its address."""

    mime_type: str | None = None
    file_uri: str | None = None
    display_name: str | None = None


class FunctionCall(Wire):
    """A call that the model made; older clients leave the id out."""

    id: str | None = None
    name: str | None = None
    args: msgspec.Raw = NOTHING


class FunctionResponsePart(Wire):
    """Media beside a function's answer."""

    inline_data: Blob | None = None
    file_data: FileData | None = None


class FunctionResponse(Wire):
    """What a function answered."""

    id: str | None = None
    name: str | None = None
    response: msgspec.Raw = NOTHING
    parts: list[FunctionResponsePart] | FunctionResponsePart | None = None


class ExecutableCode(Wire):
    """Code that Google's own sandbox ran in an earlier turn."""

    language: str | None = None
    code: str | None = None


class CodeExecutionResult(Wire):
    """What that code printed."""

    outcome: str | None = None
    output: str | None = None


class Part(Wire):
    """One part of a turn: one of these, but for `thought` and its signature, which go with another."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    inline_data: Blob | None = None
    file_data: FileData | None = None
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None
    executable_code: ExecutableCode | None = None
    code_execution_result: CodeExecutionResult | None = None


class Content(Wire):
    """One turn."""

    role: str | None = None
    parts: list[Part] | Part | None = None


class FunctionDeclaration(Wire):
    """A function that the client runs, described by Google's dialect of OpenAPI or by JSON Schema."""

    name: str | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    parameters_json_schema: dict[str, Any] | None = None


class FunctionCallingConfig(Wire):
    """Which functions the model may or must call."""

    mode: str | None = None
    allowed_function_names: list[str] | None = None


class ToolConfig(Wire):
    """How tools are to be used."""

    function_calling_config: FunctionCallingConfig | None = None


class ThinkingConfig(Wire):
    """How much to think, and whether to show it."""

    include_thoughts: bool | None = None
    thinking_budget: Whole | None = None
    thinking_level: str | None = None


class GenerationConfig(Wire):
    """How the answer is to be made. What stands below `seed` is only looked at to be refused or dropped."""

    max_output_tokens: Whole | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    stop_sequences: list[str] | str | None = None
    candidate_count: Whole | None = None
    response_mime_type: str | None = None
    response_schema: dict[str, Any] | None = None
    response_json_schema: dict[str, Any] | None = None
    thinking_config: ThinkingConfig | None = None
    seed: Whole | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    response_logprobs: bool | None = None
    logprobs: Whole | None = None
    response_modalities: list[str] | None = None
    speech_config: msgspec.Raw = NOTHING
    media_resolution: msgspec.Raw = NOTHING
    image_config: msgspec.Raw = NOTHING


Tool = dict[str, msgspec.Raw]
"""By the name of its kind: `functionDeclarations`, `googleSearch`, …"""


class Request(Wire):
    """A request; the model is in the path."""

    contents: list[Content] | Content | None = None
    system_instruction: Content | str | None = None
    tools: list[Tool] | Tool | None = None
    tool_config: ToolConfig | None = None
    generation_config: GenerationConfig | None = None
    cached_content: str | None = None
    continuation_token: str | None = None
    safety_settings: msgspec.Raw = NOTHING


class CountRequest(Request):
    """A request to count: the contents as they are, or a whole request inside."""

    generate_content_request: Request | None = None


def is_given(raw: msgspec.Raw) -> bool:
    """Whether a raw field is there and not null."""
    return bytes(raw) not in {b"", b"null"}
