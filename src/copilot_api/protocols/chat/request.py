"""A chat request: read as far as the gateway must, carried as it came."""

import msgspec

from copilot_api.errors import BadRequest
from copilot_api.protocols.chat import wire
from copilot_api.protocols.json_object import JsonObject, parse_object, refuse_duplicate_keys, wrong_field

_decode_request = msgspec.json.Decoder(wire.Request).decode

_decode_parts = msgspec.json.Decoder(list[wire.ContentPart]).decode

_IMAGE_TYPES = {"image_url", "input_image", "image"}
_NEEDS_MAX_COMPLETION_TOKENS = ("gpt-5", "o1", "o3", "o4")
"""Model families that refuse `max_tokens` (copilot wire: "Use 'max_completion_tokens' instead")."""
_SMALL_BODY_BYTES = 1024


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

    def render(self, upstream_model: str) -> bytes:
        """The body that goes upstream: the client's, but for the model, the usage chunk, and the limit's name."""
        edits: dict[str, bytes | None] = {}
        if upstream_model != self.model:
            edits["model"] = msgspec.json.encode(upstream_model)
        if self.is_streamed and not self.wants_usage:
            edits["stream_options"] = self._stream_options()
        renames: dict[str, str] = {}
        if "max_tokens" in self.body.fields:
            self._mend_limit(upstream_model, edits, renames)
        return self.body.replaced(edits, renames) if edits or renames else self.body.source

    def _mend_limit(self, upstream_model: str, edits: dict[str, bytes | None], renames: dict[str, str]) -> None:
        """Exactly one limit on the output goes upstream, by the name that the model takes."""
        old, new = self.body.get("max_tokens"), self.body.get("max_completion_tokens")
        if new is not None and new != b"null":
            edits["max_tokens"] = None
        elif upstream_model.startswith(_NEEDS_MAX_COMPLETION_TOKENS):
            if new is None:
                renames["max_tokens"] = "max_completion_tokens"
            else:
                edits["max_completion_tokens"], edits["max_tokens"] = old, None

    def _stream_options(self) -> bytes:
        options = self.body.get("stream_options")
        if options is None or options == b"null":
            return b'{"include_usage":true}'
        return parse_object(options).replaced({"include_usage": b"true"})


def parse_request(source: bytes) -> ChatRequest:
    """The request in `source`. Raises `BadRequest` with the field or position at fault."""
    body = parse_object(source)
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
    return ChatRequest(
        body=body,
        model=request.model,
        is_streamed=bool(request.stream),
        wants_usage=bool(request.stream_options and request.stream_options.include_usage),
        choices=request.n or 1,
        initiator="agent" if request.messages[-1].role in {"assistant", "tool", "function"} else "user",
        has_images=any([_has_image(place, message) for place, message in enumerate(request.messages)]),
        effort=request.reasoning_effort,
    )


def _has_image(place: int, message: wire.RequestMessage) -> bool:
    """Whether `message` shows an image. Raises `BadRequest` when its content is neither text nor parts."""
    content = memoryview(message.content)
    first = content[0]
    if first == 0x5B:  # a bracket
        try:
            return any([part.type in _IMAGE_TYPES for part in _decode_parts(content)])
        except msgspec.ValidationError as error:
            raise wrong_field(error, f"messages[{place}].content") from None
    if first not in b'"n':
        raise BadRequest(
            f"the field 'messages[{place}].content' is wrong: expected a string, a list of parts, or null",
            param=f"messages[{place}].content",
        )
    return False
