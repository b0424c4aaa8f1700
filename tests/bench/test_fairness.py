"""The simulation of the line is honest, and docs/concepts/fairness.md shows what it gives."""

import random
from types import ModuleType

import pytest

from tests.bench.test_bench import ROOT

PAGE = ROOT / "docs" / "concepts" / "fairness.md"
BEGIN, END = "<!-- SIMULATED: begin -->\n", "\n<!-- SIMULATED: end -->"


@pytest.fixture
def fairness(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    from bench import fairness

    return fairness


def test_the_page_shows_the_tables_that_the_simulation_gives(fairness: ModuleType) -> None:
    shown = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    assert shown.strip("\n") == fairness.table(), "paste the output of: python bench/run_fairness.py"


def test_no_more_calls_are_under_way_than_there_are_slots_and_none_stays_free(fairness: ModuleType) -> None:
    load = fairness.crowd(fairness.exponential, 500.0)
    for line in (fairness.FairQueue, fairness.Fifo):
        outcome = fairness.simulate(load, line)
        assert outcome.most_under_way == fairness.SLOTS
        assert sum(outcome.seconds.values()) == pytest.approx(fairness.SLOTS * load.seconds)


@pytest.mark.parametrize("name", ["constant", "exponential", "pareto"])
def test_calls_take_a_second_on_average(fairness: ModuleType, name: str) -> None:
    draw = random.Random(1)
    seconds = [getattr(fairness, name)(draw) for _ in range(50_000)]
    assert sum(seconds) / len(seconds) == pytest.approx(1.0, rel=0.02)
    if name == "pareto":
        assert 80 < max(seconds) / min(seconds) <= 100


def test_the_same_seed_gives_the_same_outcome(fairness: ModuleType) -> None:
    load = fairness.crowd(fairness.pareto, 200.0)
    one, other = (fairness.Simulation(load, fairness.FairQueue(200)).run() for _ in range(2))
    assert one == other
