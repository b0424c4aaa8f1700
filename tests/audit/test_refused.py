"""Refused keys: on record, bounded, and nobody waits for it."""

import hashlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from copilot_api.audit import refused as module
from copilot_api.audit.models import Origin
from copilot_api.audit.refused import MAX_KEYLESS, MAX_KEYS, RefusedKeys
from copilot_api.observability.events import Notice, Observation
from tests.audit.logs import Site

KEY = "sk-cap-" + "a" * 52


class Desk:
    """What counts refused keys, without its thread unless it is started."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.observed: list[Observation] = []
        self.refused = RefusedKeys(site.log.append, site.clock, self.observed.append, period_seconds=0.01)

    def note(self, secret: str = KEY, address: str | None = "192.0.2.1", agent: str = "ci/1.0", request: str = "req_1") -> None:  # fmt: skip
        self.refused.note(secret, "the API key is not known", Origin(address, agent, request))

    @property
    def lines(self) -> list[Any]:
        return [line for line in self.site.lines if line["action"] == "key.refused"]

    @property
    def total(self) -> int:
        return sum(line["detail"]["count"] for line in self.lines)


@pytest.fixture
def desk(site: Site) -> Iterator[Desk]:
    desk = Desk(site)
    yield desk
    desk.refused.stop()


def test_a_refused_key_is_on_record_by_the_first_digits_of_its_hash_and_where_it_came_from(desk: Desk) -> None:
    desk.note()
    desk.refused.flush()
    (line,) = desk.lines
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    assert (line["actor"], line["target"]) == ("unknown", f"sha256:{digest[:8]}")
    assert (line["address"], line["user_agent"], line["request_id"]) == ("192.0.2.1", "ci/1.0", "req_1")
    assert line["detail"] == {"count": 1, "reason": "the API key is not known"}
    text = desk.site.path.read_text()
    assert KEY not in text
    assert digest[:9] not in text
    assert desk.site.problems == []


def test_the_same_key_from_the_same_address_is_one_line_with_its_number(desk: Desk) -> None:
    for number in range(1000):
        desk.note(request=f"req_{number}")
    desk.note(address="192.0.2.2")
    desk.note(KEY[:-1] + "b")
    desk.refused.flush()
    assert sorted(line["detail"]["count"] for line in desk.lines) == [1, 1, 1000]
    assert desk.lines[0]["request_id"] == "req_0", "the first of them"
    desk.note()
    desk.refused.flush()
    assert len(desk.lines) == 4, "a minute later it is a line again"


def test_no_key_at_all_is_counted_by_address(desk: Desk) -> None:
    for number in range(100):
        desk.note("", f"192.0.2.{number % 2}")
    desk.refused.flush()
    assert [(line["target"], line["detail"]["count"]) for line in desk.lines] == [("no key", 50), ("no key", 50)]


def test_so_many_different_ones_have_a_line_the_others_are_one_with_their_number(desk: Desk) -> None:
    for number in range(500):
        desk.note(f"guess {number}", f"192.0.2.{number % 200}")
        desk.note("", f"198.51.100.{number % 200}")
    desk.refused.flush()
    assert len(desk.lines) == MAX_KEYS + MAX_KEYLESS + 1
    assert (desk.lines[-1]["target"], desk.total) == ("others", 1000)
    assert desk.lines[-1].keys().isdisjoint({"address", "user_agent", "request_id"})


def test_a_day_of_a_flood_fills_no_disk(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINES_A_DAY", 50)
    for minute in range(30):
        for number in range(100):
            desk.note(f"guess {minute} {number}")
        desk.refused.flush()
        desk.site.clock.advance(60)
    assert len(desk.lines) <= 50 + 30
    assert desk.total == 3000
    desk.site.clock.advance(86_400)
    desk.note()
    desk.refused.flush()
    assert desk.lines[-1]["target"].startswith("sha256:"), "the next day has its own"


def test_what_cannot_be_written_is_counted_until_it_can(desk: Desk) -> None:
    desk.site.path.mkdir()
    for _ in range(3):
        desk.note()
        desk.refused.flush()
    assert [each.text[:52] for each in desk.observed if isinstance(each, Notice)] == [
        "refused keys cannot be put on record now, only count"
    ]
    desk.site.path.rmdir()
    desk.refused.flush()
    assert [(line["target"], line["detail"]["count"]) for line in desk.lines] == [("others", 3)]


def test_a_thread_writes_what_was_counted_and_the_rest_at_the_end(desk: Desk) -> None:
    desk.refused.start()
    desk.note()
    deadline = time.monotonic() + 10
    while not desk.lines and time.monotonic() < deadline:
        time.sleep(0.01)
    assert desk.total == 1
    desk.note("another")
    desk.refused.stop()
    assert desk.total == 2
    assert not any(thread.name == "refused-keys" for thread in threading.enumerate())


def test_whoever_notes_does_not_wait_for_the_disk(desk: Desk) -> None:
    """The log is locked by somebody else the whole time."""
    is_held, is_over = threading.Event(), threading.Event()

    def append(*_: object) -> None:
        is_held.set()
        is_over.wait(10)

    refused = RefusedKeys(append, desk.site.clock, desk.observed.append, period_seconds=0.0)
    refused.start()
    refused.note(KEY, "no", Origin())
    assert is_held.wait(10)
    for number in range(10_000):
        refused.note(f"guess {number}", "no", Origin())
    assert not is_over.is_set()
    is_over.set()
    refused.stop()


def test_one_that_was_never_started_can_be_stopped(desk: Desk) -> None:
    desk.note()
    desk.refused.stop()
    assert desk.total == 1
