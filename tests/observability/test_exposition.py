"""The text: of a form that the scraper reads, whatever it says it accepts, in pieces that nobody notices."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics_text
from prometheus_client.parser import text_string_to_metric_families

from copilot_api.observability.exposition import MAX_SAMPLES, render_metrics
from copilot_api.observability.metric_families import MetricFamilies
from copilot_api.observability.metrics import Metrics
from tests.fakes import FakeClock
from tests.observability.promlint import find_faults, parse_openmetrics, sum_of
from tests.observability.test_metric_families import QUIET
from tests.observability.test_metrics import ended

PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
CLASSIC, OPENMETRICS = "text/plain; version=0.0.4", "application/openmetrics-text; version=1.0.0"


def make_families(keys: int = 3) -> MetricFamilies:
    metrics = Metrics(FakeClock())
    for number in range(keys):
        metrics(ended(key_id=f"key_{number}", would_limit="rpm", client="codex" if number % 2 else "curl"))
    metrics(ended(upstream_model=None, status=401, cause="unauthorized", key_id=None))
    return MetricFamilies(metrics, lambda: QUIET, nano_per_credit=1_000_000_000)


def whole(accept: str = "", families: MetricFamilies | None = None) -> tuple[str, str]:
    """Media type and text."""
    media_type, pieces = render_metrics(families or make_families(), accept)
    return media_type, b"".join(pieces).decode()


@pytest.mark.parametrize("accept", ["", "*/*", "text/plain", "text/plain;version=0.0.4;q=0.5", "text/html,application/xml;q=0.9"])  # fmt: skip
def test_who_asks_for_nothing_else_gets_the_classic_form(accept: str) -> None:
    media_type, text = whole(accept)
    assert media_type.startswith(CLASSIC)
    assert sum_of(text, "copilot_api_requests_total") == 4
    assert "# EOF" not in text


@pytest.mark.parametrize("accept", [PROMETHEUS_3, "application/openmetrics-text", "application/openmetrics-text; version=1.0.0; charset=utf-8"])  # fmt: skip
def test_who_asks_for_openmetrics_gets_it(accept: str) -> None:
    media_type, text = whole(accept)
    assert media_type.startswith(OPENMETRICS)
    assert text.endswith("# EOF\n")
    assert text.count("# EOF") == 1
    families = {family.name: family for family in parse_openmetrics(text)}
    assert families["copilot_api_requests"].type == "counter"
    assert families["copilot_api_build"].type == "info"
    assert families["copilot_api_request_duration_seconds"].unit == "seconds"


def test_the_pieces_are_what_the_library_would_have_made_at_once() -> None:
    for accept, make in (("", generate_latest), ("application/openmetrics-text", openmetrics_text.generate_latest)):
        for keys in (0, 1, MAX_SAMPLES - 1, MAX_SAMPLES, 3 * MAX_SAMPLES + 1):
            families = make_families(keys)
            lines, at_once = whole(accept, families)[1].splitlines(), make(families).decode().splitlines()
            moving = ("process_", "# HELP process_", "# TYPE process_")
            assert [line for line in lines if not line.startswith(moving)] == [
                line for line in at_once if not line.startswith(moving)
            ]


def test_no_piece_is_large_however_many_keys_there_are() -> None:
    _, pieces = render_metrics(make_families(1_000), "")
    assert max(piece.count(b"\n") for piece in pieces) <= MAX_SAMPLES


def test_the_linter_finds_no_fault() -> None:
    assert find_faults(whole()[1]) == []
    assert find_faults(whole(families=make_families(0))[1]) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("# HELP a x\n# TYPE a counter\na 1\n", "_total"),
        ("# HELP a_total x\n# TYPE a_total gauge\na_total 1\n", "_total"),
        ("# TYPE a gauge\na 1\n", "no HELP"),
        ("# HELP a x\n# TYPE a gauge\na 1\na 2\n", "twice"),
        ("# HELP a x\n# TYPE a gauge\nb 1\n", "below the head"),
        ("# HELP a_ms x\n# TYPE a_ms gauge\na_ms 1\n", "base unit"),
        ("# HELP aB x\n# TYPE aB gauge\naB 1\n", "snake case"),
        ('# HELP a x\n# TYPE a histogram\na_bucket{le="1.0"} 2\na_bucket{le="+Inf"} 1\na_count 1\na_sum 1\n', "counts"),
        ('# HELP a x\n# TYPE a histogram\na_bucket{le="+Inf"} 1\na_count 2\na_sum 1\n', "counts"),
        ('# HELP a x\n# TYPE a histogram\na_bucket{le="1.0"} 1\na_count 1\na_sum 1\n', "bounds"),
    ],
)
def test_the_linter_would_find_one(text: str, says: str) -> None:
    assert [fault for fault in find_faults(text) if says in fault] != []


BAD = [
    "application/openmetrics-text;version=abc", "text/plain;version=", "text/plain;version=1.x", "text/plain;version=9.9.9",
    "application/openmetrics-text;version=1.0.0;version=abc", "application/openmetrics-text;version=abc;version=1.0.0",
    ";;;;", ",,,,", "=", "version=1", "application/openmetrics-text;version", "\x00\xff", "application/openmetrics-text;escaping=nonsense",
    "text/plain;version=1.0.0;escaping=dots", "a" * 100_000, ";version=" * 1_000, "application/openmetrics-text;version=1.0.0\xe9",
]  # fmt: skip


@pytest.mark.parametrize("accept", BAD, ids=lambda accept: accept[:40])
def test_nothing_that_is_accepted_makes_it_fail(accept: str) -> None:
    media_type, text = whole(accept)
    assert media_type.startswith(("text/plain; version=", "application/openmetrics-text; version="))
    assert "requests" in text
    assert media_type.isascii()
    assert media_type.isprintable()


@settings(derandomize=True, deadline=None, database=None, max_examples=200)
@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(
            st.sampled_from(["application/openmetrics-text", "text/plain", ";", ",", "version=", "1.0.0", "0.0.4", "2", ".", "x", "escaping=", "dots", " "]),
            max_size=12,
        ).map("".join),
    )
)  # fmt: skip
def test_whatever_is_accepted_is_answered(accept: str) -> None:
    media_type, text = whole(accept)
    is_openmetrics = media_type.startswith("application/openmetrics-text")
    assert len(parse_openmetrics(text) if is_openmetrics else list(text_string_to_metric_families(text))) > 20
