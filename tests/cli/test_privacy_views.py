"""What people see of an erasure names every store, and what is not touched."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from copilot_api.cli.privacy_views import render_preview, render_receipt
from copilot_api.privacy.erasing import Order
from copilot_api.privacy.models import EventsFate
from copilot_api.privacy.receipts import Backup, Receipt, Remaining
from tests.privacy.site import ADMIN, LABEL, Site, open_site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with open_site(tmp_path / "data", events=10) as site:
        yield site


def test_the_preview_names_what_there_is(site: Site) -> None:
    site.write_config([LABEL])
    site.fill_journal()
    site.gateways.running = 1
    (site.stored.directory.path / "copilot-api.db.before-0005").write_bytes(b"1")
    shown = "\n".join(render_preview(site.eraser.preview(LABEL), Order(EventsFate.PSEUDONYMISE, ADMIN)))
    for words in ("get a random name", "6 lines of the journal", "names it for fast", "gateways: 1", "before-0005"):
        assert words in shown
    assert "written anew" in shown
    order = Order(EventsFate.DELETE, ADMIN, may_rewrite=False)
    assert "written anew" not in "\n".join(render_preview(site.eraser.preview(LABEL), order))


def test_a_second_time_says_when_the_first_was(site: Site) -> None:
    order = Order(EventsFate.DELETE, ADMIN)
    site.eraser.erase(site.subjects.get(LABEL), order)
    shown = "\n".join(render_preview(site.eraser.preview(site.key.id), order))
    assert "row is gone already" in shown
    assert "was erased at 2026-07-01 12:00 UTC" in shown


def test_an_unfinished_one_is_said(site: Site) -> None:
    from copilot_api.audit.models import Action, AuditEvent

    event = AuditEvent(ADMIN, Action.PRIVACY_ERASED, site.key.id)
    site.repository.begin(site.key.id, EventsFate.DELETE, site.clock.now(), event)
    shown = "\n".join(render_preview(site.eraser.preview(site.key.id), Order(EventsFate.DELETE, ADMIN)))
    assert "was begun, and will be finished" in shown


def test_a_receipt_says_what_is_left_and_what_was_not_touched(site: Site) -> None:
    receipt = Receipt(key_id="key_a", fate=EventsFate.DELETE, begun_at=site.clock.now(), events=1234)
    shown = render_receipt(receipt)
    assert (shown["receipt"], shown["events"], shown["captures in memory"]) == (
        "complete",
        "1,234 deleted",
        "no gateway to ask",
    )
    receipt.leftovers = [Remaining("journal", "a.journal", 3)]
    receipt.backups_not_touched = [Backup("b.backup", 12, 5)]
    receipt.traces_in_memory = 2
    shown = render_receipt(receipt)
    assert (shown["receipt"], shown["LEFT"]) == ("INCOMPLETE", ["journal: a.journal (3)"])
    assert shown["not touched"] == ["b.backup (12 days old)"]
    assert shown["captures in memory"] == "2"
