"""A chat request: read as far as the gateway must, carried as it came."""

import msgspec

from copilot_api.errors import BadRequest
from copilot_api.protocols.base import NOTHING, Envelope, ModelTraits, Outgoing, Outline, output_limit_of
from copilot_api.protocols.chat import wire
from copilot_api.protocols.chat.foreign_shapes import FOREIGN_PARTS, normalised
from copilot_api.protocols.effort import clamp
from copilot_api.protocols.json_object import JsonObject, parse_object, refuse_duplicate_keys, wrong_field

_decode_request = msgspec.json.Decoder(wire.Request).decode

_decode_parts = msgspec.json.Decoder(list[wire.ContentPart]).decode

_IMAGE_TYPES = {"image_url", "input_image", "image"}
_SYSTEM_ROLES = {"system", "developer"}
_SMALL_BODY_BYTES = 1024
_BRACKET = b"["[0]


class ChatRequest(msgspec.Struct, frozen=True):
    """One request, and what of it decides how it is carried."""

    body: JsonObject
    model: str
    is_streamed: bool
    wants_usage: bool
    """Whether the client asked for the usage chunk; upstream it is always asked for."""
    choices: int
    initiator: str
    has_images: bool
    effort: str | None
    output_limit: int | None
    outline: Outline

    @property
    def speaks_functions(self) -> bool:
        """Whether the client knows `function_call` only, as before there were tools."""
        return "functions" in self.body.fields and "tools" not in self.body.fields

    @property
    def has_custom_tools(self) -> bool:
        """Whether the client knows custom tools: it declares one."""
        tools = self.body.get("tools")
        return tools is not None and b'"custom"' in tools

    def render(self, traits: ModelTraits) -> Outgoing:
        """The body that goes upstream: the client's, but for the model, the usage chunk, the limit and the effort."""
        edits: dict[str, bytes | None] = {}
        if traits.id != self.model:
            edits["model"] = msgspec.json.encode(traits.id)
        self._mend_stream_options(edits)
        renames: dict[str, str] = {}
        if "max_tokens" in self.body.fields:
            self._mend_limit(traits, edits, renames)
        self._mend_effort(traits, edits)
        body = self.body.replaced(edits, renames) if edits or renames else self.body.source
        return Outgoing(body, has_images=self.has_images)

    def _mend_limit(self, traits: ModelTraits, edits: dict[str, bytes | None], renames: dict[str, str]) -> None:
        """Exactly one limit on the output goes upstream, by the name that the model takes."""
        old, new = self.body.get("max_tokens"), self.body.get("max_completion_tokens")
        if new is not None and new != b"null":
            edits["max_tokens"] = None
        elif traits.is_reasoning:
            if new is None:
                renames["max_tokens"] = "max_completion_tokens"
            else:
                edits["max_completion_tokens"], edits["max_tokens"] = old, None

    def _mend_effort(self, traits: ModelTraits, edits: dict[str, bytes | None]) -> None:
        """An effort that the model lists; without one from the client, the operator's."""
        wanted = self.effort or traits.default_effort
        taken = clamp(wanted, traits.efforts) if wanted else None
        if taken is not None and taken != self.effort:
            edits["reasoning_effort"] = msgspec.json.encode(taken)

    def _mend_stream_options(self, edits: dict[str, bytes | None]) -> None:
        """The usage is always asked for, and padding against listeners never: Copilot does not know it."""
        options = self.body.get("stream_options")
        if options is None or options == b"null":
            if self.is_streamed:
                edits["stream_options"] = b'{"include_usage":true}'
            return
        asked: dict[str, bytes | None] = {}
        if self.is_streamed and not self.wants_usage:
            asked["include_usage"] = b"true"
        if b'"include_obfuscation"' in options:
            asked["include_obfuscation"] = None
        if asked:
            edits["stream_options"] = parse_object(options).replaced(asked)


def parse_request(source: bytes, envelope: Envelope | None = None) -> ChatRequest:  # noqa: ARG001 -- a surface's form
    """
    The request in `source`. Raises `BadRequest` with the field or position at fault.

    A body in another protocol's clothes (`foreign_shapes.py`) is taken for what it means.
    """
    body = parse_object(source)
    if not _is_foreign(body):
        request, types = _parse(body)
        if types.isdisjoint(FOREIGN_PARTS):
            return request
    # Once only: what is foreign even then is left to whoever reads it.
    return _parse(parse_object(normalised(source)))[0]


def _is_foreign(body: JsonObject) -> bool:
    """Whether the fields alone show another protocol: Responses' input, or Anthropic's tools."""
    tools = body.get("tools")
    return ("input" in body.fields and "messages" not in body.fields) or (
        tools is not None and b'"input_schema"' in tools
    )


def _parse(body: JsonObject) -> tuple[ChatRequest, set[str]]:
    """The request, and the types of the parts in it."""
    source = body.source
    try:
        request = _decode_request(source)
    except msgspec.ValidationError as error:
        raise wrong_field(error) from None
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None
    except msgspec.DecodeError as error:
        raise BadRequest(f"the body is not valid JSON: {error}") from None
    if len(source) <= _SMALL_BODY_BYTES:
        # In a big body deeper duplicates are the upstream's business: there, looking costs more than carrying.
        refuse_duplicate_keys(source)
    types = _part_types(request.messages)
    newer = request.max_completion_tokens
    parsed = ChatRequest(
        body=body,
        model=request.model,
        is_streamed=bool(request.stream),
        wants_usage=bool(request.stream_options and request.stream_options.include_usage),
        choices=request.n or 1,
        initiator="agent" if request.messages[-1].role in {"assistant", "tool", "function"} else "user",
        has_images=not types.isdisjoint(_IMAGE_TYPES),
        effort=request.reasoning_effort,
        output_limit=output_limit_of(request.max_tokens if newer is None else newer),
        outline=_outline(request),
    )
    return parsed, types


def _outline(request: wire.Request) -> Outline:
    messages = request.messages
    first, said = messages[0], NOTHING
    for message in messages[:-4:-1]:  # some clients end with a reminder of the system's
        if message.role not in _SYSTEM_ROLES:
            said = message.content if message.role == "user" else NOTHING
            break
    return Outline(
        tools=len(request.tools or ()),
        messages=len(messages),
        system=first.content if first.role in _SYSTEM_ROLES else NOTHING,
        said=said,
    )


def _part_types(messages: list[wire.RequestMessage]) -> set[str]:
    """The types of all parts. Raises `BadRequest` when a message's content is neither text nor parts."""
    types: set[str] = set()
    for place, message in enumerate(messages):
        content = memoryview(message.content)
        first = content[0]
        if first == _BRACKET:
            try:
                types.update([part.type for part in _decode_parts(content)])
            except msgspec.ValidationError as error:
                raise wrong_field(error, f"messages[{place}].content") from None
        elif first not in b'"n':
            raise BadRequest(
                f"the field 'messages[{place}].content' is wrong: expected a string, a list of parts, or null",
                param=f"messages[{place}].content",
            )
    return types
