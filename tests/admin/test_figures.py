"""Numbers as people read them, in Python and in the browser."""

import json
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_api.admin import figures
from copilot_api.admin.assets import Assets
from tests.node.project import NODE

NARROW = "\u202f"
DASH = "\u2013"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"), (7, "7"), (999, "999"), (1000, "1 k"), (999_499, "999 k"), (999_500, "1 M"), (1_234_567, "1.23 M"),
        (12_345, "12.3 k"), (4_100_000_000, "4.1 G"), (0.0423, "0.0423"), (-1500, "-1.5 k"), (2.5, "2.5"), (None, DASH),
        (float("nan"), DASH), (float("inf"), DASH),
    ],
)  # fmt: skip
def test_short_numbers_have_three_digits_and_a_letter(value: Any, expected: str) -> None:
    assert figures.short(value) == expected.replace(" ", NARROW)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1234567, "1,234,567"), (1234.5, "1,234.5"), (0.0042, "0.0042"), (3.0, "3"), (-12345, "-12,345"), (None, DASH)],
)
def test_exact_numbers_have_all_digits(value: Any, expected: str) -> None:
    assert figures.exact(value) == expected


def test_exact_numbers_may_have_a_fixed_number_of_decimals() -> None:
    assert figures.exact(1234.5, 2) == "1,234.50"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "0"), (0.0001, "<0.1"), (0.0042, "0.4"), (0.05, "5"), (0.42, "42"), (0.9999, ">99.9"), (1, "100"), (2.5, "250"), (-0.031, "-3.1"), (0.996, "99.6")],
)  # fmt: skip
def test_a_share_is_never_rounded_to_nothing_or_to_all(value: float, expected: str) -> None:
    assert figures.percent(value) == f"{expected}{NARROW}%"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0 ms"), (0.0004, "0.4 ms"), (0.43, "430 ms"), (0.9996, "1 s"), (1.2449, "1.24 s"), (59.9, "59.9 s"), (60, "1 m"),
        (125, "2 m 5 s"), (3600, "1 h"), (11_400, "3 h 10 m"), (90_000, "1 d 1 h"), (-2.0, "-2 s"), (None, DASH),
    ],
)  # fmt: skip
def test_times_have_the_unit_that_fits(value: Any, expected: str) -> None:
    assert figures.seconds(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(999, "999 B"), (1536, "1.5 KiB"), (20 * 1024**2, "20 MiB"), (None, DASH)]
)
def test_bytes_are_counted_in_powers_of_two(value: Any, expected: str) -> None:
    assert figures.size(value) == expected


def test_a_change_is_a_share_of_before_where_there_was_something() -> None:
    assert figures.change(12, 10) == pytest.approx(0.2)
    assert figures.change(-5, -10) == pytest.approx(0.5)
    assert figures.change(12, 0) is None
    assert figures.change(None, 3) is None


def test_a_share_is_a_width_between_none_and_all() -> None:
    assert [figures.share(part, 10) for part in (-1, 0, 5, 20, None)] == [0, 0, 0.5, 1, 0]
    assert figures.share(5, 0) == 0


@given(st.lists(st.none() | st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=30))
def test_a_sparkline_stays_in_its_box(values: list[float | None]) -> None:
    points = figures.spark_points(values)
    assert bool(points) is (len(values) >= 2)
    for point in points.split():
        x, y = map(float, point.split(","))
        assert 0 <= x <= 100
        assert 0 <= y <= 24


def test_the_script_writes_numbers_the_same_way() -> None:
    values = [0, 7, 999, 1000, 999_500, 1_234_567, 12_345, 0.0423, 2.5]
    times = [0.0004, 0.43, 1.2449, 59.9]
    program = Assets().get("numbers.js").plain.decode() + (
        "\nconst [a, b] = JSON.parse(process.argv[1]);"
        "\nconsole.log(JSON.stringify([a.map(short), b.map(seconds), a.map(exact), a.map(exact).map(parse)]))"
    )
    command = [NODE, "--input-type=module", "-e", program, "--", json.dumps([values, times])]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert answer[0] == list(map(figures.short, values))
    assert answer[1] == list(map(figures.seconds, times))
    assert answer[2] == list(map(figures.exact, values))
    assert answer[3] == values, "what a table shows is what its chart draws"
