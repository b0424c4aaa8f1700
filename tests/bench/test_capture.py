"""The bench of captures judges by what it measured."""

from dataclasses import replace

import pytest

from bench.capture import Figures, render

GOOD = Figures([100.0, 200.0, 300.0], [105.0, 210.0, 900.0], 1000.0, 1010.0, kept=50, dropped=1)


def test_the_ratio_is_the_median_of_the_rounds_own() -> None:
    assert GOOD.p99_ratio == pytest.approx(1.05)
    assert GOOD.throughput_ratio == pytest.approx(1.01)
    assert GOOD.misses() == []


def test_what_is_not_as_it_should_be_is_named() -> None:
    assert "p99 moves by 15.0 %" in replace(GOOD, p99_on=[115.0, 230.0, 345.0]).misses()[0]
    assert "fewer calls" in replace(GOOD, rps_after=900.0).misses()[0]
    assert replace(GOOD, kept=0).misses() == ["nothing was captured"]


def test_the_table_has_every_figure() -> None:
    shown = render(GOOD)
    for figure in ("200", "210", "1.050", "1000", "1010", "1.010", "50 kept", "1 dropped"):
        assert figure in shown
