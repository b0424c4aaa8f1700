"""A Responses request: read as far as the gateway must, carried as it came."""

import hashlib
from typing import Any, TypeVar

import msgspec

from copilot_api.errors import BadRequest
from copilot_api.protocols.base import NOTHING, Envelope, ModelTraits, Outgoing, Outline, output_limit_of, shown
from copilot_api.protocols.conversation import ModelRequest, OutputFormat, Thinking
from copilot_api.protocols.json_object import JsonObject, parse_object, refuse_duplicate_keys, wrong_field
from copilot_api.protocols.responses import wire
from copilot_api.protocols.responses.input_items import additional_tools, read_input
from copilot_api.protocols.responses.native import render_native
from copilot_api.protocols.responses.tools import ToolSet, is_object, read_choice, read_tools
from copilot_api.protocols.untyped import object_of, text_of

_requests = msgspec.json.Decoder(wire.Request)
_items = msgspec.json.Decoder(list[wire.ItemKind])
_parts = msgspec.json.Decoder(list[wire.PartKind])
_inputs: "msgspec.json.Decoder[str | list[Any]]" = msgspec.json.Decoder(str | list[Any])
_SMALL_BODY_BYTES = 1024
_PLAIN = Envelope()
_BRACKET, _QUOTE = b'["'
_MAX_NAME = 64
_SYSTEM_ROLES = {"system", "developer"}
_IMAGE_TYPES = {"input_image", "image_url", "image"}
_LOGPROBS = "message.output_text.logprobs"


class ResponsesRequest(msgspec.Struct, frozen=True):
    """One request, and what of it decides how it is carried."""

    body: JsonObject
    fields: wire.Request
    model: str
    is_streamed: bool
    initiator: str
    has_images: bool
    effort: str | None
    output_limit: int | None
    outline: Outline

    @property
    def tool_set(self) -> ToolSet:
        """The tools that are offered, with those that items of the input bring along."""
        offered = ((f"tools[{place}]", tool) for place, tool in enumerate(self.fields.tools or []))
        if b'"additional_tools"' not in bytes(self.fields.input):
            return read_tools(offered)
        return read_tools([*offered, *additional_tools(_decoded(_inputs, self.fields.input, "input"))])

    def render(self, traits: ModelTraits) -> Outgoing:
        """See `ParsedRequest`."""
        return render_native(self, traits)


def parse_request(source: bytes, envelope: Envelope = _PLAIN) -> ResponsesRequest:  # noqa: ARG001 -- a surface's form
    """The request in `source`. Raises `BadRequest` with the field or position at fault."""
    body = parse_object(source)
    fields = _decoded(_requests, source)
    if len(source) <= _SMALL_BODY_BYTES:
        # In a big body deeper duplicates are the upstream's business: there, looking costs more than carrying.
        refuse_duplicate_keys(source)
    items = _item_kinds(fields.input)
    return ResponsesRequest(
        body=body,
        fields=fields,
        model=fields.model,
        is_streamed=bool(fields.stream),
        initiator=_initiator(items),
        has_images=any([_has_image(place, item) for place, item in enumerate(items)]),
        effort=fields.reasoning.effort if fields.reasoning else None,
        output_limit=output_limit_of(fields.max_output_tokens),
        outline=_outline(fields, items),
    )


T = TypeVar("T")


def _decoded(decoder: "msgspec.json.Decoder[T]", source: "bytes | memoryview | msgspec.Raw", at: str = "") -> T:
    try:
        return decoder.decode(source)
    except msgspec.ValidationError as error:
        raise wrong_field(error, at) from None
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body is not valid JSON: {error}") from None


def _item_kinds(source: msgspec.Raw) -> list[wire.ItemKind]:
    """The kinds of the input's items; none when it is a string. Raises `BadRequest` when it is neither."""
    content = memoryview(source)
    if content[0] == _QUOTE:
        return []
    if content[0] != _BRACKET:
        what = "is required" if bytes(content) == b"null" else "is wrong: expected a string or a list of items"
        raise BadRequest(f"the field 'input' {what}", param="input")
    return _decoded(_items, content, "input")


def _outline(fields: wire.Request, items: list[wire.ItemKind]) -> Outline:
    system, said = NOTHING, NOTHING if items else fields.input
    if fields.instructions:
        system = shown(fields.instructions)
    elif items and items[0].role in _SYSTEM_ROLES:
        system = items[0].content
    for item in items[:-4:-1]:
        if item.role not in _SYSTEM_ROLES:
            said = item.content if item.role == "user" else NOTHING
            break
    return Outline(tools=len(fields.tools or ()), messages=len(items) or 1, system=system, said=said)


def _initiator(items: list[wire.ItemKind]) -> str:
    """Who began this call: a human, unless the last item is the model's or comes from a tool (those have no role)."""
    return "agent" if items and (items[-1].role or "assistant") == "assistant" else "user"


def _has_image(place: int, item: wire.ItemKind) -> bool:
    """Whether `item` shows an image, in what was said or in what a tool gave."""
    for name, raw in (("content", item.content), ("output", item.output)):
        content = memoryview(raw)
        if content[0] == _BRACKET:
            parts = _decoded(_parts, content, f"input[{place}].{name}")
            if any([part.type in _IMAGE_TYPES for part in parts]):
                return True
    return False


# In the neutral form ------------------------------------------------------------------------------------------------


def read_conversation(request: ResponsesRequest) -> ModelRequest:
    """What the client says, in the neutral form. Raises `BadRequest` for what cannot be said in it."""
    fields = request.fields
    _refuse_stored(fields)
    tools = request.tool_set
    system, messages = read_input(fields.instructions, _decoded(_inputs, fields.input, "input"))
    if not messages and not system:
        raise BadRequest("the field 'input' is empty", param="input")
    limit = fields.max_output_tokens
    if limit is not None and limit < 1:
        raise BadRequest(f"the field 'max_output_tokens' must be at least 1, not {limit}", param="max_output_tokens")
    return ModelRequest(
        model=request.model,
        system=system,
        messages=messages,
        tools=tools.tools,
        tool_choice=read_choice(fields.tool_choice, tools),
        is_parallel=fields.parallel_tool_calls,
        max_output_tokens=limit,
        temperature=fields.temperature,
        top_p=fields.top_p,
        thinking=_read_thinking(fields.reasoning),
        output_format=_read_format(fields.text),
        verbosity=fields.text.verbosity if fields.text else None,
        user=_anonymous(fields.safety_identifier or fields.user),
        cache_key=_bounded(fields.prompt_cache_key),
        is_streamed=request.is_streamed,
        dropped=(*tools.dropped, *_dropped(fields)),
    )


def _refuse_stored(fields: wire.Request) -> None:
    """Refuse what leans on something stored upstream: Copilot stores nothing, so it would be missing in silence."""
    if fields.previous_response_id:
        raise BadRequest(
            f"there is no stored response {fields.previous_response_id[:100]!r}: nothing is stored here",
            param="previous_response_id",
            upstream_code="previous_response_not_found",
            hint="send the whole conversation in 'input', with store: false",
        )
    for name, value in (("conversation", fields.conversation), ("prompt", fields.prompt)):
        if value is not None:
            raise BadRequest(
                f"the field '{name}' names something stored, and nothing is stored here",
                param=name,
                upstream_code="unsupported_parameter",
                hint="send the whole conversation in 'input'",
            )
    if fields.background:
        raise BadRequest(
            "answers in the background are not supported",
            param="background",
            upstream_code="unsupported_value",
            hint="leave 'background' out, and stream",
        )


def _dropped(fields: wire.Request) -> list[str]:
    """What changes the answer and no other protocol has. Hints (tiers, caching, metadata) go without a word."""
    wants_logprobs = fields.top_logprobs or _LOGPROBS in (fields.include or [])
    return ["logprobs"] if wants_logprobs else []


def _read_thinking(reasoning: wire.Reasoning | None) -> Thinking | None:
    if reasoning is None or (reasoning.effort is None and reasoning.summary is None):
        return None
    return Thinking(
        effort=reasoning.effort,
        is_disabled=reasoning.effort == "none",
        is_shown=None if reasoning.summary is None else reasoning.summary != "none",
    )


def _read_format(text: wire.TextConfig | None) -> OutputFormat | None:
    raw = text.format if text else None
    if raw is None:
        return None
    match raw.get("type"):
        case "text":
            return None
        case "json_object":
            return OutputFormat(kind="json_object")
        case "json_schema":
            return _read_schema(raw)
        case _:
            raise BadRequest(
                "the field 'text.format.type' must be 'text', 'json_object' or 'json_schema'", param="text.format.type"
            )


def _read_schema(raw: dict[str, Any]) -> OutputFormat:
    schema, strict = raw.get("schema"), raw.get("strict")
    if not is_object(schema):
        raise BadRequest("the field 'text.format.schema' must be an object", param="text.format.schema")
    return OutputFormat(
        kind="json_schema",
        name=text_of(raw.get("name")) or "response",
        description=text_of(raw.get("description")),
        schema=object_of(schema),
        strict=strict if isinstance(strict, bool) else None,
    )


def _anonymous(user: str | None) -> str | None:
    """A name for the end user that says nothing of who it is: an address becomes its hash."""
    return _hashed(user) if user and "@" in user else _bounded(user)


def _bounded(text: str | None) -> str | None:
    """`text` within what upstreams take: a longer one as its hash, so that the same stays the same."""
    return _hashed(text) if text and len(text) > _MAX_NAME else text or None


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
