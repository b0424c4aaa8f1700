"""The table of operations: each once, all found, with words for people."""

from collections import Counter

from copilot_api.api.operations.table import BY_ID, OPERATIONS, find_methods, find_operation


def test_every_operation_is_there_once() -> None:
    assert len(BY_ID) == len(OPERATIONS)
    places = Counter((operation.method, operation.path) for operation in OPERATIONS)
    assert max(places.values()) == 1


def test_each_is_found_where_it_says() -> None:
    for operation in OPERATIONS:
        path = operation.path.format(**dict.fromkeys(operation.path_names, "x"))
        assert find_operation(operation.method, path) is operation
    assert find_methods("/admin/api/nothing") == {}


def test_each_says_what_it_does_in_a_line() -> None:
    for operation in OPERATIONS:
        assert operation.summary[0].isupper()
        assert not operation.summary.endswith(".")
        assert len(operation.summary) <= 100


def test_what_shows_captures_hands_out_keys_or_changes_who_may_enter_needs_the_key_again() -> None:
    """For sessions of a browser, that is; a program shows its key each time."""
    assert {operation.id for operation in OPERATIONS if operation.is_sensitive} == {
        "create_key", "rotate_key", "show_trace", "replay_trace", "download_traces", "replace_config", "change_config",
        "roll_config_back", "export_privacy", "erase_privacy", "start_sign_in",
    }  # fmt: skip
