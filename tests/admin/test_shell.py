"""What stands around every page."""

from copilot_api.admin.assets import Assets
from copilot_api.admin.shell import ADMIN_PLACES, HOLDER_PLACES, Notice, Shell, places_for


def test_the_worst_is_said_first_and_the_rest_in_its_order() -> None:
    notices = (Notice("info", "a"), Notice("warn", "b"), Notice("bad", "c"), Notice("warn", "d"))
    assert [notice.text for notice in Shell(notices).worst_first] == ["c", "b", "d", "a"]


def test_a_key_holder_sees_their_own_pages_only() -> None:
    assert [place.label for place in places_for(is_admin=False)] == ["My usage", "Set-up"]
    assert places_for(is_admin=True) == ADMIN_PLACES


def test_each_place_has_a_letter_and_an_icon_of_its_own() -> None:
    icons = Assets().get("icons.svg").plain.decode()
    for places in (ADMIN_PLACES, HOLDER_PLACES):
        assert len({place.letter for place in places}) == len(places)
        assert all(f'<symbol id="{place.name}"' in icons for place in places)
