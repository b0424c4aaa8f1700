"""
A Messages request to a model that speaks this protocol itself: the caller's own, edited by name where Copilot takes
less than Anthropic (protocol reference, 9.2 to 9.4). What needs no edit keeps its bytes, and what is unknown passes.
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
    decode_kind,
    decode_list,
    drop_first_marks,
    drop_marks,
    edit_messages,
    edit_system,
    encode_list,
    is_unsigned,
    mend_ends,
    with_clean_mark,
)
from copilot_api.protocols.messages.native_tools import EditedTools, edit_tools, read_choice
from copilot_api.protocols.messages.outgoing import headers_for
from copilot_api.protocols.messages.parse import read_message
from copilot_api.protocols.messages.thinking import ThinkingPlan, plan_thinking, takes_budget
from copilot_api.protocols.messages.upstream_wire import UsageMeter, has_tool_use, read_charge
from copilot_api.protocols.untyped import list_of, object_of, text_of

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
_text_decoder = msgspec.json.Decoder(str)
_any_decoder = msgspec.json.Decoder()

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
    raw_tools = body.get("tools")
    tools = edit_tools(raw_tools, choice, traits, betas) if raw_tools is not None else None
    has_tools = tools is not None and bool(tools.raws)
    if not has_tools and "tool_choice" in body.fields:
        edits["tool_choice"] = None
    turns, is_folded = edit_messages(body.get("messages") or b"[]")
    plan = _plan(
        body,
        traits,
        None if is_count else _limit(body, traits),
        is_forced=choice.is_forced and has_tools,
        is_unsigned=is_unsigned(turns),
    )
    rule = _edit_output_config(body, plan, traits, edits)
    _edit_thinking(body, plan, edits)
    _edit_context_management(body, plan, betas, edits)
    _edit_sampling(body, plan, edits)
    if plan.max_tokens is not None and body.get("max_tokens") != b"%d" % plan.max_tokens:
        edits["max_tokens"] = b"%d" % plan.max_tokens
    is_changed = mend_ends(turns, refuses_prefill=plan.is_on or traits.has_adaptive_thinking)
    _edit_prompt(body, tools, turns, rule, edits)
    if is_folded or is_changed or any([turn.is_edited for turn in turns]):
        edits["messages"] = encode_list([turn.render() for turn in turns])
    if is_count:
        edits.update({name: None for name in _NOT_COUNTED if name in body.fields})
    headers = headers_for(plan, has_tools=has_tools, betas=betas)
    return Outgoing(body.replaced(edits) if edits else body.source, headers, has_images=request.has_images)


def _limit(body: JsonObject, traits: ModelTraits) -> int | None:
    """The limit on the output, at most what the model can do."""
    raw = body.get("max_tokens")
    limit = decode(_int_decoder, raw) if raw is not None else None
    if limit is None or traits.max_output_tokens is None:
        return limit
    return min(limit, traits.max_output_tokens)


# The prompt ---------------------------------------------------------------------------------------------------------


def _edit_prompt(body: JsonObject, tools: EditedTools | None, turns: list[Turn], rule: str, edits: Edits) -> None:
    """Instructions and tools; and no more cache marks on them and the messages than are taken."""
    raw_system = body.get("system")
    system, is_edited = edit_system(raw_system or b"[]", rule)
    leading = sum([with_clean_mark(block)[1] for block in system]) + (tools.marks if tools is not None else 0)
    excess = drop_marks(turns, leading + sum([turn.marks for turn in turns]) - MOST_MARKS)
    if tools is not None:
        left = drop_first_marks(tools.raws, excess)
        if tools.is_edited or left < excess:
            edits["tools"] = encode_list(tools.raws) if tools.raws else None
        excess = left
    left = drop_first_marks(system, excess)
    if (is_edited and (raw_system is not None or system)) or left < excess:
        edits["system"] = encode_list(system) if system else None


# Thinking -----------------------------------------------------------------------------------------------------------


def _plan(
    body: JsonObject, traits: ModelTraits, max_tokens: int | None, *, is_forced: bool, is_unsigned: bool
) -> ThinkingPlan:
    """What to send for what the caller wants: its own words, wherever this model takes them."""
    wanted, thinking = _wanted(body, traits)
    effort = _effort(body)
    if wanted is None and effort is not None:  # an effort is no wish to think
        plan = ThinkingPlan(max_tokens=max_tokens)
    else:
        plan = plan_thinking(wanted, traits, max_tokens, is_forced=is_forced, is_unsigned=is_unsigned)
    if effort is not None and traits.has_adaptive_thinking:
        plan = replace(plan, effort=clamp(effort, traits.efforts))
    if plan.is_on and thinking is not None:
        shown = {name: value for name, value in (plan.thinking or {}).items() if name != "display"}
        if thinking.display is not None:
            # There are newer words than these two, each with a beta of its own.
            shown["display"] = "omitted" if thinking.display == "omitted" else "summarized"
        plan = replace(plan, thinking=shown)
    return plan


def _wanted(body: JsonObject, traits: ModelTraits) -> tuple[Thinking | None, _Thinking | None]:
    raw = body.get("thinking")
    thinking = decode(_thinking_decoder, raw) if raw is not None else None
    if thinking is None:
        return None, None
    effort = _effort(body)
    match thinking.type:
        case "enabled":
            # Where a budget is taken it stays one.
            effort = None if takes_budget(traits) else effort
            return Thinking(effort=effort, budget_tokens=thinking.budget_tokens), thinking
        case "adaptive":
            return Thinking(effort=effort, is_adaptive=True), thinking
        case _:
            return Thinking(is_disabled=True), thinking


def _effort(body: JsonObject) -> str | None:
    config = decode_fields(body.get("output_config") or b"")
    raw = config.get("effort") if config else None
    return decode(_text_decoder, raw) if raw is not None else None


def _edit_thinking(body: JsonObject, plan: ThinkingPlan, edits: Edits) -> None:
    raw = body.get("thinking")
    if plan.thinking is None:
        if raw is not None:
            edits["thinking"] = None
    elif raw is None or decode(_any_decoder, raw) != plan.thinking:
        edits["thinking"] = _encode(plan.thinking)


def _edit_output_config(body: JsonObject, plan: ThinkingPlan, traits: ModelTraits, edits: Edits) -> str:
    """
    The effort as planned, and the form of the answer where the model knows forms. Where it does not, the form is put
    into words, which are returned.
    """
    raw, old_format = body.get("output_config"), body.get("output_format")
    config: Fields = (decode_fields(raw) or {}) if raw is not None else {}
    changes: Edits = {}
    effort = None if plan.effort is None else _encode(plan.effort)
    if effort is None or bytes(config.get("effort", b"")) != effort:
        changes["effort"] = effort
    form = bytes(config.get("format", b"")) or old_format
    if form == b"null":
        form = None
    if old_format is not None:
        edits["output_format"] = None
        changes["format"] = form
    rule = ""
    if form is not None and not traits.has_structured_outputs:
        changes["format"] = None
        schema = (decode_fields(form) or {}).get("schema")
        rule = _JSON_ONLY + bytes(schema).decode(errors="replace") if schema is not None else ""
    if any(value is not None or name in config for name, value in changes.items()) or raw == b"null":
        config_raw = rewrite(config, changes)
        edits["output_config"] = config_raw if config_raw != b"{}" else None
    return rule


# The rest -----------------------------------------------------------------------------------------------------------


def _edit_context_management(body: JsonObject, plan: ThinkingPlan, betas: tuple[str, ...], edits: Edits) -> None:
    """It is taken with its beta only, and forgetting thoughts only while the model thinks (pitfall 31)."""
    raw = body.get("context_management")
    if raw is None:
        return
    fields = decode_fields(raw) or {}
    steps = decode_list(fields.get("edits", msgspec.Raw(b""))) or []
    takes = {
        "clear_tool_uses_": has_family(betas, "context-management-"),
        "clear_thinking_": has_family(betas, "context-management-") and plan.is_on,
        "compact_": has_family(betas, "compact-"),
    }
    kept = [
        step for step in steps if decode_kind(step).startswith(tuple(name for name, is_on in takes.items() if is_on))
    ]
    if not kept:
        edits["context_management"] = None
    elif len(kept) < len(steps):
        edits["context_management"] = rewrite(fields, {"edits": encode_list(kept)})


def _edit_sampling(body: JsonObject, plan: ThinkingPlan, edits: Edits) -> None:
    """What cannot stand beside thinking goes."""
    if not plan.is_on:
        return
    if _number(body, "temperature", 1.0) != 1:
        edits["temperature"] = None
    if _number(body, "top_p", 1.0) < 0.95:
        edits["top_p"] = None
    if "top_k" in body.fields:
        edits["top_k"] = None


def _number(body: JsonObject, name: str, other: float) -> float:
    raw = body.get(name)
    found = decode(_float_decoder, raw) if raw is not None else None
    return other if found is None else found


# The answer ---------------------------------------------------------------------------------------------------------


class NativeAnswer(msgspec.Struct):
    """The answer as the client gets it, and what it consumed."""

    body: bytes
    usage: Usage | None
    nano_aiu: int | None


def parse_native_answer(source: bytes, *, model: str, now: int) -> NativeAnswer:
    """
    The upstream's answer in `source` with the name that the caller used, made whole. `now` (unix seconds) stands in for
    a missing id. Raises what it reports instead of an answer, or `UpstreamFailed` when it is neither.
    """
    message = read_message(source)
    meter = UsageMeter()
    meter.note(message.get("usage"))
    edits: Edits = {"model": _encode(model)}
    whole: dict[str, Any] = {
        "id": f"msg_{now}", "type": "message", "role": "assistant", "content": [], "stop_reason": "end_turn",
    }  # fmt: skip
    edits.update({name: _encode(value) for name, value in whole.items() if not message.get(name)})
    if text_of(message.get("stop_reason")) in {"", "end_turn"} and has_tool_use(list_of(message.get("content"))):
        edits["stop_reason"] = b'"tool_use"'
    if "stop_sequence" not in message:
        edits["stop_sequence"] = b"null"
    usage = object_of(message.get("usage"))
    counts = {name: 0 for name in ("input_tokens", "output_tokens") if not isinstance(usage.get(name), int)}
    if counts:
        edits["usage"] = _encode({**usage, **counts})
    fields = msgspec.json.decode(source, type=Fields)
    body = JsonObject(source, fields, measure(source, fields)).replaced(edits)
    return NativeAnswer(body, meter.usage, read_charge(message.get("copilot_usage")))
