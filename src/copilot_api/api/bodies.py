"""The JSON body of a request of the admin API, read as its type; what does not fit is told with the field's name."""

import re
from typing import Any

import msgspec

from copilot_api.api.http_exchange import EXCHANGE, Receive, Scope
from copilot_api.api.intake import RequestHead, read_body
from copilot_api.api.operations.operation import Body
from copilot_api.errors import BadRequest, BodyTooLarge

_PLACE = re.compile(r" - at `\$\.?([^`]*)`$")
_FIELD = re.compile(r"(?:unknown|required) field `([^`]{1,100})`")


async def read_json(body: Body, head: RequestHead, scope: Scope, receive: Receive) -> Any:
    """What a request carries, as `body` says. Raises `BadRequest`, `BodyTooLarge`, or `UnsupportedMediaType`."""
    try:
        content = await read_body(receive, head, body.max_bytes, scope["extensions"].get(EXCHANGE))
    except BodyTooLarge as error:
        # What that error says to do is for calls to models.
        raise BodyTooLarge(error.message, hint="nothing that this takes is that large") from error
    if body.kind is bytes:
        return content
    if not content and not body.is_required:
        content = b"{}"
    return parse_json(content, body.kind)


def parse_json(content: bytes, kind: Any) -> Any:
    """`content` as a value of type `kind`. Raises `BadRequest`."""
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        raise _explain(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the body is no JSON: {error}" if content else "there is no body, and JSON is due") from None


def _explain(text: str) -> BadRequest:
    """The mistake in words, with the path of the field that it is in."""
    place = _PLACE.search(text)
    problem = text[: place.start()] if place else text
    path = place[1] if place else ""
    if field := _FIELD.search(problem):
        path = f"{path}.{field[1]}" if path else field[1]
        problem = "there is no such field" if "unknown" in problem else "this field is missing"
    return BadRequest(f"{path}: {problem}" if path else f"the body: {problem}", param=path or None)
