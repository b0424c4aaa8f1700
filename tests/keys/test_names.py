"""A key is found by whatever people call it, and shown by its label."""

from copilot_api.keys.models import ANONYMOUS, Tier
from copilot_api.keys.names import NO_KEY, KeyNames
from tests.stored import Stored


def test_a_key_goes_by_its_id_label_and_prefix(stored: Stored) -> None:
    ci = stored.keys.issue("ci", tier=Tier.CLIENT, actor="test").key
    names = KeyNames(stored.keys.list_keys())
    assert names.find("ci") == names.find(ci.id) == names.find(ci.prefix) == [ci.id]
    assert names.label(ci.id) == "ci"
    assert names.is_known(ci.id)


def test_two_keys_may_have_one_label(stored: Stored) -> None:
    ids = {stored.keys.issue("ci", actor="test").key.id for _ in range(2)}
    names = KeyNames(stored.keys.list_keys())
    assert set(names.find("ci")) == ids
    assert names.list_labels() == ["ci"]


def test_a_key_that_is_no_more_goes_by_its_id() -> None:
    names = KeyNames([])
    assert names.find("key_gone") == ["key_gone"]
    assert names.label("key_gone") == "key_gone"
    assert names.label(None) == NO_KEY
    assert not names.is_known("key_gone")
    assert not names.is_known(ANONYMOUS)
