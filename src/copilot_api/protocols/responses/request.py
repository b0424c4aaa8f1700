"""A Responses request: read as far as the gateway must, carried as it came."""

import hashlib
from typing import Any

import msgspec

from copilot_api.errors import BadRequest
from copilot_api.protocols.base import Envelope, ModelTraits, Outgoing
from copilot_api.protocols.conversation import ModelRequest, OutputFormat, Thinking
from copilot_api.protocols.json_object import JsonObject, parse_object, refuse_duplicate_keys, wrong_field
from copilot_api.protocols.responses import wire
from copilot_api.protocols.responses.input_items import read_input
from copilot_api.protocols.responses.native import render_native
from copilot_api.protocols.responses.tools import ToolSet, read_choice, read_tools
from copilot_api.protocols.untyped import list_of, object_of, text_of

_decode_request = msgspec.json.Decoder(wire.Request).decode
_decode_items = msgspec.json.Decoder(list[wire.ItemKind]).decode
_decode_parts = msgspec.json.Decoder(list[wire.PartKind]).decode
_SMALL_BODY_BYTES = 1024
_PLAIN = Envelope()
_BRACKET, _QUOTE = 0x5B, 0x22
_MAX_KEY = 64
_IMAGE_TYPES = {"input_image", "image_url", "image"}


class ResponsesRequest(msgspec.Struct, frozen=True):
    """One request, and what of it decides how it is carried."""

    body: JsonObject
    fields: wire.Request
    model: str
    is_streamed: bool
    initiator: str
    has_images: bool
    effort: str | None

    @property
    def tool_set(self) -> ToolSet:
        """The tools that are offered, with those that items of the input bring along."""
        return read_tools([*(self.fields.tools or []), *_additional_tools(self.fields.input)])

    def render(self, traits: ModelTraits) -> Outgoing:
        """See `ParsedRequest`."""
        return render_native(self, traits)


def parse_request(source: bytes, envelope: Envelope = _PLAIN) -> ResponsesRequest:  # noqa: ARG001 -- a surface's form
    """The request in `source`. Raises `BadRequest` with the field or position at fault."""
    body = parse_object(source)
    try:
        fields = _decode_request(source)
    except msgspec.ValidationError as error:
        raise wrong_field(error) from None
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None
    except msgspec.DecodeError as error:
        raise BadRequest(f"the body is not valid JSON: {error}") from None
    if len(source) <= _SMALL_BODY_BYTES:
        refuse_duplicate_keys(source)
    items = _item_kinds(fields.input)
    return ResponsesRequest(
        body=body,
        fields=fields,
        model=fields.model,
        is_streamed=bool(fields.stream),
        initiator="agent" if items and items[-1].role != "user" else "user",
        has_images=any([_has_image(place, item) for place, item in enumerate(items)]),
        effort=fields.reasoning.effort if fields.reasoning else None,
    )


def read_conversation(request: ResponsesRequest) -> ModelRequest:
    """What the client says, in the neutral form. Raises `BadRequest` for what cannot be said in it."""
    fields = request.fields
    _refuse_state(fields)
    tools = request.tool_set
    system, messages = read_input(fields.instructions, fields.input)
    if not messages and not system:
        raise BadRequest("the field 'input' is empty", param="input")
    return ModelRequest(
        model=request.model,
        system=system,
        messages=messages,
        tools=tools.tools,
        tool_choice=read_choice(fields.tool_choice, tools),
        is_parallel=fields.parallel_tool_calls,
        max_output_tokens=fields.max_output_tokens,
        temperature=fields.temperature,
        top_p=fields.top_p,
        thinking=_read_thinking(fields.reasoning),
        output_format=_read_format(fields.text),
        verbosity=fields.text.verbosity if fields.text else None,
        user=_bounded(fields.safety_identifier or fields.user),
        cache_key=_bounded(fields.prompt_cache_key),
        is_streamed=request.is_streamed,
        dropped=tools.dropped,
    )


def _item_kinds(source: msgspec.Raw) -> list[wire.ItemKind]:
    """The kinds of the input's items; none when it is a string. Raises `BadRequest` when it is neither."""
    content = memoryview(source)
    if content[0] == _QUOTE:
        return []
    if content[0] != _BRACKET:
        what = "is required" if bytes(content) == b"null" else "is wrong: expected a string or a list of items"
        raise BadRequest(f"the field 'input' {what}", param="input")
    try:
        return _decode_items(content)
    except msgspec.ValidationError as error:
        raise wrong_field(error, "input") from None
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None


def _has_image(place: int, item: wire.ItemKind) -> bool:
    for name, raw in (("content", item.content), ("output", item.output)):
        content = memoryview(raw)
        if content[0] != _BRACKET:
            continue
        try:
            if any([part.type in _IMAGE_TYPES for part in _decode_parts(content)]):
                return True
        except msgspec.ValidationError as error:
            if name == "content":
                raise wrong_field(error, f"input[{place}].content") from None
    return False


def _additional_tools(source: msgspec.Raw) -> list[dict[str, Any]]:
    if b'"additional_tools"' not in memoryview(source).tobytes():
        return []
    items = map(object_of, list_of(msgspec.json.decode(source)))
    return [
        object_of(tool)
        for item in items
        if item.get("type") == "additional_tools"
        for tool in list_of(item.get("tools"))
    ]


def _refuse_state(fields: wire.Request) -> None:
    """Refuse what leans on something stored upstream: Copilot stores nothing, so it would be missing in silence."""
    if fields.previous_response_id:
        raise BadRequest(
            f"there is no stored response {fields.previous_response_id[:100]!r}: nothing is stored here",
            param="previous_response_id",
            upstream_code="previous_response_not_found",
            hint="send the whole conversation in 'input', with store: false",
        )
    for name, value in (("conversation", fields.conversation), ("prompt", fields.prompt)):
        if value:
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


def _read_thinking(reasoning: wire.Reasoning | None) -> Thinking | None:
    if reasoning is None:
        return None
    return Thinking(
        effort=reasoning.effort,
        is_disabled=reasoning.effort == "none",
        is_shown=True if reasoning.summary else None,
    )


def _read_format(text: wire.TextConfig | None) -> OutputFormat | None:
    raw = text.format if text else None
    if raw is None:
        return None
    match text_of(raw.get("type")):
        case "text":
            return None
        case "json_object":
            return OutputFormat(kind="json_object")
        case "json_schema":
            strict = raw.get("strict")
            return OutputFormat(
                kind="json_schema",
                name=text_of(raw.get("name")) or "response",
                description=text_of(raw.get("description")),
                schema=object_of(raw.get("schema")),
                strict=strict if isinstance(strict, bool) else None,
            )
        case _:
            raise BadRequest(
                "the field 'text.format.type' must be 'text', 'json_object' or 'json_schema'", param="text.format.type"
            )


def _bounded(text: str | None) -> str | None:
    """`text` within 64 characters: a longer one as its hash, so that the same stays the same."""
    if not text:
        return None
    return text if len(text) <= _MAX_KEY else hashlib.sha256(text.encode(errors="replace")).hexdigest()
