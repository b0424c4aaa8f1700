"""What open pages hear of."""

import asyncio

import pytest

from copilot_api.admin.answers import Stream
from copilot_api.admin.live import LiveTopics, LiveView
from copilot_api.admin.routes import Role, Route
from copilot_api.keys.models import Tier
from tests.admin.site import Site


def make_topics(counts: dict[str, int]) -> LiveTopics:
    topics = LiveTopics(check_seconds=0.001, quiet_seconds=0.02)
    topics.add("usage", lambda: counts["usage"], is_for_holders=True)
    topics.add("audit", lambda: counts["audit"])
    return topics


def test_a_reader_hears_what_changed_and_only_of_what_it_asked_for() -> None:
    counts = {"usage": 0, "audit": 0}
    topics = make_topics(counts)

    async def follow() -> list[bytes]:
        chunks = topics.follow(topics.choose(["usage", "unknown"], is_admin=True))
        heard = [await anext(chunks)]
        counts["audit"] += 1
        counts["usage"] += 1
        heard.append(await anext(chunks))
        heard.append(await anext(chunks))
        await chunks.aclose()
        return heard

    assert asyncio.run(follow()) == [b"retry: 3000\n\n", b'event: changed\ndata: ["usage"]\n\n', b":\n\n"]


def test_a_holder_hears_of_nothing_that_is_for_admins() -> None:
    topics = make_topics({})
    assert list(topics.choose(["usage", "audit", "usage"], is_admin=False)) == ["usage"]
    assert list(topics.choose(["usage", "audit"], is_admin=True)) == ["usage", "audit"]


def test_a_topic_has_one_mark() -> None:
    topics = make_topics({})
    with pytest.raises(ValueError, match="audit"):
        topics.add("audit", lambda: 0)


def test_the_view_answers_a_live_stream(site: Site) -> None:
    site_topics = LiveTopics()
    view = LiveView(site_topics)
    answers: list[object] = []

    async def show(request: object) -> object:
        answers.append(await view.follow(request))  # type: ignore[arg-type] # what the site hands on
        raise OSError("the client is gone")

    more = Site(site.stored, site.clock, more=[Route("GET", "/admin/listening", Role.HOLDER, show)])  # type: ignore[arg-type]
    browser = more.browser(more.issue(Tier.CLIENT))
    with pytest.raises(OSError, match="gone"):
        browser.get("/admin/listening?topics=usage")
    (answer,) = answers
    assert isinstance(answer, Stream)
    assert answer.is_live
    assert answer.media_type == "text/event-stream"
