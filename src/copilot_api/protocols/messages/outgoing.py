"""
A request in the neutral form, written for `/v1/messages`.

The same request always gives the same bytes: the prompt cache lives on that. Its breakpoints are set here too, since
clients of other protocols cannot: on the instructions, the tools and the last two turns of the user.
"""

import hashlib
import re
from typing import Any

import msgspec

from copilot_api.protocols.base import ModelTraits, Outgoing
from copilot_api.protocols.conversation import (
    Document,
    Image,
    Message,
    ModelRequest,
    Part,
    Reasoning,
    Refusal,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)
from copilot_api.protocols.messages.betas import EFFORT, INTERLEAVED_THINKING, beta_headers
from copilot_api.protocols.messages.json_schema import answer_schema, tool_schema
from copilot_api.protocols.messages.thinking import ThinkingPlan, plan_thinking, takes_budget

ANTHROPIC_VERSION = "2023-06-01"
CONTINUE = "Please continue."
NOTHING_SAID = "."
EMPTY_CONTENT = "(no content)"
EMPTY_RESULT = "(no output)"

_EPHEMERAL = {"type": "ephemeral"}
_DEFAULT_MAX_TOKENS = 32_000
_TOOL_ID = re.compile(r"[A-Za-z0-9_-]+")
_MOST_USER = 256

Block = dict[str, Any]
Turn = tuple[str, list[Block]]

_encode = msgspec.json.encode
_decode = msgspec.json.decode


def render_request(request: ModelRequest, traits: ModelTraits) -> Outgoing:
    """The request as Copilot takes it."""
    turns = _turns(request.messages)
    tools = [_tool(tool, traits) for tool in request.tools]
    stubs = [] if tools else _stubs(turns)
    limit = traits.max_output_tokens or _DEFAULT_MAX_TOKENS
    choice = _choice(request) if tools else ({"type": "none"} if stubs else None)
    plan = plan_thinking(
        request.thinking,
        traits,
        request.max_output_tokens or min(limit, _DEFAULT_MAX_TOKENS),
        is_forced=choice is not None and choice["type"] in {"any", "tool"},
        is_unsigned=_is_unsigned(turns),
    )
    _mend_ends(turns, refuses_prefill=plan.is_on or traits.has_adaptive_thinking or not takes_budget(traits))
    body: dict[str, Any] = {"model": traits.id, "max_tokens": plan.max_tokens}
    if request.is_streamed:
        body["stream"] = True
    system = [{"type": "text", "text": text} for text in request.system if text.strip()]
    _mark(system, tools or stubs, turns)
    if system:
        body["system"] = system
    body["messages"] = [{"role": role, "content": blocks} for role, blocks in turns]
    if tools or stubs:
        body["tools"] = tools or stubs
    if choice is not None:
        body["tool_choice"] = choice
    if plan.thinking is not None:
        body["thinking"] = plan.thinking
    _set_output_config(body, request, plan, traits)
    _set_sampling(body, request, plan, traits)
    if request.user and len(request.user) <= _MOST_USER and "@" not in request.user:
        body["metadata"] = {"user_id": request.user}
    return Outgoing(_encode(body), headers_for(plan, has_tools=bool(tools)), has_images=_has_images(request.messages))


def headers_for(plan: ThinkingPlan, *, has_tools: bool, betas: tuple[str, ...] = ()) -> dict[str, str]:
    """The headers of this protocol, with those `betas` and the ones that the plan needs."""
    needed = list(betas)
    if plan.effort is not None:
        needed.append(EFFORT)
    if plan.is_on and not plan.is_adaptive and has_tools:
        needed.append(INTERLEAVED_THINKING)
    return {"anthropic-version": ANTHROPIC_VERSION, **beta_headers(needed)}


# What was said ------------------------------------------------------------------------------------------------------


def reminder(text: str) -> str:
    """Instructions in the middle of a conversation, as the user's text: Copilot takes no other."""
    return f"<system-reminder>\n{text}\n</system-reminder>"


def _turns(messages: tuple[Message, ...]) -> list[Turn]:
    """The messages as turns of the user and the assistant, one after the other; of a turn the results come first."""
    turns: list[Turn] = []
    for message in messages:
        if message.role == "system":
            texts = [part.text for part in message.parts if isinstance(part, Text) and part.text.strip()]
            blocks = [{"type": "text", "text": reminder("\n\n".join(texts))}] if texts else []
        else:
            blocks = [block for part in message.parts if (block := _block(part)) is not None]
        role = "assistant" if message.role == "assistant" else "user"
        if not blocks:
            continue
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(blocks)
        else:
            turns.append((role, blocks))
    for role, blocks in turns:
        if role == "user":
            blocks.sort(key=lambda block: block["type"] != "tool_result")  # a stable sort
        else:
            _end_with_words(blocks)
    return turns


def _end_with_words(blocks: list[Block]) -> None:
    """Thinking at the end of a turn is refused; that of a turn which said nothing else leads nowhere anyway."""
    while blocks and blocks[-1]["type"] in {"thinking", "redacted_thinking"}:
        blocks.pop()
    if not blocks:
        blocks.append({"type": "text", "text": EMPTY_CONTENT})


def _block(part: Part) -> Block | None:
    match part:
        case Text(text) | Refusal(text):
            return {"type": "text", "text": text} if text.strip() else None
        case Image():
            return _image(part)
        case Document():
            return _document(part)
        case Reasoning():
            return _thinking(part)
        case ToolCall():
            return {"type": "tool_use", "id": tool_id(part.id), "name": part.name, "input": parse_input(part.arguments)}
        case ToolResult():
            return _result(part)


def _image(image: Image) -> Block:
    source = {"type": "base64", "media_type": image.media_type, "data": image.data}
    if not image.data:
        source = {"type": "url", "url": image.url}
    return {"type": "image", "source": source}


def _document(document: Document) -> Block:
    if document.data:
        media_type = document.media_type or "application/pdf"
        source = {"type": "base64", "media_type": media_type, "data": document.data}
    elif document.text.strip() or not document.url:
        source = {"type": "text", "media_type": "text/plain", "data": document.text or EMPTY_CONTENT}
    else:
        source = {"type": "url", "url": document.url}
    title = {"title": document.title} if document.title else {}
    return {"type": "document", "source": source, **title}


def _thinking(part: Reasoning) -> Block | None:
    """The block that replays the reasoning; its signature holds for the very text that came with it."""
    carrier = part.carrier
    if carrier is None or not carrier.data:
        return None
    if carrier.kind == "an":
        return {"type": "thinking", "thinking": carrier.text, "signature": carrier.data}
    return {"type": "redacted_thinking", "data": carrier.data} if carrier.kind == "rd" else None


def _result(part: ToolResult) -> Block:
    blocks = [block for inner in part.parts if (block := _block(inner)) is not None]
    content: str | list[Block] = blocks or EMPTY_RESULT
    if len(blocks) == 1 and blocks[0]["type"] == "text":
        content = blocks[0]["text"]
    error = {"is_error": True} if part.is_error else {}
    return {"type": "tool_result", "tool_use_id": tool_id(part.call_id), "content": content, **error}


def tool_id(call_id: str) -> str:
    """The id as Anthropic takes ids; one of another form becomes another, the same on every turn."""
    if _TOOL_ID.fullmatch(call_id):
        return call_id
    return f"toolu_{hashlib.sha256(call_id.encode(errors='replace')).hexdigest()[:24]}"


def parse_input(arguments: str) -> Any:
    """
    A call's arguments as the object that this protocol wants, byte for byte where they are one. A string that holds an
    object is unwrapped once; whatever else the model wrote is kept as `_raw` (pitfall 44).
    """
    if not arguments.strip():
        return {}
    for text in (arguments, _inner_text(arguments)):
        if text is not None and isinstance(_value(text), dict):
            return msgspec.Raw(text.encode())
    return {"_raw": arguments}


def _inner_text(arguments: str) -> str | None:
    value = _value(arguments) if arguments.lstrip().startswith('"') else None
    return value if isinstance(value, str) else None


def _value(text: str) -> object:
    try:
        return _decode(text)
    except (ValueError, RecursionError):  # a DecodeError is a ValueError
        return None


def _has_images(messages: tuple[Message, ...]) -> bool:
    parts = [part for message in messages for part in message.parts]
    inner = [piece for part in parts if isinstance(part, ToolResult) for piece in part.parts]
    return any(isinstance(part, Image) for part in (*parts, *inner))


def _is_unsigned(turns: list[Turn]) -> bool:
    """Whether the last turn of the assistant called tools and has lost its thinking."""
    last = [blocks for role, blocks in turns if role == "assistant"][-1:]
    kinds = {block["type"] for blocks in last for block in blocks}
    return "tool_use" in kinds and not kinds & {"thinking", "redacted_thinking"}


def _mend_ends(turns: list[Turn], *, refuses_prefill: bool) -> None:
    """
    A conversation begins with the user. It also ends with the user where the model does not continue what the assistant
    has begun to say; where it does, that must not end in space.
    """
    if not turns or turns[0][0] != "user":
        turns.insert(0, ("user", [{"type": "text", "text": NOTHING_SAID}]))
    role, blocks = turns[-1]
    if role != "assistant":
        return
    last = blocks[-1]
    if last["type"] == "text":
        last["text"] = last["text"].rstrip()
    if refuses_prefill:
        turns.append(("user", [{"type": "text", "text": CONTINUE}]))


# Tools --------------------------------------------------------------------------------------------------------------


def _tool(tool: Tool, traits: ModelTraits) -> Block:
    block: Block = {"name": tool.name}
    if tool.description:
        block["description"] = tool.description
    block["input_schema"] = tool_schema(tool.parameters)
    block["input_schema"].setdefault("type", "object")
    if tool.strict and traits.has_structured_outputs:
        block["strict"] = True
    return block


def _stubs(turns: list[Turn]) -> list[Block]:
    """Stand-ins for tools that the conversation has used and the request no longer declares: they must be declared."""
    blocks = [block for _, blocks in turns for block in blocks if block["type"] == "tool_use"]
    names = dict.fromkeys(block["name"] for block in blocks)
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    return [{"name": name, "description": "No longer available.", "input_schema": schema} for name in names]


def _choice(request: ModelRequest) -> Block | None:
    """The tool choice; that tools are to be called one by one is part of it, and no reason to call any (pitfall 43)."""
    choice = request.tool_choice
    block: Block = {"type": choice.mode if choice is not None else "auto"}
    if choice is not None and choice.mode == "tool":
        block["name"] = choice.name
    if request.is_parallel is False and block["type"] != "none":
        block["disable_parallel_tool_use"] = True
    return block if choice is not None or len(block) > 1 else None


# The rest -----------------------------------------------------------------------------------------------------------


def _mark(system: list[Block], tools: list[Block], turns: list[Turn]) -> None:
    """The four places up to which the prompt is worth caching."""
    users = [blocks for role, blocks in turns if role == "user"]
    for blocks in (system, tools, *users[-2:]):
        if blocks:
            blocks[-1]["cache_control"] = _EPHEMERAL


def _set_output_config(body: dict[str, Any], request: ModelRequest, plan: ThinkingPlan, traits: ModelTraits) -> None:
    config: dict[str, Any] = {}
    if plan.effort is not None:
        config["effort"] = plan.effort
    wanted = request.output_format
    if wanted is not None and wanted.kind == "json_schema" and traits.has_structured_outputs:
        config["format"] = {"type": "json_schema", "schema": answer_schema(wanted.schema)}
    if config:
        body["output_config"] = config


def _set_sampling(body: dict[str, Any], request: ModelRequest, plan: ThinkingPlan, traits: ModelTraits) -> None:
    """
    The sampling parameters that may stand beside each other and beside thinking. The newest models take none at all,
    and no recent one both of temperature and top_p.
    """
    stops = [stop for stop in request.stop if stop.strip()]
    if stops:
        body["stop_sequences"] = stops
    if traits.takes_only_adaptive_thinking:
        return
    temperature = None if request.temperature is None else max(0.0, min(request.temperature, 1.0))
    top_p = request.top_p
    if plan.is_on:
        if top_p is not None and top_p >= 0.95:
            body["top_p"] = top_p
        return
    if temperature is not None and (top_p is None or temperature != 1):
        body["temperature"] = temperature
    elif top_p is not None:
        body["top_p"] = top_p
    if request.top_k is not None:
        body["top_k"] = request.top_k
