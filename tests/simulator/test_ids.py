"""Ids are never the same twice, and blobs are recognised when they come back."""

from copilot_api.simulator.ids import Ids, is_own_blob, is_own_encrypted, is_own_signature


def test_ids_differ_and_two_runs_give_the_same() -> None:
    ids, again = Ids(), Ids()
    made = [ids.blob(), ids.blob(), ids.name("x_"), ids.uuid(), ids.hex(40)]
    assert len(set(made)) == len(made)
    assert made == [again.blob(), again.blob(), again.name("x_"), again.uuid(), again.hex(40)]
    assert (len(made[0]), len(made[2]), len(made[3]), len(made[4])) == (428, 26, 36, 40)


def test_own_blobs_are_recognised_and_foreign_ones_are_not() -> None:
    ids = Ids()
    assert is_own_blob(ids.blob())
    assert is_own_signature(ids.signature())
    assert is_own_encrypted(ids.encrypted(72))
    tampered = "A" + ids.blob()[1:]
    assert not any((is_own_blob(tampered), is_own_blob("ä"), is_own_signature(ids.blob()), is_own_encrypted("gAAAAAB")))
