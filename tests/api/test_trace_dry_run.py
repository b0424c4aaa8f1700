"""The dry run over HTTP: bounded, strict about what it is sent, and silent about secrets."""

import asyncio
import json
from typing import Any

import pytest

from copilot_api.api.trace_dry_run import MAX_BODY_BYTES, answer_dry_run
from copilot_api.errors import BadRequest, BodyTooLarge

SECRET = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" + "k1L2m3N4o5P6q7R8"


def ask(body: bytes) -> dict[str, Any]:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def run(function: Any, *arguments: Any) -> dict[str, Any]:
        return dict(function(*arguments))

    return asyncio.run(answer_dry_run({"headers": [], "extensions": {}}, receive, run))


def test_it_says_what_is_taken_out() -> None:
    found = ask(json.dumps({"text": f"my token: {SECRET}"}).encode())
    (hit,) = found["hits"]
    assert hit["length"] == len(SECRET)
    assert found["text"] == f"my token: {hit['placeholder']}"
    assert SECRET not in str(found)


def test_the_media_type_counts() -> None:
    form = {"text": f"a=1&token={SECRET}", "media_type": "application/x-www-form-urlencoded"}
    assert SECRET not in str(ask(json.dumps(form).encode()))


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"text": 3}', b"{}", b'{"text": "x", "more": 1}', b"\xff", b"[" * 60_000]
)
def test_what_is_no_question_is_told(body: bytes) -> None:
    with pytest.raises(BadRequest):
        ask(body)


def test_bytes_that_are_no_text_are_told() -> None:
    with pytest.raises(BadRequest, match="no text"):
        ask(json.dumps({"text": "a\0b"}).encode())


def test_a_long_text_is_sent_to_the_command() -> None:
    with pytest.raises(BodyTooLarge) as caught:
        ask(json.dumps({"text": "x" * MAX_BODY_BYTES}).encode())
    assert "copilot-api traces redact" in str(caught.value.actual_hint)
