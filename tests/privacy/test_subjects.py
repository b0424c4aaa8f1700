"""A key is found by whatever name it goes by, and every name that it ever had is known."""

import pytest

from copilot_api.audit.models import Action, AuditEvent
from copilot_api.errors import BadRequest
from copilot_api.keys.service import KeyNotFound
from copilot_api.privacy.models import EventsFate
from copilot_api.privacy.subjects import find_vanished
from tests.privacy.site import ADMIN, LABEL, Site


@pytest.mark.parametrize("name", ["id", "label", "prefix"])
def test_a_key_is_found_by_its_id_its_label_and_its_prefix(site: Site, name: str) -> None:
    found = site.subjects.get(getattr(site.key, name))
    assert (found.id, found.key, found.prefixes) == (site.key.id, site.key, (site.key.prefix,))


def test_one_that_nobody_knows_is_not_found(site: Site) -> None:
    for reference in ("nobody", "key_aaaaaaaaaaaa", ""):
        with pytest.raises(KeyNotFound):
            site.subjects.get(reference)


def test_several_of_one_label_are_told_apart_by_their_ids(site: Site) -> None:
    site.stored.keys.issue(LABEL, actor=ADMIN)
    with pytest.raises(BadRequest, match="several keys"):
        site.subjects.get(LABEL)


def test_one_whose_row_is_gone_is_found_by_its_id_as_long_as_there_is_something(site: Site) -> None:
    event = AuditEvent(ADMIN, Action.PRIVACY_ERASED, site.key.id)
    site.repository.begin(site.key.id, EventsFate.DELETE, site.clock.now(), event)
    assert site.subjects.get(site.key.id).key is None
    with site.stored.database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM erasures")
    assert site.subjects.get(site.key.id).key is None  # the ledger has its events
    with site.stored.database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM usage_series WHERE key_id = ?", (site.key.id,))
    with pytest.raises(KeyNotFound):
        site.subjects.get(site.key.id)


def test_every_label_and_prefix_that_it_ever_had_is_known_also_without_its_row(site: Site) -> None:
    rotated = site.stored.keys.rotate(site.key.id, actor=ADMIN).key
    site.stored.keys.update(site.key.id, label="anna b", actor=ADMIN)
    names = site.subjects.name(site.subjects.get(site.key.id))
    assert set(names.labels) == {LABEL, "anna b"}
    assert set(names.prefixes) == {site.key.prefix, rotated.prefix}
    assert len(names.digests) == 2
    event = AuditEvent(ADMIN, Action.PRIVACY_ERASED, site.key.id)
    site.repository.begin(site.key.id, EventsFate.DELETE, site.clock.now(), event)
    left = site.subjects.name(site.subjects.get(site.key.id))
    assert (left.labels, left.prefixes, left.digests) == (names.labels, names.prefixes, ())


def test_a_name_that_another_key_has_is_not_its_own(site: Site) -> None:
    site.stored.keys.issue(LABEL, actor=ADMIN)
    assert site.subjects.name(site.subjects.get(site.key.id)).labels == ()


def test_keys_that_are_no_more_are_told(site: Site) -> None:
    now, gone = find_vanished(site.stored.repository, {site.key.id, "key_x"})
    assert (now, gone) == ({site.key.id, site.other.id}, {"key_x"})
