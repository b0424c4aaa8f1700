"""Keys a page at a time."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_api.errors import BadRequest
from copilot_api.keys.listing import KeyQuery, list_page, parse_place
from copilot_api.keys.models import ApiKey, Tier

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


def make_key(number: int, **more: object) -> ApiKey:
    tier = Tier.ADMIN if number % 3 == 0 else Tier.CLIENT
    fields = {"created_at": NOW + timedelta(seconds=number // 2), **more}
    return ApiKey(f"key_{number:02}", f"Label {number}", tier, f"sk-cap-{number:05}", **fields)  # type: ignore[arg-type]


KEYS = [make_key(number) for number in range(20)]


def walk(keys: list[ApiKey], limit: int) -> list[str]:
    found, after = list[str](), ""
    while True:
        page = list_page(keys, KeyQuery(limit=limit, after=parse_place(after)), NOW)
        found += [key.id for key in page.keys]
        if page.next is None:
            return found
        assert len(page.keys) == limit
        after = page.next


@given(st.permutations(KEYS), st.integers(1, 25))
def test_pages_together_are_all_keys_oldest_first_and_each_once(keys: list[ApiKey], limit: int) -> None:
    """Also of keys that were made in the same moment, and in whatever order they are stored."""
    assert walk(keys, limit) == [key.id for key in KEYS]


def test_a_page_goes_on_where_the_one_before_ended_whatever_was_made_or_erased() -> None:
    first = list_page(KEYS, KeyQuery(limit=10), NOW)
    left = [key for key in KEYS if key.id != "key_09"] + [make_key(99)]
    second = list_page(left, KeyQuery(limit=50, after=parse_place(first.next or "")), NOW)
    assert [key.id for key in second.keys] == [f"key_{number}" for number in range(10, 20)] + ["key_99"]


def test_conditions_all_have_to_hold() -> None:
    keys = [*KEYS, make_key(50, revoked_at=NOW, expires_at=NOW)]
    assert [key.id for key in list_page(keys, KeyQuery(status="revoked"), NOW).keys] == ["key_50"]
    found = list_page(keys, KeyQuery(status="valid", tier=Tier.ADMIN, text="LABEL 1"), NOW + timedelta(days=1)).keys
    assert [key.id for key in found] == ["key_12", "key_15", "key_18"]
    for text in ("key_07", "sk-cap-00007"):
        assert [key.id for key in list_page(keys, KeyQuery(text=text), NOW).keys] == ["key_07"]


@pytest.mark.parametrize("text", ["x", "é", "MTIz", "===", "A" * 500, "LTEgLTE"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_place(text)
    assert caught.value.param == "after"
