"""What of a captured call can be sent again, and what is said where that is not all."""

import json
from typing import Any

import pytest

from copilot_api.capture.models import Cut, Leg, Trace
from copilot_api.errors import BadRequest
from copilot_api.gateway.replay import ReplayImpossible, prepare_replay
from copilot_api.gateway.surfaces import CHAT_SURFACE, GEMINI_SURFACE
from copilot_api.protocols.base import Envelope

CHAT, GEMINI = CHAT_SURFACE.endpoint, GEMINI_SURFACE.endpoint
BODY = '{"model": "gpt-4.1",  "messages": [{"role": "user", "content": "hi"}], "temperature": 0.50}'


def trace(body: str = BODY, endpoint: str = CHAT, **more: Any) -> Trace:
    request = Leg(method="POST", target=endpoint, body=body, **more)
    return Trace(request_id="req_1", at="2026-07-01T12:00:00+00:00", endpoint=endpoint, model="gpt-4.1", client_request=request)  # fmt: skip


def test_a_request_goes_out_as_it_came() -> None:
    replay = prepare_replay(trace(), Envelope(), None)
    assert (replay.surface, replay.body, replay.notes) == (CHAT_SURFACE, BODY.encode(), ())


def test_another_model_is_put_in_and_nothing_else_is_changed() -> None:
    replay = prepare_replay(trace(), Envelope(), 'gpt-"5"')
    assert json.loads(replay.body) == {**json.loads(BODY), "model": 'gpt-"5"'}
    assert b"0.50" in replay.body
    assert replay.notes == ('the model is gpt-"5" instead of gpt-4.1',)


def test_where_the_model_stands_in_the_path_it_is_put_in_there() -> None:
    replay = prepare_replay(trace("{}", GEMINI), Envelope(model="gpt-4.1", is_streamed=True), "gpt-5")
    assert (replay.body, replay.envelope) == (b"{}", Envelope(model="gpt-5", is_streamed=True))


@pytest.mark.parametrize(("secrets", "note"), [(1, "1 placeholder went out"), (3, "3 placeholders went out")])
def test_it_says_how_many_secrets_are_not_in_it_any_more(secrets: int, note: str) -> None:
    body = json.dumps({"model": "m", "messages": ["[redacted:github_token:a1b2c3]"] * secrets})
    replay = prepare_replay(trace(body), Envelope(), None)
    assert replay.notes[0].startswith(note)


@pytest.mark.parametrize(
    ("captured", "why"),
    [
        (trace("", withheld="it is no text that could be looked through"), "not kept: it is no text"),
        (trace(cut=Cut(700, "d")), "the last 700 bytes"),
        (trace(""), "no body"),
        (trace(endpoint="/v1/rerank"), "no endpoint '/v1/rerank'"),
    ],
)
def test_what_is_not_kept_whole_is_refused_with_the_reason(captured: Trace, why: str) -> None:
    with pytest.raises(ReplayImpossible, match=why) as caught:
        prepare_replay(captured, Envelope(), None)
    assert caught.value.actual_status == 409


@pytest.mark.parametrize("body", ["[]", "{", "3", "[" * 100_000])
def test_a_body_without_a_model_takes_no_other(body: str) -> None:
    with pytest.raises(ReplayImpossible, match="no JSON object"):
        prepare_replay(trace(body), Envelope(), "gpt-5")


@pytest.mark.parametrize("model", ["", "m" * 201])
def test_a_model_that_is_no_name_is_refused(model: str) -> None:
    with pytest.raises(BadRequest):
        prepare_replay(trace(), Envelope(), model)
