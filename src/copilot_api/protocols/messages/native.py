"""
A Messages request to a model that speaks this protocol itself: the caller's own, edited by name where Copilot takes less
than Anthropic (protocol reference, 9.2 to 9.4). What needs no edit keeps its bytes, and what is unknown passes.
"""

from typing import Any, Protocol

import msgspec
from msgspec.structs import replace

from copilot_api.protocols.base import ModelTraits, Outgoing, Usage
from copilot_api.protocols.conversation import Thinking
from copilot_api.protocols.effort import clamp
from copilot_api.protocols.json_object import Fields, JsonObject, measure, rewrite
from copilot_api.protocols.messages.betas import filter_betas, has_family
from copilot_api.protocols.messages.native_content import (
    MOST_MARKS,
    Turn,
    decode,
    decode_fields,
    decode_list,
    drop_marks,
    edit_messages,
    edit_system,
    encode_list,
    is_unsigned,
    mend_ends,
    with_clean_mark,
    without_mark,
)
from copilot_api.protocols.messages.native_tools import EditedTools, edit_tools, read_choice
from copilot_api.protocols.messages.outgoing import headers_for
from copilot_api.protocols.messages.parse import read_message
from copilot_api.protocols.messages.thinking import ThinkingPlan, plan_thinking, takes_budget
from copilot_api.protocols.messages.upstream_wire import UsageMeter, read_charge
from copilot_api.protocols.untyped import object_of, text_of

_REFUSED = (
    "cache_control", "inference_geo", "fallbacks", "mcp_servers", "container", "speed", "diagnostics", "context_mgmt",
    "betas",
)  # fmt: skip
"""Fields that Copilot refuses a whole request for, and that change nothing of what was asked."""
_NOT_COUNTED = (
    "max_tokens", "stream", "temperature", "top_p", "top_k", "stop_sequences", "metadata", "service_tier",
)  # fmt: skip
"""What a request has and a count of its tokens has not."""
_JSON_ONLY = "Reply with one JSON object only, without any text around it. It must match this JSON Schema: "

_encode = msgspec.json.encode
_int_decoder = msgspec.json.Decoder(int)
_float_decoder = msgspec.json.Decoder(float)

Edits = dict[str, bytes | None]


class NativeRequest(Protocol):
    """What a request must have to be edited here."""

    @property
    def body(self) -> JsonObject:
        """Its fields as they came."""
        ...

    @property
    def model(self) -> str:
        """The caller's name of the model."""
        ...

    @property
    def betas(self) -> tuple[str, ...]:
        """The values of `anthropic-beta`."""
        ...

    @property
    def has_images(self) -> bool:
        """Whether any part of it is an image."""
        ...


class _Thinking(msgspec.Struct):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


_thinking_decoder = msgspec.json.Decoder(_Thinking)


def render_native(request: NativeRequest, traits: ModelTraits) -> Outgoing:
    """The request as it goes upstream. Raises `BadRequest` when it forces a tool that Copilot does not run."""
    return _render(request, traits, is_count=False)


def render_count(request: NativeRequest, traits: ModelTraits) -> Outgoing:
    """The request whose tokens are to be counted, as it goes upstream. Raises as `render_native`."""
    return _render(request, traits, is_count=True)


def _render(request: NativeRequest, traits: ModelTraits, *, is_count: bool) -> Outgoing:
    body = request.body
    betas = filter_betas(request.betas)
    edits: Edits = {name: None for name in _REFUSED if name in body.fields}
    if traits.id != request.model:
        edits["model"] = _encode(traits.id)
    choice = read_choice(body.get("tool_choice"))
    raw_tools, raw_messages = body.get("tools"), body.get("messages")
    tools = edit_tools(raw_tools, choice, traits, betas) if raw_tools is not None else None
    turns = edit_messages(raw_messages) if raw_messages is not None else None
    if tools is not None and not tools.raws and "tool_choice" in body.fields:
        edits["tool_choice"] = None

    max_tokens = None if is_count else _limit(body, traits)
    plan = _plan(body, traits, max_tokens, is_forced=choice.is_forced, is_unsigned=turns is not None and is_unsigned(turns))
    rule = _edit_output_config(body, plan, traits, edits)
    _edit_thinking(body, plan, edits)
    _edit_context_management(body, plan, betas, edits)
    _edit_sampling(body, plan, edits)
    if plan.max_tokens is not None and body.get("max_tokens") != b"%d" % plan.max_tokens:
        edits["max_tokens"] = b"%d" % plan.max_tokens
    _edit_prompt(body, tools, turns, rule, edits, refuses_prefill=plan.is_on or traits.has_adaptive_thinking)
    if is_count:
        edits.update({name: None for name in _NOT_COUNTED if name in body.fields})
    has_tools = tools is not None and bool(tools.raws)
    headers = headers_for(plan, has_tools=has_tools, betas=betas)
    return Outgoing(body.replaced(edits) if edits else body.source, headers, has_images=request.has_images)


def _limit(body: JsonObject, traits: ModelTraits) -> int | None:
    raw = body.get("max_tokens")
    limit = decode(_int_decoder, raw) if raw is not None else None
    if limit is None or traits.max_output_tokens is None:
        return limit
    return min(limit, traits.max_output_tokens)


# The prompt ---------------------------------------------------------------------------------------------------------


def _edit_prompt(
    body: JsonObject,
    tools: EditedTools | None,
    turns: list[Turn] | None,
    rule: str,
    edits: Edits,
    *,
    refuses_prefill: bool,
) -> None:
    """Instructions, tools and messages, with no more cache marks among them than are taken."""
    raw_system = body.get("system")
    system = edit_system(raw_system or b"[]", rule) if raw_system not in {None, b"null"} or rule else []
    marks = [with_clean_mark(block)[1] for block in system]
    leading = sum(marks) + (tools.marks if tools is not None else 0)
    if tools is not None:
        _drop_first_marks(tools.raws, leading - MOST_MARKS, tools)
        if tools.is_edited:
            edits["tools"] = encode_list(tools.raws) if tools.raws else None
    if turns is not None:
        drop_marks(turns, leading + sum([turn.marks for turn in turns]) - MOST_MARKS)
        is_longer = mend_ends(turns, refuses_prefill=refuses_prefill)
        if is_longer or any([turn.is_edited for turn in turns]) or len(turns) != _length(body):
            edits["messages"] = encode_list([turn.render() for turn in turns])
    if raw_system is not None or system:
        rendered = encode_list(system) if system else None
        if rendered is None or decode_list(raw_system or b"") != system:
            edits["system"] = rendered


def _drop_first_marks(raws: list[bytes], excess: int, tools: EditedTools) -> None:
    for place, raw in enumerate(raws):
        if excess > 0 and with_clean_mark(raw)[1]:
            raws[place] = without_mark(raw)
            tools.is_edited = True
            excess -= 1
