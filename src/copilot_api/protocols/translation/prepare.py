"""
A client's request made fit for the model that it goes to, and the shims that bring the answer back.

What the client's protocol can say and the upstream's cannot is emulated here where it can be, once for all protocols:
custom tools, stop sequences, answers in JSON, names and histories that the upstream would refuse.
"""

import enum
from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from copilot_api.errors import BadRequest
from copilot_api.protocols.base import ModelTraits
from copilot_api.protocols.conversation import (
    Message,
    ModelRequest,
    Part,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from copilot_api.protocols.translation.media import with_known_media
from copilot_api.protocols.translation.pairing import pair
from copilot_api.protocols.translation.schemas import object_schema, wrap_input
from copilot_api.protocols.translation.shims import (
    JSON_TOOL,
    CustomTools,
    ForcedJson,
    OriginalNames,
    Shim,
    StopSequences,
)
from copilot_api.protocols.translation.tool_names import ToolNames


class Target(enum.Enum):
    """The protocol that the upstream is spoken to in."""

    CHAT = "chat"
    RESPONSES = "responses"
    MESSAGES = "messages"


_CARRIERS = {Target.CHAT: {"ro"}, Target.RESPONSES: {"rs"}, Target.MESSAGES: {"an", "rd"}}
_MAX_NAME = {Target.CHAT: 64, Target.RESPONSES: 64, Target.MESSAGES: 128}
_MAX_TOOLS = 128
"""Copilot answers a bare 400 to more on chat and responses (protocol reference, 7.1)."""
_MAX_STOPS = 4
_BILLING_HEADER = "x-anthropic-billing-header:"
_JSON_ONLY = "Reply with one JSON object only, without any text around it."


class Prepared(msgspec.Struct, frozen=True):
    """The request as the upstream's protocol renders it, and what its answer needs on the way back, in this order."""

    request: ModelRequest
    shims: tuple[Shim, ...] = ()


def prepare(request: ModelRequest, target: Target, traits: ModelTraits) -> Prepared:
    """See the module. Raises `BadRequest` for what no emulation can give."""
    shims: list[Shim] = []
    messages = pair(_cleaned(request.messages, target, traits))
    messages = with_known_media(messages, has_documents=target is not Target.CHAT)
    request = replace(request, messages=messages, system=_cleaned_system(request.system))
    request = _with_tools(request, target, shims)
    request = _with_format(request, target, traits, shims)
    request = _with_stops(request, target, traits, shims)
    limit = traits.max_output_tokens
    if limit is not None and request.max_output_tokens is not None and request.max_output_tokens > limit:
        request = replace(request, max_output_tokens=limit)
    return Prepared(request, tuple(shims))


# What was said ------------------------------------------------------------------------------------------------------


def clean_text(text: str) -> str:
    """`text` without what upstreams refuse inside JSON: lone surrogates and NUL."""
    if not text.isascii():
        text = text.encode(errors="replace").decode()
    return text.replace("\0", "") if "\0" in text else text


def _cleaned_system(texts: tuple[str, ...]) -> tuple[str, ...]:
    """
    The system texts without the line in which Claude Code tells its billing something new on every call: with it no
    prompt cache would ever hit (pitfall 8).
    """
    kept: list[str] = []
    for text in texts:
        if text.startswith(_BILLING_HEADER):
            text = text.partition("\n")[2].lstrip("\n")
        if text.strip():
            kept.append(clean_text(text))
    return tuple(kept)


def _cleaned(messages: tuple[Message, ...], target: Target, traits: ModelTraits) -> Iterator[Message]:
    fitting = _CARRIERS[target]
    for message in messages:
        parts = tuple(
            _cleaned_part(part)
            for part in message.parts
            if not isinstance(part, Reasoning) or _is_replayable(part, fitting, traits)
        )
        if parts or message.role == "user":
            yield Message(message.role, parts, message.phase)


def _cleaned_part(part: Part) -> Part:
    if isinstance(part, Text):
        text = clean_text(part.text)
        return part if text is part.text else Text(text)
    if isinstance(part, ToolCall):
        arguments = clean_text(part.arguments)
        return part if arguments is part.arguments else replace(part, arguments=arguments)
    if isinstance(part, ToolResult):
        parts = tuple(Text(clean_text(inner.text)) if isinstance(inner, Text) else inner for inner in part.parts)
        return replace(part, parts=parts)
    return part


def _is_replayable(part: Reasoning, fitting: set[str], traits: ModelTraits) -> bool:
    """Whether the target made this reasoning; another vendor's, or another model's, it refuses (pitfall 38)."""
    carrier = part.carrier
    if carrier is None or carrier.kind not in fitting or not carrier.data:
        return False
    return not carrier.model or carrier.model == traits.id


# Tools --------------------------------------------------------------------------------------------------------------


def _with_tools(request: ModelRequest, target: Target, shims: list[Shim]) -> ModelRequest:
    tools = _distinct(request.tools)
    choice = request.tool_choice
    if choice is not None and choice.mode == "tool" and not choice.name:
        raise BadRequest("the tool choice names no tool", param="tool_choice")
    if choice is not None and choice.allowed is not None:
        tools = tuple(tool for tool in tools if tool.name in choice.allowed)
        choice = replace(choice, allowed=None)
    if choice is not None and choice.mode == "tool" and tools and choice.name not in {tool.name for tool in tools}:
        raise BadRequest(
            f"the tool choice names {choice.name[:100]!r}, which is not among the tools", param="tool_choice"
        )
    if len(tools) > _MAX_TOOLS and target is not Target.MESSAGES:
        raise BadRequest(f"{len(tools)} tools are given; the model takes at most {_MAX_TOOLS}", param="tools")
    messages = request.messages
    if target is not Target.RESPONSES:
        custom = frozenset(tool.name for tool in tools if tool.is_custom)
        if custom:
            shims.append(CustomTools(custom))
        tools = tuple(_as_function(tool) if tool.is_custom else tool for tool in tools)
        messages = tuple(_with_function_calls(message) for message in messages)
    tools = tuple(
        tool if tool.is_custom else replace(tool, parameters=object_schema(tool.parameters)) for tool in tools
    )
    names = ToolNames([*(tool.name for tool in tools), *_called_names(messages)], _MAX_NAME[target])
    if names:
        shims.insert(0, OriginalNames(names))
        tools = tuple(replace(tool, name=names.sent(tool.name)) for tool in tools)
        messages = tuple(_renamed(message, names) for message in messages)
        if choice is not None:
            choice = replace(choice, name=names.sent(choice.name))
    return replace(
        request,
        tools=tools,
        messages=messages,
        tool_choice=choice if tools else None,
        is_parallel=request.is_parallel if tools else None,
    )


def _distinct(tools: tuple[Tool, ...]) -> tuple[Tool, ...]:
    """Of tools with one name the first."""
    by_name: dict[str, Tool] = {}
    for tool in tools:
        by_name.setdefault(tool.name, tool)
    return tuple(by_name.values())


def _as_function(tool: Tool) -> Tool:
    """The function that stands in for a custom tool; its grammar goes into words."""
    described = "The input of the tool as plain text."
    if tool.grammar:
        described += f" It must follow this format: {msgspec.json.encode(tool.grammar, order='sorted').decode()}"
    return Tool(name=tool.name, description=tool.description, parameters=wrap_input(described), strict=None)


def _with_function_calls(message: Message) -> Message:
    if not any(isinstance(part, ToolCall) and part.is_custom for part in message.parts):
        return message
    parts = tuple(
        ToolCall(id=part.id, name=part.name, arguments=msgspec.json.encode({"input": part.arguments}).decode())
        if isinstance(part, ToolCall) and part.is_custom
        else part
        for part in message.parts
    )
    return Message(message.role, parts, message.phase)


def _called_names(messages: tuple[Message, ...]) -> Iterator[str]:
    for message in messages:
        for part in message.parts:
            if isinstance(part, ToolCall):
                yield part.name


def _renamed(message: Message, names: ToolNames) -> Message:
    if message.role != "assistant":
        return message
    parts = tuple(
        replace(part, name=names.sent(part.name)) if isinstance(part, ToolCall) else part for part in message.parts
    )
    return Message(message.role, parts, message.phase)


# The answer's form and end ------------------------------------------------------------------------------------------


def _with_format(request: ModelRequest, target: Target, traits: ModelTraits, shims: list[Shim]) -> ModelRequest:
    wanted = request.output_format
    if wanted is None:
        return request
    if wanted.kind == "json_object":
        if target is Target.MESSAGES:
            return replace(request, output_format=None, system=(*request.system, _JSON_ONLY))
        # OpenAI's models refuse this form unless somebody has said "json".
        return request if _mentions_json(request) else replace(request, system=(*request.system, _JSON_ONLY))
    if target is not Target.MESSAGES or traits.has_structured_outputs:
        return request
    if request.tools:
        schema = msgspec.json.encode(wanted.schema, order="sorted").decode()
        rule = f"{_JSON_ONLY} When you answer, and call no tool, it must match this JSON Schema: {schema}"
        return replace(request, output_format=None, system=(*request.system, rule))
    shims.append(ForcedJson())
    tool = Tool(
        name=JSON_TOOL,
        description=wanted.description or "Give the answer in this form.",
        parameters=object_schema(wanted.schema),
    )
    return replace(
        request,
        output_format=None,
        tools=(tool,),
        tool_choice=ToolChoice(mode="tool", name=JSON_TOOL),
        is_parallel=False,
        thinking=Thinking(is_disabled=True),
    )


def _mentions_json(request: ModelRequest) -> bool:
    texts = (part.text for message in request.messages for part in message.parts if isinstance(part, Text))
    return any("json" in text.lower() for text in (*request.system, *texts))


def _with_stops(request: ModelRequest, target: Target, traits: ModelTraits, shims: list[Shim]) -> ModelRequest:
    stops = tuple(dict.fromkeys(clean_text(stop) for stop in request.stop if stop.strip()))
    if not stops:
        return request if not request.stop else replace(request, stop=())
    takes = 0 if target is Target.RESPONSES or (target is Target.CHAT and traits.is_reasoning) else _MAX_STOPS
    if target is Target.MESSAGES:
        return replace(request, stop=stops)
    if len(stops) <= takes:
        # Chat says `stop` for its own end and for a sequence alike: only what is found here can be named to the client.
        return replace(request, stop=stops)
    shims.append(StopSequences(stops))
    return replace(request, stop=())
