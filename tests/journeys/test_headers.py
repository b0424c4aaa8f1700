"""What Copilot sees of a call: an editor's headers, the caller's body, and nothing that gives the caller away."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness import GITHUB_TOKEN, GatewayProcess, Simulator
from tests.journeys.conftest import Journey
from tests.journeys.markers import chat, say
from tests.journeys.recording import PAUSE_SECONDS, Recorded, RecordingUpstream
from tests.journeys.wire import CHAT, opened

CALL_HEADERS = {
    "accept",
    "accept-encoding",
    "authorization",
    "content-length",
    "content-type",
    "copilot-integration-id",
    "editor-plugin-version",
    "editor-version",
    "host",
    "openai-intent",
    "user-agent",
    "x-github-api-version",
    "x-initiator",
    "x-interaction-type",
    "x-request-id",
    "x-vscode-user-agent-library-version",
}
CLIENT_HEADERS = {
    "cookie": "session=leak-cookie",
    "x-capi-debug": "leak-1",
    "x-capi-priority": "batch",
    "X-Capi-Anything": "leak-2",
    "user-agent": "leak-agent/1.0",
    "x-forwarded-for": "192.0.2.7",
    "forwarded": "for=192.0.2.7",
    "x-real-ip": "192.0.2.7",
    "via": "1.1 leak-via",
    "proxy-authorization": "Basic bGVhazpsZWFr",
    "te": "trailers",
    "upgrade": "h2c",
    "referer": "http://leak-referer.example/",
    "openai-organization": "org-leak",
    "openai-project": "proj-leak",
    "x-stainless-lang": "leak-lang",
    "anthropic-beta": "leak-beta",
    "x-initiator": "agent",
    "copilot-integration-id": "leak-id",
    "copilot-vision-request": "true",
    "editor-version": "leak-editor",
    "x-request-id": "leak-request",
    "x-api-key": "leak-key",
    "accept": "leak/accept",
    "accept-language": "leak-language",
    "traceparent": "00-leak-leak-00",
}


@pytest.fixture(scope="module")
def recording(
    simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Journey, RecordingUpstream]]:
    """A journey whose upstream is recorded byte by byte."""
    with (
        RecordingUpstream(simulator.url) as upstream,
        GatewayProcess(
            tmp_path_factory.mktemp("home"), simulator.url, COPILOT_API_UPSTREAM_URL=upstream.url
        ) as gateway,
    ):
        yield Journey(gateway, simulator, gateway.create_key("recorded")), upstream


def carry(recording: tuple[Journey, RecordingUpstream], body: Any, path: str = CHAT, **more: Any) -> Recorded:
    """The call as it arrived upstream."""
    journey, upstream = recording
    before = len(upstream.requests)
    answer = journey.send(path, body, **more)
    assert answer.status == 200, answer.body
    (found,) = upstream.requests[before:]
    return found


# Headers -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_no_header_of_the_client_reaches_the_upstream(
    recording: tuple[Journey, RecordingUpstream], stream: bool
) -> None:
    """An allow-list: whatever a client sends, the upstream sees exactly the headers of an editor."""
    key = recording[0].key
    seen = carry(recording, chat("hello", stream=stream), headers=CLIENT_HEADERS)
    names = [name.lower() for name, _ in seen.headers]
    assert sorted(names) == sorted(CALL_HEADERS)
    values = "\n".join(value for _, value in seen.headers)
    assert "leak" not in values
    assert "192.0.2.7" not in values
    assert key not in values
    assert "sk-cap-" not in values
    assert GITHUB_TOKEN not in values, "the Copilot token goes out, not the GitHub token that it was made of"


def test_the_headers_are_those_of_an_editor(recording: tuple[Journey, RecordingUpstream]) -> None:
    journey, upstream = recording
    seen = carry(recording, chat("hello", stream=True))
    assert seen.header("authorization")[0].startswith("Bearer tid=")
    assert seen.header("copilot-integration-id") == ["vscode-chat"]
    assert seen.header("editor-version")[0].startswith("vscode/")
    assert seen.header("editor-plugin-version")[0].startswith("copilot-chat/")
    assert seen.header("user-agent")[0].startswith("GitHubCopilotChat/")
    assert seen.header("x-github-api-version")[0] >= "2025-04-01"
    assert seen.header("openai-intent") == seen.header("x-interaction-type") == ["conversation-panel"]
    assert seen.header("content-type") == ["application/json"]
    assert seen.header("accept") == ["text/event-stream"]
    assert seen.header("host") == [upstream.url.removeprefix("http://")]
    assert seen.header("content-length") == [str(len(seen.body))]
    answer = journey.send(CHAT, chat("hello"))
    assert upstream.requests[-1].header("x-request-id") == [answer.request_id]
    assert upstream.requests[-1].header("accept") == ["application/json"]


def test_embeddings_have_their_own_intent(recording: tuple[Journey, RecordingUpstream]) -> None:
    seen = carry(recording, {"model": "text-embedding-3-small", "input": "x"}, "/v1/embeddings", headers=CLIENT_HEADERS)
    assert seen.path == "/embeddings"
    assert seen.header("openai-intent") == ["copilot-panel"]
    assert sorted(name.lower() for name, _ in seen.headers) == sorted(CALL_HEADERS)


def test_the_query_of_the_client_stays_here(recording: tuple[Journey, RecordingUpstream]) -> None:
    """`?key=` and `?api-version=` are between the client and us."""
    key = recording[0].key
    assert carry(recording, chat("hello"), f"{CHAT}?key={key}&api-version=1").path == "/chat/completions"


def test_no_header_of_the_upstream_that_is_ours_reaches_the_client(journey: Journey) -> None:
    """Quotas of the account, GitHub's ids and its server are not the key holder's business."""
    names = set(journey.send(CHAT, chat("hello")).headers)
    assert not {name for name in names if name.startswith(("x-quota", "x-usage", "x-github", "set-cookie", "server"))}


# Initiator -----------------------------------------------------------------------------------------------------------

USER = {"role": "user", "content": "hello"}
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "seen"}


@pytest.mark.parametrize(
    ("messages", "initiator"),
    [
        ([USER], "user"),
        ([{"role": "system", "content": "be brief"}, USER], "user"),
        ([USER, {"role": "assistant", "content": "yes?"}, USER], "user"),
        ([USER, CALL, RESULT], "agent"),
        ([USER, CALL, RESULT, USER], "user"),
        ([USER, {"role": "assistant", "content": "half an ans"}], "agent"),
    ],
    ids=["user", "system first", "second turn", "tool result", "user after a tool", "prefill"],
)
def test_the_initiator_is_who_spoke_last(journey: Journey, messages: list[Any], initiator: str) -> None:
    """Copilot bills a turn of the user, not the steps of an agent; the ledger says the same."""
    answer = journey.send(CHAT, {"model": "gpt-4.1", "messages": messages})
    assert journey.seen(answer)[0]["headers"]["x-initiator"] == initiator


# Images --------------------------------------------------------------------------------------------------------------

PNG = "data:image/png;base64,iVBORw0KGgo="
IMAGE = {"type": "image_url", "image_url": {"url": PNG}}


@pytest.mark.parametrize(
    ("messages", "is_announced"),
    [
        ([{"role": "user", "content": [IMAGE]}], True),
        ([{"role": "user", "content": [{"type": "text", "text": "x"}, IMAGE]}, USER], True),
        ([{"role": "user", "content": [{"type": "text", "text": '{"type":"image_url"}'}]}], False),
        ([{"role": "user", "content": PNG}], False),
    ],
    ids=["image", "image in an earlier turn", "text about images", "data URL as text"],
)
def test_images_anywhere_in_the_conversation_are_announced(
    journey: Journey, messages: list[Any], is_announced: bool
) -> None:
    answer = journey.send(CHAT, {"model": "gpt-4.1", "messages": messages})
    assert answer.status == 200
    assert ("copilot-vision-request" in journey.seen(answer)[0]["headers"]) is is_announced


# Bodies --------------------------------------------------------------------------------------------------------------


def test_a_body_that_needs_no_edit_survives_byte_for_byte(recording: tuple[Journey, RecordingUpstream]) -> None:
    """Spaces, order, number forms, escapes, unknown fields: the upstream gets what the client wrote."""
    body = (
        '{ "unknown" : {"z":1.50e+02,"a":[ 1 , -0.0,12345678901234567890123, null,true ]},\n\t"model":"gpt-4.1",\r\n'
        '  "messages":[ {"name":"ada","role":"user","content":"\\u00fc \\ud83d\\ude00 ü 😀 \u2028","x-unknown":{}} ],'
        '"temperature":1.0,"another_unknown":"\\/" }  '
    ).encode()
    assert carry(recording, body).body == body


def test_a_stream_s_body_changes_in_stream_options_only(recording: tuple[Journey, RecordingUpstream]) -> None:
    head = '{"model": "gpt-4.1", "messages": [{"role": "user", "content": "\\u00fc"}], "stream": true, "unknown": 1.0'
    assert carry(recording, (head + "}").encode()).body == (head + ',"stream_options":{"include_usage":true}}').encode()
    options = ', "stream_options": {"include_obfuscation": false, "include_usage": false, "x": 1.0}, "end": [ ]}'
    seen = carry(recording, (head + options).encode()).body.decode()
    assert seen.startswith(head + ', "stream_options": ')
    assert seen.endswith(', "end": [ ]}')
    assert json.loads(seen)["stream_options"] == {"include_usage": True, "x": 1.0}


def test_a_stream_that_asks_for_the_usage_itself_is_not_edited(recording: tuple[Journey, RecordingUpstream]) -> None:
    body = json.dumps(chat("hello", stream=True, stream_options={"include_usage": True}), indent=1).encode()
    assert carry(recording, body).body == body


def test_a_model_s_other_name_is_the_only_edit(recording: tuple[Journey, RecordingUpstream]) -> None:
    body = b'{"unknown": 1.0, "model": "claude-sonnet-4-6", "messages": [{"role":"user","content":"x"}], "y":[]}'
    assert carry(recording, body).body == body.replace(b"claude-sonnet-4-6", b"claude-sonnet-4.6")


def test_a_big_body_survives_byte_for_byte(recording: tuple[Journey, RecordingUpstream]) -> None:
    text = "äöü 😀 \\u0041 " * 30_000
    body = f'{{"model":"gpt-4.1","messages":[{{"role":"user","content":"{text}"}}],"unknown": 1.0}}'.encode()
    assert len(body) > 400_000
    assert carry(recording, body).body == body


@pytest.mark.parametrize("stream", [False, True])
def test_unknown_fields_of_the_answer_survive(journey: Journey, stream: bool) -> None:
    """What Copilot adds (here its content filter results and its charge) is the client's to read or to skip."""
    answer = journey.send(CHAT, chat(say("hello there"), stream=stream, stream_options={"include_usage": True}))
    documents = answer.events if stream else [answer.json]
    assert any("content_filter_results" in choice for found in documents for choice in found["choices"])
    assert documents[-1]["copilot_usage"]["total_nano_aiu"] == 0


# What comes in one piece ---------------------------------------------------------------------------------------------


def event(document: Any) -> bytes:
    """One event on the wire."""
    return b"data: %b\n\n" % json.dumps(document).encode()


def piece(text: str) -> bytes:
    """A chunk that says `text`."""
    return event({"choices": [{"index": 0, "delta": {"content": text}}], "id": "c", "created": 1, "model": "m"})


FINISH = event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "id": "c", "model": "m"})
DONE = b"data: [DONE]\n\n"


def test_what_was_said_before_an_error_reaches_the_client(recording: tuple[Journey, RecordingUpstream]) -> None:
    """Also when the network joins the last words and the error into one read."""
    journey, upstream = recording
    error = event({"choices": None, "error": {"code": 500, "message": "it broke"}})
    upstream.answers.append((piece("one "), piece("two ") + piece("three") + error))
    answer = journey.send(CHAT, chat("hello", stream=True))
    assert answer.text == "one two three"
    assert not answer.is_done
    assert answer.error["code"] == "upstream_error"
    assert "it broke" in answer.error["message"]


def test_an_error_that_comes_first_is_a_status(recording: tuple[Journey, RecordingUpstream]) -> None:
    """Nothing is out yet, so the client can be told properly, and may try again."""
    journey, upstream = recording
    upstream.answers.append((event({"error": {"code": 500, "message": "it broke"}}),))
    answer = journey.send(CHAT, chat("hello", stream=True))
    assert (answer.status, answer.error["code"]) == (502, "upstream_error")


def test_an_error_after_the_finish_is_still_an_error(recording: tuple[Journey, RecordingUpstream]) -> None:
    journey, upstream = recording
    upstream.answers.append((piece("one"), FINISH, event({"error": {"message": "late"}})))
    answer = journey.send(CHAT, chat("hello", stream=True))
    assert not answer.is_done
    assert answer.error["code"] == "upstream_error"


def test_all_that_server_sent_events_allow_is_read(recording: tuple[Journey, RecordingUpstream]) -> None:
    """Comments, fields of no use here, carriage returns, no space after the colon, and every one of them torn."""
    journey, upstream = recording
    raw = b": hello\n\n" + piece("a").replace(b"data: ", b"data:") + piece("b").replace(b"\n", b"\r\n")
    raw += b"id: 7\nevent: message\nretry: 10\n" + piece("c") + FINISH + DONE
    upstream.answers.append((raw[:40], raw[40:150], raw[150:]))
    answer = journey.send(CHAT, chat("hello", stream=True))
    assert (answer.text, answer.is_done) == ("abc", True)


def test_the_last_event_counts_without_its_blank_line(recording: tuple[Journey, RecordingUpstream]) -> None:
    journey, upstream = recording
    upstream.answers.append((piece("a") + FINISH.rstrip(b"\n"),))
    answer = journey.send(CHAT, chat("hello", stream=True))
    assert (answer.text, answer.is_done) == ("a", True)


def test_pieces_leave_as_they_arrive(recording: tuple[Journey, RecordingUpstream]) -> None:
    """Nothing is held back until more comes."""
    journey, upstream = recording
    upstream.answers.append((piece("a"), piece("b"), piece("c"), FINISH + DONE))
    with opened(journey.gateway.url, CHAT, chat("hello", stream=True), key=journey.key) as response:
        arrivals = [time.monotonic() for line in response if line.startswith(b"data: {")]
    assert len(arrivals) == 4
    assert arrivals[2] - arrivals[0] > PAUSE_SECONDS
