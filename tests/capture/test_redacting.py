"""A raw trace in, a redacted one out; and what the verifier does not let pass is withheld."""

import pytest

from copilot_api.capture import redacting
from copilot_api.capture.lines import encode_trace
from copilot_api.capture.models import Cut, Moment, Trace
from copilot_api.capture.raw import RawAttempt, RawLeg
from copilot_api.capture.redacting import WITHHELD, redact_trace
from copilot_api.redaction.engine import Redactor
from copilot_api.redaction.verifier import Suspect
from tests.capture.raws import EVENTS, JSON, SECRET, make_raw


def delta(text: str) -> bytes:
    return b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % text.encode()


def test_nothing_secret_is_left_in_any_place() -> None:
    bearer = b"Bearer tid=abc123def456;exp=1790000000;sku=x:0123456789abcdef0123456789abcdef"
    asked = RawLeg(
        method="POST",
        target=f"/v1/chat/completions?key={SECRET}",
        headers=[*JSON, (b"x-note", SECRET.encode()), (b"authorization", b"Bearer sk-cap-" + b"a" * 52)],
        body=b'{"messages":[{"content":"take %b"}]}' % SECRET.encode(),
    )
    sent = RawLeg(method="POST", target="https://x/y", headers=[*JSON, (b"authorization", bearer)], body=asked.body)
    stream = delta("it is " + SECRET[:7]) + delta(SECRET[7:20]) + delta(SECRET[20:] + ", no?")
    answer = RawLeg(status=200, headers=EVENTS, body=stream, error=f"ended at {SECRET}")
    raw = make_raw(
        client_request=asked,
        attempts=[RawAttempt(request=sent, answer=answer), RawAttempt(request=sent, answer=answer)],
        client_answer=answer,
        model=SECRET,
    )
    line = encode_trace(redact_trace(raw))
    for part in (SECRET, SECRET[7:20], "a" * 52, "0123456789abcdef"):
        assert part.encode() not in line
    assert line.count(b"[redacted:github-token:") >= 8


def test_equal_secrets_stay_equal_within_a_salt_and_not_beyond() -> None:
    def placeholder(salt: bytes) -> str:
        leg = RawLeg(headers=JSON, body=b'{"a":"%b"}' % SECRET.encode())
        trace = redact_trace(make_raw(salt=salt, client_request=leg, client_answer=leg))
        assert trace.client_answer is not None
        assert trace.client_request.body == trace.client_answer.body
        return trace.client_request.body

    assert placeholder(b"1" * 32) == placeholder(b"1" * 32) != placeholder(b"2" * 32)


def test_what_is_not_secret_arrives_whole() -> None:
    leg = RawLeg(
        started_ms=1.5,
        ended_ms=2.5,
        method="POST",
        target="/v1/chat/completions",
        headers=[*JSON, (b"x-a", b"b"), (b"x-a", b"c")],
        body=b'{"a":  "as it was written", "n": 1.0}',
        bytes=99,
        rest_bytes=62,
        rest_digest="ab",
        timeline=[Moment(1.0, 2)],
    )
    trace = redact_trace(make_raw(client_request=leg, number=9, cause="ok", status=200, model="gpt-4.1"))
    kept = trace.client_request
    assert (kept.started_ms, kept.ended_ms, kept.method, kept.target) == (1.5, 2.5, "POST", "/v1/chat/completions")
    assert kept.headers == [("content-type", "application/json"), ("x-a", "b"), ("x-a", "c")]
    assert (kept.bytes, kept.cut, kept.timeline) == (99, Cut(62, "ab"), [Moment(1.0, 2)])
    assert (trace.number, trace.model, trace.withheld, trace.redactions.get("github-token")) == (9, "gpt-4.1", 0, None)


@pytest.mark.parametrize("more", [{"rest_bytes": 5, "rest_digest": "ab"}, {"error": "client gone"}])
def test_half_a_secret_at_the_end_of_what_broke_off_goes_too(more: dict[str, object]) -> None:
    leg = RawLeg(headers=JSON, body=b'{"a":"hello and %b' % SECRET[:18].encode(), **more)  # type: ignore[arg-type]
    body = redact_trace(make_raw(client_request=leg)).client_request.body
    assert "hello" in body
    assert SECRET[:18] not in body


def test_what_is_no_text_is_withheld_and_counted() -> None:
    leg = RawLeg(headers=[(b"content-type", b"image/png")], body=b"\x89PNG\x00\xff", bytes=6)
    trace = redact_trace(make_raw(client_request=leg))
    assert (trace.client_request.body, trace.client_request.bytes, trace.withheld) == ("", 6, 1)
    assert "no text" in trace.client_request.withheld


def test_what_the_verifier_suspects_is_withheld_in_every_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def suspicious(text: str) -> list[Suspect]:
        return [Suspect("odd", text.index("ODD"), 3)] if "ODD" in text else []

    monkeypatch.setattr(redacting, "find_suspects", suspicious)
    leg = RawLeg(target="/ODD", headers=[*JSON, (b"x-a", b"ODD"), (b"ODD", b"x")], body=b'{"a":"ODD"}', error="ODD")
    good = RawLeg(target="/even", headers=JSON, body=b'{"a":"even"}')
    trace: Trace = redact_trace(make_raw(client_request=leg, client_answer=good, model="ODD"))
    kept = trace.client_request
    assert (kept.target, kept.body, kept.error, trace.model) == (WITHHELD, "", WITHHELD, WITHHELD)
    assert kept.headers[1:] == [("x-a", WITHHELD), (WITHHELD, "x")]
    assert kept.withheld.endswith("odd")
    assert trace.withheld == 6
    assert trace.client_answer is not None
    assert trace.client_answer.body == '{"a":"even"}'
    assert b"ODD" not in encode_trace(trace)


def test_equal_bodies_are_looked_through_once_and_counted_each() -> None:
    """A call that is passed on is the same on both sides."""
    looked: list[bytes] = []

    class Counting(Redactor):
        def redact_body(self, body: bytes, media_type: str, *, is_cut: bool = False) -> str:
            looked.append(body)
            return super().redact_body(body, media_type, is_cut=is_cut)

    leg = RawLeg(headers=JSON, body=b'{"a":"%b"}' % SECRET.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redacting, "Redactor", Counting)
        trace = redact_trace(make_raw(client_request=leg, attempts=[RawAttempt(request=leg)], client_answer=leg))
    assert looked == [leg.body]
    assert trace.redactions["github-token"] == 3
