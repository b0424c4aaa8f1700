"""Captures as conversations: in every protocol the same turns, long ones shortened, unreadable ones said to be so."""

import json
from typing import Any

import pytest

from copilot_api.admin.transcripts import LONG_CHARACTERS, MAX_CHARACTERS, MAX_TURNS, Transcript, read_transcript
from copilot_api.capture.models import Leg
from copilot_api.protocols.base import Envelope
from tests.capture.kept import make_trace


def read(endpoint: str, request: Any, answer: Any = None, envelope: Envelope | None = None, **more: Any) -> Transcript:
    body = request if isinstance(request, str) else json.dumps(request)
    said = None if answer is None else Leg(status=200, body=json.dumps(answer))
    trace = make_trace(1, endpoint=endpoint, client_request=Leg(body=body), **{"client_answer": said, **more})
    return read_transcript(trace, envelope or Envelope())


def turns(found: Transcript) -> list[tuple[str, list[tuple[str, str, str]]]]:
    return [(turn.role, [(each.kind, each.label, each.text) for each in turn.pieces]) for turn in found.turns]


CHAT = "/v1/chat/completions"
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
CHAT_REQUEST = {
    "model": "gpt-4.1",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "seen"},
    ],
    "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
}
EXPECTED = [
    ("system", [("text", "", "Be brief.")]),
    ("user", [("text", "", "Look.")]),
    ("assistant", [("call", "look", '{"at": 1}')]),
    ("tool", [("result", "", "seen")]),
]


def test_chat_is_read() -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Done."}, "finish_reason": "stop"}
    found = read(CHAT, CHAT_REQUEST, {"choices": [choice], "model": "gpt-4.1"})
    assert turns(found) == EXPECTED
    assert found.tools == ("look",)
    assert [(piece.kind, piece.text) for piece in found.answer.pieces] == [("text", "Done.")]
    assert (found.problem, found.said.finish) == ("", "end")


def test_messages_are_read() -> None:
    request = {
        "model": "claude-sonnet-4.6",
        "max_tokens": 10,
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": "Look."},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "look", "input": {"at": 1}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "seen"}]},
        ],
        "tools": [{"name": "look", "input_schema": {"type": "object"}}],
    }
    found = turns(read("/v1/messages", request))
    assert [role for role, _ in found] == ["system", "user", "assistant", "tool"]
    assert json.loads(found[2][1][0][2]) == {"at": 1}


def test_responses_are_read() -> None:
    request = {
        "model": "gpt-5",
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "Look."}]},
            {"type": "function_call", "call_id": "c", "name": "look", "arguments": '{"at": 1}'},
            {"type": "function_call_output", "call_id": "c", "output": "seen"},
        ],
    }
    assert turns(read("/v1/responses", request)) == EXPECTED


def test_gemini_is_read() -> None:
    request = {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [{"role": "user", "parts": [{"text": "Look."}]}],
    }
    assert turns(read("/v1beta/generateContent", request, envelope=Envelope(model="gemini-2.5-pro"))) == EXPECTED[:2]


def test_an_image_is_named_and_not_shown() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    message = {"role": "user", "content": [{"type": "text", "text": "See:"}, image]}
    (turn,) = read(CHAT, {"model": "m", "messages": [message]}).turns
    assert [(piece.kind, piece.text) for piece in turn.pieces] == [
        ("text", "See:"),
        ("media", "(image image/png, 4 characters of base64)"),
    ]


@pytest.mark.parametrize(
    ("endpoint", "request_body"), [(CHAT, "{"), (CHAT, "[]"), ("/v1/embeddings", '{"input": "x"}'), ("/v1/other", "")]
)
def test_what_cannot_be_read_says_why(endpoint: str, request_body: str) -> None:
    found = read(endpoint, request_body)
    assert found.problem
    assert found.turns == ()
    assert found.said.error == "there was no answer"


def test_a_withheld_body_is_no_conversation() -> None:
    assert read_transcript(
        make_trace(1, endpoint=CHAT, client_request=Leg(withheld="a suspect stayed")), Envelope()
    ).problem


def test_of_a_long_conversation_the_middle_is_left_out() -> None:
    messages = [{"role": "user", "content": f"number {number}"} for number in range(MAX_TURNS + 20)]
    found = read(CHAT, {"model": "m", "messages": messages}).turns
    assert len(found) == MAX_TURNS + 1
    assert found[10].pieces[0].text == "20 turns are left out here."
    assert found[-1].pieces[0].text == f"number {MAX_TURNS + 19}"


def test_a_long_piece_is_folded_and_a_huge_one_cut() -> None:
    messages = [{"role": "user", "content": "x" * count} for count in (LONG_CHARACTERS, MAX_CHARACTERS + 1)]
    short, huge = (turn.pieces[0] for turn in read(CHAT, {"model": "m", "messages": messages}).turns)
    assert (short.is_long, short.is_cut) == (False, False)
    assert (huge.is_long, huge.is_cut, len(huge.text)) == (True, True, MAX_CHARACTERS)


def test_an_answer_that_never_reached_the_client_is_copilots() -> None:
    message = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Done."}], "id": "m"}
    answer = {**message, "model": "claude", "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 2}}
    found = read(
        CHAT,
        CHAT_REQUEST,
        upstream_request=Leg(method="POST", target="https://example.invalid/v1/messages"),
        upstream_answer=Leg(status=200, body=json.dumps(answer)),
    )
    assert [piece.text for piece in found.answer.pieces] == ["Done."]


def test_usage_that_only_the_gateway_was_told_is_found() -> None:
    events = 'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}\n\ndata: [DONE]\n\n'
    found = read(
        CHAT,
        CHAT_REQUEST,
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Done."}, "finish_reason": "stop"}]},
        upstream_request=Leg(method="POST", target="https://example.invalid/chat/completions"),
        upstream_answer=Leg(status=200, body=events),
    )
    assert found.said.usage is None
    assert found.usage is not None
    assert (found.usage.input_tokens, found.usage.output_tokens) == (3, 4)
