"""
The OpenAPI document of the admin API, made of the table of operations and of the types that they declare.

Nothing in it is written by hand twice: a field that a type gets is in the document with the next start.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from copilot_api import __version__
from copilot_api.api.operations.operation import Operation, Parameter

_REFERENCE = "#/components/schemas/{name}"
_ABOUT = """\
What the admin pages and the command line do, for programs. Every operation needs a key of tier admin, or the session of
somebody who signed in at `/admin/login` with one; a session changes something only with the token of its pages.

Answers are kept by no cache. Lists come in pages: `next` is where the page behind it begins, and null at the end.
Every answer has the header `x-request-id`; under the same id an action is in the audit log.
"""
TAGS = {
    "system": "How it stands: what is going on, and the gateway itself.",
    "keys": "Who may call, and how much.",
    "account": "Whose Copilot account it is, what it offers, and what has changed of that.",
    "usage": "What was used, by whom and for what.",
    "traces": "What was said, where it was captured.",
    "audit": "Who did what to what.",
    "config": "config.json: what is in force, changes, and what they would do.",
    "sessions": "Who is signed in at the admin pages.",
    "privacy": "What is stored about the holder of a key: handed over, or erased.",
}
_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key of tier admin."},
    "api_key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "capi_session",
        "description": "The session of somebody who signed in at `/admin/login` with a key of tier admin.",
    },
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": "X-CSRF-Token",
        "description": "The token of the session's pages, which have it in a `<meta>`; for all that changes something.",
    },
}
_REASONS = {
    400: "The request cannot be read, or asks for something it may not.",
    401: "No key, or one that is not valid.",
    403: "A key or a session that does not suffice.",
    404: "It is not there.",
    408: "The body stopped arriving.",
    409: "It cannot be done as things stand.",
    413: "The body is over the limit.",
    415: "The body is encoded in a way that is not read.",
    422: "The file cannot be used: the message names every mistake.",
    428: "The header If-Match is missing.",
    429: "There are as many already as there may be.",
    502: "GitHub refused, or could not be understood.",
    503: "Something that is needed is not there now: the database, the audit log, or Copilot's list of models.",
    504: "GitHub did not answer in time.",
}


class LimitThatRefused(msgspec.Struct, frozen=True):
    """The limit that refused a call."""

    name: str
    current: float
    allowed: float
    unit: str


class ErrorMember(msgspec.Struct, kw_only=True, frozen=True):
    """What is wrong."""

    message: str
    """In words, with what to do next and the request id."""
    type: str
    param: str | None
    """The field or parameter that it is about."""
    code: str
    """Stable: what programs go by."""
    limit: LimitThatRefused | msgspec.UnsetType = msgspec.UNSET


class ErrorDocument(msgspec.Struct, frozen=True):
    """An error, in OpenAI's envelope."""

    error: ErrorMember


def make_document(operations: Iterable[Operation]) -> dict[str, Any]:
    """The whole document."""
    listed = list(operations)
    kinds = list(_list_kinds(listed))
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REFERENCE)
    schema_of = dict(zip(map(repr, kinds), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in listed:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _describe(operation, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "copilot-api admin API",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": about} for name, about in TAGS.items()],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SECURITY},
    }


def _list_kinds(operations: Iterable[Operation]) -> Iterable[Any]:
    """Every type that is to be described, each once."""
    found: dict[str, Any] = {repr(ErrorDocument): ErrorDocument}
    for operation in operations:
        kinds = [operation.answer] if operation.answer is not None else []
        kinds += [parameter.kind for parameter in (*operation.parameters, *operation.headers)]
        if operation.body is not None:
            kinds.append(operation.body.described)
        for kind in kinds:
            found.setdefault(repr(kind), kind)
    return found.values()


def _describe(operation: Operation, schema_of: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": [*_describe_path(operation), *_describe_parameters(operation, schema_of)],
        "responses": _describe_responses(operation, schema_of),
        "security": _describe_security(operation),
    }
    if operation.about:
        described["description"] = operation.about
    if operation.body is not None:
        content: dict[str, Any] = {"schema": schema_of[repr(operation.body.described)]}
        if operation.body.example is not None:
            content["example"] = operation.body.example
        described["requestBody"] = {
            "required": operation.body.is_required,
            "content": {"application/json": content},
        }
    return described


def _describe_path(operation: Operation) -> Iterable[dict[str, Any]]:
    for name in operation.path_names:
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _describe_parameters(operation: Operation, schema_of: dict[str, Any]) -> Iterable[dict[str, Any]]:
    for place, parameters in (("query", operation.parameters), ("header", operation.headers)):
        for parameter in parameters:
            yield _describe_parameter(parameter, place, schema_of)


def _describe_parameter(parameter: Parameter, place: str, schema_of: dict[str, Any]) -> dict[str, Any]:
    described = {
        "name": parameter.name,
        "in": place,
        "required": parameter.is_required,
        "description": parameter.about,
        "schema": schema_of[repr(parameter.kind)],
    }
    return described if parameter.example is None else {**described, "example": parameter.example}


def _describe_responses(operation: Operation, schema_of: dict[str, Any]) -> dict[str, Any]:
    headers = {
        name: {"description": about, "schema": {"type": "string"}}
        for name, about in {"x-request-id": "The id of this request.", **operation.answer_headers}.items()
    }
    content = {media_type: _describe_content(operation, media_type, schema_of) for media_type in operation.media_types}
    responses: dict[str, Any] = {
        str(operation.status): {"description": operation.summary, "headers": headers, "content": content}
    }
    for status in sorted({refusal.status for refusal in operation.all_refusals}):
        codes = [refusal.code for refusal in operation.all_refusals if refusal.status == status]
        responses[str(status)] = {
            "description": f"{_REASONS[status]} Codes: {', '.join(f'`{code}`' for code in codes)}.",
            "headers": {"x-request-id": headers["x-request-id"]},
            "content": {"application/json": {"schema": schema_of[repr(ErrorDocument)]}},
        }
    return responses


def _describe_content(operation: Operation, media_type: str, schema_of: dict[str, Any]) -> dict[str, Any]:
    if media_type == "application/json":
        return {"schema": schema_of[repr(operation.answer)]}
    # Of an archive there is nothing to say; of a stream of events whoever reads it takes the schema for that of each.
    return {} if media_type in {"application/zip", "text/event-stream"} else {"schema": {"type": "string"}}


def _describe_security(operation: Operation) -> list[dict[str, Any]]:
    session: dict[str, list[str]] = {"session": []}
    if operation.method != "GET":
        session["csrf"] = []
    return [{"bearer": []}, {"api_key": []}, session]
