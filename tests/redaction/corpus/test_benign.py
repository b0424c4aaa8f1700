"""Look-alikes are left as they are, byte for byte, and no suspicion falls on them."""

import json
from urllib.parse import urlencode

import pytest

from copilot_api.redaction.engine import Redactor
from copilot_api.redaction.verifier import find_suspects
from tests.redaction.corpus import BENIGN, DIALECTS, split
from tests.redaction.corpus.encodings import FORM, JSON, chat_request


def kept(body: str, media_type: str) -> str:
    return Redactor(b"salt").redact_body(body.encode(), media_type)


@pytest.mark.parametrize("part", range(8))
def test_a_look_alike_is_left_alone(part: int) -> None:
    for number, text in list(enumerate(BENIGN))[part::8]:
        assert Redactor(b"salt").redact_text(text) == text
        assert not find_suspects(text), text
        for body in (chat_request(text), json.dumps({"output": json.dumps({"stdout": text}, ensure_ascii=False)})):
            assert kept(body, JSON) == body
            assert not find_suspects(body), text
        form = urlencode({"q": text})
        assert kept(form, FORM) == form
        assert not find_suspects(form), text
        stream = split(text, DIALECTS[number % len(DIALECTS)], range(4, 2 * len(text), 4))
        assert Redactor(b"salt").redact_stream(stream) == stream.decode()
        assert not find_suspects(stream.decode()), text


def test_a_look_alike_in_a_header_is_left_alone() -> None:
    given = [("X-Note", text) for text in BENIGN if "\n" not in text]
    assert Redactor(b"salt").redact_headers(given) == given


def test_many_look_alikes_in_one_body_are_left_alone() -> None:
    body = json.dumps({"messages": [{"role": "user", "content": text} for text in BENIGN]})
    assert kept(body, JSON) == body
    assert not find_suspects(body)
