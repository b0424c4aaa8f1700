"""A Gemini request: checked, and read into the neutral form. No model speaks this protocol upstream."""

import json
import re
from typing import Any, NoReturn, cast

import msgspec

from copilot_api.errors import BadRequest
from copilot_api.protocols.base import NOTHING, Envelope, ModelTraits, Outline, output_limit_of, shown
from copilot_api.protocols.conversation import ModelRequest
from copilot_api.protocols.gemini import wire
from copilot_api.protocols.gemini.contents import (
    contents_of,
    parts_of,
    read_messages,
    read_system,
    response_parts_of,
)
from copilot_api.protocols.gemini.generation import (
    AnswerForm,
    check_possible,
    dropped_names,
    read_form,
    read_thinking,
    thinking_level,
)
from copilot_api.protocols.gemini.media import is_image
from copilot_api.protocols.gemini.tools import read_tool_choice, read_tools
from copilot_api.protocols.json_object import parse_object, wrong_field
from copilot_api.protocols.untyped import list_of, object_of

_decode_request = msgspec.json.Decoder(wire.Request).decode
_decode_count = msgspec.json.Decoder(wire.CountRequest).decode

_UNDERSCORED_KEY = re.compile(rb'"[a-z]+(?:_[a-z]+)+"\s*:')
_CLIENTS_OWN = {"args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema"}
"""Fields whose contents are the client's own JSON: names in there are not the protocol's."""


class GeminiRequest(msgspec.Struct, frozen=True):
    """One request, and what of it decides how it is carried."""

    body: wire.Request
    model: str
    is_streamed: bool
    is_array: bool
    """Whether the stream is one JSON array instead of events."""
    initiator: str
    has_images: bool
    effort: str | None
    output_limit: int | None
    includes_thoughts: bool
    """Whether the client gets to see the model's thoughts."""
    form: AnswerForm
    outline: Outline

    def render(self, traits: ModelTraits) -> NoReturn:
        """Never: there is no model to send it to as it is."""
        raise TypeError(f"{traits.id} does not speak generateContent")


def parse_request(source: bytes, envelope: Envelope) -> GeminiRequest:
    """The request in `source`. Raises `BadRequest` with the field or position at fault."""
    return _parsed(_decoded(source, _decode_request), envelope)


def parse_count_request(source: bytes, envelope: Envelope) -> GeminiRequest:
    """The request whose tokens are to be counted: the body itself, or the one inside it."""
    body = cast("wire.CountRequest", _decoded(source, _decode_count))
    return _parsed(body.generate_content_request or body, envelope)


def _decoded(source: bytes, decode: Any) -> wire.Request:
    parse_object(source)
    try:
        if _UNDERSCORED_KEY.search(source):
            source = json.dumps(_camel(json.loads(source))).encode()
        return cast("wire.Request", decode(source))
    except msgspec.ValidationError as error:
        raise wrong_field(error) from None
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None
    except ValueError as error:  # also what msgspec cannot decode
        raise BadRequest(f"the body is not valid JSON: {error}") from None


def _camel(value: Any) -> Any:
    """The same with the protocol's names in camel case; where both spellings are given, the first counts."""
    if isinstance(value, list):
        return [_camel(inner) for inner in list_of(cast("object", value))]
    if not isinstance(value, dict):
        return value
    fields: dict[str, Any] = {}
    for given, inner in object_of(cast("object", value)).items():
        head, *rest = given.split("_")
        name = head + "".join(word.capitalize() for word in rest) if head else given
        fields.setdefault(name, inner if name in _CLIENTS_OWN else _camel(inner))
    return fields


def _parsed(body: wire.Request, envelope: Envelope) -> GeminiRequest:
    contents = contents_of(body)
    if not contents:
        raise BadRequest("the field 'contents' is required, with at least one turn", param="contents")
    config = body.generation_config
    check_possible(body)
    try:
        form = read_form(config)
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None
    thinking = config.thinking_config if config else None
    return GeminiRequest(
        body=body,
        model=envelope.model.removeprefix("models/"),
        is_streamed=envelope.is_streamed,
        is_array=envelope.is_streamed and envelope.is_array,
        initiator=_initiator(contents[-1]),
        has_images=any([_has_image(part) for content in contents for part in parts_of(content)]),
        effort=thinking_level(config),
        output_limit=output_limit_of(config.max_output_tokens if config else None),
        includes_thoughts=bool(thinking and thinking.include_thoughts),
        form=form,
        outline=_outline(body, contents),
    )


def _outline(body: wire.Request, contents: list[wire.Content]) -> Outline:
    system, tools, last = body.system_instruction, body.tools, contents[-1]
    if isinstance(system, wire.Content):
        system = next((part.text for part in parts_of(system)[:8] if part.text), None)
    said = None
    if last.role != "model":
        said = next((part.text for part in parts_of(last)[:-9:-1] if part.text), None)
    return Outline(
        tools=len(tools) if isinstance(tools, list) else int(tools is not None),
        messages=len(contents),
        system=shown(system) if system else NOTHING,
        said=shown(said) if said else NOTHING,
    )


def _initiator(last: wire.Content) -> str:
    """`agent` when the last turn is the model's, or brings what functions answered and no word of the user's."""
    if last.role == "model":
        return "agent"
    parts = parts_of(last)
    has_result = any(part.function_response is not None for part in parts)
    return "agent" if has_result and not any(part.text for part in parts) else "user"


def _has_image(part: wire.Part) -> bool:
    if is_image(part.inline_data) or is_image(part.file_data):
        return True
    response = part.function_response
    return response is not None and any(
        is_image(inner.inline_data) or is_image(inner.file_data) for inner in response_parts_of(response)
    )


def read_conversation(request: GeminiRequest) -> ModelRequest:
    """The request in the neutral form. Raises `BadRequest` for what cannot be translated."""
    try:
        return _read(request)
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None


def _read(request: GeminiRequest) -> ModelRequest:
    body, form = request.body, request.form
    config = body.generation_config or wire.GenerationConfig()
    tools, hosted = read_tools(body)
    limit, stop = config.max_output_tokens, config.stop_sequences
    return ModelRequest(
        model=request.model,
        system=(*read_system(body), form.rule) if form.rule else read_system(body),
        messages=read_messages(contents_of(body)),
        tools=tools,
        tool_choice=read_tool_choice(body, tools, hosted),
        max_output_tokens=None if limit is None else int(limit),
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=int(config.top_k) if config.top_k else None,
        stop=(stop,) if isinstance(stop, str) else tuple(stop or ()),
        thinking=read_thinking(config),
        output_format=form.output_format,
        is_streamed=request.is_streamed,
        dropped=(*hosted, *dropped_names(body)),
    )
