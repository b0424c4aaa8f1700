"""Which traces are asked for."""

from datetime import UTC, datetime
from typing import Any

import pytest

from copilot_api.capture.lines import summarise
from copilot_api.capture.queries import TraceQuery
from tests.capture.kept import make_line

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 7, 1, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "is_one"),
    [
        ({}, True),
        ({"key_id": "key_a"}, True),
        ({"key_id": "key_b"}, False),
        ({"model": "gpt-4.1"}, True),
        ({"model": "gpt"}, False),
        ({"min_status": 200, "max_status": 299}, True),
        ({"min_status": 400}, False),
        ({"max_status": 199}, False),
        ({"text": "eq_7"}, True),
        ({"text": "eq_8"}, False),
        ({"since": NOON}, True),
        ({"since": LATER}, False),
        ({"until": NOON}, False),
        ({"until": LATER}, True),
    ],
)
def test_every_condition_has_to_hold(asked: dict[str, Any], *, is_one: bool) -> None:
    assert TraceQuery(**asked).matches(summarise(make_line(7))) is is_one
