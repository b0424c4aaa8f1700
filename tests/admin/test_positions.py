"""One walks a list forth and back again, by the URL alone."""

from urllib.parse import parse_qsl, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from copilot_api.admin.forms import Fields
from copilot_api.admin.positions import MOST_BACK, read_trail


def fields_of(url: str) -> Fields:
    return Fields(parse_qsl(urlsplit(url).query))


@given(st.integers(1, 40))
def test_forth_and_back_as_far_as_it_is_remembered(steps: int) -> None:
    fields = Fields([("q", "key:ci")])
    visited = [read_trail(fields).after]
    for step in range(steps):
        pager = read_trail(fields).make_pager("/admin/requests", fields, "", f"p{step}")
        assert pager.older is not None
        fields = fields_of(pager.older)
        visited.append(read_trail(fields).after)
    assert visited == ["", *(f"p{step}" for step in range(steps))]
    back: list[str] = []
    while (pager := read_trail(fields).make_pager("/admin/requests", fields, "", None)).newer is not None:
        fields = fields_of(pager.newer)
        back.append(read_trail(fields).after)
    assert back == visited[-2::-1][:MOST_BACK]
    assert fields.get("q") == "key:ci"


def test_the_first_page_has_only_one_way() -> None:
    pager = read_trail(Fields()).make_pager("/admin/requests", (), "50 calls", "next")
    assert (pager.newer, pager.first, pager.older) == (None, None, "/admin/requests?after=next&back=-")


def test_deep_in_a_list_the_newest_is_one_step() -> None:
    fields = Fields([("after", "p3"), ("q", "x:y")])
    pager = read_trail(fields).make_pager("/admin/requests", fields, "", None)
    assert (pager.first, pager.newer, pager.older) == ("/admin/requests?q=x%3Ay", None, None)
