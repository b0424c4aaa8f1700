"""Which keys a page shows, and in which order."""

from datetime import UTC, datetime, timedelta

import pytest

from copilot_api.admin.forms import parse_query
from copilot_api.admin.key_lists import PAGE_KEYS, KeyChoice, list_keys, read_key_choice
from copilot_api.errors import BadRequest
from copilot_api.keys.models import ApiKey, Tier

NOW = datetime(2026, 12, 1, tzinfo=UTC)


def key(number: int, **fields: object) -> ApiKey:
    made = NOW - timedelta(days=number)
    return ApiKey(f"key_{number:03}", f"label {number}", Tier.CLIENT, f"sk-cap-{number:05}", made, **fields)  # type: ignore[arg-type]


def choose(query: str = "") -> KeyChoice:
    return read_key_choice(parse_query(query.encode()))


def test_revoked_and_expired_keys_are_apart_from_those_in_use() -> None:
    keys = [key(1), key(2, revoked_at=NOW), key(3, expires_at=NOW), key(4, not_before=NOW + timedelta(days=1))]
    assert {each.id for each in list_keys(keys, choose(), NOW).keys} == {"key_001", "key_004"}
    ended = list_keys(keys, choose("show=ended"), NOW)
    assert {each.id for each in ended.keys} == {"key_002", "key_003"}
    assert ended.counts == {"usable": 2, "ended": 2, "all": 4}
    assert list_keys(keys, choose("show=all"), NOW).found == 4


def test_a_word_finds_labels_in_any_case_and_beginnings_of_ids_and_prefixes() -> None:
    keys = [key(1), key(12), key(3)]
    for word, found in (("LABEL 1", ["key_001", "key_012"]), ("key_012", ["key_012"]), ("sk-cap-00003", ["key_003"])):
        ids = [each.id for each in list_keys(keys, choose(f"sort=label&q={word.replace(' ', '+')}"), NOW).keys]
        assert ids == found


def test_they_are_sorted_either_way_and_those_never_used_come_last() -> None:
    keys = [key(1), key(2, last_used_at=NOW), key(3, last_used_at=NOW - timedelta(hours=1))]
    assert [each.id for each in list_keys(keys, choose(), NOW).keys] == ["key_002", "key_003", "key_001"]
    assert [each.id for each in list_keys(keys, choose("sort=-created"), NOW).keys] == ["key_001", "key_002", "key_003"]
    assert [each.id for each in list_keys(keys, choose("sort=created"), NOW).keys] == ["key_003", "key_002", "key_001"]


def test_pages_go_on_behind_the_last_key_and_hold_each_key_once() -> None:
    keys, seen, after = [key(number) for number in range(2 * PAGE_KEYS + 7)], list[str](), ""
    while True:
        page = list_keys(keys, choose(f"after={after}"), NOW)
        seen += [each.id for each in page.keys]
        if page.next is None:
            break
        after = page.next
    assert len(seen) == len(set(seen)) == len(keys)
    assert list_keys(keys, choose("after=key_gone"), NOW).keys[0].id == seen[0]


@pytest.mark.parametrize("query", ["show=none", "tier=root", "sort=secret", "sort=-"])
def test_what_there_is_no_link_for_is_refused(query: str) -> None:
    with pytest.raises(BadRequest):
        choose(query)
