"""
A Responses request for a model that speaks Responses itself, and its whole answer: the caller's, with named edits.

What Copilot refuses and nobody misses is left out (protocol reference, 8.1 and 8.2); what it cannot do is refused here,
with words. Everything else leaves as it came, unknown fields and all.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

import msgspec

from copilot_api.errors import BadRequest
from copilot_api.protocols.base import ModelTraits, Outgoing, Usage
from copilot_api.protocols.carriers import is_packed
from copilot_api.protocols.effort import clamp
from copilot_api.protocols.json_object import JsonObject, measure, rewrite, wrong_field
from copilot_api.protocols.responses import parse
from copilot_api.protocols.responses.outgoing import MIN_OUTPUT_TOKENS
from copilot_api.protocols.untyped import text_of

Edits = dict[str, bytes | None]

_STRIPPED = (
    "service_tier", "background", "user", "stream_options", "previous_response_id", "conversation",
)  # fmt: skip
"""Never sent. `stream_options` has one field only: it turns the padding of deltas off, which is ignored anyway."""
_SAMPLING = ("temperature", "top_p")
_MAX_NAME = 64
_INCLUDES = frozenset({"reasoning.encrypted_content", "message.output_text.logprobs"})
_WEB_SEARCH_INCLUDES = frozenset({"web_search_call.action.sources", "web_search_call.results"})
_REFUSED_TOOLS = frozenset({"image_generation"})
_NEWER_TOOLS = frozenset({"web_search", "web_search_preview", "tool_search", "namespace"})
"""Tools that only the newer models take; Codex offers two of them whatever the model, and must not fail for it."""
_NEWER_VERSION = (5, 4)
_CONTEXT_MANAGEMENT_VERSION = (5, 3)
_VERSION = re.compile(r"gpt-(\d+)(?:\.(\d+))?")
_NOTHING = msgspec.Raw(b"")
_encode = msgspec.json.encode


class NativeRequest(Protocol):
    """A Responses request as the client sent it."""

    @property
    def body(self) -> JsonObject:
        """All of it."""
        ...

    @property
    def model(self) -> str:
        """The model's name as the caller wrote it."""
        ...

    @property
    def has_images(self) -> bool:
        """Whether any part of it is an image."""
        ...


def render_native(request: NativeRequest, traits: ModelTraits) -> Outgoing:
    """
    The request as it goes to the model that `traits` describe.

    Raises `BadRequest` for what needs a memory that Copilot has not, and for a tool that it does not run.
    """
    body = request.body
    _refuse_stored(body)
    edits: Edits = {name: None for name in _STRIPPED if name in body.fields}
    if request.model != traits.id:
        edits["model"] = _encode(traits.id)
    if body.get("store") not in {None, b"false"}:
        edits["store"] = b"false"
    if traits.is_reasoning:
        edits |= {name: None for name in _SAMPLING if name in body.fields}
    if "context_management" in body.fields and _version(traits) < _CONTEXT_MANAGEMENT_VERSION:
        edits["context_management"] = None
    edits |= _limit(body, traits) | _short_names(body) | _reasoning(body, traits)
    kinds = _tool_kinds(body)
    refused = _REFUSED_TOOLS | (_NEWER_TOOLS if _version(traits) < _NEWER_VERSION else frozenset[str]())
    edits |= _tools(body, kinds, refused) | _include(body, has_search=_has_search(kinds, refused)) | _input(body)
    return Outgoing(body.replaced(edits) if edits else body.source, has_images=request.has_images)


def _version(traits: ModelTraits) -> tuple[int, int]:
    """The version in an OpenAI model's name; another model is taken for an old one."""
    found = _VERSION.match(traits.id)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def _refuse_stored(body: JsonObject) -> None:
    """Copilot keeps nothing from call to call. The code tells clients to send the whole conversation."""
    if body.get("previous_response_id") not in {None, b"null"}:
        raise BadRequest(
            "GitHub Copilot keeps no responses, so there is no previous response to continue",
            param="previous_response_id",
            upstream_code="previous_response_not_found",
            hint="send the whole conversation in 'input'",
        )
    if body.get("conversation") not in {None, b"null"}:
        raise BadRequest(
            "GitHub Copilot keeps no conversations",
            param="conversation",
            upstream_code="unsupported_parameter",
            hint="send the whole conversation in 'input'",
        )


# Settings -----------------------------------------------------------------------------------------------------------

T = TypeVar("T")


def _read(raw: bytes, kind: type[T], name: str) -> T:
    """`raw` as a `kind`. Raises `BadRequest` naming the field."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise wrong_field(error, name) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise BadRequest(f"the field '{name}' cannot be read", param=name) from None


def _limit(body: JsonObject, traits: ModelTraits) -> Edits:
    """The limit on the output within what the model takes: the caller wants an answer, not a lesson."""
    raw = body.get("max_output_tokens")
    if raw in {None, b"null"}:
        return {}
    wanted = _read(raw or b"", int, "max_output_tokens")
    most = traits.max_output_tokens
    limit = max(MIN_OUTPUT_TOKENS, wanted if most is None else min(wanted, most))
    return {} if limit == wanted else {"max_output_tokens": b"%d" % limit}


def _short_names(body: JsonObject) -> Edits:
    """Names over what OpenAI takes, by a hash of themselves: what they group stays together."""
    edits: Edits = {}
    for name in ("prompt_cache_key", "safety_identifier"):
        raw = body.get(name)
        if raw is not None and len(raw) > _MAX_NAME + 2:
            value = _read(raw, str, name)
            if len(value) > _MAX_NAME:
                edits[name] = _encode(hashlib.sha256(value.encode(errors="replace")).hexdigest())
    return edits


def _reasoning(body: JsonObject, traits: ModelTraits) -> Edits:
    """The effort that the model takes for the one asked for, or for the operator's default where none is."""
    raw = body.get("reasoning")
    settings = _read(raw, dict[str, msgspec.Raw], "reasoning") if raw not in {None, b"null"} and raw else {}
    effort = bytes(settings.get("effort", _NOTHING))
    if effort in {b"", b"null"}:
        wanted: str | None = traits.default_effort or None
    else:
        wanted = _read(effort, str, "reasoning.effort")
    taken = clamp(wanted, traits.efforts) if wanted else None
    if taken is None or _encode(taken) == effort:
        return {}  # of a model that lists none, and of an effort that nobody knows, the upstream knows best
    return {"reasoning": rewrite(settings, {"effort": _encode(taken)})}


def _include(body: JsonObject, *, has_search: bool) -> Edits:
    raw = body.get("include")
    if raw in {None, b"null"}:
        return {}
    asked = _read(raw or b"", list[Any], "include")
    known = _INCLUDES | (_WEB_SEARCH_INCLUDES if has_search else frozenset[str]())
    kept = [name for name in asked if isinstance(name, str) and name in known]
    if len(kept) == len(asked):
        return {}
    return {"include": _encode(kept) if kept else None}


# Tools --------------------------------------------------------------------------------------------------------------


class _Tool(msgspec.Struct):
    type: str = ""


def _tool_kinds(body: JsonObject) -> list[str]:
    raw = body.get("tools")
    return [] if raw in {None, b"null"} else [tool.type for tool in _read(raw or b"", list[_Tool], "tools")]


def _is_refused(kind: str, refused: frozenset[str]) -> bool:
    """Whether a tool is of a refused kind; OpenAI dates some of them (`web_search_2025_08_26`)."""
    return re.sub(r"_\d{4}_\d\d_\d\d\Z", "", kind) in refused


def _has_search(kinds: list[str], refused: frozenset[str]) -> bool:
    return any(kind.startswith("web_search") and not _is_refused(kind, refused) for kind in kinds)


def _tools(body: JsonObject, kinds: list[str], refused: frozenset[str]) -> Edits:
    """The tools without those that Copilot refuses. Raises `BadRequest` when one of these must be called."""
    choice = body.get("tool_choice")
    forced = _read(choice, _Tool, "tool_choice").type if choice is not None and choice.startswith(b"{") else ""
    kept = [place for place, kind in enumerate(kinds) if not _is_refused(kind, refused)]
    must_call = choice == b'"required"' and not kept and bool(kinds)
    if must_call or (forced and _is_refused(forced, refused)):
        raise BadRequest(
            f"GitHub Copilot does not run the tool '{forced or kinds[0]}' for this model",
            param="tool_choice",
            upstream_code="unsupported_value",
            hint="leave the choice to the model, or offer a function",
        )
    if len(kept) == len(kinds):
        return {}
    if not kept:
        return {name: None for name in ("tools", "tool_choice", "parallel_tool_calls") if name in body.fields}
    tools = _read(body.get("tools") or b"", list[msgspec.Raw], "tools")
    return {"tools": _joined([tools[place] for place in kept])}


def _joined(items: list[msgspec.Raw] | list[bytes]) -> bytes:
    return b"[%b]" % b",".join([bytes(item) for item in items])


# Input --------------------------------------------------------------------------------------------------------------


class _Item(msgspec.Struct):
    type: msgspec.Raw = _NOTHING
    id: msgspec.Raw = _NOTHING
    status: msgspec.Raw = _NOTHING
    encrypted_content: msgspec.Raw = _NOTHING


def _input(body: JsonObject) -> Edits:
    """
    The input without what Copilot refuses in it.

    An item's id is good for the connection that made it and no other, so none goes back, but those of encrypted
    reasoning, which is bound to its id. Reasoning that the gateway packed for another vendor, or that is not encrypted
    and so would have to be remembered, is left out.
    """
    raw = body.get("input")
    if raw is None or not raw.startswith(b"["):
        return {}
    items = _read(raw, list[_Item], "input")
    edits = [_edit(item, place) for place, item in enumerate(items)]
    if not any(edit is None or edit for edit in edits):
        return {}
    sources = _read(raw, list[msgspec.Raw], "input")
    pieces = [_edited(source, edit) for source, edit in zip(sources, edits, strict=True) if edit is not None]
    return {"input": _joined(pieces)}


def _edited(source: msgspec.Raw, edit: Mapping[str, bytes | None]) -> bytes:
    return rewrite(_read(bytes(source), dict[str, msgspec.Raw], "input"), edit) if edit else bytes(source)


def _edit(item: _Item, place: int) -> Edits | None:
    """What to change in an item; None to leave it out."""
    kind = bytes(item.type)
    if kind == b'"item_reference"':
        raise BadRequest(
            "GitHub Copilot keeps no items, so none can be referred to",
            param=f"input[{place}]",
            upstream_code="unsupported_value",
            hint="send the item itself",
        )
    edit: Edits = {"status": None} if bytes(item.status) == b"null" else {}
    if kind == b'"reasoning"':
        carrier = _text(bytes(item.encrypted_content))
        return None if not carrier or is_packed(carrier) else edit
    if bytes(item.id):
        edit["id"] = None
    return edit


def _text(raw: bytes) -> str:
    """The text that `raw` is, or an empty one."""
    try:
        return text_of(msgspec.json.decode(raw)) if raw else ""
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return ""


# The answer ---------------------------------------------------------------------------------------------------------


class NativeAnswer:
    """A whole answer as the client gets it, and what it consumed."""

    __slots__ = ("body", "nano_aiu", "usage")

    def __init__(self, body: bytes, usage: Usage | None, nano_aiu: int | None) -> None:
        self.body = body
        self.usage = usage
        self.nano_aiu = nano_aiu


def parse_native_answer(source: bytes, *, model: str, now: int) -> NativeAnswer:
    """
    The upstream's answer in `source` with the name that the caller used. `now` (unix seconds) stands in for a missing
    time. Raises what the answer reports, or `UpstreamFailed` when it is none.
    """
    response = parse.decode_response(source)
    failure = parse.failure_of(response)
    if failure is not None:
        raise failure
    copilot = response.get("copilot_usage")
    fields = _read(source, dict[str, msgspec.Raw], "")
    edits = mend_response(fields, model=model, now=now)
    if not text_of(response.get("id")):
        edits["id"] = b'"resp_%d"' % now
    body = JsonObject(source, fields, measure(source, fields)).replaced(edits)
    return NativeAnswer(body, parse.usage_of(response.get("usage"), copilot), parse.nano_aiu_of(copilot))


_NO_USAGE = (
    b'{"input_tokens":0,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"output_tokens":0,'
    b'"output_tokens_details":{"reasoning_tokens":0},"total_tokens":0}'
)
_DEFAULTS: dict[str, bytes] = {
    "completed_at": b"null", "incomplete_details": b"null", "previous_response_id": b"null", "instructions": b"null",
    "output": b"[]", "error": b"null", "tools": b"[]", "tool_choice": b'"auto"', "truncation": b'"disabled"',
    "parallel_tool_calls": b"true", "text": b'{"format":{"type":"text"}}', "top_p": b"1.0", "presence_penalty": b"0.0",
    "frequency_penalty": b"0.0", "top_logprobs": b"0", "temperature": b"1.0", "reasoning": b"null", "user": b"null",
    "usage": b"null", "max_output_tokens": b"null", "max_tool_calls": b"null", "store": b"false",
    "background": b"false", "service_tier": b'"default"', "metadata": b"{}", "safety_identifier": b"null",
    "prompt_cache_key": b"null",
}  # fmt: skip
"""What a strict client requires of every response object beside its id, kind, time, model and status."""
_FINAL = {b'"completed"', b'"incomplete"'}


def mend_response(fields: Mapping[str, msgspec.Raw], *, model: str, now: int, status: str = "completed") -> Edits:
    """
    What a response object lacks: the caller's name of the model, and every field that a strict client requires. In one
    that is over the usage is never null. `status` stands in for a missing one.
    """
    edits: Edits = {name: value for name, value in _DEFAULTS.items() if name not in fields}
    edits["model"] = _encode(model)
    if bytes(fields.get("object", _NOTHING)) != b'"response"':
        edits["object"] = b'"response"'
    if bytes(fields.get("created_at", b"null")) == b"null":
        edits["created_at"] = b"%d" % now
    current = bytes(fields.get("status", b"null"))
    if current == b"null":
        current = edits["status"] = _encode(status)
    if current in _FINAL and bytes(fields.get("usage", b"null")) == b"null":
        edits["usage"] = _NO_USAGE
    return edits
