"""Addresses of the same page with other filters."""

from copilot_api.admin.forms import Fields
from copilot_api.admin.links import page_url, sort_url

FIELDS = Fields([("q", "key:ci status:>=400"), ("range", "7d"), ("after", "17")])


def test_what_is_not_changed_stays_and_what_is_none_goes() -> None:
    assert (
        page_url("/admin/requests", FIELDS, range="1h", after=None)
        == "/admin/requests?q=key%3Aci+status%3A%3E%3D400&range=1h"
    )
    assert page_url("/admin/requests", FIELDS, q="", range=None, after=None) == "/admin/requests"
    assert page_url("/admin/requests", class_="a&b") == "/admin/requests?class=a%26b"


def test_sorting_again_turns_the_order_round_and_starts_at_the_first_page() -> None:
    assert sort_url("/a", FIELDS.without("q"), "tokens", "-at") == "/a?range=7d&sort=-tokens"
    assert sort_url("/a", (), "tokens", "-tokens") == "/a?sort=tokens"
    assert sort_url("/a", (), "tokens", "tokens") == "/a?sort=-tokens"
    assert sort_url("/a", (), "label", "-at", first="+") == "/a?sort=label"
