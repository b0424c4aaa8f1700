"""A Messages request: read as far as the gateway must on every call, carried as it came."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from copilot_api.errors import BadRequest, GatewayError
from copilot_api.protocols.base import NOTHING, Envelope, ModelTraits, Outgoing, Outline, output_limit_of
from copilot_api.protocols.json_object import JsonObject, parse_object, refuse_duplicate_keys, wrong_field
from copilot_api.protocols.messages import wire
from copilot_api.protocols.messages.errors import THREADS_UNSUPPORTED
from copilot_api.protocols.messages.native import render_native

_decode_request = msgspec.json.Decoder(wire.Request)
_decode_count_request = msgspec.json.Decoder(wire.CountRequest)
_decode_glances = msgspec.json.Decoder(list[wire.Glance]).decode
_decode_text_glances = msgspec.json.Decoder(list[wire.TextGlance]).decode
_decode_source = msgspec.json.Decoder(wire.Source).decode

_NO_ENVELOPE = Envelope()
_SMALL_BODY_BYTES = 1024
_BRACKET, _QUOTE, _BRACE = b'["{'
_TEXTS_OR_NULL = b'"[n'
_HOLDERS = {"tool_result", "document"}
"""Blocks that may have images inside them."""

T = TypeVar("T")
C = TypeVar("C", wire.Request, wire.CountRequest)


class ThreadsUnsupported(GatewayError):
    """The client would have the conversation held here; nothing is."""

    number, code, status = 108, THREADS_UNSUPPORTED, 400
    kind, cause, is_final = "invalid_request_error", "bad_request", True
    hint = "leave 'thread' out, and send the whole conversation with each request"


class MessagesRequest(msgspec.Struct, frozen=True):
    """One request, and what of it decides how it is carried."""

    body: JsonObject
    betas: tuple[str, ...]
    """What the caller's `anthropic-beta` said."""
    model: str
    is_streamed: bool
    initiator: str
    has_images: bool
    effort: str | None
    output_limit: int | None
    outline: Outline
    hides_thinking: bool = False
    """Whether the caller wants thinking blocks without their text (`thinking.display`: `omitted`)."""

    def render(self, traits: ModelTraits) -> Outgoing:
        """See `ParsedRequest`."""
        return render_native(self, traits)


def parse_request(source: bytes, envelope: Envelope = _NO_ENVELOPE) -> MessagesRequest:
    """The request in `source`. Raises `BadRequest` with the field or position at fault."""
    return _parse(source, envelope, _decode_request)


def parse_count_request(source: bytes, envelope: Envelope = _NO_ENVELOPE) -> MessagesRequest:
    """The request in `source` whose tokens are to be counted: it needs no `max_tokens`. Raises `BadRequest`."""
    return _parse(source, envelope, _decode_count_request)


def decode_or_refuse(decoder: "msgspec.json.Decoder[T]", source: bytes | msgspec.Raw, prefix: str = "") -> T:
    """What `source` holds. Raises `BadRequest` that names the field at fault, which stands below `prefix`."""
    try:
        return decoder.decode(source)
    except msgspec.ValidationError as error:
        raise wrong_field(error, prefix) from None
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body is not valid JSON: {error}") from None


def _parse(source: bytes, envelope: Envelope, decoder: "msgspec.json.Decoder[C]") -> MessagesRequest:
    body = parse_object(source)
    request = decode_or_refuse(decoder, source)
    if len(source) <= _SMALL_BODY_BYTES:
        # In a big body deeper duplicates are the upstream's business: there, looking costs more than carrying.
        refuse_duplicate_keys(source)
    if body.get("thread") not in {None, b"null"}:
        raise ThreadsUnsupported("conversations are not held here between requests", param="thread")
    system = body.fields.get("system", NOTHING)
    if memoryview(system)[0] not in _TEXTS_OR_NULL:
        raise BadRequest("the field 'system' is wrong: expected a string or a list of text blocks", param="system")
    messages = request.messages
    last = _last_spoken(messages)
    glances = [_glance(place, message) for place, message in enumerate(messages[:last])]
    glances += [_glance(place, messages[place], _decode_text_glances) for place in range(last, len(messages))]
    return MessagesRequest(
        body=body,
        betas=envelope.betas,
        model=request.model,
        is_streamed=bool(request.stream),
        initiator=_initiator(messages, glances),
        has_images=any([_shows_image(blocks) for blocks in glances]),
        effort=request.output_config.effort if request.output_config else None,
        output_limit=output_limit_of(request.max_tokens),
        outline=Outline(
            tools=len(request.tools or ()),
            messages=len(messages),
            system=system,
            said=_said(messages[last], glances[last]),
        ),
        hides_thinking=request.thinking is not None and request.thinking.display == "omitted",
    )


def _last_spoken(messages: list[wire.RawMessage]) -> int:
    """The place of the last message, but for one that the client adds as the system's."""
    last = len(messages) - 1
    return last - 1 if last and messages[last].role == "system" else last


def _said(message: wire.RawMessage, blocks: Sequence[wire.Glance]) -> msgspec.Raw:
    """The last text of a message of the user's."""
    if message.role != "user":
        return NOTHING
    if not blocks:
        return message.content
    for block in blocks[:-9:-1]:
        if isinstance(block, wire.TextGlance) and block.type == "text":
            return block.text
    return NOTHING


def _glance(
    place: int, message: wire.RawMessage, decode: Callable[[memoryview], Sequence[wire.Glance]] = _decode_glances
) -> Sequence[wire.Glance]:
    """The blocks of `message`, none for a string. Raises `BadRequest` when its content is neither."""
    content = memoryview(message.content)
    first = content[0]
    if first == _BRACKET:
        try:
            return decode(content)
        except msgspec.ValidationError as error:
            raise wrong_field(error, f"messages[{place}].content") from None
    if first != _QUOTE:
        raise BadRequest(
            f"the field 'messages[{place}].content' is wrong: expected a string or a list of blocks",
            param=f"messages[{place}].content",
        )
    return []


def _initiator(messages: list[wire.RawMessage], glances: list[Sequence[wire.Glance]]) -> str:
    """
    Who began the call. A turn that only brings tool results follows from an earlier one; a system message that the
    client adds at the end says nothing of it.
    """
    for message, blocks in zip(reversed(messages), reversed(glances), strict=True):
        if message.role == "system":
            continue
        is_result = bool(blocks) and all(block.type == "tool_result" for block in blocks)
        return "agent" if message.role != "user" or is_result else "user"
    return "user"


def _shows_image(blocks: Sequence[wire.Glance]) -> bool:
    return any([block.type == "image" or (block.type in _HOLDERS and _holds_image(block)) for block in blocks])


def _holds_image(block: wire.Glance) -> bool:
    """Whether an image stands inside `block`. What cannot be read shows none: the upstream will say what is wrong."""
    content = memoryview(block.content)
    try:
        if block.type == "document" and memoryview(block.source)[0] == _BRACE:
            content = memoryview(_decode_source(block.source).content)
        return content[0] == _BRACKET and _shows_image(_decode_glances(content))
    except (msgspec.DecodeError, RecursionError):
        return False
