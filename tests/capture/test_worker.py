"""The worker's own side: a message in, an answer out, and no word of what was sent in any error."""

import io

import msgspec
import pytest

from copilot_api.capture import redacting, worker
from copilot_api.capture.raw import RawLeg
from copilot_api.capture.worker import LENGTH_BYTES, Redacted, redact, serve
from tests.capture.raws import SECRET, make_raw


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(LENGTH_BYTES, "big") + message


def test_every_message_is_answered_and_the_end_of_the_input_is_the_end() -> None:
    messages = [msgspec.msgpack.encode(make_raw(number=number)) for number in (1, 2)]
    answers = io.BytesIO()
    serve(io.BytesIO(framed(messages[0]) + framed(b"broken") + framed(messages[1]) + b"\x00"), answers)
    answers.seek(0)
    found: list[Redacted] = []
    while head := answers.read(LENGTH_BYTES):
        found.append(msgspec.msgpack.decode(answers.read(int.from_bytes(head, "big")), type=Redacted))
    assert [each.summary.number if each.summary else None for each in found] == [1, None, 2]
    assert found[1].error.startswith(("DecodeError", "ValidationError"))
    assert found[0].line.startswith(b'{"number":1,')


@pytest.mark.parametrize("error", [MemoryError(SECRET), RecursionError(SECRET), ValueError(SECRET)])
def test_a_defect_is_told_by_its_class_and_line_and_without_a_word_of_what_was_sent(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(raw: object) -> None:
        raise error

    monkeypatch.setattr(redacting, "redact_trace", broken)
    answer = redact(msgspec.msgpack.encode(make_raw()))
    assert (answer.line, answer.summary) == (b"", None)
    assert answer.error.startswith(f"{type(error).__name__} at test_worker.py:")
    assert SECRET not in answer.error


def test_a_trace_that_would_be_too_large_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "MAX_LINE_BYTES", 1000)
    leg = RawLeg(headers=[(b"content-type", b"text/plain")], body=b"word " * 300)
    assert "over the cap" in redact(msgspec.msgpack.encode(make_raw(client_request=leg))).error
