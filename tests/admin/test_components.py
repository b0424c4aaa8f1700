"""What components take."""

from copilot_api.admin.components import QueryField


def test_a_field_of_the_query_is_suggested_with_its_values() -> None:
    assert QueryField("key", "which key", ("ci",)).suggestion() == {
        "name": "key",
        "hint": "which key",
        "values": ("ci",),
    }
