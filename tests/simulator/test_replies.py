"""Recorded replies come word for word; others have the upstream's envelopes."""

from copilot_api.simulator.replies import (
    anthropic_refusal,
    as_plain_text,
    backend_refusal,
    gateway_refusal,
    recorded_errors,
    text_reply,
)


def test_every_recorded_error_has_a_name_of_its_own() -> None:
    assert len(recorded_errors()) == 76


def test_the_envelopes() -> None:
    assert gateway_refusal("no", "c").reply.body == b'{"error":{"message":"no","code":"c"}}'
    assert backend_refusal("no").reply.body == b'{"message":"no"}'
    assert anthropic_refusal("no", "r").reply.body == (
        b'{"type":"error","error":{"type":"invalid_request_error","message":"no"},"request_id":"r"}'
    )


def test_json_becomes_text_with_a_newline_and_text_stays() -> None:
    reply = as_plain_text(backend_refusal("no").reply)
    assert (reply.body, reply.content_type) == (b'{"message":"no"}\n', "text/plain; charset=utf-8")
    plain = text_reply("no\n", 400)
    assert as_plain_text(plain) == plain
