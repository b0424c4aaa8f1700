"""Captures: every look on record before it is answered, hostile text as text, replays once, and the comparison."""

import json
from typing import Any

import pytest

from copilot_api.admin.answers import Page, Redirect
from copilot_api.admin.views import traces as trace_views
from copilot_api.admin.views.traces import TraceViews
from copilot_api.audit.models import AuditEvent
from copilot_api.capture.lines import encode_trace, summarise
from copilot_api.capture.models import Attempt, Cut, Leg, Moment, Trace
from copilot_api.capture.queries import TraceDayNotFound
from copilot_api.capture.ring import Kept
from copilot_api.errors import BadRequest, OverBudget, StorageUnavailable
from tests.admin.services import World, text_of

PATH = "/admin/traces"
HOSTILE = "<script>alert(1)</script>"
BODY = json.dumps(
    {
        "model": "gpt-4.1",
        "messages": [{"role": "system", "content": HOSTILE}, {"role": "user", "content": "How is the weather?"}],
    }
)


def answer(text: str = "Sunny.", tokens: int = 7) -> str:
    usage = {"prompt_tokens": 30, "completion_tokens": tokens, "total_tokens": 30 + tokens}
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return json.dumps({"id": "c", "object": "chat.completion", "model": "gpt-4.1", "choices": [choice], "usage": usage})


def keep(world: World, request_id: str = "req_1", **more: Any) -> Trace:
    fields: dict[str, Any] = {
        "at": world.clock.now().isoformat(),
        "key_id": "key_gone",
        "client": HOSTILE,
        "endpoint": "/v1/chat/completions",
        "model": "gpt-4.1",
        "status": 200,
        "cause": "ok",
        "duration_ms": 900.0,
        "client_request": Leg(
            method="POST", target="/v1/chat/completions", headers=[("user-agent", HOSTILE)], body=BODY, bytes=len(BODY)
        ),
        "client_answer": Leg(status=200, started_ms=800.0, ended_ms=890.0, body=answer(), bytes=100),
    }
    trace = Trace(number=world.traces.next_number(), request_id=request_id, **{**fields, **more})
    line = encode_trace(trace)
    world.traces.keep(Kept(line, summarise(line)), lambda: True)
    return trace


@pytest.fixture
def views(world: World) -> TraceViews:
    return TraceViews(world.services)


def audited(world: World) -> list[tuple[str, str]]:
    lines = world.stored.audit.list_events(actor=world.asking.id)
    return [(line.action, line.target) for line in reversed(lines)]


def test_a_list_is_on_record_with_what_was_asked(world: World, views: TraceViews) -> None:
    keep(world)
    html = world.show(views.browse, f"{PATH}?q=model:gpt-4.1")
    assert "200" in text_of(html)
    assert HOSTILE not in html
    (line,) = world.stored.audit.list_events(action="traces.listed")
    assert line.detail == {"q": "model:gpt-4.1", "range": "7d"}


def test_a_query_that_cannot_be_read_is_told_and_nothing_looked_at(world: World, views: TraceViews) -> None:
    keep(world)
    assert "cannot be looked for" in text_of(world.show(views.browse, f"{PATH}?q=who:me"))
    assert audited(world) == []
    with pytest.raises(BadRequest):
        world.ask(views.browse, f"{PATH}?after=x")


def test_pages_go_on_where_they_ended(world: World, views: TraceViews, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_views, "PAGE_TRACES", 2)
    numbers = [keep(world, f"req_{number}").number for number in range(3)]
    first = world.show(views.browse, PATH)
    assert "req_0" not in first
    assert f"after={numbers[1]}" in first
    assert "req_0" in world.show(views.browse, f"{PATH}?after={numbers[1]}&back=-")


def test_nothing_captured_says_how_to_capture(world: World, views: TraceViews) -> None:
    assert "Choose a key" in text_of(world.show(views.browse, PATH))
    world.may_capture = False
    assert "Captures are forbidden" in text_of(world.show(views.browse, PATH))


def test_keys_that_are_captured_are_named(world: World, views: TraceViews) -> None:
    world.stored.keys.start_capture(world.asking.id, "a broken call", 600, actor="test")
    world.stored.keys.load()
    text = text_of(world.show(views.browse, PATH))
    assert "Captured now" in text
    assert "a broken call" in text


def test_a_trace_shows_the_conversation_and_all_legs(world: World, views: TraceViews) -> None:
    keep(
        world,
        upstream_request=Leg(method="POST", target="https://example.invalid/chat", started_ms=5.0, body=BODY),
        upstream_answer=Leg(
            status=200,
            started_ms=300.0,
            ended_ms=880.0,
            body='data: {"choices": []}\n\ndata: [DONE]\n\n',
            timeline=[Moment(300.0, 10), Moment(310.0, 10), Moment(800.0, 20)],
        ),
        earlier_attempts=[Attempt(request=Leg(started_ms=1.0), answer=Leg(status=503, started_ms=2.0, ended_ms=4.0))],
        redactions={"github": 2},
    )
    html = world.show(views.show, f"{PATH}/req_1", request_id="req_1")
    text = text_of(html)
    assert HOSTILE not in html
    for part in (
        "How is the weather?",
        "Sunny.",
        "github \u00d7 2",
        "From the client",
        "To Copilot, try 1",
        "From Copilot",
        "To the client",
        "Pieces 1 to 2",
        "nothing for 490 ms",
        "37",
    ):
        assert part in text, part
    assert audited(world) == [("trace.read", "req_1")]


def test_what_is_missing_is_said(world: World, views: TraceViews) -> None:
    keep(
        world,
        withheld=1,
        client_answer=Leg(status=200, withheld="a suspect stayed", bytes=10),
        client_request=Leg(method="POST", target="/", body=BODY[:20], bytes=9000, cut=Cut(8980, "ab" * 32)),
    )
    text = text_of(world.show(views.show, f"{PATH}/req_1", request_id="req_1"))
    for part in ("Not all of it is shown", "a suspect stayed", "8,980 bytes", "It cannot be sent again"):
        assert part in text, part


def test_what_cannot_be_put_on_record_is_not_shown(
    world: World, views: TraceViews, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(world)

    def fail(_: AuditEvent) -> None:
        raise StorageUnavailable("the disk is full")

    monkeypatch.setattr(world.stored.audit, "append", fail)
    for view in (views.show, views.browse, views.replay, views.compare):
        with pytest.raises(StorageUnavailable):
            world.ask(view, PATH, request_id="req_1", replay_id="req_2")
    assert world.replays.asked == []


def test_no_trace_is_a_page_that_says_so(world: World, views: TraceViews) -> None:
    for view in (views.show, views.replay, views.compare):
        page = world.ask(view, PATH, request_id="req_9", replay_id="req_8")
        assert isinstance(page, Page)
        assert page.status == 404
    assert "No trace of this call" in text_of(world.show(views.show, PATH, request_id="req_9"))


def test_the_file_of_a_day_is_the_apis(world: World, views: TraceViews) -> None:
    assert world.ask(views.download, PATH, date="2026-07-01") == Redirect(f"{PATH}/2026-07-01.jsonl")
    with pytest.raises(TraceDayNotFound):
        world.ask(views.download, PATH, date="../keys")


# Replay ---------------------------------------------------------------------------------------------------------------


def test_a_replay_is_sent_once_whatever_the_browser_does(world: World, views: TraceViews) -> None:
    keep(world)
    form = {"form_id": "a", "model": " gpt-5-mini "}
    first = world.ask(views.replay, f"{PATH}/req_1/replay", method="POST", form=form, request_id="req_1")
    again = world.ask(views.replay, f"{PATH}/req_1/replay", method="POST", form=form, request_id="req_1")
    assert first == again == Redirect(f"{PATH}/req_1/replays/req_again")
    assert world.replays.asked == [(world.asking.id, "req_1", "gpt-5-mini")]


def test_a_replay_that_is_refused_says_why_and_may_be_sent_again(world: World, views: TraceViews) -> None:
    keep(world)
    world.replays.failure = OverBudget("the budget is used up")
    form = {"form_id": "a", "model": "gpt-5-mini"}
    html = world.show(views.replay, f"{PATH}/req_1/replay", method="POST", form=form, request_id="req_1")
    assert "the budget is used up" in html
    assert 'value="gpt-5-mini"' in html
    world.replays.failure = None
    answered = world.ask(views.replay, f"{PATH}/req_1/replay", method="POST", form=form, request_id="req_1")
    assert isinstance(answered, Redirect)


def compare(world: World, views: TraceViews) -> str:
    return text_of(world.show(views.compare, PATH, request_id="req_1", replay_id="req_2"))


def test_two_answers_are_compared(world: World, views: TraceViews) -> None:
    keep(world)
    again = Leg(status=200, body=answer("Rainy.", 9), bytes=100)
    keep(world, "req_2", model="gpt-5-mini", replay_of="req_1", reason="replay", client_answer=again)
    text = compare(world, views)
    for part in ("the model was gpt-5-mini instead of gpt-4.1", "Sunny.", "Rainy.", "Output tokens 7 9"):
        assert part in text, part
    assert audited(world) == [("trace.read", "req_1"), ("trace.read", "req_2")]


def test_the_same_answer_is_said_to_be_the_same(world: World, views: TraceViews) -> None:
    keep(world)
    keep(world, "req_2", replay_of="req_1", reason="replay")
    assert "The same answer" in compare(world, views)
    assert "A replay" in text_of(world.show(views.show, PATH, request_id="req_2"))


def test_what_is_no_replay_of_it_is_not_compared(world: World, views: TraceViews) -> None:
    keep(world)
    keep(world, "req_2")
    page = world.ask(views.compare, PATH, request_id="req_1", replay_id="req_2")
    assert isinstance(page, Page)
    assert page.status == 404


def test_an_answer_that_was_not_captured_is_looked_for_in_the_ledger(world: World, views: TraceViews) -> None:
    keep(world)
    assert "Nothing to compare" in compare(world, views)
