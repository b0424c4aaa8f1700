"""What pages listen to changes when they would show something else, and no more often than they should ask."""

from types import SimpleNamespace

from copilot_api.admin.live import LiveTopics
from copilot_api.admin.notices import GatewayState
from copilot_api.admin.topics import AGE_SECONDS, SlowMark, add_topics
from copilot_api.gateway.under_way import Phase
from tests.admin.services import World
from tests.fakes import FakeClock


def test_a_slow_mark_is_looked_at_only_so_often() -> None:
    clock, value = FakeClock(), [1]
    mark = SlowMark(clock, lambda: value[0], 5.0)
    assert mark() == 1
    value[0] = 2
    clock.advance(4.9)
    assert mark() == 1
    clock.advance(0.2)
    assert mark() == 2


def test_a_holder_hears_of_usage_only(world: World) -> None:
    topics = LiveTopics()
    add_topics(topics, world.services)
    wanted = ["usage", "calls", "state"]
    assert list(topics.choose(wanted, is_admin=True)) == wanted
    assert list(topics.choose(wanted, is_admin=False)) == ["usage"]


def test_calls_change_with_their_phases_and_while_they_last_with_time(world: World) -> None:
    topics = LiveTopics()
    add_topics(topics, world.services)
    mark = topics.choose(["calls"], is_admin=True)["calls"]
    seen = [mark()]
    world.clock.advance(AGE_SECONDS)
    assert mark() == seen[0], "nothing is under way"
    world.under_way["req_1"] = SimpleNamespace(phase=Phase.QUEUED)
    seen.append(mark())
    world.under_way["req_1"] = SimpleNamespace(phase=Phase.STREAMING)
    seen.append(mark())
    world.clock.advance(AGE_SECONDS)
    seen.append(mark())
    assert len(set(seen)) == len(seen)


def test_the_state_changes_with_what_is_said_of_it(world: World) -> None:
    topics = LiveTopics()
    add_topics(topics, world.services)
    mark = topics.choose(["state"], is_admin=True)["state"]
    before = mark()
    assert mark() == before
    world.state = GatewayState(is_open=True)
    assert mark() != before
