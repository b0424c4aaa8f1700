"""What is asked of admission, and what it gives."""

from datetime import UTC, datetime

import msgspec
import pytest

from copilot_api.admission.budget import NOTHING
from copilot_api.admission.models import Ask, LimitStanding, Reservation
from copilot_api.keys.models import ApiKey, Tier

AT = datetime(2026, 7, 1, tzinfo=UTC)


def test_a_call_that_says_no_more_takes_nothing_and_lets_nobody_go_first() -> None:
    ask = Ask("req_1", ApiKey("key_a", "a", Tier.CLIENT, "", AT), "gpt-5-mini", AT)
    assert (ask.least, ask.likely, ask.is_batch) == (NOTHING, NOTHING, False)
    with pytest.raises(AttributeError):
        ask.model = "another"  # type: ignore[misc]


def test_a_reservation_begins_unsettled() -> None:
    reservation = Reservation((1, 2.0, 3, 4), ("rpm",), ())
    assert (reservation.amounts, reservation.notes, reservation.is_settled) == ((1, 2.0, 3, 4), ("rpm",), False)
    with pytest.raises(AttributeError):
        reservation.surprise = 1  # type: ignore[attr-defined]


def test_a_limit_is_the_keys_own_unless_said_otherwise() -> None:
    standing = LimitStanding("rpm", "requests", 5, 1, None, is_observed=False)
    assert standing.scope == "key"
    assert msgspec.to_builtins(standing) == {
        "name": "rpm",
        "unit": "requests",
        "limit": 5,
        "used": 1,
        "resets_at": None,
        "is_observed": False,
        "scope": "key",
    }
