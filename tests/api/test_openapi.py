"""The OpenAPI document: valid, whole, and made of the table alone. tests/openapi holds answers against it."""

from typing import Any

import msgspec
import pytest
from openapi_spec_validator import validate

from copilot_api.api.openapi import TAGS, ErrorDocument, make_document
from copilot_api.api.operations.operation import Operation
from copilot_api.api.operations.table import OPERATIONS
from copilot_api.errors import BadRequest
from copilot_api.protocols import openai_errors

DOCUMENT: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(make_document(OPERATIONS)))


def test_it_is_valid() -> None:
    validate(DOCUMENT)
    assert DOCUMENT["openapi"] == "3.1.0"


def described(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][operation.path][operation.method.lower()]
    return found


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_every_operation_is_in_it_with_all_that_it_takes_and_answers(operation: Operation) -> None:
    found = described(operation)
    names = [*operation.path_names, *(each.name for each in (*operation.parameters, *operation.headers))]
    assert [parameter["name"] for parameter in found["parameters"]] == names
    statuses = {str(operation.status), *(str(each.status) for each in operation.all_refusals)}
    assert set(found["responses"]) == statuses
    assert set(found["responses"][str(operation.status)]["content"]) == set(operation.media_types)
    assert ("requestBody" in found) is (operation.body is not None)
    assert found["tags"][0] in TAGS


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_whatever_changes_something_needs_the_sessions_token(operation: Operation) -> None:
    session = next(each for each in described(operation)["security"] if "session" in each)
    assert ("csrf" in session) is (operation.method != "GET")


def test_an_error_is_what_the_envelope_says() -> None:
    body = openai_errors.error_body(BadRequest("no", param="rpm"), "req_1")
    assert msgspec.json.decode(body, type=ErrorDocument).error.param == "rpm"


def test_types_are_described_once_and_every_reference_leads_somewhere() -> None:
    text = msgspec.json.encode(DOCUMENT).decode()
    schemas = DOCUMENT["components"]["schemas"]
    used = {part.split('"')[0] for part in text.split('"$ref":"#/components/schemas/')[1:]}
    assert used <= set(schemas)
    assert "KeyDocument" in used
