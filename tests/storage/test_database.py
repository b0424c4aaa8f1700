import pytest
from sqlalchemy import insert

from copilot_api.errors import StorageUnavailable
from copilot_api.storage.schema import key_secrets
from tests.fakes import FakeClock
from tests.stored import Stored


def test_whatever_the_driver_raises_leaves_as_storage_unavailable(stored: Stored, clock: FakeClock) -> None:
    orphan = {"digest": b"d", "key_id": "nobody", "prefix": "p", "created_at": clock.now()}
    with pytest.raises(StorageUnavailable, match="FOREIGN KEY"), stored.database.begin() as connection:
        connection.execute(insert(key_secrets).values(orphan))


def test_a_closed_database_opens_again_when_it_is_asked(stored: Stored) -> None:
    stored.database.close()
    assert stored.keys.list_keys() == []
