"""What revoking keys does, said before it is done."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from copilot_api.admin.key_effects import count_calls, foresee_revocation
from copilot_api.keys.models import ApiKey, CaptureOrder, Tier
from copilot_api.keys.sessions import Session

NOW = datetime(2026, 12, 1, tzinfo=UTC)
ADMIN = ApiKey("key_admin", "ops", Tier.ADMIN, "sk-cap-aaaaa", NOW)
CLIENT = ApiKey("key_ci", "ci", Tier.CLIENT, "sk-cap-bbbbb", NOW)
GONE = ApiKey("key_gone", "old", Tier.ADMIN, "sk-cap-ccccc", NOW, revoked_at=NOW)


def session(key_id: str) -> Session:
    return Session("ses_1", b"", key_id, b"", NOW, NOW, None, None, None)


def text(*chosen: ApiKey, **more: Any) -> str:
    given: dict[str, Any] = {"calls": {}, "sessions": [], "own_id": "key_admin", **more}
    return " ".join(foresee_revocation(chosen, [ADMIN, CLIENT, GONE], now=NOW, **given).consequences)


def test_it_is_said_to_how_many() -> None:
    one = text(CLIENT, calls={"key_ci": 2, "key_admin": 1}, sessions=[session("key_ci"), session("key_x")])
    assert "ci is refused from its next call on" in one
    assert "2 calls under way go on to the end" in one
    assert "1 session at these pages ends" in one
    assert "signed out" not in one
    both = text(CLIENT, ADMIN)
    assert "2 keys are refused" in both
    assert "No call is under way with them" in both


def test_the_last_admin_key_and_ones_own_are_named() -> None:
    found = foresee_revocation([ADMIN], [ADMIN, CLIENT, GONE], {}, [], "key_admin", NOW)
    assert (found.is_last_admin, found.has_own, found.has_admin) == (True, True, True)
    assert "admin recover" in " ".join(found.consequences)
    other = ApiKey("key_b", "b", Tier.ADMIN, "sk-cap-ddddd", NOW)
    assert not foresee_revocation([ADMIN], [ADMIN, other], {}, [], "key_b", NOW).is_last_admin
    ending = ApiKey("key_b", "b", Tier.ADMIN, "sk-cap-ddddd", NOW, expires_at=NOW)
    assert foresee_revocation([ADMIN], [ADMIN, ending], {}, [], "key_b", NOW).is_last_admin


def test_where_no_admin_key_is_valid_none_is_the_last() -> None:
    assert not foresee_revocation([CLIENT], [CLIENT, GONE], {}, [], "key_x", NOW).is_last_admin


def test_captures_end_and_revoked_keys_do_not_count() -> None:
    order = CaptureOrder("why", "key_admin", NOW, NOW + timedelta(hours=1))
    captured = ApiKey("key_c", "c", Tier.CLIENT, "sk-cap-eeeee", NOW, capture=order)
    assert "1 capture ends" in text(captured)
    assert foresee_revocation([GONE], [GONE], {}, [], "key_x", NOW).keys == ()


def test_calls_are_counted_by_key() -> None:
    records: Any = {name: SimpleNamespace(event=SimpleNamespace(key_id=key)) for name, key in (("a", "k"), ("b", "k"), ("c", None))}  # fmt: skip
    assert count_calls(records) == {"k": 2}
