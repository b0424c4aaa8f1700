"""A streamed answer of Copilot's Responses, read into events."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.errors import (
    GatewayError,
    UpstreamCut,
    UpstreamFailed,
    UpstreamRateLimited,
    UpstreamRefused,
)
from copilot_api.protocols.conversation import (
    Collector,
    Finished,
    Reasoning,
    ReasoningDelta,
    ReasoningEnd,
    Refusal,
    Started,
    StopReason,
    StreamEvent,
    Text,
    TextDelta,
    ToolCall,
    ToolDelta,
    ToolEnd,
    ToolStart,
)
from copilot_api.protocols.responses.parse import parse_answer
from copilot_api.protocols.responses.reader import ResponsesReader
from tests.protocols.responses.responses_streams import (
    CREATED,
    USAGE,
    added,
    call,
    completed,
    done,
    event,
    message,
    splits,
    sse,
)

CASES = Path(__file__).parent.parent / "cases" / "responses_upstream"
F1 = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": ""}
F2 = {"type": "function_call", "call_id": "c2", "name": "g", "arguments": ""}


def read(source: bytes | list[bytes]) -> list[StreamEvent]:
    reader = ResponsesReader()
    pieces = [source] if isinstance(source, bytes) else source
    events = [found for piece in pieces for found in reader.feed(piece)]
    events += reader.finish()
    check_order(events)
    return events


def check_order(events: list[StreamEvent]) -> None:
    """The order that the neutral form promises."""
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)
    is_thinking = is_calling = False
    for found in events[1:-1]:
        assert not isinstance(found, Started | Finished)
        if isinstance(found, ToolDelta | ToolEnd):
            assert is_calling
        else:
            assert not is_calling
        if isinstance(found, ReasoningDelta):
            is_thinking = True
        elif not isinstance(found, ReasoningEnd):
            assert not is_thinking
        if isinstance(found, ReasoningEnd):
            is_thinking = False
        is_calling = isinstance(found, ToolStart) or (is_calling and not isinstance(found, ToolEnd))
        assert getattr(found, "text", "x") != ""
        assert getattr(found, "arguments", "x") != ""
    assert not is_thinking
    assert not is_calling


def parts(*events: dict[str, Any] | str) -> list[Any]:
    """What the stream amounts to."""
    collector = Collector()
    collector.add(read(sse(CREATED, *events)))
    return list(collector.answer().parts)


def stop(*events: dict[str, Any]) -> StopReason:
    last = read(sse(CREATED, *events))[-1]
    assert isinstance(last, Finished)
    return last.stop


def outcome(pieces: list[bytes]) -> tuple[list[StreamEvent], str]:
    reader = ResponsesReader()
    events = [found for piece in pieces for found in reader.feed(piece)]
    try:
        events += reader.finish()
    except GatewayError as error:
        return events, repr(error)
    return events, ""


@pytest.mark.parametrize("name", ["whole_turn", "cut_by_limit", "failed"])
def test_a_recorded_stream_is_the_same_however_it_is_cut(name: str) -> None:
    source = (CASES / name / "upstream.sse").read_bytes()
    whole = outcome([source])
    expected = json.loads((CASES / name / "events.json").read_text())
    assert [[type(found).__name__, *_plain(found)] for found in whole[0]] == expected["events"]
    assert (whole[1] != "") == expected["fails"]
    for pieces in splits(source):
        assert outcome(pieces) == whole


def _plain(found: StreamEvent) -> list[Any]:
    """What an event holds, for the case files."""
    match found:
        case ReasoningEnd(carrier):
            return [carrier.data if carrier else None]
        case Finished(stop, usage):
            return [stop.value, usage.input_tokens if usage else None, usage.output_tokens if usage else None]
        case ToolStart(call_id, name):
            return [call_id, name]
        case TextDelta(text) | ReasoningDelta(text):
            return [text]
        case ToolDelta(arguments):
            return [arguments]
        case _:
            return []


def test_pitfall_062_a_stream_amounts_to_what_the_whole_answer_is() -> None:
    collector = Collector()
    collector.add(read((CASES / "whole_turn" / "upstream.sse").read_bytes()))
    whole = parse_answer((CASES / "whole_answer" / "upstream.json").read_bytes())
    assert collector.answer(nano_aiu=whole.nano_aiu).parts == whole.parts
    assert collector.answer().usage == whole.usage


def test_the_meter_has_usage_and_charge_at_the_end() -> None:
    reader = ResponsesReader()
    reader.feed((CASES / "whole_turn" / "upstream.sse").read_bytes())
    assert reader.usage is not None
    assert (reader.usage.input_tokens, reader.nano_aiu) == (812, 164_500_000)


def test_pitfall_076_a_call_in_the_answer_is_the_reason_that_it_stopped() -> None:
    assert stop(added(0, **F1), done(0, **call("c1", "f", "{}")), completed()) is StopReason.TOOL_CALLS


def test_pitfall_077_incomplete_is_an_end_and_counts_before_the_calls() -> None:
    cut = completed(kind="incomplete", incomplete_details={"reason": "max_output_tokens"})
    calling = [added(0, **F1), event("function_call_arguments.delta", delta='{"a":')]
    assert stop(*calling, cut) is StopReason.LENGTH
    filtered = completed(kind="incomplete", incomplete_details={"reason": "content_filter"})
    assert stop(filtered) is StopReason.FILTERED


def test_pitfall_078_an_item_that_nothing_announced_is_an_item() -> None:
    deltas = [event("output_text.delta", content_index=0, delta=piece) for piece in ("Hel", "lo")]
    assert parts(*deltas, completed()) == [Text("Hello")]
    arguments = event("function_call_arguments.delta", delta='{"a":1}')
    assert parts(arguments, done(0, **call("c1", "f", '{"a":1}')), completed()) == [
        ToolCall(id="c1", name="f", arguments='{"a":1}')
    ]


def test_pitfall_079_an_item_is_known_by_its_place_not_its_id() -> None:
    found = parts(
        added(0, type="message"),
        added(1, **F1),
        event("output_text.delta", 0, delta="Hi"),
        event("function_call_arguments.delta", 1, delta="{}"),
        done(0, **message("Hi")),
        done(1, **call("c1", "f", "{}")),
        completed(),
    )
    assert found == [Text("Hi"), ToolCall(id="c1", name="f", arguments="{}")]


def test_pitfall_080_arguments_that_are_ciphertext_wait_for_plain_ones() -> None:
    found = parts(
        added(0, **F1),
        event("function_call_arguments.delta", delta="Zx9kQ==", obfuscation="a"),
        event("function_call_arguments.delta", delta="pL{{", obfuscation="b"),
        event("function_call_arguments.done", arguments='{"a":1}'),
        done(0, **call("c1", "f", '{"a":1}')),
        completed(),
    )
    assert found == [ToolCall(id="c1", name="f", arguments='{"a":1}')]


def test_ciphertext_alone_is_no_arguments() -> None:
    cipher = event("function_call_arguments.delta", delta="Zx9kQ==")
    assert parts(added(0, **F1), cipher, completed())[0].arguments == "{}"


@pytest.mark.parametrize("has_deltas", [True, False])
def test_pitfall_081_what_done_repeats_is_said_once(has_deltas: bool) -> None:
    deltas = [
        [event("reasoning_summary_text.delta", 0, summary_index=0, delta="Hm")],
        [event("output_text.delta", 1, content_index=0, delta="Hi")],
        [added(2, **F1), event("function_call_arguments.delta", 2, delta='{"a":1}')],
    ]
    ends = [
        [
            event("reasoning_summary_text.done", 0, summary_index=0, text="Hm"),
            done(0, type="reasoning", encrypted_content="E", summary=[{"type": "summary_text", "text": "Hm"}]),
        ],
        [event("output_text.done", 1, content_index=0, text="Hi"), done(1, **message("Hi"))],
        [
            event("function_call_arguments.done", 2, arguments='{"a":1}'),
            done(2, **call("c1", "f", '{"a":1}')),
        ],
    ]
    events = [
        found for delta, end in zip(deltas, ends, strict=True) for found in [*(delta if has_deltas else []), *end]
    ]
    thought, text, tool = parts(*events, completed())
    assert isinstance(thought, Reasoning)
    assert (thought.text, text, tool.arguments) == ("Hm", Text("Hi"), '{"a":1}')


def test_what_the_deltas_left_out_is_made_good() -> None:
    found = parts(
        event("output_text.delta", delta="Hel"),
        done(0, **message("Hello")),
        event("output_text.delta", delta=" late"),
        completed(),
    )
    assert found == [Text("Hello")]


def test_pitfall_063_items_that_only_the_end_has_are_recovered() -> None:
    assert parts(completed(message("Hi"), call("c1", "f", "{}"))) == [
        Text("Hi"),
        ToolCall(id="c1", name="f", arguments="{}"),
    ]


def test_items_that_the_end_has_not_are_kept_and_none_comes_twice() -> None:
    assert parts(done(0, **message("Hi")), completed()) == [Text("Hi")]
    assert parts(done(1, **message("Hi")), completed(message("Hi"))) == [Text("Hi")]


def test_pitfall_092_calls_that_interleave_come_one_by_one() -> None:
    found = parts(
        added(0, **F1),
        added(1, **F2),
        event("function_call_arguments.delta", 0, delta='{"a"'),
        event("function_call_arguments.delta", 1, delta='{"b"'),
        event("function_call_arguments.delta", 0, delta=":1}"),
        event("function_call_arguments.delta", 1, delta=":2}"),
        done(1, **call("c2", "g", '{"b":2}')),
        done(0, **call("c1", "f", '{"a":1}')),
        completed(),
    )
    assert found == [
        ToolCall(id="c1", name="f", arguments='{"a":1}'),
        ToolCall(id="c2", name="g", arguments='{"b":2}'),
    ]


def test_text_that_goes_on_amid_a_call_comes_before_it() -> None:
    found = parts(
        event("output_text.delta", 0, delta="Hi "),
        added(1, **F1),
        event("output_text.delta", 0, delta="there"),
        done(1, **call("c1", "f", "{}")),
        completed(),
    )
    assert found == [Text("Hi there"), ToolCall(id="c1", name="f", arguments="{}")]


def test_pitfall_059_the_parts_of_a_summary_are_paragraphs() -> None:
    found = parts(
        event("reasoning_summary_text.delta", summary_index=0, delta="One"),
        event("reasoning_summary_text.delta", summary_index=1, delta="Two"),
        done(0, type="reasoning", encrypted_content="E", summary=[{"text": "One"}, {"text": "Two"}]),
        completed(),
    )
    assert found[0].text == "One\n\nTwo"
    assert found[0].carrier.id == "done0"


def test_reasoning_that_only_its_end_shows_is_shown() -> None:
    thought = {"type": "reasoning", "encrypted_content": "E", "summary": [{"text": "One"}, {"text": "Two"}]}
    assert parts(added(0, type="reasoning", summary=[]), done(0, **thought), completed())[0].text == "One\n\nTwo"


def test_reasoning_without_a_word_still_has_its_carrier() -> None:
    found = parts(done(0, type="reasoning", encrypted_content="E", summary=[]), completed())
    assert found[0].carrier.data == "E"
    assert parts(added(0, type="reasoning", summary=[]), completed()) == []


def test_of_a_summary_and_the_full_text_the_first_counts() -> None:
    found = parts(
        event("reasoning_text.delta", content_index=0, delta="full"),
        event("reasoning_summary_text.delta", summary_index=0, delta="short"),
        completed(),
    )
    assert [part.text for part in found] == ["full"]


def test_a_refusal_is_one() -> None:
    assert parts(event("refusal.delta", delta="No"), event("refusal.done", refusal="No."), completed()) == [
        Refusal("No.")
    ]


def test_a_custom_call_brings_its_input_as_it_is() -> None:
    custom = {"type": "custom_tool_call", "call_id": "c", "name": "patch"}
    found = parts(
        added(0, **custom, input=""),
        event("custom_tool_call_input.delta", delta="*** "),
        event("custom_tool_call_input.delta", delta="Begin"),
        event("custom_tool_call_input.done", input="*** Begin"),
        done(0, **custom, input="*** Begin"),
        completed(),
    )
    assert found == [ToolCall(id="c", name="patch", arguments="*** Begin", is_custom=True)]


def test_another_call_on_the_index_of_one_that_is_over_is_another() -> None:
    found = parts(
        added(0, **F1),
        done(0, **call("c1", "f", "{}")),
        added(0, **F2),
        done(0, **call("c2", "g", "{}")),
        completed(),
    )
    assert [part.id for part in found] == ["c1", "c2"]


def test_pitfall_086_a_model_that_writes_only_blanks_is_stopped() -> None:
    blanks = [event("function_call_arguments.delta", delta="\n" * 7) for _ in range(4)]
    reader = ResponsesReader()
    reader.feed(sse(CREATED, added(0, **F1), event("function_call_arguments.delta", delta='{"a":'), *blanks))
    assert isinstance(reader.failure, UpstreamFailed)
    spread = [event("function_call_arguments.delta", delta=piece) for piece in ('{"a":', "\n  \n", '"x\\n\\n"', "}")]
    assert len(parts(added(0, **F1), *spread, completed())) == 1


def test_events_may_lack_their_type_where_they_are_named() -> None:
    body = json.dumps({"output_index": 0, "delta": "Hi"})
    assert parts(f"event: response.output_text.delta\ndata: {body}", "data: [DONE]", completed()) == [Text("Hi")]


def test_pitfall_098_an_end_without_a_last_event_is_a_cut() -> None:
    for tail in (b"", b"data: [DONE]\n\n", b'data: {"type":"response.comp'):
        reader = ResponsesReader()
        reader.feed(sse(CREATED, event("output_text.delta", delta="Hi")) + tail)
        with pytest.raises(UpstreamCut):
            reader.finish()


@pytest.mark.parametrize(
    ("failing", "kind"),
    [
        ({"type": "error", "error": {"code": "user_model_rate_limited:x", "message": "slow"}}, UpstreamRateLimited),
        ({"type": "error", "code": "rate_limit_exceeded", "message": "slow"}, UpstreamRateLimited),
        ({"type": "response.failed", "response": {"error": {"code": "server_error"}}}, UpstreamFailed),
        ({"type": "response.failed", "response": {"error": {"code": "context_length_exceeded"}}}, UpstreamRefused),
        ({"type": "response.failed"}, UpstreamFailed),
        ({"type": "response.cancelled", "response": {"status": "cancelled"}}, UpstreamCut),
        ({"type": "response.completed", "response": {"status": "failed", "error": {}}}, UpstreamFailed),
        ({"type": "", "error": {"code": "rate_limit_exceeded"}}, UpstreamRateLimited),
    ],
)
def test_what_the_upstream_reports_is_a_failure_after_what_came_before(failing: Any, kind: type[GatewayError]) -> None:
    reader = ResponsesReader()
    events = reader.feed(sse(CREATED, event("output_text.delta", delta="Hi"), failing))
    assert events[1:] == [TextDelta("Hi")]
    assert type(reader.failure) is kind
    assert reader.feed(sse(completed())) == []
    with pytest.raises(kind):
        reader.finish()


def test_pitfall_082_a_page_of_html_is_a_failure() -> None:
    reader = ResponsesReader()
    assert reader.feed(b"\n <!DOCTYPE html>") == []
    assert isinstance(reader.failure, UpstreamFailed)


def test_an_error_as_plain_json_is_read() -> None:
    reader = ResponsesReader()
    assert reader.feed(b'{"error":{"code":"rate_limited",') == []
    reader.feed(b'"message":"slow"}}\n')
    with pytest.raises(UpstreamRateLimited):
        reader.finish()


def test_pitfall_113_a_whole_answer_in_the_place_of_a_stream_is_read() -> None:
    source = (CASES / "whole_answer" / "upstream.json").read_bytes()
    for pieces in ([source], [source[:1], source[1:]]):
        assert [type(found) for found in read(pieces)].count(ToolStart) == 1


def test_nonsense_before_anything_else_is_a_failure_and_later_is_passed_over() -> None:
    reader = ResponsesReader()
    reader.feed(b"data: <oops>\n\n")
    assert isinstance(reader.failure, UpstreamFailed)
    assert parts("data: <oops>", "data: 3", 'data: {"type":7}', done(0, **message("Hi")), completed()) == [Text("Hi")]


def test_arguments_that_contradict_what_was_sent_are_a_failure() -> None:
    reader = ResponsesReader()
    garbled = [event("function_call_arguments.delta", delta='{"a'), done(0, **call("c1", "f", '{"b":1}'))]
    reader.feed(sse(CREATED, added(0, **F1), *garbled))
    assert isinstance(reader.failure, UpstreamFailed)


def test_a_call_without_a_name_is_a_failure() -> None:
    reader = ResponsesReader()
    reader.feed(sse(CREATED, done(0, **call("c1", "", "{}"))))
    assert isinstance(reader.failure, UpstreamFailed)


def test_wrong_kinds_are_left_out() -> None:
    odd = {"type": "response.output_text.delta", "output_index": "0", "content_index": None, "delta": "Hi"}
    assert parts(odd, {**odd, "delta": 3}, completed()) == [Text("Hi")]
    assert read(sse(CREATED, completed(usage=USAGE | {"input_tokens": "x"})))[-1].usage.input_tokens == 0  # type: ignore[union-attr]


_NAMES = st.sampled_from(
    [
        "item",
        "type",
        "output_index",
        "delta",
        "text",
        "arguments",
        "name",
        "call_id",
        "response",
        "output",
        "status",
        "summary",
        "content",
        "error",
        "usage",
        "encrypted_content",
        "part",
        "input",
        "summary_index",
    ]
)
_VALUES = st.recursive(
    st.none() | st.integers(-1, 3) | st.sampled_from(["message", "reasoning", "function_call", "{", "c1", "failed"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=6,
)
_KINDS = st.sampled_from([*ResponsesReader()._steps, "response.other", ""])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(_KINDS, st.dictionaries(_NAMES, _VALUES, max_size=6)), max_size=8))
def test_any_events_are_events_in_order_or_an_error(events: list[tuple[str, dict[str, Any]]]) -> None:
    with contextlib.suppress(GatewayError):
        read(sse(CREATED, *[{**fields, "type": kind} for kind, fields in events], completed()))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=30) | st.sampled_from([b"data: ", b"\n\n", b'{"type":"error"}', b"{"]), max_size=6))
def test_any_bytes_are_events_or_an_error(pieces: list[bytes]) -> None:
    with contextlib.suppress(GatewayError):
        read(pieces)
