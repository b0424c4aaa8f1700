"""
Erasing a key leaves nothing of it anywhere but in the audit log, whatever it is killed in the middle of; and nothing of
anybody else is touched.
"""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from copilot_api.errors import BadRequest, StorageUnavailable, Unauthorized
from copilot_api.keys.secret import digest_secret
from copilot_api.keys.service import KeyNotFound
from copilot_api.privacy.erasing import NOTICE_SECONDS, Eraser, Order
from copilot_api.privacy.models import ERASED, EventsFate
from copilot_api.privacy.receipts import Receipt, hash_of
from copilot_api.storage.privacy import SqlPrivacyRepository
from copilot_api.usage.journal import END, JournalWriter
from copilot_api.usage.models import UsageEvent
from tests.capture.kept import make_trace
from tests.privacy.site import ADMIN, LABEL, OTHER, Site, open_site

BOTH = pytest.mark.parametrize("fate", list(EventsFate))


def erase(site: Site, fate: EventsFate = EventsFate.PSEUDONYMISE, **more: Any) -> Receipt:
    return site.eraser.erase(site.subjects.get(site.key.id), Order(fate, ADMIN, **more))


def fill(site: Site) -> None:
    """Something of the key in every store."""
    site.write_config(["*"], [site.key.id], [LABEL, site.key.prefix, site.other.id])
    site.fill_journal()
    site.write_traces()
    path = site.stored.directory.admin_key
    path.touch(0o600)
    path.write_text(f"{site.secret}\n")


def check_gone(site: Site) -> None:
    """No file holds anything of it."""
    for needle in (site.key.id, site.key.prefix, LABEL, digest_secret(site.secret)):
        assert site.files_with(needle) == set(), needle
    site.check_sums()


@BOTH
def test_nothing_of_the_key_is_left_in_any_file(site: Site, fate: EventsFate) -> None:
    fill(site)
    receipt = erase(site, fate)
    assert receipt.leftovers == []
    assert receipt.is_complete
    check_gone(site)
    assert receipt.hash == hash_of(receipt)


@BOTH
def test_the_receipt_counts_what_went_from_each_store(site: Site, fate: EventsFate) -> None:
    fill(site)
    receipt = erase(site, fate)
    assert (receipt.keys, receipt.secrets) == (1, 1)
    assert receipt.journal_lines == 6
    # What the journal held is stored without the key's id: under its pseudonym, or not at all.
    assert receipt.events == len(site.own_events)
    assert receipt.series > 0
    assert (receipt.rollups > 0) is (fate is EventsFate.DELETE)
    assert (receipt.traces_in_files, receipt.trace_files) == (2, 1)
    assert receipt.config_mentions == 2
    # The version that it replaced names it too: of three former ones two did.
    assert (receipt.config_versions_rewritten, receipt.config_versions_deleted) == (2, 0)
    assert receipt.admin_key_file
    assert receipt.audit_lines_kept == sum(site.key.id in json.dumps(line) for line in site.audit_lines())
    assert receipt.traces_in_memory is None


@BOTH
def test_events_and_captures_and_rights_of_others_stay(site: Site, fate: EventsFate) -> None:
    fill(site)
    erase(site, fate)
    mine = {event.request_id for event in site.own_events}
    others = [event for event in site.stored_events() if event.request_id not in mine]
    assert {str(event) for event in site.others_events} <= set(map(str, others))
    assert sum(event.key_id == site.other.id for event in others) == 3 + sum(
        event.key_id == site.other.id for event in site.events
    )
    assert [trace.key_id for day in site.traces.list_days() for trace in site.traces.iter_traces(day.date)] == [
        site.other.id
    ]
    assert site.config.read().config.models["fast"].allowed_keys == [site.other.id]
    assert site.stored.keys.get(site.other.id).revoked_at is None


def test_pseudonymised_events_are_all_under_one_name_that_nothing_leads_to(site: Site) -> None:
    before = len(site.stored_events())
    erase(site)
    mine = {event.request_id for event in site.own_events}
    found = [event for event in site.stored_events() if event.request_id in mine]
    names = {event.key_id for event in found}
    assert len(site.stored_events()) == before
    assert (len(found), len(names)) == (len(mine), 1)
    name = str(names.pop())
    assert name.startswith("erased_")
    with site.stored.database.connect() as connection:
        assert connection.scalar(text("SELECT pseudonym FROM erasures")) is None
    assert name not in site.stored.directory.audit.read_text()


def test_the_key_is_refused_at_once(site: Site) -> None:
    site.stored.keys.load()
    site.stored.keys.authenticate(site.secret, site.clock.now())
    erase(site)
    assert site.stored.keys.needs_refresh()
    site.stored.keys.load()
    with pytest.raises(Unauthorized):
        site.stored.keys.authenticate(site.secret, site.clock.now())
    with pytest.raises(KeyNotFound):
        site.stored.keys.get(LABEL)


@BOTH
def test_a_call_that_ends_later_is_not_stored_under_the_key(site: Site, fate: EventsFate) -> None:
    erase(site, fate)
    late = UsageEvent(request_id="req_zzz", at=site.clock.now().isoformat(), key_id=site.key.id)
    site.stored.usage.add_events([late])
    found = [event.key_id for event in site.stored_events() if event.request_id == "req_zzz"]
    assert found == ([ERASED] if fate is EventsFate.PSEUDONYMISE else [])
    check_gone(site)


# On record ----------------------------------------------------------------------------------------------------------


def test_it_is_on_record_before_anything_is_done_and_with_its_receipt_when_it_is(site: Site) -> None:
    receipt = erase(site)
    begun, finished = [line for line in site.audit_lines() if line["action"] == "privacy.erased"]
    assert (begun["actor"], begun["target"], begun["detail"]) == (
        ADMIN,
        site.key.id,
        {"step": "begun", "events": "pseudonymise"},
    )
    detail = finished["detail"]
    assert isinstance(detail, dict)
    assert (detail["step"], detail["receipt"]) == ("finished", receipt.hash)
    assert LABEL not in json.dumps([begun, finished])


def test_without_its_audit_line_nothing_is_erased(site: Site) -> None:
    log = site.stored.directory.audit
    kept = log.read_bytes()
    log.unlink()
    log.mkdir()
    with pytest.raises(StorageUnavailable):
        erase(site)
    log.rmdir()
    log.write_bytes(kept)
    assert site.stored.keys.get(LABEL).revoked_at is None
    assert sorted(map(str, site.stored_events())) == sorted(map(str, site.events))


# Killed -------------------------------------------------------------------------------------------------------------

STEPS = ["begin", "erase_events", "write_back", "search", "search_bytes", "finish"]


class Killed(BaseException):
    """The process ends here."""


class Dying:
    """A repository whose process is killed before, or after, it has done one thing."""

    def __init__(self, inner: SqlPrivacyRepository, step: str, *, is_done: bool) -> None:
        self._inner, self._step, self._is_done = inner, step, is_done

    def __getattr__(self, name: str) -> Any:
        act = getattr(self._inner, name)
        if name != self._step:
            return act

        def die(*arguments: Any) -> None:
            if self._is_done:
                act(*arguments)
            raise Killed

        return die


def dying(site: Site, step: str, *, is_done: bool) -> Eraser:
    return replace(site.eraser, repository=Dying(site.repository, step, is_done=is_done))


@BOTH
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("is_done", [False, True])
def test_killed_anywhere_the_next_run_finishes_it(tmp_path: Path, fate: EventsFate, step: str, is_done: bool) -> None:
    with open_site(tmp_path / "data", events=20) as site:
        fill(site)
        with pytest.raises(Killed):
            dying(site, step, is_done=is_done).erase(site.subjects.get(LABEL), Order(fate, ADMIN))
        assert erase(site, fate).leftovers == []
        check_gone(site)
        wanted = site.events if fate is EventsFate.PSEUDONYMISE else site.others_events
        assert len(site.stored_events()) == len(wanted) + (6 if fate is EventsFate.PSEUDONYMISE else 3)
        detail = site.audit_lines()[-1]["detail"]
        assert isinstance(detail, dict)
        assert detail["step"] == "finished"


def test_what_was_begun_is_said_before_it_is_finished(site: Site) -> None:
    with pytest.raises(Killed):
        dying(site, "begin", is_done=True).erase(site.subjects.get(LABEL), Order(EventsFate.DELETE, ADMIN))
    preview = site.eraser.preview(site.key.id)
    assert preview.is_begun
    assert preview.subject.key is None
    with pytest.raises(KeyNotFound):
        site.eraser.preview(LABEL)
    with pytest.raises(BadRequest, match="deleted already"):
        erase(site, EventsFate.PSEUDONYMISE)
    erase(site, EventsFate.DELETE)
    assert not site.eraser.preview(site.key.id).is_begun


def test_what_was_to_get_a_pseudonym_may_still_be_deleted(site: Site) -> None:
    with pytest.raises(Killed):
        dying(site, "erase_events", is_done=False).erase(
            site.subjects.get(LABEL), Order(EventsFate.PSEUDONYMISE, ADMIN)
        )
    erase(site, EventsFate.DELETE)
    check_gone(site)
    assert sorted(map(str, site.stored_events())) == sorted(map(str, site.others_events))


def test_erasing_again_finds_nothing(site: Site) -> None:
    erase(site)
    again = erase(site)
    assert again.is_complete
    assert (again.keys, again.secrets, again.events, again.series, again.rollups) == (0, 0, 0, 0, 0)


# What is left -------------------------------------------------------------------------------------------------------


def test_what_is_still_there_is_in_the_receipt_and_it_is_not_finished(site: Site) -> None:
    """A note in the configuration is for people, and not ours to edit."""
    site.write_config(["*"])
    content = site.stored.directory.config.read_text().replace('"upstream"', f'"note": "for {site.key.id}", "upstream"')
    site.stored.directory.config.write_text(content)
    receipt = erase(site)
    assert [(each.where, each.what, each.count) for each in receipt.leftovers] == [("configuration", "config.json", 1)]
    assert receipt.finished_at is None
    erasure = site.repository.find_erasure(site.key.id)
    assert erasure is not None
    assert erasure.finished_at is None
    detail = site.audit_lines()[-1]["detail"]
    assert isinstance(detail, dict)
    assert (detail["step"], detail["leftovers"]) == ("incomplete", 1)


def test_a_running_gateway_gets_its_time_and_then_its_journal_is_named(site: Site) -> None:
    site.gateways.running = 1
    writer = JournalWriter(site.stored.directory.spool, name="living", segment_bytes=65_536)
    writer.append(END, UsageEvent(request_id="req_zz", at=site.clock.now().isoformat(), key_id=site.key.id))
    receipt = erase(site)
    assert site.slept == [NOTICE_SECONDS] * 5
    assert [(each.where, each.count) for each in receipt.leftovers] == [("journal", 1)]
    for segment in writer.segments:
        segment.close()
    assert erase(site).is_complete


def test_what_was_deleted_earlier_is_taken_out_of_the_bytes_too(site: Site) -> None:
    """Whoever deletes a row leaves its bytes in the file, unless it is written anew."""
    with site.stored.database.begin() as connection:
        connection.execute(text("CREATE TABLE old (id INTEGER, what TEXT)"))
        row = {"what": f"{site.key.id} was here, and nobody overwrote it"}
        connection.execute(text("INSERT INTO old (what) VALUES (:what)"), [row] * 5000)
    with site.stored.database.begin() as connection:
        connection.exec_driver_sql("PRAGMA secure_delete=OFF").close()  # the default of most builds
        connection.execute(text("DROP TABLE old"))
    left = erase(site, may_rewrite=False)
    assert {each.where for each in left.leftovers} == {"bytes of the database's files"}
    receipt = erase(site)
    assert (receipt.is_complete, receipt.was_rewritten) == (True, True)
    check_gone(site)


def test_backups_are_named_and_not_touched(site: Site) -> None:
    backup = site.stored.directory.path / "copilot-api.db.before-0007"
    backup.write_bytes(b"an old copy")
    ten_days_ago = site.clock.now().timestamp() - 10 * 86_400
    os.utime(backup, (ten_days_ago, ten_days_ago))
    receipt = erase(site)
    assert [(each.name, each.age_days, each.bytes) for each in receipt.backups_not_touched] == [(backup.name, 10, 11)]
    assert backup.exists()


def test_a_label_that_another_key_has_too_is_not_looked_for(site: Site) -> None:
    site.stored.keys.issue(LABEL, actor=ADMIN)
    site.write_config([LABEL])
    assert erase(site).is_complete
    assert site.config.read().config.models["fast"].allowed_keys == [LABEL]


def test_captures_that_a_gateway_has_in_memory_only_are_counted(site: Site) -> None:
    site.write_traces()
    site.gateways.running = 1
    site.gateways.traces = [
        make_trace(number, key_id=site.key.id, request_id=request_id)
        for number, request_id in enumerate(("req_1", "req_9"))
    ]
    assert erase(site).traces_in_memory == 1


def test_an_admin_whose_key_is_erased_is_not_named_in_the_orders_that_they_gave(site: Site) -> None:
    with site.stored.database.begin() as connection:
        row = {"by": site.key.id, "id": site.other.id}
        connection.execute(
            text(
                "UPDATE api_keys SET capture_by = :by, capture_reason = 'r', capture_since = 1, capture_until = 2 "
                "WHERE id = :id"
            ),
            row,
        )
    assert erase(site).is_complete
    order = site.stored.keys.get(site.other.id).capture
    assert order is not None
    assert order.by == ERASED


def test_the_preview_says_what_will_be_found_and_changes_nothing(site: Site) -> None:
    fill(site)
    preview = site.eraser.preview(LABEL)
    assert preview.subject.id == site.key.id
    assert preview.ledger.events == len(site.own_events)
    assert (preview.journal_lines, preview.traces_in_files, preview.models) == (6, 2, ("fast",))
    assert (preview.gateways, preview.is_begun, preview.erased_at) == (0, False, None)
    assert preview.database_bytes > 0
    assert sorted(map(str, site.stored_events())) == sorted(map(str, site.events))
    with pytest.raises(KeyNotFound):
        site.eraser.preview("nobody")
    assert site.stored.keys.get(OTHER).id == site.other.id
