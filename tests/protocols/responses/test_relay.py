"""A streamed Responses answer on its way through."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.errors import (
    BadRequest,
    GatewayError,
    LimitReached,
    RateLimited,
    UpstreamCut,
    UpstreamFailed,
    UpstreamQuotaExceeded,
    UpstreamRateLimited,
    UpstreamRefused,
)
from copilot_api.protocols.responses.relay import ResponsesRelay
from tests.protocols.responses.responses_streams import (
    CREATED,
    added,
    call,
    completed,
    done,
    event,
    message,
    splits,
    sse,
)

CASES = Path(__file__).parent.parent / "cases" / "responses_native"


def relay() -> ResponsesRelay:
    return ResponsesRelay(model="alias", now=1_780_000_000, request_id="req_1")


def outcome(pieces: list[bytes]) -> tuple[bytes, str]:
    stream = relay()
    out = b"".join([stream.feed(piece) for piece in pieces])
    try:
        return out + stream.finish(), ""
    except GatewayError as error:
        return out, repr(error)


def events_in(out: bytes) -> list[Any]:
    """The events, checked: each named as it is, numbered without a gap, `[DONE]` once and last if at all."""
    frames = out.decode().split("\n\n")
    assert frames.pop() == ""
    if frames and frames[-1] == "data: [DONE]":
        frames.pop()
    events = []
    for number, frame in enumerate(frames):
        name, _, data = frame.partition("\n")
        decoded = json.loads(data.removeprefix("data: "))
        assert name == f"event: {decoded['type']}"
        assert decoded["sequence_number"] == number
        events.append(decoded)
    return events


def through(*events: dict[str, Any] | str) -> list[Any]:
    out, error = outcome([sse(*events)])
    assert error == ""
    assert out.endswith(b"\n\ndata: [DONE]\n\n")
    return events_in(out)


@pytest.mark.parametrize("name", ["whole_turn", "cut_by_limit", "failed"])
def test_a_recorded_stream_comes_out_the_same_however_it_is_cut(name: str) -> None:
    source = (CASES / name / "upstream.sse").read_bytes()
    whole = outcome([source])
    assert whole[0] == (CASES / name / "client.sse").read_bytes()
    assert (whole[1] != "") == (name == "failed")
    for pieces in splits(source):
        assert outcome(pieces) == whole


def test_pitfall_066_every_response_object_has_the_callers_name_and_one_id() -> None:
    found = events_in(outcome([(CASES / "whole_turn" / "upstream.sse").read_bytes()])[0])
    told = [found["response"] for found in found if "response" in found]
    assert {response["model"] for response in told} == {"alias"}
    assert len({response["id"] for response in told}) == 1


def test_pitfall_079_an_item_has_one_id_in_all_of_its_events_and_in_the_end() -> None:
    found = events_in(outcome([(CASES / "whole_turn" / "upstream.sse").read_bytes()])[0])
    ids: dict[int, set[str]] = {}
    for one in found:
        if "output_index" in one:
            ids.setdefault(one["output_index"], set()).add(one.get("item_id") or one["item"]["id"])
    assert [len(ids[index]) for index in (0, 1, 2)] == [1, 1, 1]
    assert [item["id"] for item in found[-1]["response"]["output"]] == [ids[index].pop() for index in (0, 1, 2)]


def test_what_is_not_edited_stays() -> None:
    source = (CASES / "whole_turn" / "upstream.sse").read_bytes()
    before = [json.loads(line[6:]) for line in source.split(b"\n") if line.startswith(b"data: ")]
    for one, other in zip(before, events_in(outcome([source])[0]), strict=True):
        for fields in (one, other):
            fields.pop("item_id", None)
            fields.get("item", {}).pop("id", None)
            fields.get("response", {}).pop("model", None)
            for item in fields.get("response", {}).get("output", []):
                del item["id"]
        assert one == other


def test_the_meter_has_usage_and_charge_at_the_end() -> None:
    stream = relay()
    stream.feed((CASES / "whole_turn" / "upstream.sse").read_bytes())
    assert stream.usage is not None
    assert (stream.usage.input_tokens, stream.nano_aiu, stream.is_over) == (812, 164_500_000, True)


def test_that_the_model_has_begun_is_no_content() -> None:
    stream = relay()
    assert stream.feed(sse(CREATED, {**CREATED, "type": "response.in_progress"}))
    stream.feed(sse({"type": "response.ping"}))
    assert not stream.has_content
    stream.feed(sse(event("output_text.delta", delta="Hi")))
    assert stream.has_content


def test_deltas_are_the_same_whether_they_are_edited_as_bytes_or_decoded() -> None:
    delta = event("output_text.delta", content_index=0, delta='a"\u2028}', logprobs=[], obfuscation="x")
    ordered = {name: delta[name] for name in ("type", "sequence_number", "item_id", "output_index")} | delta
    found = through(CREATED, added(0, type="message"), ordered, ordered, dict(reversed(ordered.items())), completed())
    deltas = [
        {name: value for name, value in one.items() if name != "sequence_number"}
        for one in found
        if one["type"].endswith("delta")
    ]
    assert deltas[0] == deltas[1] == deltas[2]
    assert (deltas[0]["delta"], deltas[0]["item_id"]) == ('a"\u2028}', "added0")


def test_a_missing_type_is_the_events_name() -> None:
    body = json.dumps({"output_index": 0, "delta": "Hi"})
    found = through(CREATED, f"event: response.output_text.delta\ndata: {body}", completed())
    assert found[1]["type"] == "response.output_text.delta"


def test_what_opens_a_stream_comes_first_and_once() -> None:
    found = through(done(0, **message("Hi")), CREATED, completed())
    kinds = ["created", "in_progress", "output_item.done", "completed"]
    assert [one["type"] for one in found] == [f"response.{kind}" for kind in kinds]
    assert {one["response"]["id"] for one in found if "response" in one} == {"resp_req1"}


def test_pitfall_063_an_end_without_items_gets_those_that_came_by() -> None:
    found = through(CREATED, done(1, **call("c1", "f", "{}")), done(0, **message("Hi")), completed())
    assert [item["type"] for item in found[-1]["response"]["output"]] == ["message", "function_call"]
    assert [item["id"] for item in found[-1]["response"]["output"]] == ["done0", "done1"]


@pytest.mark.parametrize("kind", ["completed", "incomplete"])
def test_pitfall_095_the_end_has_all_that_strict_clients_require(kind: str) -> None:
    found = through(CREATED, done(0, type="message"), completed(kind=kind, usage=None, status=None))
    last = found[-1]
    assert last["type"] == f"response.{kind}"
    assert last["response"]["status"] == kind
    assert last["response"]["usage"]["total_tokens"] == 0
    assert {"object", "created_at", "metadata", "tools", "error"} <= set(last["response"])


def test_an_item_without_an_id_gets_one() -> None:
    found = through(CREATED, {**added(0), "item": {"type": "message"}}, {**done(0), "item": {}}, completed())
    assert [one["item"]["id"] for one in found if "item" in one] == ["msg_req10", "msg_req10"]


def test_done_is_said_once_and_at_the_end() -> None:
    out, _ = outcome([sse(CREATED, "data: [DONE]", completed(), "data: [DONE]")])
    assert out.count(b"[DONE]") == 1


@pytest.mark.parametrize(
    ("failing", "kind"),
    [
        ({"type": "error", "error": {"code": "rate_limited", "message": "slow"}}, UpstreamRateLimited),
        ({"type": "error", "code": "server_error", "message": "boom"}, UpstreamFailed),
        ({"type": "response.failed", "response": {"error": {"code": "context_length_exceeded"}}}, UpstreamRefused),
        ({"type": "response.cancelled"}, UpstreamCut),
        ({"type": "response.completed", "response": {"status": "failed", "error": {}}}, UpstreamFailed),
        ({"type": "", "error": {"code": "rate_limited"}}, UpstreamRateLimited),
    ],
)
def test_what_the_upstream_reports_is_a_failure_after_what_came_before(failing: Any, kind: type[GatewayError]) -> None:
    stream = relay()
    out = stream.feed(sse(CREATED, event("output_text.delta", delta="Hi"), failing))
    assert [one["type"] for one in events_in(out)] == ["response.created", "response.output_text.delta"]
    assert type(stream.failure) is kind
    assert stream.feed(sse(completed())) == b""
    with pytest.raises(kind):
        stream.finish()


def test_pitfall_097_a_failure_is_told_twice_and_goes_on_counting() -> None:
    stream = relay()
    out = stream.feed(sse(CREATED, done(0, **message("Hi"))))
    out += stream.fail(UpstreamFailed("boom"), "req_1")
    error, failed = events_in(out)[-2:]
    assert (error["type"], error["code"], error["param"]) == ("error", "server_error", None)
    assert (failed["type"], failed["response"]["status"]) == ("response.failed", "failed")
    assert failed["response"]["error"] == {"code": "server_error", "message": error["message"]}
    assert "req_1" in error["message"]
    assert [item["id"] for item in failed["response"]["output"]] == ["done0"]
    assert failed["response"]["id"] == "resp_1"
    assert out.endswith(b"data: [DONE]\n\n")
    assert stream.is_over


def test_a_failure_names_the_limit_that_is_its_reason() -> None:
    limited = RateLimited("x", limit=LimitReached("rpm", 6, 5, "requests"))
    error, failed = events_in(relay().fail(limited, "req_1"))[-2:]
    assert error["limit"] == {"name": "rpm", "current": 6, "allowed": 5, "unit": "requests"}
    assert failed["response"]["error"]["limit"] == error["limit"]


def test_a_failure_before_anything_else_still_makes_a_stream() -> None:
    out = relay().fail(UpstreamCut("cut"), "req_1")
    kinds = ["response.created", "response.in_progress", "error", "response.failed"]
    assert [one["type"] for one in events_in(out)] == kinds


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UpstreamRateLimited("slow", retry_after=11.2), "rate_limit_exceeded"),
        (UpstreamQuotaExceeded("spent"), "insufficient_quota"),
        (UpstreamFailed("busy", status=503), "server_is_overloaded"),
        (UpstreamRefused("long", upstream_code="context_length_exceeded"), "context_length_exceeded"),
        (BadRequest("no", param="input"), "invalid_request"),
    ],
)
def test_pitfall_123_a_failure_has_the_code_that_clients_act_on(error: GatewayError, code: str) -> None:
    found = events_in(relay().fail(error, "r"))[-1]["response"]["error"]
    assert found["code"] == code
    assert ("try again in 12s." in found["message"]) == isinstance(error, UpstreamRateLimited)


def test_pitfall_098_an_end_without_a_last_event_is_a_cut() -> None:
    for tail in (b"", b"data: [DONE]\n\n", b'data: {"type":"response.comp'):
        assert "UpstreamCut" in outcome([sse(CREATED), tail])[1]


def test_an_end_without_its_blank_line_is_an_end() -> None:
    assert outcome([sse(CREATED, completed())[:-2]])[1] == ""


def test_pitfall_113_a_whole_answer_in_the_place_of_a_stream_is_one() -> None:
    out, error = outcome([(CASES / "whole_answer" / "upstream.json").read_bytes()])
    assert error == ""
    assert events_in(out)[-1]["response"]["model"] == "alias"


def test_an_error_in_the_place_of_a_stream_is_one() -> None:
    assert "UpstreamRateLimited" in outcome([b'{"error":{"code":"rate_limited"}}'])[1]
    assert "UpstreamFailed" in outcome([b"<html>"])[1]
    assert "UpstreamFailed" in outcome([b"data: <oops>\n\n"])[1]


def test_nonsense_amid_events_is_passed_over() -> None:
    found = through(CREATED, "data: <oops>", "data: 3", 'data: {"a":1}', completed())
    assert [one["type"] for one in found] == ["response.created", "response.completed"]


def test_a_keep_alive_is_a_comment() -> None:
    assert relay().keep_alive() == b": keep-alive\n\n"
    assert relay().keep_alive("queued: place 3") == b": queued: place 3\n\n"
    assert relay().keep_alive("x\n\ndata: {}") == b": x??data: {}\n\n"


_NAMES = st.sampled_from(["item", "type", "output_index", "delta", "response", "output", "status", "id", "item_id"])
_VALUES = st.recursive(
    st.none() | st.integers(-1, 3) | st.sampled_from(["message", "reasoning", "failed"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=6,
)
_KINDS = st.sampled_from(["output_text.delta", "output_item.added", "output_item.done", "in_progress", "completed"])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(_KINDS, st.dictionaries(_NAMES, _VALUES, max_size=5)), max_size=6))
def test_any_events_are_a_sound_stream_or_an_error(events: list[tuple[str, dict[str, Any]]]) -> None:
    out, _ = outcome([sse(CREATED, *[{**fields, "type": f"response.{kind}"} for kind, fields in events])])
    events_in(out)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=30) | st.sampled_from([b"data: ", b"\n\n", b'{"type":"error"}', b"{"]), max_size=6))
def test_any_bytes_are_a_stream_or_an_error(pieces: list[bytes]) -> None:
    with contextlib.suppress(GatewayError):
        outcome(pieces)
