"""
The shapes of Chat Completions, as OpenAI documents them and as far as the gateway reads them.

Unknown fields are none of our business: these structs name what is checked or read, and the bytes carry the rest.
"""

import json
from typing import Annotated, Any

import msgspec

from copilot_api.protocols.base import Usage
from copilot_api.protocols.copilot_usage import CopilotUsage

Text = Annotated[str, msgspec.Meta(min_length=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]


def decode_any(source: bytes) -> Any:
    """
    The JSON in `source`, with a replacement for what is no character (half a surrogate pair), which msgspec refuses.

    Raises `ValueError` (as which `msgspec.DecodeError` counts) or `RecursionError` when it is no JSON.
    """
    try:
        return msgspec.json.decode(source)
    except msgspec.DecodeError:
        return msgspec.json.decode(json.dumps(json.loads(source), ensure_ascii=False).encode(errors="replace"))


class RequestMessage(msgspec.Struct):
    """One message; its content (a string, a list of parts, or null) stays raw: the bulk of a request is here."""

    role: Text
    content: msgspec.Raw = msgspec.Raw(b"null")
    tool_calls: list[msgspec.Raw] | None = None


class ContentPart(msgspec.Struct):
    """One part of a message's content."""

    type: str = ""


class StreamOptions(msgspec.Struct):
    """How a stream is to be sent."""

    include_usage: bool | None = None


class Request(msgspec.Struct):
    """The fields whose types are checked here, because a wrong one would otherwise surface as a riddle upstream."""

    model: Text
    messages: Annotated[list[RequestMessage], msgspec.Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Count | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    tools: list[msgspec.Raw] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, msgspec.Raw] | None = None
    reasoning_effort: str | None = None
    user: str | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: dict[str, float] | None = None
    metadata: dict[str, msgspec.Raw] | None = None


class PromptDetails(msgspec.Struct):
    """Of the prompt's tokens, how many came from or went to the cache."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    """The same by the name that some of Claude's backends use."""


class CompletionDetails(msgspec.Struct):
    """Of the completion's tokens, how many were reasoning."""

    reasoning_tokens: int | None = None


class ChatUsage(msgspec.Struct):
    """`usage` on the wire; `reasoning_tokens` at this level is Copilot's own addition."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    reasoning_tokens: int | None = None

    def to_usage(self, copilot: CopilotUsage | None) -> Usage:
        """
        The same in the gateway's terms. What the total has beyond its parts is Gemini's reasoning, which its backend
        leaves out of the completion.
        """
        prompt, completion = self.prompt_tokens_details, self.completion_tokens_details
        reasoning = (completion and completion.reasoning_tokens) or self.reasoning_tokens
        written = (prompt and (prompt.cache_write_tokens or prompt.cache_creation_input_tokens)) or (
            copilot and copilot.cache_write_tokens
        )
        return Usage(
            input_tokens=self.prompt_tokens,
            output_tokens=max(self.completion_tokens, (self.total_tokens or 0) - self.prompt_tokens),
            cache_read_tokens=(prompt and prompt.cached_tokens) or 0,
            cache_write_tokens=written or 0,
            reasoning_tokens=reasoning or 0,
        )
