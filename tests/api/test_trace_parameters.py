"""What the list of captures is asked for."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from copilot_api.api.ledger_parameters import Parameters
from copilot_api.api.trace_parameters import parse_query, parse_status
from copilot_api.capture.queries import TraceQuery
from copilot_api.errors import BadRequest

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
KEYS = {"ci": ["key_a"], "twice": ["key_a", "key_b"]}


def parse(**given: str) -> tuple[TraceQuery, dict[str, object]]:
    return parse_query(Parameters(urlencode(given).encode(), NOW, lambda text: KEYS.get(text, [text])))


def test_nothing_asks_for_the_newest() -> None:
    assert parse() == (TraceQuery(), {})


def test_every_parameter_is_read_and_told() -> None:
    query, asked = parse(key="ci", model="gpt-5", status="4xx", since="2h", until="2026-07-01T11:30Z", q="req_1", before="77", limit="9")  # fmt: skip
    assert query == TraceQuery(
        key_id="key_a", model="gpt-5", min_status=400, max_status=499, since=datetime(2026, 7, 1, 10, tzinfo=UTC),
        until=datetime(2026, 7, 1, 11, 30, tzinfo=UTC), text="req_1", before=77, limit=9,
    )  # fmt: skip
    assert asked == {"key": "ci", "model": "gpt-5", "status": "4xx", "since": "2h", "until": "2026-07-01T11:30Z", "q": "req_1", "before": "77"}  # fmt: skip


def test_a_key_that_somebody_pastes_does_not_get_into_the_record() -> None:
    secret = "sk-cap-" + "a" * 52
    assert secret not in str(parse(key=secret)[1])


@pytest.mark.parametrize(
    ("text", "bounds"),
    [("", (0, 999)), ("429", (429, 429)), ("5xx", (500, 599)), (">=400", (400, 999)), (">400", (401, 999)), ("<=400", (0, 400)), ("<400", (0, 399))],
)  # fmt: skip
def test_a_status_may_be_a_range(text: str, bounds: tuple[int, int]) -> None:
    assert parse_status(text) == bounds


@pytest.mark.parametrize(
    "given",
    [{"status": "0xx"}, {"status": "=400"}, {"status": "4XX"}, {"status": "4000"}, {"status": "\uff14xx"}, {"before": "-1"}, {"before": "1.0"},
     {"before": "9" * 18}, {"key": "twice"}, {"limit": "0"}, {"limit": "501"}, {"since": "soon"}, {"colour": "red"}],
)  # fmt: skip
def test_a_mistake_is_told_by_its_name(given: dict[str, Any]) -> None:
    with pytest.raises(BadRequest) as caught:
        parse(**given)
    assert caught.value.param == next(iter(given))
