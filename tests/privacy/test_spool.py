"""The journal is brought in and looked through, whoever wrote it and whether they live."""

import pytest

from copilot_api.errors import StorageUnavailable
from copilot_api.privacy import spool
from copilot_api.usage.journal import BEGIN, END, JournalWriter
from copilot_api.usage.models import UsageEvent
from tests.privacy.site import Site


def test_what_a_dead_process_left_is_brought_in_and_its_files_go(site: Site) -> None:
    written = site.fill_journal(ended=2, begun=1)
    spool.bring_in(site.stored.directory.spool, site.stored.usage, name="eraser")
    assert site.repository.list_stored([event.request_id for event in written]) == {
        event.request_id for event in written
    }
    assert list(site.stored.directory.spool.iterdir()) == []


def test_what_a_living_process_writes_stays_with_it(site: Site) -> None:
    writer = JournalWriter(site.stored.directory.spool, name="living", segment_bytes=4096)
    writer.append(END, UsageEvent(request_id="req_1", at=site.clock.now().isoformat()))
    spool.bring_in(site.stored.directory.spool, site.stored.usage, name="eraser")
    assert [path.name for path in site.stored.directory.spool.iterdir()] == ["living-000001.journal"]
    assert site.repository.list_stored(["req_1"]) == set()
    writer.segments[0].close()


def test_without_a_journal_nothing_is_done(site: Site) -> None:
    spool.bring_in(site.stored.directory.spool, site.stored.usage, name="eraser")
    assert not site.stored.directory.spool.exists()
    assert spool.count_lines(site.stored.directory.spool, site.key.id) == 0


def test_a_database_that_takes_nothing_is_said_and_the_journal_stays(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.fill_journal()

    def refuse(_events: object) -> int:
        raise StorageUnavailable("the database cannot be used: it is full")

    monkeypatch.setattr(site.stored.usage, "add_events", refuse)
    with pytest.raises(StorageUnavailable, match="it is full"):
        spool.bring_in(site.stored.directory.spool, site.stored.usage, name="eraser")
    assert len(list(site.stored.directory.spool.iterdir())) == 1


def test_lines_calls_under_way_and_waiting_events_are_those_of_the_key(site: Site) -> None:
    written = [event for event in site.fill_journal(ended=3, begun=2) if event.key_id == site.key.id]
    directory, stored = site.stored.directory.spool, site.repository.list_stored
    assert spool.count_lines(directory, site.key.id) == 3 * 2 + 2
    assert spool.count_under_way(directory, site.key.id) == 2
    site.stored.usage.add_events(written[:1])
    for portion in (1, 2, 500):
        waiting = list(spool.list_waiting(directory, site.key.id, stored, portion=portion))
        assert [event.request_id for event in waiting] == [event.request_id for event in written[1:3]]


def test_an_event_that_was_written_twice_waits_once(site: Site) -> None:
    writer = JournalWriter(site.stored.directory.spool, name="dead", segment_bytes=4096)
    event = UsageEvent(request_id="req_1", at=site.clock.now().isoformat(), key_id=site.key.id)
    for kind in (BEGIN, END, END):
        writer.append(kind, event)
    writer.segments[0].close()
    assert len(list(spool.list_waiting(site.stored.directory.spool, site.key.id, site.repository.list_stored))) == 1
