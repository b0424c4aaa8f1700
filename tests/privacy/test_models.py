"""An erased key is remembered by what does not tell it."""

from copilot_api.keys.secret import make_key_id
from copilot_api.privacy.models import LedgerCounts, Needles, Subject, digest_key_id, make_pseudonym


def test_an_id_is_recognised_and_not_told() -> None:
    key_id = make_key_id()
    digest = digest_key_id(key_id)
    assert (len(digest), digest) == (32, digest_key_id(key_id))
    assert digest != digest_key_id(make_key_id())
    assert key_id.encode() not in digest


def test_an_id_that_is_no_text_at_all_is_taken_too() -> None:
    """A journal may hold anything."""
    assert len(digest_key_id("\udc80")) == 32


def test_pseudonyms_are_random_and_never_look_like_a_key() -> None:
    names = {make_pseudonym() for _ in range(100)}
    assert len(names) == 100
    assert all(name.startswith("erased_") and len(name) == len("erased_") + 12 for name in names)


def test_counts_add_up() -> None:
    counts = LedgerCounts(1, 2, 3)
    counts.add(LedgerCounts(10, 20, 30))
    assert counts == LedgerCounts(11, 22, 33)


def test_what_is_searched_in_bytes_is_texts_and_hashes() -> None:
    needles = Needles("key_a", ("sk-cap-a",), ("anna",), (b"\x01" * 32,))
    assert needles.patterns == (b"key_a", b"sk-cap-a", b"\x01" * 32)


def test_a_key_without_a_row_has_no_prefix() -> None:
    assert Subject("key_a").prefixes == ()
