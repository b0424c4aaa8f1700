"""What Copilot refused, and the same request without it."""

import json

import pytest

from copilot_api.errors import GatewayError, UpstreamFailed, UpstreamRefused
from copilot_api.gateway.lessons import Lessons
from copilot_api.protocols.base import Outgoing

AT = ("/v1/messages", "claude-sonnet-4.5")


def outgoing(body: object, betas: str = "") -> Outgoing:
    return Outgoing(json.dumps(body).encode(), {"anthropic-beta": betas} if betas else {})


def refused(message: str, param: str | None = None, code: str | None = None) -> UpstreamRefused:
    return UpstreamRefused(message, param=param, upstream_code=code)


def body_of(found: Outgoing | None) -> object:
    assert found is not None
    return json.loads(found.body)


def test_pitfall_036_a_refused_beta_is_left_out_and_remembered() -> None:
    lessons, sent = Lessons(), outgoing({"model": "m"}, "a-2025,b-2025,c-2025")
    mended = lessons.mend(sent, refused("unsupported beta header(s): a-2025, c-2025"), *AT)
    assert mended is not None
    assert mended.headers == {"anthropic-beta": "b-2025"}
    assert lessons.apply(sent, *AT).headers == {"anthropic-beta": "b-2025"}
    assert lessons.apply(sent, "/v1/messages", "another-model") is sent


def test_pitfall_036_without_any_beta_left_the_header_is_left_out() -> None:
    mended = Lessons().mend(outgoing({}, "a"), refused("unsupported beta header(s): a"), *AT)
    assert mended is not None
    assert mended.headers == {}


def test_a_beta_that_was_not_sent_mends_nothing() -> None:
    assert Lessons().mend(outgoing({}, "a"), refused("unsupported beta header(s): b"), *AT) is None


@pytest.mark.parametrize(
    ("message", "before", "after"),
    [
        ("inference_geo: Extra inputs are not permitted", {"inference_geo": "eu", "model": "m"}, {"model": "m"}),
        (
            "tools.1.custom.eager_input_streaming: Extra inputs are not permitted",
            {"tools": [{"name": "a", "eager_input_streaming": True}, {"name": "b", "eager_input_streaming": True}]},
            {"tools": [{"name": "a"}, {"name": "b"}]},
        ),
        (
            "messages.0.content.0.text.cache_control.scope: Extra inputs are not permitted",
            {"messages": [{"content": [{"type": "text", "text": "x", "cache_control": {"scope": "g"}}]}]},
            {"messages": [{"content": [{"type": "text", "text": "x", "cache_control": {}}]}]},
        ),
        ("Unknown parameter: 'client_metadata'.", {"client_metadata": {"a": 1}, "model": "m"}, {"model": "m"}),
        (
            "Unknown parameter: 'input[0].odd'.",
            {"input": [{"odd": 1, "type": "message"}, {"type": "message"}]},
            {"input": [{"type": "message"}, {"type": "message"}]},
        ),
        ("Unsupported parameter: 'temperature' is not supported with this model.", {"temperature": 1}, {}),
    ],
)
def test_a_field_that_is_refused_and_may_be_left_out_is(message: str, before: object, after: object) -> None:
    lessons = Lessons()
    assert body_of(lessons.mend(outgoing(before), refused(message), *AT)) == after
    assert body_of(lessons.apply(outgoing(before), *AT)) == after


def test_a_refusal_that_names_its_parameter_is_understood() -> None:
    error = refused("no", param="top_p", code="unsupported_value")
    assert body_of(Lessons().mend(outgoing({"top_p": 1, "model": "m"}), error, *AT)) == {"model": "m"}


@pytest.mark.parametrize(
    "error",
    [
        refused("messages: Extra inputs are not permitted"),
        refused("Unsupported parameter: 'tools'"),
        refused("something else"),
        refused("bad", param="messages", code="unsupported_value"),
        UpstreamFailed("temperature: Extra inputs are not permitted"),
    ],
)
def test_what_was_asked_is_never_left_out(error: GatewayError) -> None:
    assert Lessons().mend(outgoing({"messages": [], "tools": [], "temperature": 1}), error, *AT) is None


def test_pitfall_100_reasoning_that_cannot_be_verified_is_left_out_once() -> None:
    lessons = Lessons()
    body = {
        "input": [
            {"type": "reasoning", "id": "rs", "encrypted_content": "x"},
            {"type": "function_call", "id": "fc", "call_id": "c"},
            {"role": "user", "content": "hi"},
        ]
    }
    error = refused("The encrypted content for item rs could not be verified.", code="invalid_encrypted_content")
    mended = lessons.mend(outgoing(body), error, "/responses", "gpt-5.4")
    assert body_of(mended) == {"input": [{"type": "function_call", "call_id": "c"}, {"role": "user", "content": "hi"}]}
    assert mended is not None
    assert lessons.mend(mended, error, "/responses", "gpt-5.4") is None


def test_pitfall_100_thinking_with_a_bad_signature_is_left_out_and_its_budget_with_it() -> None:
    body = {
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "messages": [
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "t", "signature": "s"}, {"type": "text", "text": "x"}],
            },
            {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "d"}]},
            {"role": "user", "content": "hi"},
        ],
    }
    error = refused("messages.1.content.0: Invalid `signature` in `thinking` block")
    assert body_of(Lessons().mend(outgoing(body), error, *AT)) == {
        "messages": [
            {"role": "assistant", "content": [{"type": "text", "text": "x"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "(no content)"}]},
            {"role": "user", "content": "hi"},
        ]
    }


def test_a_body_that_is_not_json_is_left_alone() -> None:
    assert Lessons().mend(Outgoing(b"{"), refused("x_y: Extra inputs are not permitted"), *AT) is None
