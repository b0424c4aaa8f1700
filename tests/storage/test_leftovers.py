"""The second look finds a key in any column of any table, and in the bytes that a table no more has."""

from sqlalchemy import text

from copilot_api.privacy.models import Leftover, Needles
from copilot_api.storage.leftovers import search_bytes, search_database
from tests.stored import Stored

NEEDLES = Needles("key_abcdefghijkl", ("sk-cap-abcde",), ("anna",), (b"\x00\xff" * 16,))


def execute(stored: Stored, *statements: str) -> None:
    with stored.database.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_an_empty_database_has_nothing(stored: Stored) -> None:
    assert search_database(stored.database, NEEDLES) == []
    assert search_bytes(stored.database, NEEDLES) == []


def test_a_table_that_nobody_told_it_of_is_looked_through_too(stored: Stored) -> None:
    execute(
        stored,
        "CREATE TABLE later (a TEXT, b VARCHAR(9), c BLOB, d INTEGER)",
        "INSERT INTO later VALUES ('for key_abcdefghijkl', 'x', x'01', 1), ('anna', 'sk-cap-abcde', x'00', 2)",
        "INSERT INTO later VALUES (NULL, NULL, NULL, NULL), ('anna b', '', x'" + "00ff" * 16 + "', 3)",
    )
    assert search_database(stored.database, NEEDLES) == [
        Leftover("database", "later.a", 2),
        Leftover("database", "later.b", 1),
        Leftover("database", "later.c", 1),
    ]


def test_an_underscore_is_no_other_character_and_a_capital_no_small_letter(stored: Stored) -> None:
    execute(
        stored, "CREATE TABLE later (a TEXT)", "INSERT INTO later VALUES ('keyXabcdefghijkl'), ('KEY_ABCDEFGHIJKL')"
    )
    assert search_database(stored.database, NEEDLES) == []


def test_a_program_or_a_model_that_is_called_like_the_label_is_none(stored: Stored) -> None:
    execute(
        stored,
        "INSERT INTO usage_series (id, name, grain, client, model) VALUES (1, 'n', 0, 'anna', 'anna')",
        "INSERT INTO identity_stops VALUES ('default', 1, 'anna')",
    )
    assert search_database(stored.database, NEEDLES) == [Leftover("database", "identity_stops.reason", 1)]


def test_bytes_are_found_in_the_log_and_in_the_database(stored: Stored) -> None:
    execute(stored, "CREATE TABLE later (a TEXT)", "INSERT INTO later VALUES ('key_abcdefghijkl')")
    (found,) = search_bytes(stored.database, NEEDLES)
    assert (found.where, found.what) == ("bytes of the database's files", "copilot-api.db-wal")
    assert stored.database.backend.write_back()
    (found,) = search_bytes(stored.database, NEEDLES)
    assert found.what == "copilot-api.db"
