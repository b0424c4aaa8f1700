"""The live tail: on record, filtered, rows as the list has them, going on from where a reader was."""

import asyncio
import json
import re
from typing import Any

import pytest

from copilot_api.admin.answers import Stream
from copilot_api.admin.views.trace_tail import TraceTailViews
from copilot_api.api import trace_tail
from copilot_api.api.trace_tail import TooManyTails
from copilot_api.audit.models import AuditEvent
from copilot_api.errors import BadRequest, StorageUnavailable
from tests.admin.services import TEMPLATES, World, text_of
from tests.admin.views.test_traces import HOSTILE, keep

PATH = "/admin/traces/tail"


@pytest.fixture
def views(world: World) -> TraceTailViews:
    return TraceTailViews(world.services, TEMPLATES.render)


def follow(world: World, views: TraceTailViews, target: str, count: int, **more: Any) -> list[tuple[str, str]]:
    """The first events of the stream, each with its name and data."""

    async def run() -> list[tuple[str, str]]:
        answer = await views.follow(world.request(target, **more))
        assert isinstance(answer, Stream)
        assert answer.is_live
        text = ""
        async for chunk in answer.chunks:
            text += chunk.decode()
            if text.count("\n\n") >= count:
                break
        await answer.chunks.aclose()
        return re.findall(r"event: (\w+)\ndata: (.*)\n\n", text)

    return asyncio.run(run())


def test_the_page_says_whether_anything_will_come(world: World, views: TraceTailViews) -> None:
    assert "Nobody is captured" in text_of(world.show(views.show, PATH))
    world.stored.keys.start_capture(world.asking.id, "a broken call", 600, actor="test")
    world.stored.keys.load()
    assert "Waiting for a call" in text_of(world.show(views.show, PATH))
    world.may_capture = False
    assert "Captures are forbidden" in text_of(world.show(views.show, PATH))
    assert "cannot be looked for" in text_of(world.show(views.show, f"{PATH}?q=who:me"))


def test_it_goes_on_behind_the_last_one_and_filters(world: World, views: TraceTailViews) -> None:
    first, second, third = (keep(world, f"req_{number}", model=f"model-{number}") for number in range(3))
    events = follow(world, views, f"{PATH}/events?after={first.number}&q=model:model-2", 3)
    assert [name for name, _ in events] == ["start", "passed", "trace"]
    assert json.loads(events[0][1]) == {"after": first.number}
    assert int(events[1][1]) == second.number
    html = json.loads(events[2][1])["html"]
    assert third.request_id in html
    assert HOSTILE not in html
    assert "model-2" in text_of(html)


def test_a_browser_that_comes_back_says_where_it_was(world: World, views: TraceTailViews) -> None:
    first, second = keep(world, "req_1"), keep(world, "req_2")
    headers = {"last-event-id": str(first.number)}
    events = follow(world, views, f"{PATH}/events?after=1", 2, headers=headers)
    assert second.request_id in events[1][1]


def test_following_is_on_record_or_not_done(
    world: World, views: TraceTailViews, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow(world, views, f"{PATH}/events?q=model:m", 1)
    (line,) = world.stored.audit.list_events(action="traces.tailed")
    assert line.detail == {"after": None, "q": "model:m"}

    def fail(_: AuditEvent) -> None:
        raise StorageUnavailable("the disk is full")

    monkeypatch.setattr(world.stored.audit, "append", fail)
    with pytest.raises(StorageUnavailable):
        world.ask(views.follow, f"{PATH}/events")


def test_what_cannot_be_followed_is_refused(
    world: World, views: TraceTailViews, monkeypatch: pytest.MonkeyPatch
) -> None:
    for query in ("q=who:me", "after=x"):
        with pytest.raises(BadRequest):
            world.ask(views.follow, f"{PATH}/events?{query}")
    monkeypatch.setattr(trace_tail, "MAX_TAILS", 0)
    with pytest.raises(TooManyTails):
        world.ask(views.follow, f"{PATH}/events")
