"""A request knows its origin and its fields."""

import pytest

from copilot_api.simulator.http import Request
from copilot_api.simulator.replies import Refusal


def _request(body: bytes) -> Request:
    return Request("POST", "/x", "http", {"host": "localhost:1"}, body)


def test_where_the_client_found_it() -> None:
    assert _request(b"").base_url == "http://localhost:1"


def test_fields_come_as_json_or_as_a_form() -> None:
    assert _request(b'{"a":"b"}').fields() == _request(b"a=b").fields() == {"a": "b"}
    assert _request(b"[1]").fields() == {}


@pytest.mark.parametrize("body", [b"", b"[]", b"{"])
def test_anything_but_an_object_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal):
        _request(body).json_object()
