"""
Embeddings: never streamed, and two habits to bridge.

Copilot takes a list of strings and answers floats; the OpenAI SDKs send one string as such and ask for base64. So the
input is always sent as a list, floats are always asked for, and turned into base64 (little-endian float32) here.
"""

import base64
import json
import struct
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from copilot_api.errors import BadRequest, UpstreamFailed
from copilot_api.protocols.base import Envelope, ModelTraits, Outgoing, Outline, Usage
from copilot_api.protocols.copilot_usage import CopilotUsage
from copilot_api.protocols.json_object import JsonObject, parse_object, refuse_duplicate_keys, wrong_field

_NO_OUTLINE = Outline()


class _Request(msgspec.Struct):
    model: Annotated[str, msgspec.Meta(min_length=1)]
    input: str | Annotated[list[str | int | list[int]], msgspec.Meta(min_length=1)]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, msgspec.Meta(ge=1)] | None = None
    user: str | None = None


class _Vector(msgspec.Struct):
    embedding: list[float] | str
    index: int = 0
    object: str = "embedding"


class _UsageOnWire(msgspec.Struct):
    prompt_tokens: int = 0
    total_tokens: int = 0


class _Answer(msgspec.Struct):
    data: list[_Vector]
    usage: _UsageOnWire | None = None
    copilot_usage: CopilotUsage | None = None


@dataclass(frozen=True, slots=True)
class EmbeddingsRequest:
    """One request for embeddings."""

    body: JsonObject
    model: str
    wants_base64: bool
    is_streamed: bool = False
    initiator: str = "user"
    has_images: bool = False
    effort: str | None = None
    output_limit: int | None = 0
    """Vectors are no tokens."""
    outline: Outline = _NO_OUTLINE

    def render(self, traits: ModelTraits) -> Outgoing:
        """The body that goes upstream."""
        edits: dict[str, bytes | None] = {"model": json.dumps(traits.id).encode()}
        raw = bytes(self.body.fields["input"])
        if raw.startswith(b'"'):
            edits["input"] = b"[%b]" % raw
        if "encoding_format" in self.body.fields:
            edits["encoding_format"] = None
        return Outgoing(self.body.replaced(edits))


@dataclass(slots=True)
class EmbeddingsAnswer:
    """The answer as the client gets it, and what it consumed."""

    body: bytes
    usage: Usage | None
    nano_aiu: int | None


def parse_request(source: bytes, envelope: Envelope | None = None) -> EmbeddingsRequest:  # noqa: ARG001 -- a surface's form
    """The request in `source`. Raises `BadRequest` with the field or position at fault."""
    body = parse_object(source)
    refuse_duplicate_keys(source)
    try:
        request = msgspec.json.decode(source, type=_Request)
    except msgspec.ValidationError as error:
        raise wrong_field(error) from None
    if isinstance(request.input, list) and not all(isinstance(text, str) for text in request.input):
        raise BadRequest("'input' must be a string or a list of strings: Copilot takes no token arrays", param="input")
    return EmbeddingsRequest(body, request.model, request.encoding_format == "base64")


def parse_response(source: bytes, *, model: str, wants_base64: bool) -> EmbeddingsAnswer:
    """The upstream's answer in `source`. Raises `UpstreamFailed` when it is none."""
    try:
        answer = msgspec.json.decode(source, type=_Answer)
        body = parse_object(source)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, BadRequest) as error:
        raise UpstreamFailed("GitHub Copilot answered something that is not a list of embeddings") from error
    edits: dict[str, bytes | None] = {"model": json.dumps(model).encode(), "object": b'"list"'}
    if wants_base64:
        for vector in answer.data:
            if not isinstance(vector.embedding, str):
                vector.embedding = _pack(vector.embedding)
    if wants_base64 or [vector.index for vector in answer.data] != list(range(len(answer.data))):
        answer.data.sort(key=lambda vector: vector.index)
        edits["data"] = msgspec.json.encode(answer.data)
    usage = answer.usage
    if usage is None:
        edits["usage"] = b'{"prompt_tokens":0,"total_tokens":0}'
    return EmbeddingsAnswer(
        body.replaced(edits),
        Usage(input_tokens=usage.prompt_tokens) if usage else None,
        answer.copilot_usage.nano_aiu if answer.copilot_usage else None,
    )


def _pack(numbers: list[float]) -> str:
    try:
        return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
    except OverflowError as error:
        raise UpstreamFailed("GitHub Copilot answered a number that is too large for an embedding") from error
