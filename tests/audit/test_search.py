"""Newest first, from the end, and no further than is asked."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from copilot_api.audit.lines import AuditRecord
from copilot_api.audit.models import Action, AuditEvent, Origin
from copilot_api.audit.search import AuditQuery
from tests.audit.logs import JANUARY, MONTH, Site

ACTORS, TARGETS = ["local:me", "key_a", "gateway"], ["key_a", "key_b", "config.json"]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """60 lines over five segments and more, an hour apart."""
    site = Site(tmp_path_factory.mktemp("audit") / "audit.jsonl", segment_bytes=2500)
    for number in range(60):
        action = Action.KEY_ISSUED if number % 4 else Action.CONFIG_CHANGED
        origin = Origin(request_id=f"req_{number % 10}") if number % 2 else Origin()
        site.log.append(AuditEvent(ACTORS[number % 3], action, TARGETS[number % 5 % 3], {"n": number}, origin))
        site.clock.advance(3600)
    assert len(site.files) > 4
    return site


def seqs(records: list[AuditRecord]) -> list[int]:
    return [record.seq for record in records]


def test_all_of_it_comes_newest_first(filled: Site) -> None:
    records = filled.log.list_events()
    assert seqs(records) == [*range(60, 0, -1)]
    assert (records[0].detail, records[0].actor, records[0].request_id) == ({"n": 59}, "gateway", "req_9")


Hours = st.none() | st.integers(0, 60).map(lambda hours: JANUARY + timedelta(hours=hours))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    since=Hours, until=Hours, actor=st.sampled_from([None, *ACTORS]), target=st.sampled_from([None, *TARGETS]),
    action=st.sampled_from([None, "key.issued", "config.changed", "key.revoked"]),
    request_id=st.sampled_from([None, "req_1", "req_9", "nobody's"]), before_seq=st.none() | st.integers(1, 70),
    limit=st.none() | st.integers(1, 20), max_lines=st.none() | st.integers(1, 30),
)  # fmt: skip
def test_what_is_asked_for_is_what_a_plain_look_at_all_lines_finds(filled: Site, **asked: Any) -> None:
    limit, max_lines = asked.pop("limit"), asked.pop("max_lines")
    since, until, before = asked["since"], asked["until"], asked["before_seq"]
    fields = {name: asked[name] for name in ("actor", "action", "target", "request_id") if asked[name] is not None}
    meant = [
        record.seq
        for record in filled.log.list_events()
        if all(getattr(record, name) == value for name, value in fields.items())
        and (since is None or record.moment >= since)
        and (until is None or record.moment < until)
        and (before is None or record.seq < before)
    ]
    assert seqs(filled.log.list_events(**asked, limit=limit)) == meant[:limit]
    # Page by page it is the same, whatever the bounds of a page are.
    found: list[int] = []
    following = before
    for _ in range(200):
        page = filled.log.get_page(AuditQuery(**{**asked, "before_seq": following}), limit, max_lines)
        assert limit is None or len(page.events) <= limit
        found += seqs(page.events)
        following = page.next
        if following is None:
            break
    assert found == meant


def test_nothing_is_read_behind_what_is_asked(filled: Site, tmp_path: Path) -> None:
    copy = Site(tmp_path / "audit.jsonl")
    for path in filled.files:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    for path in copy.files[:-1]:
        content = path.read_bytes()
        path.write_bytes(content[:40] + b"\x00" * (len(content) - 40))
    newest = len(copy.path.read_bytes().splitlines())
    assert seqs(copy.log.list_events(limit=newest)) == [*range(60, 60 - newest, -1)]


def test_a_clock_that_was_set_back_by_less_than_a_day_hides_nothing(site: Site) -> None:
    site.append(2)
    site.clock.advance(-0.9 * 86_400.0)
    site.append(2)
    assert seqs(site.log.list_events(since=JANUARY)) == [2, 1]
    assert seqs(site.log.list_events(since=JANUARY - timedelta(days=1))) == [4, 3, 2, 1]


def test_what_is_no_line_is_passed_over(site: Site) -> None:
    site.append(2)
    with site.path.open("ab") as file:
        file.write(b'nonsense\n\n{"seq":9}\n\xff\xfe\n')
    site.append()
    assert seqs(site.log.list_events()) == [4, 3, 2, 1]
    with site.path.open("ab") as file:
        file.write(b'{"seq":5,"at')
    assert seqs(site.log.list_events()) == [4, 3, 2, 1]


def test_an_empty_log_has_nothing(site: Site) -> None:
    assert site.log.list_events() == []
    assert site.log.get_page(AuditQuery(before_seq=5), 1, 1).next is None


def test_the_beginning_of_time_is_no_trouble(site: Site) -> None:
    site.append()
    assert len(site.log.list_events(since=JANUARY.replace(year=1, month=1, day=1, hour=0))) == 1


def test_a_page_ends_at_the_end_of_its_months(site: Site) -> None:
    site.fill(2, 2, 2)
    site.clock.advance(MONTH)
    page = site.log.get_page(AuditQuery(), 4)
    assert (seqs(page.events), page.next) == ([6, 5, 4, 3], 3)
    page = site.log.get_page(AuditQuery(before_seq=3), 4)
    assert (seqs(page.events), page.next) == ([2, 1], None)
