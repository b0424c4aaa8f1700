"""A receipt cannot be changed without its hash saying so."""

from datetime import UTC, datetime

import msgspec
import pytest

from copilot_api.config.paths import DataDirectory
from copilot_api.privacy.models import EventsFate
from copilot_api.privacy.receipts import Receipt, Remaining, hash_of, list_backups, seal

AT = datetime(2026, 7, 1, 12, tzinfo=UTC)


def receipt() -> Receipt:
    return Receipt(key_id="key_a", fate=EventsFate.DELETE, begun_at=AT, events=7)


def test_it_is_sealed_with_the_hash_of_everything_else_in_it() -> None:
    sealed = seal(receipt())
    assert len(sealed.hash) == 64
    assert hash_of(sealed) == sealed.hash
    assert seal(sealed) == sealed


@pytest.mark.parametrize("name", [name for name in Receipt.__struct_fields__ if name != "hash"])
def test_every_field_is_under_the_hash(name: str) -> None:
    sealed = seal(receipt())
    assert hash_of(msgspec.structs.replace(sealed, **{name: "something else"})) != sealed.hash


def test_it_survives_json() -> None:
    sealed = seal(receipt())
    again = msgspec.json.decode(msgspec.json.encode(sealed), type=Receipt)
    assert again == sealed
    assert hash_of(again) == sealed.hash


def test_it_is_complete_when_nothing_is_left() -> None:
    assert receipt().is_complete
    assert not msgspec.structs.replace(receipt(), leftovers=[Remaining("journal", "a", 1)]).is_complete


def test_copies_of_the_database_are_listed(tmp_path: object) -> None:
    from pathlib import Path

    directory = DataDirectory(Path(str(tmp_path)))
    assert list_backups(directory, AT) == []
    for name in ("copilot-api.db.before-0005", "my.backup", "copilot-api.db", "other"):
        (directory.path / name).write_bytes(b"123")
    assert [(each.name, each.bytes, each.age_days) for each in list_backups(directory, AT)] == [
        ("copilot-api.db.before-0005", 3, 0),
        ("my.backup", 3, 0),
    ]
